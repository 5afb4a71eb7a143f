-- Named queries of the inbox: cursors, what the feed says now, what stands in inboxes, jobs and dead letters.
-- Everything runs at read committed: a statement after a lock sees what was committed before the lock was had.

-- name: logs
-- Every log of this installation.
select log from eventlog.head order by log;

-- name: open_cursor!
-- A fresh notifier starts at the oldest position still held, and retention waits for it from then on.
with opened as (
    insert into notify.cursor (log, epoch, seq)
    select h.log, h.epoch, r.floor - 1
    from eventlog.head h join eventlog.retained r on r.log = h.log
    where h.log = :log
    on conflict do nothing
    returning log, seq
)
select eventlog.consumer_passed('notifier', log, seq) from opened;

-- name: read_cursor^
-- Where a log's notifier goes on: by position, under the log's present epoch; and the oldest position still held.
select h.epoch, c.seq, r.floor
from notify.cursor c join eventlog.head h on h.log = c.log join eventlog.retained r on r.log = c.log
where c.log = :log;

-- name: take_cursor^
-- Leads a log for the length of a transaction; no row: another process does. With it where the log itself stands: after
-- a restore, what was read before is of another epoch, or lies beyond the head.
select c.epoch, c.seq, h.epoch as log_epoch, h.seq as head
from notify.cursor c join eventlog.head h on h.log = c.log
where c.log = :log for update of c skip locked;

-- name: move_cursor!
-- The log is handled through :seq.
with moved as (
    update notify.cursor set epoch = :epoch, seq = :seq where log = :log returning log, seq
)
select eventlog.consumer_passed('notifier', log, seq) from moved;

-- name: requests(log, seqs, since, until)
-- Which requests caused these entries, whose times are in [since, until).
select x.seq, e.request_id
from eventlog.entry x join eventlog.event e on e.log = x.log and e.xid = x.xid and e.id = x.event_id and e.at = x.at
where x.log = :log and x.seq = any(:seqs::bigint[]) and x.at >= :since and x.at < :until
  and e.at >= :since and e.at < :until and e.request_id is not null;

-- name: post_authors
select id, author_id from feed_v1.post where id = any(:ids::bigint[]);

-- name: comment_authors
select id, author_id from feed_v1.comment where id = any(:ids::bigint[]);

-- name: accounts
select id, handle, display_name from feed_v1.account where id = any(:ids::bigint[]);

-- name: standing_posts
select id from feed_v1.post where id = any(:ids::bigint[]) and not deleted;

-- name: standing_comments
select id from feed_v1.comment where id = any(:ids::bigint[]) and not deleted;

-- name: standing_stories
-- Of stories that were sent back, those that were not deleted since.
select id from feed_v1.story where id = any(:ids::bigint[]);

-- name: standing_post_reactions
-- Which of these reactions on posts are there now.
select r.post_id as target, r.account_id as actor
from unnest(:targets::bigint[], :actors::bigint[]) as asked (target, actor)
join feed_v1.reaction r on r.post_id = asked.target and r.account_id = asked.actor and r.comment_id is null;

-- name: standing_comment_reactions
-- Which of these reactions on comments are there now.
select r.comment_id as target, r.account_id as actor
from unnest(:targets::bigint[], :actors::bigint[]) as asked (target, actor)
join feed_v1.reaction r on r.comment_id = asked.target and r.account_id = asked.actor;

-- name: lock_posts
-- One post's notifications are written by one transaction at a time, so that a removal in one log misses nothing that
-- another log's transaction is writing. Keys come sorted.
select pg_advisory_xact_lock(4703, key) from unnest(:keys::integer[]) as key;

-- name: make_inboxes!
insert into notify.inbox (account_id)
select account_id from unnest(:ids::bigint[]) as account_id order by account_id
on conflict do nothing;

-- name: lock_inboxes
-- In order of member ids: the one order in which anybody locks inboxes.
select account_id, unread, read_up_to, last_id
from notify.inbox where account_id = any(:ids::bigint[])
order by account_id for update;

-- name: find_by_target
-- What stands in inboxes about these posts and comments.
select account_id, id from notify.notification where post_id = any(:posts::bigint[])
union
select account_id, id from notify.notification where comment_id = any(:comments::bigint[]);

-- name: mentions
-- Whom posts and comments mention now.
select id as post_id, null::bigint as comment_id, mentions from feed_v1.post where id = any(:posts::bigint[])
union all
select post_id, id, mentions from feed_v1.comment where id = any(:comments::bigint[]);

-- name: taken_out
-- Lines that tell of a mention which posts and comments have no more.
select n.account_id, n.id, n.post_id, n.comment_id
from notify.notification n join feed_v1.post p on p.id = n.post_id
where n.post_id = any(:posts::bigint[]) and n.comment_id is null and n.kind = 'mention'
  and not n.account_id = any(p.mentions)
union all
select n.account_id, n.id, n.post_id, n.comment_id
from notify.notification n join feed_v1.comment c on c.id = n.comment_id
where n.comment_id = any(:comments::bigint[]) and n.kind = 'mention' and not n.account_id = any(c.mentions);

-- name: find_by_cause
select n.account_id, n.id, n.cause
from unnest(:accounts::bigint[], :causes::text[]) as asked (account_id, cause)
join notify.notification n on n.account_id = asked.account_id and n.cause = asked.cause;

-- name: insert_notifications
-- Those that are new, by recipient and id; a cause that was told already is passed over.
insert into notify.notification (account_id, id, kind, actor_id, post_id, comment_id, cause, created_at)
select * from unnest(:accounts::bigint[], :ids::bigint[], :kinds::text[], :actors::bigint[], :posts::bigint[],
                     :comments::bigint[], :causes::text[], :times::timestamptz[])
