-- Named queries of the publishing process's door: what the log is like, for its metrics.

-- name: standings(most)
-- Each log's head, and what is committed and has no number (counted up to :most), with the age of the oldest in seconds.
select h.log, h.seq as head, pending.events,
       coalesce(extract(epoch from statement_timestamp() - pending.oldest), 0)::float8 as age
from eventlog.head h
cross join lateral (
    select count(*) as events, min(at) as oldest
    from (select at from eventlog.event e
          where e.log = h.log and e.xid >= pg_snapshot_xmax(h.snapshot) limit :most) unnumbered
) pending
order by h.log;

-- name: followers
-- How far each durable follower is behind its log.
select c.name, c.log, greatest(h.seq - c.seq, 0) as behind
from eventlog.consumer c join eventlog.head h on h.log = c.log order by c.name, c.log;

-- name: database_bytes$
select pg_database_size(current_database());

-- name: days(today)^
-- Days after :today (UTC) that have partitions already, and whether something had to go to the default ones instead.
select (select count(*) from eventlog.days() day where day > cast(:today as date)) as ahead,
       exists (select from eventlog.event_default) or exists (select from eventlog.entry_default) as stray;
