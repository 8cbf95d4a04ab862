-- The ledger of protected transactions, and what proves the writer to applications. Every statement may be
-- run again.

-- One row per protected transaction, written inside it, or in its place when it was given up. The key holds
-- the time of its making, so that rows lie in the order of their age.
CREATE TABLE IF NOT EXISTS steadfast.ledger (
  key uuid PRIMARY KEY,
  applied boolean NOT NULL DEFAULT true,
  at timestamptz NOT NULL DEFAULT transaction_timestamp(),
  result bytea,
  asked timestamptz
);

COMMENT ON COLUMN steadfast.ledger.applied IS 'false: given up; the transaction of this key can never commit';

COMMENT ON COLUMN steadfast.ledger.asked IS 'set by who asks for the outcome: the answer is a commit, never a read';

-- Raised by the first commit on another writer. Who has seen an epoch talks to no node with a lower one.
CREATE TABLE IF NOT EXISTS steadfast.epoch (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch bigint NOT NULL,
  node text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);

INSERT INTO steadfast.epoch (epoch, node) VALUES (0, '') ON CONFLICT DO NOTHING;

-- The processes that use the ledger, each with the oldest key it may still ask for.
CREATE TABLE IF NOT EXISTS steadfast.client (
  id uuid PRIMARY KEY,
  application text NOT NULL,
  oldest timestamptz,
  seen timestamptz NOT NULL
);

-- Who this node is, by the same name for everybody: the instance, or the address elsewhere than on Aurora.
CREATE OR REPLACE FUNCTION steadfast.node() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN aurora_db_instance_identifier();
EXCEPTION WHEN undefined_function THEN
  RETURN coalesce(host(inet_server_addr()), 'local') || ':' || current_setting('port');
END $$;

-- A commit that proves the writer: raises the epoch if another node was the writer before, and notes the
-- process. Returns the epoch; it counts once the commit is acknowledged.
CREATE OR REPLACE FUNCTION steadfast.prove(process uuid, application text, oldest_key timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  here text := steadfast.node();
BEGIN
  IF NOT EXISTS (SELECT FROM steadfast.epoch WHERE node = here) THEN
    UPDATE steadfast.epoch SET epoch = epoch + 1, node = here, at = clock_timestamp() WHERE node <> here;
  END IF;
  INSERT INTO steadfast.client AS c (id, application, oldest, seen)
    VALUES (process, prove.application, oldest_key, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET oldest = excluded.oldest, seen = excluded.seen;
  RETURN (SELECT epoch FROM steadfast.epoch);
END $$;

-- The smallest key that can have been made at a time.
CREATE OR REPLACE FUNCTION steadfast.key_at(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT rpad(lpad(to_hex(greatest(0, (extract(epoch FROM moment) * 1000)::bigint)), 12, '0'), 32, '0')::uuid $$;

-- Deletes up to `most` rows that nobody can ask for any more; returns how many. A client refuses keys that are
-- older than 24 h, so rows are kept for twice as long at least; and for as long as a process may still ask,
-- which it says in steadfast.client.
CREATE OR REPLACE FUNCTION steadfast.prune(keep interval DEFAULT '48 hours', most integer DEFAULT 10000)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  horizon timestamptz := clock_timestamp() - greatest(keep, '48 hours');
  pruned bigint;
BEGIN
  horizon := least(horizon, (SELECT min(oldest) FROM steadfast.client));
  DELETE FROM steadfast.ledger
    WHERE key = ANY (ARRAY(SELECT l.key FROM steadfast.ledger l
      WHERE l.key < steadfast.key_at(horizon) AND l.at < horizon AND coalesce(l.asked, l.at) < horizon
      ORDER BY l.key LIMIT most));
  GET DIAGNOSTICS pruned = ROW_COUNT;
  DELETE FROM steadfast.client WHERE oldest IS NULL AND seen < horizon;
  RETURN pruned;
END $$;

REVOKE ALL ON FUNCTION steadfast.prove(uuid, text, timestamptz), steadfast.prune(interval, integer) FROM PUBLIC;

-- Grant the first to the roles of applications, the second to whoever prunes.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'steadfast_application') THEN
    CREATE ROLE steadfast_application NOLOGIN;
  END IF;
END $$;

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'steadfast_prune') THEN
    CREATE ROLE steadfast_prune NOLOGIN;
  END IF;
END $$;

GRANT USAGE ON SCHEMA steadfast TO steadfast_application, steadfast_prune;

-- What was decided is never changed: neither the key nor whether it was applied.
GRANT SELECT, INSERT (key, applied), UPDATE (result, asked) ON steadfast.ledger TO steadfast_application;

GRANT SELECT ON steadfast.epoch TO steadfast_application;

GRANT EXECUTE ON FUNCTION steadfast.prove(uuid, text, timestamptz) TO steadfast_application;

GRANT EXECUTE ON FUNCTION steadfast.prune(interval, integer) TO steadfast_prune;
