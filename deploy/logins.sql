-- The services' logins, with the passwords of the secrets; what each role may do comes with the migration.
\set feed `cat /run/secrets/feed_password`
\set notify `cat /run/secrets/notify_password`
SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['chorus_feed', 'chorus_notify']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE chorus_feed LOGIN PASSWORD :'feed';
ALTER ROLE chorus_notify LOGIN PASSWORD :'notify';
