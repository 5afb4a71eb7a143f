-- Named queries of `chorus audit` that notify's role asks: whether inboxes are what stands in them.

-- name: inboxes_edge(after, page)^
-- Where the next page of inboxes ends, and how many it has.
select max(account_id) as last, count(*) as looked
from (select account_id from notify.inbox where account_id > :after::bigint order by account_id limit :page::integer) i;

-- name: wrong_inboxes(after, last)
-- Inboxes whose count is not that of their rows, or that gave out a greater id than they remember. Those who left are
-- being forgotten.
with counted as (
    select i.account_id, i.unread, i.last_id,
           (select count(*) from notify.notification n where n.account_id = i.account_id and n.id > i.read_up_to)
               as true_unread,
           (select coalesce(max(n.id), 0) from notify.notification n where n.account_id = i.account_id) as newest
    from notify.inbox i
    where i.account_id > :after::bigint and i.account_id <= :last::bigint
      and not exists (select from feed_v1.departed d where d.id = i.account_id)
)
select * from counted where unread <> true_unread or newest > last_id order by account_id;

-- name: told_twice(after, last)
select account_id, cause, count(*) as times from notify.notification
where account_id > :after::bigint and account_id <= :last::bigint
group by account_id, cause having count(*) > 1 order by account_id;

-- name: without_cause(after, last, most)
-- Lines whose cause the feed does not show any more, unless a job is taking them away page by page.
select n.account_id, n.id, n.kind, n.post_id
from notify.notification n
left join feed_v1.post p on p.id = n.post_id
left join feed_v1.comment c on c.id = n.comment_id
where n.account_id > :after::bigint and n.account_id <= :last::bigint
  and not exists (select from feed_v1.departed d where d.id = n.account_id)
  and not exists (select from notify.fanout_job j where j.post_id = n.post_id)
  and not (case
      when n.kind = 'story_returned' then exists (select from feed_v1.story s where s.id = n.post_id)
      else p.id is not null and not p.deleted and (n.comment_id is null or (c.id is not null and not c.deleted))
          and (n.kind <> 'mention' or n.account_id = any (case when n.comment_id is null then p.mentions else c.mentions end))
          and (n.kind <> 'reaction' or exists (
              select from feed_v1.reaction r where r.post_id = n.post_id and r.account_id = n.actor_id
                and r.comment_id is not distinct from n.comment_id))
      end)
order by n.account_id, n.id limit :most::integer;

-- name: moment$
-- What this transaction sees.
select pg_current_snapshot()::text;

-- name: numbered_through(moment)
-- Each log's head, and whether everything of it that was visible at a moment is numbered.
select h.log, h.seq, not exists (
           select from eventlog.event e
           where e.log = h.log and e.xid >= pg_snapshot_xmin(h.snapshot)
             and not pg_visible_in_snapshot(e.xid, h.snapshot)
             and pg_visible_in_snapshot(e.xid, :moment::text::pg_snapshot)
       ) as numbered
from eventlog.head h order by h.log;

-- name: cursors
-- How far the notifier is in each log, and the log itself.
select c.log, c.seq, c.epoch, h.seq as head, h.epoch as log_epoch
from notify.cursor c join eventlog.head h on h.log = c.log order by c.log;
