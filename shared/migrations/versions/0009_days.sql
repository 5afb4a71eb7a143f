-- Makes one day's partitions: create, move what had to go to the default partition, attach. False when it is there.
-- A day that has begun may be written to meanwhile. A writer who waits at the default partition has chosen it for good,
-- and is refused once that is no longer his day's: so writers wait at the parent, where they choose afterwards. Days to
-- come don't take that lock, for nobody writes to them, and a long writer of today must not keep them from being made.
CREATE OR REPLACE FUNCTION eventlog.make_day(p_day date) RETURNS boolean
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
        IF p_day <= clock_timestamp()::date THEN
            EXECUTE format('LOCK TABLE ONLY eventlog.%I IN SHARE ROW EXCLUSIVE MODE', parent);
        END IF;
        EXECUTE format('LOCK TABLE eventlog.%I IN ACCESS EXCLUSIVE MODE', parent || '_default');
        EXECUTE format('WITH moved AS (DELETE FROM eventlog.%I WHERE at >= %L AND at < %L RETURNING *)
                        INSERT INTO eventlog.%I SELECT * FROM moved', parent || '_default', p_day, p_day + 1, child);
        EXECUTE format('ALTER TABLE eventlog.%I ATTACH PARTITION eventlog.%I FOR VALUES FROM (%L) TO (%L)',
                       parent, child, p_day, p_day + 1);
    END LOOP;
    RETURN true;
END $$;
