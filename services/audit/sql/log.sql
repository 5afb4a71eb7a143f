-- Named queries of `chorus audit` about the event log; any role of a service may ask them.

-- name: heads
select h.log, h.epoch, h.seq as head, r.floor
from eventlog.head h join eventlog.retained r on r.log = h.log order by h.log;

-- name: unnumbered(since, until, most)
-- Of one stretch of time: committed events that the head's snapshot covers and that have no number, and numbers without
-- an event. What committed since is the next window's.
select coalesce(e.id, x.event_id) as event_id, e.id is null as lost, x.seq, h.log
from (select * from eventlog.event where at >= :since::text::timestamptz and at < :until::text::timestamptz) e
full join (select * from eventlog.entry where at >= :since::text::timestamptz and at < :until::text::timestamptz) x
    on x.log = e.log and x.event_id = e.id and x.at = e.at and x.xid = e.xid
join eventlog.head h on h.log = coalesce(e.log, x.log)
where e.id is null or (x.seq is null and pg_visible_in_snapshot(e.xid, h.snapshot))
limit :most::integer;

-- name: numbered_twice(since, until, most)
select log, event_id, min(seq) as seq
from eventlog.entry where at >= :since::text::timestamptz and at < :until::text::timestamptz
group by log, event_id having count(*) > 1 limit :most::integer;

-- name: count_events(since, until)$
select count(*) from eventlog.event where at >= :since::text::timestamptz and at < :until::text::timestamptz;

-- name: positions(log, after, page)
-- Of the next positions after :after, those that do not follow the one before them, or whose epoch is older than its;
-- and always the last one, with how many they were.
with start as (
    select greatest(:after::bigint, r.floor - 1) as after, h.seq as head
    from eventlog.retained r join eventlog.head h on h.log = r.log where r.log = :log::smallint
), page as (
    select x.seq, x.epoch from eventlog.entry x, start
    where x.log = :log::smallint and x.seq > start.after order by x.seq limit :page::integer
), placed as (
    select page.seq, page.epoch, lag(page.seq, 1, start.after) over w as before, lag(page.epoch) over w as epoch_before,
           row_number() over w as place, count(*) over () as looked, start.head
    from page, start window w as (order by page.seq)
)
select * from placed where seq <> before + 1 or epoch < epoch_before or place = looked order by place;

-- name: consumers_past_the_head
-- Followers that claim to have handled what was never numbered.
select c.name, c.log, c.seq, h.seq as head
from eventlog.consumer c join eventlog.head h on h.log = c.log where c.seq > h.seq;

-- name: consumers$
select count(*) from eventlog.consumer;
