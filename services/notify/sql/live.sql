-- What the live side asks: memberships, and whether Postgres is there.

-- name: home_of(account)^
-- The topics a member has joined, and the position that this is true of.
select eventlog.head_cursor() as cursor,
       array(select topic from feed_v1.membership where account_id = :account order by topic) as topics;

-- name: alive$
-- One round trip.
select 1;
