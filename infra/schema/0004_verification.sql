-- What the verification of backups needs in the database that is backed up: whoever opens a restored copy as its master
-- user reads all of it. Every statement may be run again.

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'steadfast_verify') THEN
    CREATE ROLE steadfast_verify NOLOGIN;
  END IF;
END $$;

GRANT pg_read_all_data TO steadfast_verify;

GRANT steadfast_verify TO CURRENT_USER;
