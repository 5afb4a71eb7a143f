-- name: claim_key(account_id, key, digest, status, body, created_at)^
-- Keeps the first answer to a request; no row when the key has been used. A concurrent request with it is waited for.
insert into feed.idempotency (account_id, key, digest, status, body, created_at)
values (:account_id, :key, :digest, :status, :body, :created_at)
on conflict do nothing returning key;

-- name: first_answer(account_id, key)^
-- What was answered to the request that first bore this key.
select digest, status, body, eventlog.head_cursor() as as_of
from feed.idempotency where account_id = :account_id and key = :key;

-- name: forget_answers(before)!
-- Keys older than anybody tries again with.
delete from feed.idempotency where created_at < :before;
