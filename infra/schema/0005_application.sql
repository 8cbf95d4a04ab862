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

-- Deletes up to `most` transfers that are older than the ledger keeps its rows at least, each with its row there, and
-- the probe's own processes; returns how many transfers. A row of the ledger must be as old by each of its times, as
-- for steadfast.prune: whoever writes a transfer under another's key removes nothing that is still asked for.
CREATE OR REPLACE FUNCTION steadfast.forget_transfers(most integer DEFAULT 5000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  horizon timestamptz := clock_timestamp() - interval '48 hours';
  forgotten uuid[];
BEGIN
  horizon := least(horizon, (SELECT min(oldest) FROM steadfast.client));
  forgotten := ARRAY(SELECT t.key FROM steadfast.application_transfer t WHERE t.at < horizon ORDER BY t.at LIMIT most);
  DELETE FROM steadfast.ledger l WHERE l.key = ANY (forgotten)
    AND l.key < steadfast.key_at(horizon) AND l.at < horizon AND coalesce(l.asked, l.at) < horizon;
  DELETE FROM steadfast.application_transfer t WHERE t.key = ANY (forgotten) AND t.at < horizon;
  DELETE FROM steadfast.client c WHERE c.application = 'application-probe' AND c.oldest IS NULL AND c.seen < horizon;
  RETURN coalesce(array_length(forgotten, 1), 0);
END $$;

REVOKE ALL ON FUNCTION steadfast.forget_transfers(integer) FROM PUBLIC;

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'steadfast_transfer') THEN
    CREATE ROLE steadfast_transfer NOLOGIN;
  END IF;
END $$;

GRANT steadfast_application TO steadfast_transfer;

-- When a transfer was made is the server's to say.
GRANT SELECT, INSERT (key, run, number, source, target, amount) ON steadfast.application_transfer TO steadfast_transfer;

GRANT SELECT, UPDATE (balance) ON steadfast.application_account TO steadfast_transfer;

GRANT EXECUTE ON FUNCTION steadfast.forget_transfers(integer) TO steadfast_transfer;
