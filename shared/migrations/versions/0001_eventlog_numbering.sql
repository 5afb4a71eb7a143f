-- Numbering, epochs and installation: for the owner of the schema alone (no grants below).

-- Numbers every event that became visible since the head's snapshot, and returns the first p_page of them.
-- Nothing pending: returns at once and takes no lock. Never a LIMIT on the window: the stored snapshot claims that
-- all it shows is numbered. Raises 23505 (the tick is taken) or 40001 when somebody else numbered or opened an epoch
-- meanwhile: not the leader, try again. CH001 when the epoch is another one. Insists on REPEATABLE READ: the window and
-- the stored snapshot must be of one moment.
CREATE FUNCTION eventlog.number(p_log smallint, p_epoch integer, p_page integer)
RETURNS TABLE (head bigint, seq bigint, event_id bigint, type text, at text, channels text, payload bytea)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    h eventlog.head;
    newer xid8;
    open xid8[];
BEGIN
    SELECT * INTO STRICT h FROM eventlog.head WHERE log = p_log;
    IF h.epoch <> p_epoch THEN
        RAISE EXCEPTION 'log % is in epoch %, not %', p_log, h.epoch, p_epoch USING ERRCODE = 'CH001';
    END IF;
    newer := pg_snapshot_xmax(h.snapshot);
    open := ARRAY(SELECT pg_snapshot_xip(h.snapshot));
    IF NOT EXISTS (SELECT FROM eventlog.event WHERE log = p_log AND xid >= newer)
       AND NOT EXISTS (SELECT FROM eventlog.event WHERE log = p_log AND xid = ANY (open)) THEN
        RETURN;
    END IF;
    IF current_setting('transaction_isolation') <> 'repeatable read' THEN
        RAISE EXCEPTION 'eventlog.number() needs REPEATABLE READ' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    PERFORM FROM eventlog.log WHERE log = p_log FOR UPDATE;
    PERFORM set_config('synchronous_commit', 'on', true);
    RETURN QUERY
    WITH pending AS MATERIALIZED (
        SELECT e.*, h.seq + row_number() OVER (ORDER BY e.id) AS seq
        FROM (SELECT id, xid, at, type, channels, payload FROM eventlog.event WHERE log = p_log AND xid >= newer
              UNION ALL
              SELECT id, xid, at, type, channels, payload FROM eventlog.event WHERE log = p_log AND xid = ANY (open)) e
    ), entries AS (
        INSERT INTO eventlog.entry (log, epoch, seq, event_id, xid, at)
        SELECT p_log, p_epoch, seq, id, xid, at FROM pending
    ), moved AS (
        INSERT INTO eventlog.tick (log, after, seq, snapshot)
        SELECT p_log, h.seq, h.seq + (SELECT count(*) FROM pending), pg_current_snapshot()
        RETURNING seq
    )
    SELECT (SELECT seq FROM moved), p.seq, p.id, p.type, eventlog.wire_time(p.at),
           array_to_string(p.channels, E'\n'), p.payload
    FROM pending p WHERE p.seq <= h.seq + p_page ORDER BY p.seq;
END $$;

-- The server that this database runs on. The timeline comes from the WAL position: pg_control lags after a promotion.
CREATE FUNCTION eventlog.server(OUT system text, OUT timeline text, OUT database oid)
LANGUAGE sql STABLE AS $$
    SELECT (SELECT system_identifier::text FROM pg_control_system()),
           substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8),
           (SELECT oid FROM pg_database WHERE datname = current_database())
$$;

-- Null when this is the server of last time (or the first ever), otherwise what changed.
CREATE FUNCTION eventlog.recognise() RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    i eventlog.installation;
    s record;
BEGIN
    SELECT * INTO STRICT i FROM eventlog.installation;
    SELECT * INTO STRICT s FROM eventlog.server();
    IF i.system IS NULL THEN
        UPDATE eventlog.installation SET system = s.system, timeline = s.timeline, database = s.database
        WHERE installation.system IS NULL;
        RETURN NULL;
    END IF;
    RETURN CASE WHEN i.system <> s.system THEN 'system' WHEN i.database <> s.database THEN 'database'
                WHEN i.timeline <> s.timeline THEN 'timeline' END;
END $$;

