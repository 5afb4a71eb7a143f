-- name: write_letter(id, kind, account_id, address, stamp, created_at, expires_at)!
-- A letter to be sent; account_id is null for recovery, where nobody looks whose address it is before it is sent.
insert into feed.letter (id, kind, account_id, address, stamp, created_at, expires_at)
values (:id, :kind, :account_id, :address, :stamp, :created_at, :expires_at);

-- name: forget_letters(now)!
-- Letters that nobody may send any more.
delete from feed.letter where expires_at <= :now;

-- name: drop_letters_of(account_id)!
-- What was on its way to somebody who leaves: by their address where nobody knows yet whose it is.
delete from feed.letter l where l.account_id = :account_id or (l.account_id is null and l.address = (
    select e.folded from feed.email e where e.account_id = :account_id));

-- name: email_of(account_id)^
-- A member's address, and the one that waits to be confirmed; no row when there never was one.
select address, confirmed_at, pending, pending_since, version from feed.email where account_id = :account_id;

-- name: lock_account(account_id, password_version)^
-- Holds an account whose password is still the one that was looked at; no row when it isn't, or the member left.
select id, handle, display_name from feed.account
where id = :account_id and password_version = :password_version and deleted_at is null for update;

-- name: lock_email(account_id)^
-- Holds a member's addresses for a change.
select address, confirmed_at, pending, pending_since, version from feed.email where account_id = :account_id for update;

-- name: await_email(account_id, address, now)^
-- This address waits to be confirmed; one that is confirmed stays until then.
insert into feed.email as e (account_id, pending, pending_since) values (:account_id, :address, :now)
on conflict (account_id) do update set pending = excluded.pending, pending_since = excluded.pending_since,
    version = e.version + 1
returning address, confirmed_at, pending, pending_since, version;

-- name: keep_email(account_id)^
-- None waits any more: the one that is confirmed is wanted after all.
update feed.email set pending = null, pending_since = null, version = version + 1
where account_id = :account_id returning address, confirmed_at, pending, pending_since, version;

-- name: confirm_email(account_id, version, folded, now)^
-- What waited is confirmed. No row when it no longer waits; one that another account has violates email_folded_key.
update feed.email e set address = e.pending, folded = :folded, confirmed_at = :now, pending = null, pending_since = null,
    version = e.version + 1
from feed.account a
where e.account_id = :account_id and e.version = :version and e.pending is not null and a.id = e.account_id
returning e.address, a.handle;

-- name: drop_email(account_id)^
-- No address; what was confirmed, for a last letter there. The row stays: its version outlives old links.
update feed.email e set address = null, folded = null, confirmed_at = null, pending = null, pending_since = null,
    version = e.version + 1
from feed.email before where e.account_id = :account_id and before.account_id = e.account_id returning before.address;
