-- A day made of what lay in the default partition: who reads meanwhile misses nothing.
-- A reader who had chosen its partitions before, and waited at the default one, found that empty and never looked into
-- the new one: so it waits at the parents, where it chooses afterwards. Where nothing can lie aside, as a rule for days
-- to come, nobody waits: a long writer of today must not keep them from being made.
CREATE OR REPLACE FUNCTION eventlog.make_day(p_day date) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET timezone = 'UTC' AS $$
DECLARE
    parent text;
    child text;
BEGIN
    IF p_day IN (SELECT eventlog.days()) THEN
        RETURN false;
    END IF;
    IF p_day <= clock_timestamp()::date
       OR EXISTS (SELECT FROM eventlog.event_default WHERE at >= p_day AND at < p_day + 1)
       OR EXISTS (SELECT FROM eventlog.entry_default WHERE at >= p_day AND at < p_day + 1) THEN
        LOCK TABLE ONLY eventlog.event, ONLY eventlog.entry IN ACCESS EXCLUSIVE MODE;
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

-- Numbered entries in (p_after, p_last] that are not below the floor, oldest first, at most p_limit. Below it there may
-- be some still, with holes: a day that somebody wrote into late stays when a later one goes.
-- Volatile, for its snapshot to be taken when its locks are held: a stable function keeps the one of whoever calls it,
-- from before it waited for a day to be made.
CREATE OR REPLACE FUNCTION eventlog.read(p_log smallint, p_after bigint, p_last bigint, p_limit integer)
RETURNS TABLE (seq bigint, epoch integer, event_id bigint, type text, at text, channels text, payload bytea)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT x.seq, x.epoch, x.event_id, e.type, eventlog.wire_time(e.at), array_to_string(e.channels, E'\n'), e.payload
    FROM (SELECT * FROM eventlog.entry
          WHERE log = p_log AND seq > p_after AND seq <= p_last
            AND seq >= (SELECT floor FROM eventlog.retained WHERE log = p_log)
          ORDER BY seq LIMIT p_limit) x
    JOIN eventlog.event e ON e.log = x.log AND e.xid = x.xid AND e.id = x.event_id AND e.at = x.at
    ORDER BY x.seq;
END $$;