-- After a dump and restore xids start again: what is unnumbered is found by joining, with the writers locked out, and
-- xids that this server has not reached yet are zeroed, lest a later window takes them for new ones.
CREATE FUNCTION eventlog.number_by_joining(p_epoch integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    found bigint;
BEGIN
    LOCK TABLE eventlog.event IN SHARE ROW EXCLUSIVE MODE;
    WITH missing AS (
        SELECT e.log, e.id, e.xid, e.at, h.seq + row_number() OVER (PARTITION BY e.log ORDER BY e.id) AS seq
        FROM eventlog.event e JOIN eventlog.head h ON h.log = e.log
        WHERE NOT EXISTS (SELECT FROM eventlog.entry x WHERE x.log = e.log AND x.event_id = e.id AND x.at = e.at)
    )
    INSERT INTO eventlog.entry (log, epoch, seq, event_id, xid, at)
    SELECT log, p_epoch, seq, id, xid, at FROM missing;
    GET DIAGNOSTICS found = ROW_COUNT;
    UPDATE eventlog.event SET xid = '0' WHERE NOT pg_visible_in_snapshot(xid, pg_current_snapshot());
    UPDATE eventlog.entry SET xid = '0' WHERE NOT pg_visible_in_snapshot(xid, pg_current_snapshot());
    UPDATE eventlog.tick t SET snapshot = pg_current_snapshot(),
        seq = greatest(t.seq, coalesce((SELECT max(x.seq) FROM eventlog.entry x WHERE x.log = t.log), 0))
    FROM eventlog.head h WHERE h.log = t.log AND h.seq = t.seq;
    RETURN found;
END $$;

-- Opens a new epoch for all logs in one transaction and returns it. p_expected: the epoch the caller left; when
-- another one has been opened since, that one is returned and nothing changes (null: open one whatever there is).
-- p_redis: the greatest epoch that Redis shows, 0 for none. READ COMMITTED, so that waiting for the locks shows the winner.
CREATE FUNCTION eventlog.open_epoch(p_expected integer, p_redis integer, p_reason text) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    i eventlog.installation;
    s record;
    latest integer;
    opened integer;
BEGIN
    SELECT * INTO STRICT i FROM eventlog.installation FOR UPDATE;
    PERFORM FROM eventlog.log ORDER BY log FOR UPDATE;
    SELECT max(epoch) INTO STRICT latest FROM eventlog.log;
    IF latest <> p_expected THEN
        RETURN latest;
    END IF;
    SELECT * INTO STRICT s FROM eventlog.server();
    opened := greatest(latest + 1, (SELECT max(epoch) + 1 FROM eventlog.epoch), p_redis + 1,
                       eventlog.minutes_since_2020());
    UPDATE eventlog.log SET epoch = opened;
    UPDATE eventlog.installation SET system = s.system, timeline = s.timeline, database = s.database;
    INSERT INTO eventlog.epoch (epoch, reason) VALUES (opened, p_reason);
    IF i.system <> s.system OR i.database <> s.database THEN
        PERFORM eventlog.number_by_joining(opened);
    END IF;
    RETURN opened;
END $$;

-- Fixes the number of logs. Possible only while nothing was ever appended; repeating it with the same number is fine.
CREATE FUNCTION eventlog.initialise(p_logs integer) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_logs integer;
BEGIN
    SELECT logs INTO STRICT now_logs FROM eventlog.installation FOR UPDATE;
    IF now_logs = p_logs THEN
        RETURN;
    END IF;
    LOCK TABLE eventlog.event IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM eventlog.event) OR EXISTS (SELECT FROM eventlog.head WHERE seq > 0) THEN
        RAISE EXCEPTION 'this installation has % logs for good, not %', now_logs, p_logs USING ERRCODE = 'CH002';
    END IF;
    UPDATE eventlog.installation SET logs = p_logs;
    DELETE FROM eventlog.log WHERE log >= p_logs;
    DELETE FROM eventlog.tick WHERE log >= p_logs;
    DELETE FROM eventlog.retained WHERE log >= p_logs;
    INSERT INTO eventlog.log SELECT n, (SELECT max(epoch) FROM eventlog.log)
        FROM generate_series(1, p_logs - 1) n ON CONFLICT DO NOTHING;
    INSERT INTO eventlog.tick (log, after, seq) SELECT n, -1, 0
        FROM generate_series(1, p_logs - 1) n ON CONFLICT DO NOTHING;
    INSERT INTO eventlog.retained (log) SELECT n FROM generate_series(1, p_logs - 1) n ON CONFLICT DO NOTHING;
END $$;

-- Removes an entry's words and keeps its position and channels; later readers get the tombstone. Returns its event id,
-- null when there is no such entry. A `log.redacted` event follows, for those who hold the words in memory.
CREATE FUNCTION eventlog.redact(p_log smallint, p_seq bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    redacted bigint;
BEGIN
    UPDATE eventlog.event e SET type = 'redacted', payload = '{}'
    FROM eventlog.entry x
    WHERE x.log = p_log AND x.seq = p_seq
      AND e.log = x.log AND e.xid = x.xid AND e.id = x.event_id AND e.at = x.at
    RETURNING e.id INTO redacted;
    IF redacted IS NOT NULL THEN
        INSERT INTO eventlog.redaction (log, seq) VALUES (p_log, p_seq);
        INSERT INTO eventlog.event (log, type, channels, payload)
        VALUES (p_log, 'log.redacted', '{}', convert_to(format('{"seq":%s}', p_seq), 'UTF8'));
    END IF;
    RETURN redacted;
END $$;

REVOKE ALL ON FUNCTION eventlog.number, eventlog.server, eventlog.recognise, eventlog.number_by_joining,
    eventlog.open_epoch, eventlog.initialise, eventlog.redact FROM PUBLIC;
