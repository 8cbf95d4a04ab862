//! The SQL functions by which Aurora PostgreSQL tells who is who, and by which it breaks itself.

/// Creates the replication role and Aurora's functions; runs once on the first writer.
///
/// Columns as in the Aurora guide's page on `aurora_replica_status`. What PostgreSQL does not
/// know is NULL. A writer's row for a standby that is behind and silent grows older with the
/// standby's last reply, because `replay_lag` keeps the last value it ever measured.
pub(super) const FUNCTIONS: &str = include_str!("aurora.sql");
