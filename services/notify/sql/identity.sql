-- Who is asking.

-- name: sessions_known(ids)
-- The sessions among these ids that exist, with what ends them. Serves every door of notify, many askers at once.
select id, account_id, expires_at, revoked_at is not null as revoked
from feed_v1.session
where id = any(:ids::bigint[]);
