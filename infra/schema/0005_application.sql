-- Accounts and transfers of the application probe. Every statement may be run again.

CREATE TABLE IF NOT EXISTS steadfast.application_account (
  id smallint PRIMARY KEY,
  balance bigint NOT NULL
);

INSERT INTO steadfast.application_account SELECT id, 0 FROM generate_series(0, 15) AS id ON CONFLICT DO NOTHING;

-- Nothing makes a number unique: a transfer that was applied twice must be able to stand here.
CREATE TABLE IF NOT EXISTS steadfast.application_transfer (
  key uuid NOT NULL,
  run text NOT NULL,
  number bigint NOT NULL,
  source smallint NOT NULL,
  target smallint NOT NULL,
  amount bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX IF NOT EXISTS application_transfer_run ON steadfast.application_transfer (run);

CREATE INDEX IF NOT EXISTS application_transfer_key ON steadfast.application_transfer (key);

CREATE INDEX IF NOT EXISTS application_transfer_at ON steadfast.application_transfer (at);

-- Deletes up to `most` transfers that are older than the ledger keeps its rows at least, each with its row there; returns
-- how many. Whose keys are others' is left to steadfast.prune.
CREATE OR REPLACE FUNCTION steadfast.forget_transfers(most integer DEFAULT 5000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  forgotten uuid[];
BEGIN
  forgotten := ARRAY(SELECT t.key FROM steadfast.application_transfer t
    WHERE t.at < clock_timestamp() - interval '48 hours' ORDER BY t.at LIMIT most);
  DELETE FROM steadfast.ledger WHERE key = ANY (forgotten);
  DELETE FROM steadfast.application_transfer WHERE key = ANY (forgotten)
    AND at < clock_timestamp() - interval '48 hours';
  RETURN coalesce(array_length(forgotten, 1), 0);
END $$;

REVOKE ALL ON FUNCTION steadfast.forget_transfers(integer) FROM PUBLIC;

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'steadfast_transfer') THEN
    CREATE ROLE steadfast_transfer NOLOGIN;
  END IF;
END $$;

GRANT steadfast_application TO steadfast_transfer;

GRANT SELECT, INSERT ON steadfast.application_transfer TO steadfast_transfer;

GRANT SELECT, UPDATE (balance) ON steadfast.application_account TO steadfast_transfer;

GRANT EXECUTE ON FUNCTION steadfast.forget_transfers(integer) TO steadfast_transfer;
