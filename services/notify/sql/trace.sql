-- Named queries of `chorus trace`: what is known of one event, of a post's events, and of one member beside them.
-- Nothing here is indexed for it: a question of a person may read days of the log, and runs in its own time.

-- name: logs
select h.log, h.epoch, h.seq as head, r.floor
from eventlog.head h join eventlog.retained r on r.log = h.log order by h.log;

-- name: consumers
select name, log, seq, moved_at from eventlog.consumer order by name, log;

-- name: event(event)
-- One event with its position, which is null until it is numbered.
select e.id, e.log, e.type, e.at, eventlog.wire_time(e.at) as wire_at, e.channels, e.payload, e.request_id,
       x.epoch, x.seq, x.numbered_at
from eventlog.event e
left join eventlog.entry x on x.log = e.log and x.event_id = e.id and x.at = e.at
where e.id = :event;

-- name: events_about(channel, needle, since, most)
-- The newest events that went to a post's channel, or that name the post: what is told to an inbox does not go there.
select e.id, e.log, e.type, e.at, eventlog.wire_time(e.at) as wire_at, e.channels, e.payload, e.request_id,
       x.epoch, x.seq, x.numbered_at
from eventlog.event e
left join eventlog.entry x on x.log = e.log and x.event_id = e.id and x.at = e.at
where e.at >= :since and (e.channels @> array[:channel::text] or position(:needle::bytea in e.payload) > 0)
order by e.id desc limit :most;

-- name: next_like(log, seq, at, type, begins)^
-- The position of the next event of that type whose payload begins so.
select x.epoch, x.seq
from eventlog.entry x join eventlog.event e on e.log = x.log and e.id = x.event_id and e.at = x.at
where x.log = :log and x.seq > :seq and x.at >= :at::timestamptz - interval '1 hour'
  and e.type = :type and substring(e.payload from 1 for length(:begins::bytea)) = :begins::bytea
order by x.seq limit 1;

-- name: kept_ids^
-- Ids of the oldest and the newest event that is numbered and still held.
select min(edge.oldest) as oldest, max(edge.newest) as newest
from eventlog.head h
cross join lateral (
    select (select x.event_id from eventlog.entry x where x.log = h.log order by x.seq limit 1) as oldest,
           (select x.event_id from eventlog.entry x where x.log = h.log order by x.seq desc limit 1) as newest
) edge;

-- name: post(post)^
select p.id, p.author_id, a.handle, p.deleted
from feed_v1.post p join feed_v1.account a on a.id = p.author_id where p.id = :post;

-- name: post_of_comment(comment)$
select post_id from feed_v1.comment where id = :comment;

-- name: member(handle)^
select id, handle from feed_v1.account where handle = :handle;

-- name: joined(account)
select topic from feed_v1.membership where account_id = :account order by topic;

-- name: parked(logs, seqs)
-- Dead letters at these positions.
select d.log, d.seq, d.error, d.parked_at
from unnest(:logs::smallint[], :seqs::bigint[]) as asked (log, seq)
join notify.dead_letter d on d.log = asked.log and d.seq = asked.seq;

-- name: told(account, causes)
-- What the member was told of these causes.
select n.id, n.kind, n.cause, n.created_at, n.id <= i.read_up_to as read
from notify.notification n join notify.inbox i on i.account_id = n.account_id
where n.account_id = :account and n.cause = any(:causes::text[]);

-- name: waiting(account, posts)
-- Fan-out jobs that have yet to reach the member.
select post_id, comment_id, kind, done, cardinality(recipients) as recipients, error
from notify.fanout_job where post_id = any(:posts::bigint[]) and recipients @> array[:account::bigint];

-- name: installation$
-- Whose notify processes are asked about sockets.
select id::text from eventlog.installation;
