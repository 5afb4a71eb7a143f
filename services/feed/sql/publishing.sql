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
-- How far each durable follower is behind its log: in positions, and by the age of the first that it has not handled.
select c.name, c.log, greatest(h.seq - c.seq, 0) as behind,
       coalesce(extract(epoch from statement_timestamp() - (
           select e.at from eventlog.entry e where e.log = c.log and e.seq > c.seq order by e.seq limit 1)), 0)::float8 as late
from eventlog.consumer c join eventlog.head h on h.log = c.log order by c.name, c.log;

-- name: room()^
-- Bytes of the database, and of the event log in it with its indexes.
select pg_database_size(current_database()) as database,
       (select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint from pg_inherits
        where inhparent in ('eventlog.event'::regclass, 'eventlog.entry'::regclass)) as log;

-- name: days(today, keep_since)^
-- Days (UTC) that have partitions: after :today; up to it; and those that ended before :keep_since and are still there.
-- And whether something had to go to the default ones instead.
select (select count(*) from eventlog.days() day where day > cast(:today as date)) as ahead,
       (select count(*) from eventlog.days() day where day <= cast(:today as date)) as held,
       (select count(*) from eventlog.days() day where day < cast(:keep_since as date)) as overdue,
       exists (select from eventlog.event_default) or exists (select from eventlog.entry_default) as stray;

-- name: time_there$
-- What time it is by Postgres's clock: to compare with ours, and for nothing else.
select clock_timestamp();
