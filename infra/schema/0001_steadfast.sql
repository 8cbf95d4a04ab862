-- Schema, canary and roles of Steadfast. Every statement may be run again.

CREATE SCHEMA IF NOT EXISTS steadfast;

-- One counter per prober: one more with every acknowledged canary commit.
CREATE TABLE IF NOT EXISTS steadfast.canary (
  az text PRIMARY KEY,
  value bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A group for each function; the login roles of the secrets are granted one of them.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'steadfast_probe') THEN
    CREATE ROLE steadfast_probe NOLOGIN;
  END IF;
END $$;

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'steadfast_drain') THEN
    CREATE ROLE steadfast_drain NOLOGIN;
  END IF;
END $$;

GRANT USAGE ON SCHEMA steadfast TO steadfast_probe;

GRANT SELECT, INSERT, UPDATE ON steadfast.canary TO steadfast_probe;

-- The drainer ends sessions of other roles, but never a superuser's, and reads what they do.
GRANT pg_signal_backend, pg_read_all_stats TO steadfast_drain;
