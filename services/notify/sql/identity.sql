-- Who is asking.

-- name: session_stands$
-- Whether a session of that account is neither revoked nor over.
select exists (
    select from feed_v1.session
    where id = :session and account_id = :account and revoked_at is null and expires_at > :now
);
