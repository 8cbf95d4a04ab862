-- What the rotation of passwords needs. Every statement may be run again.

-- Held by the administrator, whose secret the rotator uses: sees whose sessions there are, and ends those of a user
-- whose turn is over.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'steadfast_rotate') THEN
    CREATE ROLE steadfast_rotate NOLOGIN;
  END IF;
END $$;

GRANT pg_signal_backend, pg_read_all_stats TO steadfast_rotate;

GRANT steadfast_rotate TO CURRENT_USER;
