-- The spine's schema: outbox events, their numbers, and who may do what. DESIGN.md section 4; the method is PgQ's.
-- The owner of this schema numbers; services append and read. Nothing here is newer than Postgres 15.

DO $$
DECLARE
    service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['chorus_feed', 'chorus_notify'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', service);
        END IF;
    END LOOP;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of this cluster is being migrated at the same moment
END $$;

CREATE SCHEMA eventlog;

-- One row: which installation this is, and the server it last ran on. A difference means that history may be lost.
CREATE TABLE eventlog.installation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    logs smallint NOT NULL DEFAULT 1 CHECK (logs BETWEEN 1 AND 64),
    system text,    -- null until a sequencer first ran here
    timeline text,
    database oid
);
INSERT INTO eventlog.installation DEFAULT VALUES;

CREATE FUNCTION eventlog.minutes_since_2020() RETURNS integer
LANGUAGE sql VOLATILE AS $$
    SELECT floor(extract(epoch FROM clock_timestamp() - timestamptz '2020-01-01 00:00:00+00') / 60)::integer
$$;

-- Every log; who numbers one holds its row's lock.
CREATE TABLE eventlog.log (
    log smallint PRIMARY KEY,
    epoch integer NOT NULL
);
INSERT INTO eventlog.log VALUES (0, eventlog.minutes_since_2020());

-- One row a batch, insert-only, and the newest is the head. A single row updated by every batch would be the simpler
-- shape, but beside a transaction that stays open none of its versions can go: after 15,000 batches reading the head
-- took five times as long (0.15 ms, then 0.73), for every page and every batch.
CREATE TABLE eventlog.tick (
    log smallint NOT NULL,
    after bigint NOT NULL,          -- the head before this batch: two batches after the same head exclude each other
    seq bigint NOT NULL,            -- the head since this batch
    snapshot pg_snapshot NOT NULL DEFAULT pg_current_snapshot(), -- every event visible in it is numbered
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log, after)
);
INSERT INTO eventlog.tick (log, after, seq) VALUES (0, -1, 0);

CREATE VIEW eventlog.head AS
    SELECT l.log, l.epoch, t.seq, t.snapshot
    FROM eventlog.log l
    CROSS JOIN LATERAL (SELECT * FROM eventlog.tick WHERE tick.log = l.log ORDER BY after DESC LIMIT 1) t;

-- Why and when an epoch was opened; for people, not read by the machine.
CREATE TABLE eventlog.epoch (
    epoch integer PRIMARY KEY,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text NOT NULL
);
INSERT INTO eventlog.epoch (epoch, reason) SELECT epoch, 'initialised' FROM eventlog.head;

-- The oldest position that Postgres still holds; everything from here to the head is there, without a hole.
CREATE TABLE eventlog.retained (
    log smallint PRIMARY KEY,
    floor bigint NOT NULL DEFAULT 1
);
INSERT INTO eventlog.retained (log) VALUES (0);

-- Durable followers. A day is kept until each of them has passed it.
CREATE TABLE eventlog.consumer (
    name text NOT NULL,
    log smallint NOT NULL,
    seq bigint NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, log)
);

CREATE SEQUENCE eventlog.event_id AS bigint;

-- Insert-only. Channels travel joined by newlines, payloads are spliced into frames: hence the checks.
CREATE TABLE eventlog.event (
    id bigint NOT NULL DEFAULT nextval('eventlog.event_id'),
    log smallint NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    type text NOT NULL CHECK (type <> ''),
    channels text[] NOT NULL CONSTRAINT channels_are_lines CHECK (
        array_position(channels, NULL) IS NULL
        AND array_position(channels, '') IS NULL
        AND strpos(array_to_string(channels, ''), E'\n') = 0),
    payload bytea NOT NULL CONSTRAINT payload_is_an_object CHECK (
        octet_length(payload) BETWEEN 2 AND 1048576
        AND get_byte(payload, 0) = 123
        AND get_byte(payload, octet_length(payload) - 1) = 125)
) PARTITION BY RANGE (at);
-- Serves the sequencer's window (log, xid) and the join from an entry to its event; there is no second index.
CREATE INDEX event_window ON eventlog.event (log, xid, id);
CREATE TABLE eventlog.event_default PARTITION OF eventlog.event DEFAULT;

-- The numbered log: narrow, and partitioned by its event's time, so that both go on the same day.
CREATE TABLE eventlog.entry (
    log smallint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    event_id bigint NOT NULL,
    xid xid8 NOT NULL,
    at timestamptz NOT NULL,
    numbered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log, seq, at)
) PARTITION BY RANGE (at);
CREATE TABLE eventlog.entry_default PARTITION OF eventlog.entry DEFAULT;

-- Positions whose words were removed; the sequencer deletes them from the stream, again after every reconnection.
CREATE TABLE eventlog.redaction (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    log smallint NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- How a moment is written in frames, streams and everywhere: the same bytes whoever reads it.
CREATE FUNCTION eventlog.wire_time(moment timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- The one way in. Call it last in the transaction that locked and changed the entity's row.
CREATE FUNCTION eventlog.append(key text, type text, channels text[], payload bytea) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    appended bigint;
BEGIN
    INSERT INTO eventlog.event (log, type, channels, payload)
    SELECT (('x' || substr(md5(append.key), 1, 8))::bit(32)::bigint % i.logs)::smallint,
           append.type, append.channels, append.payload
    FROM eventlog.installation i
    RETURNING id INTO STRICT appended;
    RETURN appended;
END $$;

-- Positions of all logs as the caller's own snapshot shows them: what `as_of` is.
CREATE FUNCTION eventlog.head_cursor() RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('epoch', max(epoch), 'seq', jsonb_agg(seq ORDER BY log)) FROM eventlog.head
$$;

-- Numbered entries in (p_after, p_last], oldest first, at most p_limit.
CREATE FUNCTION eventlog.read(p_log smallint, p_after bigint, p_last bigint, p_limit integer)
RETURNS TABLE (seq bigint, epoch integer, event_id bigint, type text, at text, channels text, payload bytea)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT x.seq, x.epoch, x.event_id, e.type, eventlog.wire_time(e.at), array_to_string(e.channels, E'\n'), e.payload
    FROM (SELECT * FROM eventlog.entry
          WHERE log = p_log AND seq > p_after AND seq <= p_last ORDER BY seq LIMIT p_limit) x
    JOIN eventlog.event e ON e.log = x.log AND e.xid = x.xid AND e.id = x.event_id AND e.at = x.at
    ORDER BY x.seq;
END $$;

-- A durable follower is complete through p_seq. Moves forward only.
CREATE FUNCTION eventlog.consumer_passed(p_name text, p_log smallint, p_seq bigint) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO eventlog.consumer AS c (name, log, seq) VALUES (p_name, p_log, p_seq)
    ON CONFLICT (name, log) DO UPDATE SET seq = excluded.seq, moved_at = clock_timestamp() WHERE excluded.seq > c.seq
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA eventlog FROM PUBLIC;
GRANT USAGE ON SCHEMA eventlog TO chorus_feed, chorus_notify;
GRANT SELECT ON ALL TABLES IN SCHEMA eventlog TO chorus_feed, chorus_notify;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA eventlog TO chorus_feed, chorus_notify;
