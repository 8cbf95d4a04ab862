//! The statements that a rotation sends. Names and values are quoted by the server; instead of a password its SCRAM
//! verifier is sent, so that no server log ever holds the password.

/// Whether this server takes no writes.
pub(super) const IN_RECOVERY: &str = "SELECT pg_catalog.pg_is_in_recovery()";

/// What the role $1 has that a member of it would not have, even when it acts as the role; and whether the role $2 is
/// there and no member of it.
pub(super) const ROLE: &str = "\
    SELECT array_remove(ARRAY[CASE WHEN rolsuper THEN 'SUPERUSER' END, \
      CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN NOT rolinherit THEN 'NOINHERIT' END, \
      CASE WHEN NOT rolcanlogin THEN 'NOLOGIN' END], NULL), \
      EXISTS (SELECT FROM pg_catalog.pg_roles AS second WHERE second.rolname = $2 AND NOT EXISTS \
        (SELECT FROM pg_catalog.pg_auth_members AS m WHERE m.roleid = base.oid AND m.member = second.oid)) \
    FROM pg_catalog.pg_roles AS base WHERE rolname = $1";

/// Sessions of the role $1.
pub(super) const SESSIONS: &str = "\
    SELECT pid, application_name, host(client_addr), coalesce(state = 'idle', false), \
      (extract(epoch FROM backend_start) * 1000)::bigint \
    FROM pg_catalog.pg_stat_activity \
    WHERE usename = $1 AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid() ORDER BY backend_start";

/// Ends those of the sessions $2 of the role $1 that are between two transactions, and no other.
pub(super) const DRAIN: &str = "\
    SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity \
    WHERE usename = $1 AND pid = ANY ($2::int4[]) AND state = 'idle' AND backend_type = 'client backend'";

/// The statements, in order, that give the role $1 the verifier $3 (NULL for no password at all) and have it stand in
/// for the role $2: as a member that acts as it, so that whatever it creates belongs to $2, with the same settings
/// and limit. Lists such as `search_path` are stored in the form in which they are set.
pub(super) const CHANGE: &str = "\
    WITH base AS (SELECT oid, rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = $2::text), \
    stored AS (SELECT r.rolname, d.datname, split_part(c, '=', 1) AS name, substr(c, strpos(c, '=') + 1) AS value \
      FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
      LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase CROSS JOIN LATERAL unnest(s.setconfig) AS c \
      WHERE r.rolname IN ($1::text, $2::text)) \
    SELECT statement FROM ( \
      SELECT 1 AS n, format('CREATE ROLE %I', $1::text) AS statement \
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1::text) \
      UNION ALL SELECT 2, format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $3::text) \
      UNION ALL SELECT 3, format('ALTER ROLE %I CONNECTION LIMIT %s', $1::text, rolconnlimit) FROM base WHERE $1::text <> $2::text \
      UNION ALL SELECT 4, format('GRANT %I TO %I', $2::text, $1::text) WHERE $1::text <> $2::text \
      UNION ALL SELECT DISTINCT 5, format('ALTER ROLE %I%s RESET ALL', $1::text, ' IN DATABASE ' || quote_ident(datname)) \
        FROM stored WHERE rolname = $1::text AND $1::text <> $2::text \
      UNION ALL SELECT 6, format('ALTER ROLE %I%s SET %I TO %s', $1::text, ' IN DATABASE ' || quote_ident(datname), name, \
          CASE WHEN name IN ('search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries') \
          THEN value ELSE quote_literal(value) END) \
        FROM stored WHERE rolname = $2::text AND name <> 'role' AND $1::text <> $2::text \
      UNION ALL SELECT 7, format('ALTER ROLE %I SET role TO %L', $1::text, $2::text) WHERE $1::text <> $2::text \
    ) AS statements ORDER BY n";
