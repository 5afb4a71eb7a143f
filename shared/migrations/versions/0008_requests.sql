-- Which request caused an event: for operators and `chorus trace`, never in a frame. Null where no request did.
-- Expand only: code before this appends as it always has, and what it appends names no request.

-- A writer in any language may name its request once a transaction: set_config('chorus.request_id', …, true). Partitions
-- inherit the column and its default; nothing is rewritten, since the default is no volatile expression.
ALTER TABLE eventlog.event
    ADD COLUMN request_id text DEFAULT nullif(current_setting('chorus.request_id', true), '');

-- The same as append with four arguments, for who says it event by event. Not one calling the other: that would cost
-- every post the time of one more function.
CREATE FUNCTION eventlog.append(key text, type text, channels text[], payload bytea, request_id text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    appended bigint;
BEGIN
    INSERT INTO eventlog.event (log, type, channels, payload, request_id)
    SELECT (('x' || substr(md5(append.key), 1, 8))::bit(32)::bigint % i.logs)::smallint,
           append.type, append.channels, append.payload, append.request_id
    FROM eventlog.installation i
    RETURNING id INTO STRICT appended;
    RETURN appended;
END $$;
REVOKE ALL ON FUNCTION eventlog.append(text, text, text[], bytea, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventlog.append(text, text, text[], bytea, text) TO chorus_feed, chorus_notify;

-- What many recipients are told of later bears the request of its cause.
ALTER TABLE notify.fanout_job ADD COLUMN request_id text;
