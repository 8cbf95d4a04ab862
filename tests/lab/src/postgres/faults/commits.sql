CREATE OR REPLACE FUNCTION pg_catalog.lab_fails_commits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('lab.disk_full', true) = 'on' THEN
        COPY (SELECT 1) TO '/dev/full';
    END IF;
    IF current_setting('lab.commits_fail', true) = 'on' THEN
        RAISE EXCEPTION 'could not read block 0 of the table: Input/output error' USING ERRCODE = 'io_error';
    END IF;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    own regclass;
BEGIN
    FOR own IN
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'lab_fails_commits')
    LOOP
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER lab_fails_commits AFTER INSERT OR UPDATE OR DELETE ON %s '
            'DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pg_catalog.lab_fails_commits()', own);
    END LOOP;
END
$$;
