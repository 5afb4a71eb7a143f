-- What the live side asks: sessions, memberships, and Postgres's head.

-- name: sessions_known(ids)
-- The sessions among these ids that exist, with what ends them. Serves hello and renew, many at once.
select id, account_id, expires_at, revoked_at is not null as revoked
from feed_v1.session
where id = any(:ids::bigint[]);

-- name: home_of(account)^
-- The topics a member has joined, and the position that this is true of.
select eventlog.head_cursor() as cursor,
       array(select topic from feed_v1.membership where account_id = :account order by topic) as topics;

-- name: alive$
-- One round trip.
select 1;
