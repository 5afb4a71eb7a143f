-- Named queries of `chorus doctor` that every role may ask: the log's health. Times are passed in.

-- name: logs(most)
-- Each log: where it stands, who numbers it, and what is committed and has no number (counted up to :most).
select h.log, h.epoch, h.seq as head, r.floor, leader.pid as leader, pending.events, pending.oldest
from eventlog.head h
join eventlog.retained r on r.log = h.log
left join lateral (
    select l.pid from pg_locks l
    where l.locktype = 'advisory' and l.classid = 4702 and l.objid::int = h.log and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
    limit 1
) leader on true
cross join lateral (
    select count(*) as events, min(at) as oldest
    from (select at from eventlog.event e
          where e.log = h.log and e.xid >= pg_snapshot_xmax(h.snapshot) limit :most) unnumbered
) pending
order by h.log;

-- name: consumers
-- Durable followers, and since when the next entry has waited for each.
select c.name, c.log, c.seq, c.moved_at, h.seq - c.seq as behind,
       (select x.numbered_at from eventlog.entry x where x.log = c.log and x.seq > c.seq order by x.seq limit 1) as waits
from eventlog.consumer c join eventlog.head h on h.log = c.log order by c.name, c.log;

-- name: days
-- The days (UTC, as text) that have partitions of their own, oldest first.
select right(c.relname, 8) as day
from pg_inherits n join pg_class c on c.oid = n.inhrelid
where n.inhparent = 'eventlog.event'::regclass and c.relname ~ '^event_[0-9]{8}$' order by 1;

-- name: stray^
-- Whether something had to go to the partitions that are there for days that nobody made.
select exists (select from eventlog.event_default) as events, exists (select from eventlog.entry_default) as entries;

-- name: about^
select current_setting('server_version_num')::int as version, current_setting('server_version') as shown,
       current_user::text as role, pg_database_size(current_database()) as size,
       (select id::text from eventlog.installation) as installation;
