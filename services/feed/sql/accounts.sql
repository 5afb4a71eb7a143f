-- name: create_account(id, handle, display_name, password_hash, created_at)!
-- A member; a handle that is taken violates account_handle_key.
insert into feed.account (id, handle, display_name, password_hash, created_at)
values (:id, :handle, :display_name, :password_hash, :created_at);

-- name: account_by_handle(handle)^
-- Who signs in with this handle; password_hash is null for imported members.
select id, handle, display_name, password_hash from feed.account where handle = :handle;

-- name: accounts_by_handles(handles)
-- Who is mentioned: unknown handles have no row.
select id, handle from feed.account where handle = any(:handles::text[]);