on conflict (account_id, cause) do nothing
returning account_id, id;

-- name: delete_notifications
with gone as (
    delete from notify.notification n
    using unnest(:accounts::bigint[], :ids::bigint[]) as asked (account_id, id)
    where n.account_id = asked.account_id and n.id = asked.id
    returning n.account_id, n.id
), kept as (
    insert into notify.removed (account_id, id, removed_at) select account_id, id, :now from gone
)
select account_id, id from gone order by account_id, id;

-- name: forget_removed$
-- The oldest of what went before then, so many at most; how many there were.
with old as (
    select account_id, id from notify.removed where removed_at < :before order by removed_at limit :most
), gone as (
    delete from notify.removed r using old where r.account_id = old.account_id and r.id = old.id returning r.id
)
select count(*) from gone;

-- name: forget_departed(most)$
-- The inboxes of those who left, some lines at a time; how many lines went.
with theirs as (
    select n.account_id, n.id from feed_v1.departed d join notify.notification n on n.account_id = d.id limit :most
), gone as (
    delete from notify.notification n using theirs t where n.account_id = t.account_id and n.id = t.id returning n.id
)
select count(*) from gone;

-- name: forget_departed_letters!
-- What those who left wrote, where it was parked: nobody is to be told of it any more.
delete from notify.dead_letter l using feed_v1.departed d
where l.log >= 0 and position(convert_to('"author":{"id":"' || d.id || '"', 'UTF8') in l.payload) > 0;

-- name: forget_departed_inboxes!
-- Their counts, once nothing stands in them.
delete from notify.inbox i using feed_v1.departed d
where i.account_id = d.id and not exists (select from notify.notification n where n.account_id = i.account_id);

-- name: update_inboxes!
-- Absolute values, computed under the lock.
update notify.inbox i set unread = u.unread, last_id = u.last_id
from unnest(:accounts::bigint[], :unreads::integer[], :last_ids::bigint[]) as u (account_id, unread, last_id)
where i.account_id = u.account_id;

-- name: page^
-- One page of an inbox, newest first, with one row more than asked for; count and position from the same snapshot.
select eventlog.head_cursor() as as_of,
       coalesce((select unread from notify.inbox where account_id = :account), 0) as unread,
       coalesce((
           select jsonb_agg(to_jsonb(line) order by line.id desc)
           from (
               select n.id, n.kind, n.post_id, n.comment_id, n.created_at, n.id <= i.read_up_to as read,
                      a.id as actor_id, a.handle, a.display_name
               from notify.notification n
               join notify.inbox i on i.account_id = n.account_id
               join feed_v1.account a on a.id = n.actor_id
               where n.account_id = :account and n.id < :before
               order by n.id desc limit :limit
           ) line
       ), '[]') as lines;

-- name: lock_inbox^
select unread, read_up_to from notify.inbox where account_id = :account for update;

-- name: held_in_inbox$
-- Whether that id stands in this inbox, or stood there once.
select exists (select from notify.notification where account_id = :account and id = :id)
    or exists (select from notify.removed where account_id = :account and id = :id);

-- name: read_up_to$
-- Everything up to :id is read; what stays unread is counted afresh.
update notify.inbox set read_up_to = :id, unread = (
    select count(*) from notify.notification n where n.account_id = :account and n.id > :id
)
where account_id = :account returning unread;

-- name: park!
insert into notify.dead_letter (log, seq, event_id, type, at, payload, error, parked_at)
values (:log, :seq, :event_id, :type, :at, :payload, :error, :now)
on conflict (log, seq) do update set error = excluded.error, parked_at = excluded.parked_at;

-- name: parked
select log, seq from notify.dead_letter order by log, seq;

-- name: take_parked^
select log, seq, event_id, type, at, payload, error
from notify.dead_letter where log = :log and seq = :seq for update skip locked;

-- name: drop_parked!
delete from notify.dead_letter where log = :log and seq = :seq;

-- name: add_job!
insert into notify.fanout_job
    (id, kind, actor_id, post_id, comment_id, cause, recipients, happened_at, due_at, request_id)
values (:id, :kind, :actor, :post, :comment, :cause, :recipients, :happened_at, :now, :request_id);

-- name: take_job^
-- The oldest job that is due and that nobody works on.
select id, kind, actor_id, post_id, comment_id, cause, recipients, done, happened_at, attempts, request_id
from notify.fanout_job where due_at <= :now order by due_at, id limit 1 for update skip locked;

-- name: advance_job!
update notify.fanout_job set done = :done, attempts = 0, error = null where id = :id;

-- name: finish_job!
delete from notify.fanout_job where id = :id;

-- name: postpone_job!
update notify.fanout_job set attempts = attempts + 1, error = :error, due_at = :due_at where id = :id;

-- name: park_job!
-- A job that can't go on becomes a dead letter: of no log, so -1, with its id for a position. Unless it went on meanwhile.
with failed as (
    delete from notify.fanout_job where id = :id and done = :done and attempts = :attempts returning *
)
insert into notify.dead_letter (log, seq, event_id, type, at, payload, error, parked_at)
select -1, f.id, 0, 'fanout.' || f.kind, eventlog.wire_time(f.happened_at), convert_to(to_jsonb(f)::text, 'UTF8'), :error, :now
from failed f;

-- name: take_up_job!
-- A job that was parked is due again, where it stopped.
with letter as (
    delete from notify.dead_letter where log = -1 and seq = :seq returning convert_from(payload, 'UTF8')::jsonb as job
)
insert into notify.fanout_job
select (jsonb_populate_record(null::notify.fanout_job,
                              job || jsonb_build_object('attempts', 0, 'error', null, 'due_at', :now::timestamptz))).*
from letter;
