-- name: open_session(id, account_id, kind, created_at, expires_at)!
-- A session that can be renewed until expires_at.
insert into feed.session (id, account_id, kind, created_at, expires_at)
values (:id, :account_id, :kind, :created_at, :expires_at);

-- name: standing_session(session_id, account_id, now)^
-- The member behind a session that stands; no row when it was revoked or has ended.
select a.id, a.handle, a.display_name, s.expires_at
from feed.session s join feed.account a on a.id = s.account_id
where s.id = :session_id and s.account_id = :account_id and s.revoked_at is null and s.expires_at > :now;

-- name: revoke_session(session_id, now)^
-- Ends a session; no row when it had ended already.
update feed.session set revoked_at = :now where id = :session_id and revoked_at is null returning id;

-- name: forget_ended_sessions(before)!
-- Sessions that nobody can use any more.
delete from feed.session where expires_at < :before;

-- name: positions()^
-- The log's positions, for answers that bear no rows.
select eventlog.head_cursor() as as_of;

-- name: installation()$
-- Which installation this is: cookies of two of them on one host must not meet.
select id::text from eventlog.installation;
