-- name: create_account(id, handle, display_name, password_hash, created_at)!
-- A member; a handle that is taken violates account_handle_key.
insert into feed.account (id, handle, display_name, password_hash, created_at)
values (:id, :handle, :display_name, :password_hash, :created_at);

-- name: handle_is_held(handle, now)$
-- Whether somebody who left bore this handle a while ago.
select exists (select from feed.handle_hold where handle = :handle and until > :now);

-- name: hold_handle(handle, until)!
-- Nobody bears this handle until then.
insert into feed.handle_hold (handle, until) values (:handle, :until)
on conflict (handle) do update set until = excluded.until;

-- name: forget_held_handles(now)!
-- Handles that are anybody's again.
delete from feed.handle_hold where until <= :now;

-- name: account_by_handle(handle)^
-- Who signs in with this handle; password_hash is null for imported members.
select id, handle, display_name, password_hash, password_version from feed.account where handle = :handle;

-- name: account_by_id(account_id)^
-- A member with what they prove themselves by, and what a password of theirs may not be.
select a.id, a.handle, a.display_name, a.password_hash, a.password_version, e.address
from feed.account a left join feed.email e on e.account_id = a.id
where a.id = :account_id and a.deleted_at is null;

-- name: accounts_by_handles(handles)
-- Who is mentioned: unknown handles have no row.
select id, handle from feed.account where handle = any(:handles::text[]);

-- name: set_password(account_id, password_version, password_hash)^
-- A new password, one version on; no row when another one was set meanwhile, or the member left.
update feed.account set password_hash = :password_hash, password_version = password_version + 1, version = version + 1
where id = :account_id and password_version = :password_version and deleted_at is null returning id;
