-- Days come and go as partitions. Callers set lock_timeout and try again: attaching and dropping queue behind long
-- writers, and everybody else queues behind them.

CREATE FUNCTION eventlog.day_name(p_table text, p_day date) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_table || '_' || lpad(extract(year FROM p_day)::text, 4, '0')
           || lpad(extract(month FROM p_day)::text, 2, '0') || lpad(extract(day FROM p_day)::text, 2, '0')
$$;

-- The days (UTC) that have partitions of their own, oldest first.
CREATE FUNCTION eventlog.days() RETURNS SETOF date
LANGUAGE sql STABLE AS $$
    SELECT to_date(right(c.relname, 8), 'YYYYMMDD')
    FROM pg_inherits n JOIN pg_class c ON c.oid = n.inhrelid
    WHERE n.inhparent = 'eventlog.event'::regclass AND c.relname ~ '^event_[0-9]{8}$' ORDER BY 1
$$;

-- Makes one day's partitions: create, move what had to go to the default partition, attach. False when it is there.
CREATE FUNCTION eventlog.make_day(p_day date) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET timezone = 'UTC' AS $$
DECLARE
    parent text;
    child text;
BEGIN
    IF p_day IN (SELECT eventlog.days()) THEN
        RETURN false;
    END IF;
    FOREACH parent IN ARRAY ARRAY['event', 'entry'] LOOP
        child := eventlog.day_name(parent, p_day);
        EXECUTE format('CREATE TABLE eventlog.%I (LIKE eventlog.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
        EXECUTE format('LOCK TABLE eventlog.%I IN ACCESS EXCLUSIVE MODE', parent || '_default');
        EXECUTE format('WITH moved AS (DELETE FROM eventlog.%I WHERE at >= %L AND at < %L RETURNING *)
                        INSERT INTO eventlog.%I SELECT * FROM moved', parent || '_default', p_day, p_day + 1, child);
        EXECUTE format('ALTER TABLE eventlog.%I ATTACH PARTITION eventlog.%I FOR VALUES FROM (%L) TO (%L)',
                       parent, child, p_day, p_day + 1);
    END LOOP;
    RETURN true;
END $$;

-- Why a day may not be dropped yet, null when it may. p_keep_since: what was numbered after it stays.
CREATE FUNCTION eventlog.day_needed(p_day date, p_keep_since timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    events text := eventlog.day_name('event', p_day);
    entries text := eventlog.day_name('entry', p_day);
    h eventlog.head;
    newest bigint;
    numbered timestamptz;
    pending boolean;
    waiting text;
BEGIN
    FOR h IN SELECT * FROM eventlog.head ORDER BY log LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM eventlog.%1$I WHERE log = $1 AND xid >= $2)
                            OR EXISTS (SELECT FROM eventlog.%1$I WHERE log = $1 AND xid = ANY ($3))', events)
        INTO pending USING h.log, pg_snapshot_xmax(h.snapshot), ARRAY(SELECT pg_snapshot_xip(h.snapshot));
        IF pending THEN
            RETURN format('log %s has events that are not numbered', h.log);
        END IF;
        EXECUTE format('SELECT seq, numbered_at FROM eventlog.%I WHERE log = $1 ORDER BY seq DESC LIMIT 1', entries)
        INTO newest, numbered USING h.log;
        IF numbered > p_keep_since THEN
            RETURN format('log %s was numbered in it as late as %s', h.log, numbered);
        END IF;
        SELECT name INTO waiting FROM eventlog.consumer WHERE log = h.log AND seq < newest ORDER BY seq LIMIT 1;
        IF waiting IS NOT NULL THEN
            RETURN format('consumer %s has not passed position %s of log %s', waiting, newest, h.log);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- Drops one day. Returns null when it is gone, otherwise why it stays. Looks again under the locks: a writer that was
-- open until then has ended by now, and its events count. READ COMMITTED.
CREATE FUNCTION eventlog.drop_day(p_day date, p_keep_since timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    events text := eventlog.day_name('event', p_day);
    entries text := eventlog.day_name('entry', p_day);
    reason text := eventlog.day_needed(p_day, p_keep_since);
BEGIN
    IF reason IS NOT NULL THEN
        RETURN reason;
    END IF;
    LOCK TABLE eventlog.event, eventlog.entry IN ACCESS EXCLUSIVE MODE;
    reason := eventlog.day_needed(p_day, p_keep_since);
    IF reason IS NOT NULL THEN
        RETURN reason;
    END IF;
    EXECUTE format('UPDATE eventlog.retained r SET floor = greatest(r.floor, d.newest + 1)
                    FROM (SELECT log, max(seq) AS newest FROM eventlog.%I GROUP BY log) d WHERE d.log = r.log', entries);
    EXECUTE format('DELETE FROM eventlog.redaction d USING eventlog.retained r WHERE r.log = d.log AND d.seq < r.floor');
    EXECUTE format('DROP TABLE eventlog.%I, eventlog.%I', events, entries);
    RETURN NULL;
END $$;

REVOKE ALL ON FUNCTION eventlog.day_name, eventlog.days, eventlog.make_day, eventlog.day_needed, eventlog.drop_day
    FROM PUBLIC;

SELECT eventlog.make_day((now() AT TIME ZONE 'UTC')::date + n) FROM generate_series(0, 7) n;
