//! Those whose transactions are not over when the gate is to be closed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use steadfast_aws::log;
use steadfast_aws::postgres::Session;
use steadfast_core::gate::{self, Escalation, Measure};
use steadfast_core::switchover::Straggler;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::FUNCTION;

/// Whoever holds the gate's lock shared ($1, $2: the halves of its key), and whoever of the read-write roles $3 has
/// written in a transaction that began before $4, in seconds since the Unix epoch: they know nothing of the gate.
/// Those who begin later are not waited for, since their like would never end.
const INSIDE: &str = "\
    FROM pg_catalog.pg_stat_activity a \
    WHERE a.backend_type = 'client backend' AND a.pid <> pg_catalog.pg_backend_pid() AND ( \
      a.pid IN (SELECT l.pid FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted \
        AND l.mode = 'ShareLock' AND l.classid = $1 AND l.objid = $2 AND l.objsubid = 1 \
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) \
      OR a.usename = ANY ($3::text[]) AND a.backend_xid IS NOT NULL \
        AND a.xact_start < pg_catalog.to_timestamp($4::float8))";

/// A commit that is cut short may be shown as done without being replicated. An autocommitted statement is known by
/// its wait alone.
const COMMITTING: &str = "coalesce(a.state = 'active' AND (a.wait_event IN ('SyncRep', 'XactSync') \
    OR a.query ~* '(^|;|\\*/|--[^\n]*\n)\\s*(commit|end|prepare)\\M'), false)";

/// Whether the exclusive lock of the gate is held here, and here is where transactions are written.
const HELD: &str = "SELECT NOT pg_catalog.pg_is_in_recovery() AND EXISTS ( \
    SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.mode = 'ExclusiveLock' \
      AND l.classid = $1 AND l.objid = $2 AND l.objsubid = 1 \
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))";

/// The server's time, in seconds since the Unix epoch, and whether we may see what others do.
const BEGUN: &str = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8, \
    pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')";

fn look() -> String {
    format!("SELECT a.pid, a.usename::text, a.application_name, host(a.client_addr), a.state, {COMMITTING} {INSIDE}")
}

/// Who is inside is asked again in the same statement: a session may have left, or begun to commit.
fn treatment(measure: Measure) -> Option<String> {
    match measure {
        Measure::Leave | Measure::Name => None,
        Measure::Cancel => Some(format!(
            "SELECT pg_catalog.pg_cancel_backend(a.pid) {INSIDE} AND a.pid = $5 AND a.state = 'active' \
             AND NOT {COMMITTING}"
        )),
        Measure::Terminate => {
            Some(format!("SELECT pg_catalog.pg_terminate_backend(a.pid) {INSIDE} AND a.pid = $5 AND NOT {COMMITTING}"))
        }
    }
}

/// The server's time.
pub(crate) async fn begun(session: &Session, limit: Duration) -> Result<f64, String> {
    let row = within(limit, session.client.query_one(BEGUN, &[])).await?;
    if row.try_get::<_, bool>(1).map_err(|error| error.to_string())? {
        row.try_get(0).map_err(|error| error.to_string())
    } else {
        Err("the drainer's role is no member of pg_read_all_stats, so it cannot see who is inside: \
             GRANT pg_read_all_stats to it"
            .to_owned())
    }
}

/// Whether the gate is closed on the server of this session, which writes.
pub(crate) async fn is_held(session: &Session, limit: Duration) -> Result<bool, String> {
    let [high, low] = key_halves();
    let row = within(limit, session.client.query_one(HELD, &[&high, &low])).await?;
    row.try_get(0).map_err(|error| error.to_string())
}

/// Everybody who was met inside, and what was done to him last.
pub(crate) struct Stragglers<'s> {
    session: &'s Session,
    roles: &'s [String],
    since: f64,
    met: BTreeMap<i32, Straggler>,
}

impl<'s> Stragglers<'s> {
    pub(crate) fn new(session: &'s Session, roles: &'s [String], since: f64) -> Self {
        Self { session, roles, since, met: BTreeMap::new() }
    }

    /// Looks who is inside, and does to each what is due; returns how many there are.
    pub(crate) async fn look(&mut self, escalation: Escalation, limit: Duration) -> Result<usize, String> {
        let [high, low] = key_halves();
        let roles = self.roles;
        let rows = within(limit, self.session.client.query(&look(), &[&high, &low, &roles, &self.since])).await?;
        for row in &rows {
            let straggler = read(row, escalation).map_err(|error| error.to_string())?;
            self.treat(straggler, limit).await?;
        }
        Ok(rows.len())
    }

    /// Each measure is taken once for each session; one that met nobody counts as a name.
    async fn treat(&mut self, mut straggler: Straggler, limit: Duration) -> Result<(), String> {
        let before = self.met.get(&straggler.pid).map(|known| known.measure);
        if straggler.measure == Measure::Leave || before == Some(straggler.measure) {
            return Ok(());
        }
        if let Some(statement) = treatment(straggler.measure) {
            let [high, low] = key_halves();
            let roles = self.roles;
            let known: [&(dyn ToSql + Sync); 5] = [&high, &low, &roles, &self.since, &straggler.pid];
            let done = within(limit, self.session.client.query(&statement, &known)).await?;
            if !done.iter().any(|row| row.try_get(0).unwrap_or(false)) {
                straggler.measure = Measure::Name;
            }
        }
        if before != Some(straggler.measure) {
            log::audit(FUNCTION, "straggler", &json!(straggler));
        }
        self.met.insert(straggler.pid, straggler);
        Ok(())
    }

    /// Everybody who had to be named at least.
    pub(crate) fn met(&self) -> Vec<Straggler> {
        self.met.values().cloned().collect()
    }
}

fn read(row: &Row, escalation: Escalation) -> Result<Straggler, tokio_postgres::Error> {
    let state: Option<String> = row.try_get(4)?;
    let session = match (row.try_get::<_, Option<bool>>(5)?, state.as_deref()) {
        (Some(true), _) => gate::Session::Committing,
        (_, Some("active")) => gate::Session::Active,
        (_, _) => gate::Session::Idle,
    };
    Ok(Straggler {
        pid: row.try_get(0)?,
        role: row.try_get::<_, Option<String>>(1)?.unwrap_or_default(),
        application: row.try_get::<_, Option<String>>(2)?.unwrap_or_default(),
        address: row.try_get(3)?,
        measure: escalation.measure(session),
    })
}

/// `pg_locks` shows a 64-bit key in two halves, as `oid`.
fn key_halves() -> [u32; 2] {
    let bytes = gate::KEY.to_be_bytes();
    let half = |from: usize| bytes.iter().skip(from).take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    [half(0), half(4)]
}

async fn within<T, E: std::error::Error>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the writer did not answer within {limit:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_make_the_key() {
        let [high, low] = key_halves();
        assert_eq!((i64::from(high) << 32) | i64::from(low), gate::KEY);
    }
}
