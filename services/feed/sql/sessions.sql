-- name: open_session(id, account_id, password_version, kind, device, created_at, expires_at)^
-- A session that can be renewed until expires_at. No row when the password was changed since it was looked at: whoever
-- is changing it is waited for.
with standing as (
    select id from feed.account where id = :account_id and password_version = :password_version for share
)
insert into feed.session (id, account_id, kind, device, created_at, expires_at)
select :id, standing.id, :kind, :device, :created_at, :expires_at from standing returning id;

-- name: standing_session(session_id, account_id, now)^
-- The member behind a session that stands; no row when it was revoked or has ended.
select a.id, a.handle, a.display_name, s.expires_at, coalesce(s.seen_at, s.created_at) as seen_at
from feed.session s join feed.account a on a.id = s.account_id
where s.id = :session_id and s.account_id = :account_id and s.revoked_at is null and s.expires_at > :now;

-- name: session_seen(session_id, now, before)!
-- It was used at about this time; whoever says so at the same moment writes nothing.
update feed.session set seen_at = :now where id = :session_id and coalesce(seen_at, created_at) < :before;

-- name: list_sessions(account_id, now, before, page)
-- A member's sessions that stand, newest first; always at least one row, for the positions.
with head as materialized (select eventlog.head_cursor() as as_of),
page as materialized (
    select s.id, s.kind, s.device, s.created_at, s.expires_at, coalesce(s.seen_at, s.created_at) as seen_at
    from feed.session s
    where s.account_id = :account_id and s.revoked_at is null and s.expires_at > :now and s.id < :before
    order by s.id desc limit :page::integer
)
select head.as_of, page.* from head left join page on true order by page.id desc;

-- name: end_session(session_id, account_id, now)^
-- Ends a member's session; no row when it had ended already, or is another's.
update feed.session set revoked_at = :now
where id = :session_id and account_id = :account_id and revoked_at is null and expires_at > :now returning id;

-- name: end_sessions(account_id, but, now)
-- Ends all sessions of a member, but for one (null: none is spared).
update feed.session set revoked_at = :now
where account_id = :account_id and revoked_at is null and expires_at > :now
  and (:but::bigint is null or id <> :but) returning id;

-- name: forget_ended_sessions(before)!
-- Sessions that nobody can use any more.
delete from feed.session where expires_at < :before;

-- name: positions()^
-- The log's positions, for answers that bear no rows.
select eventlog.head_cursor() as as_of;

-- name: installation()$
-- Which installation this is: cookies of two of them on one host must not meet.
select id::text from eventlog.installation;
