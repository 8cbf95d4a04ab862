//! A held session with the statements a probe needs, prepared once.

use std::time::Duration;

use steadfast_aws::postgres::Session;
use steadfast_core::topology::{Az, InstanceId};
use tokio::time::timeout;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Statement};

/// Each prober has its own row, counted up by one with every commit.
const COMMIT: &str = "\
    INSERT INTO steadfast.canary AS c (az, value) VALUES ($1, 1) \
    ON CONFLICT (az) DO UPDATE SET value = c.value + 1, at = clock_timestamp() RETURNING value";
const ROLE: &str = "SELECT pg_catalog.pg_is_in_recovery()";
/// Lag as the writer tells it; the writer's own row has none.
const LAG: &str = "\
    SELECT server_id::text, replica_lag_in_msec::float8 FROM pg_catalog.aurora_replica_status() \
    WHERE session_id <> 'MASTER_SESSION_ID' AND replica_lag_in_msec IS NOT NULL \
      AND coalesce(last_update_timestamp > now() - interval '5 minutes', true)";
const IDENTITY: &str = "SELECT pg_catalog.aurora_db_instance_identifier()::text";

/// The custom check may take this long.
const CHECK_LIMIT: Duration = Duration::from_millis(500);

/// A session that can probe.
pub(crate) struct Prepared {
    pub(crate) session: Session,
    role: Statement,
    check: Option<String>,
}

/// What a probe that was answered found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A reader.
    Reader,
    /// The writer, and the value that was committed.
    Committed(u64),
    /// The writer, which answers but does not commit in time.
    Stalled,
    /// The custom check gave no row, or a first column that is false.
    CheckFailed,
}

impl Prepared {
    /// Prepares the statements every instance can run. Safe to cancel.
    pub(crate) async fn new(session: Session, check: Option<&str>) -> Result<Self, Error> {
        let role = session.client.prepare(ROLE).await?;
        Ok(Self { session, role, check: check.map(str::to_owned) })
    }

    /// Asks for the role, runs the custom check, and commits a canary on the writer.
    ///
    /// Cancelling it leaves the canary commit in doubt: the session must be dropped then.
    pub(crate) async fn probe(&self, az: &Az, commit_limit: Duration) -> Result<Answer, Error> {
        let row = self.session.client.query_one(&self.role, &[]).await?;
        let reader: bool = row.try_get(0)?;
        let answer = if reader {
            Answer::Reader
        } else {
            match timeout(commit_limit, self.commit(az)).await {
                Ok(value) => Answer::Committed(value?),
                Err(_) => return Ok(Answer::Stalled),
            }
        };
        // A check of the user's own that hangs is a check that fails, and says nothing of the server.
        match timeout(CHECK_LIMIT, self.check_passes()).await {
            Ok(Ok(true)) => Ok(answer),
            Ok(Ok(false) | Err(_)) | Err(_) => Ok(Answer::CheckFailed),
        }
    }

    /// Lag of the readers in milliseconds, asked of the writer; None where the engine has no such function.
    pub(crate) async fn lags(&self) -> Result<Option<Vec<(InstanceId, u64)>>, Error> {
        let rows = match self.session.client.query(LAG, &[]).await {
            Ok(rows) => rows,
            Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::UNDEFINED_FUNCTION) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut lags = Vec::with_capacity(rows.len());
        for row in rows {
            let (server, lag): (String, f64) = (row.try_get(0)?, row.try_get(1)?);
            lags.push((
                InstanceId::new(server),
                Duration::try_from_secs_f64(lag.max(0.0) / 1_000.0).unwrap_or(Duration::MAX),
            ));
        }
        Ok(Some(lags.into_iter().map(|(id, lag)| (id, u64::try_from(lag.as_millis()).unwrap_or(u64::MAX))).collect()))
    }

    async fn commit(&self, az: &Az) -> Result<u64, Error> {
        let rows = self.session.client.query_typed(COMMIT, &[(&az.as_str(), Type::TEXT)]).await?;
        let value: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
        Ok(u64::try_from(value).unwrap_or(0))
    }

    async fn check_passes(&self) -> Result<bool, Error> {
        let Some(check) = &self.check else {
            return Ok(true);
        };
        let rows = self.session.client.query_typed(check, &[]).await?;
        // A check may return anything; only an empty answer or a false one is a failure.
        Ok(rows.first().is_some_and(|row| row.try_get::<_, bool>(0).unwrap_or(true)))
    }
}

/// Which instance a session has reached, by its own word.
pub(crate) async fn identity(session: &Session) -> Result<InstanceId, Error> {
    let row = session.client.query_one(IDENTITY, &[]).await?;
    row.try_get::<_, String>(0).map(InstanceId::new)
}
