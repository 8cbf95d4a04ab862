//! A session with an instance: who it is, and the statements of the ledger.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::try_join;
use steadfast_core::gate;
use tokio::sync::watch;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};
use uuid::Uuid;

use crate::config::{Config, Endpoint};
use crate::error::{ConnectError, words};
use crate::key::Key;
use crate::network::Link;

/// Prepared statements that a session keeps; more are prepared for each use.
const KEPT_STATEMENTS: usize = 256;

const INSPECT: &str = "SELECT pg_catalog.pg_is_in_recovery() OR pg_catalog.current_setting('transaction_read_only') = 'on', \
    pg_catalog.current_setting('synchronous_commit'), steadfast.node(), (SELECT epoch FROM steadfast.epoch)";
const RECORD: &str = "UPDATE steadfast.ledger SET result = $2 WHERE key = $1";
/// Asks by a commit: a row that only this server has is not an answer (a commit whose wait for replication was cut
/// short is visible and may be lost).
const ASK: &str =
    "UPDATE steadfast.ledger SET asked = pg_catalog.clock_timestamp() WHERE key = $1 RETURNING applied, result";
const GIVE_UP: &str = "INSERT INTO steadfast.ledger (key, applied) VALUES ($1, false) ON CONFLICT DO NOTHING";
const PROVE: &str = "SELECT steadfast.prove($1, $2, $3)";
/// `DISCARD ALL` without `DEALLOCATE ALL`: the statements of the ledger stay prepared.
const CLEAN: &str = "ROLLBACK; CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

/// A session with a node that is, or was, the writer. It ends by itself once a higher epoch is proved elsewhere.
pub struct Session {
    link: Link,
    identity: Identity,
    ledger: LedgerStatements,
    kept: Mutex<HashMap<String, Statement>>,
}

/// Who a node says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) node: String,
    pub(crate) epoch: i64,
    pub(crate) reader: bool,
}

pub(crate) struct LedgerStatements {
    pub(crate) enter: Statement,
    pub(crate) record: Statement,
    pub(crate) ask: Statement,
    pub(crate) give_up: Statement,
}

/// A connection whose role is not yet known, or which is on a reader.
pub(crate) struct Acquaintance {
    link: Link,
    endpoint: Endpoint,
}

impl Acquaintance {
    pub(crate) async fn make(
        config: &Config,
        endpoint: &Endpoint,
        fence: watch::Receiver<i64>,
    ) -> Result<Self, ConnectError> {
        let link = Link::open(config, endpoint, fence).await?;
        Ok(Self { link, endpoint: endpoint.clone() })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.link.client
    }

    /// Who it is now. Takes one round trip.
    pub(crate) async fn inspect(&self, limit: Duration) -> Result<Identity, ConnectError> {
        let refused = |cause: Error| self.refused(cause);
        let asked = self.link.client.query_typed_one(INSPECT, &[]);
        let row = match tokio::time::timeout(limit, asked).await {
            Ok(answer) => answer.map_err(refused)?,
            Err(_) => return Err(ConnectError::Silent { endpoint: self.endpoint.clone(), limit }),
        };
        let setting: String = row.try_get(1).map_err(refused)?;
        if !["on", "remote_apply"].contains(&setting.as_str()) {
            return Err(ConnectError::Unsafe { endpoint: self.endpoint.clone(), setting });
        }
        let identity = Identity {
            reader: row.try_get(0).map_err(refused)?,
            node: row.try_get(2).map_err(refused)?,
            epoch: row.try_get(3).map_err(refused)?,
        };
        Ok(identity)
    }

    /// A session for transactions: with the statements of the ledger.
    pub(crate) async fn into_session(self, identity: Identity, limit: Duration) -> Result<Session, ConnectError> {
        let client = &self.link.client;
        let enter = enter();
        let prepared = async {
            try_join!(client.prepare(&enter), client.prepare(RECORD), client.prepare(ASK), client.prepare(GIVE_UP))
        };
        let (enter, record, ask, give_up) = match tokio::time::timeout(limit, prepared).await {
            Ok(statements) => statements.map_err(|cause| self.refused(cause))?,
            Err(_) => return Err(ConnectError::Silent { endpoint: self.endpoint, limit }),
        };
        self.link.belongs_to(identity.epoch);
        let ledger = LedgerStatements { enter, record, ask, give_up };
        Ok(Session { link: self.link, identity, ledger, kept: Mutex::default() })
    }

    fn refused(&self, cause: Error) -> ConnectError {
        let endpoint = self.endpoint.clone();
        let missing = [
            SqlState::UNDEFINED_TABLE,
            SqlState::UNDEFINED_FUNCTION,
            SqlState::INVALID_SCHEMA_NAME,
            SqlState::INSUFFICIENT_PRIVILEGE,
        ];
        match cause.code() {
            Some(code) if missing.contains(code) => ConnectError::Schema { endpoint, cause },
            Some(_) | None => ConnectError::Refused { endpoint, cause },
        }
    }
}

/// Something was sent, and its answer is not there yet. Dropped before it is [`Self::answered`], it ends the session:
/// what runs on it must not run into the next use.
pub(crate) struct UnderWay<'a> {
    session: &'a Session,
    answered: bool,
}

impl UnderWay<'_> {
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.session.end();
        }
    }
}

impl Session {
    /// The driver's client, for what needs no protection. In a pool of your own, what is set on it or begun with it is
    /// there at the next use.
    pub fn plain(&self) -> &Client {
        &self.link.client
    }

    /// The fencing epoch it belongs to.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.identity.epoch
    }

    /// The node's name for itself.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.identity.node
    }

    pub(crate) fn ledger(&self) -> &LedgerStatements {
        &self.ledger
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    pub(crate) async fn closed(&self) {
        self.link.closed().await;
    }

    pub(crate) fn warnings(&self) -> u64 {
        self.link.warnings()
    }

    /// Closes it, whatever is under way on it. The pool hands it out no more.
    pub(crate) fn end(&self) {
        self.link.end();
    }

    pub(crate) fn under_way(&self) -> UnderWay<'_> {
        UnderWay { session: self, answered: false }
    }

    /// Takes back what an application set or began on it, or ends it if that takes longer than `limit`.
    pub(crate) async fn clean(&self, limit: Duration) {
        let under_way = self.under_way();
        match tokio::time::timeout(limit, self.link.client.batch_execute(CLEAN)).await {
            Ok(Ok(())) => under_way.answered(),
            Ok(Err(error)) => tracing::debug!(%error, "a session that was lent is not clean"),
            Err(_) => tracing::debug!(?limit, "a session that was lent is not cleaned in time"),
        }
    }

    /// A prepared statement, kept for the next use.
    pub(crate) async fn statement(&self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.kept().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.link.client.prepare(sql).await?;
        let mut kept = self.kept();
        if kept.len() < KEPT_STATEMENTS {
            kept.insert(sql.to_owned(), statement.clone());
        }
        Ok(statement)
    }

    /// Proves the writer by a commit; returns the epoch. Only an answer without a warning is a proof.
    pub(crate) async fn prove(&mut self, proof: &Proof<'_>) -> Result<Proved, Unproved> {
        let (asked, warnings) = (Instant::now(), self.warnings());
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] = [
            (&Key::from(proof.process), Type::UUID),
            (&proof.application, Type::TEXT),
            (&proof.oldest, Type::TIMESTAMPTZ),
        ];
        let answer = tokio::time::timeout(proof.limit, self.link.client.query_typed_one(PROVE, &parameters)).await;
        let row = answer.map_err(|_| Unproved::Silent(proof.limit))?.map_err(Unproved::Database)?;
        let epoch = row.try_get(0).map_err(Unproved::Database)?;
        if self.warnings() != warnings {
            return Err(Unproved::Warned);
        }
        self.identity.epoch = epoch;
        self.link.belongs_to(epoch);
        Ok(Proved { epoch, asked })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Statement>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who proves, and within what time.
pub(crate) struct Proof<'a> {
    pub(crate) process: Uuid,
    pub(crate) application: &'a str,
    pub(crate) oldest: Option<std::time::SystemTime>,
    pub(crate) limit: Duration,
}

/// A proof: the node was the writer at some time after `asked`.
pub(crate) struct Proved {
    pub(crate) epoch: i64,
    pub(crate) asked: Instant,
}

/// Why a writer is not proved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unproved {
    #[error("it did not commit within {0:?}")]
    Silent(Duration),
    #[error("{}", words(.0))]
    Database(Error),
    #[error("its commit came with a warning")]
    Warned,
}

/// Enters the gate, then the ledger, in one statement: the row of the function comes before the row that is
/// inserted. A key that is there already is an error, which ends the transaction and all that was sent behind it.
///
/// Where the transaction did not begin (its BEGIN was cancelled), each statement that was sent behind it would be one
/// of its own: the session ends before any of them.
fn enter() -> String {
    let gate = gate::ENTER.trim_start_matches("SELECT ");
    format!(
        "INSERT INTO steadfast.ledger (key) SELECT $1 FROM {gate} \
         WHERE CASE WHEN pg_catalog.current_setting('{BLOCK}', true) = '1' THEN true \
         ELSE pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid()) AND false END"
    )
}

/// The setting that says within a transaction that it began.
const BLOCK: &str = "steadfast.block";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Isolation;

    #[test]
    fn the_gate_comes_first() {
        let sql = enter();
        let gate = format!("FROM pg_catalog.pg_advisory_xact_lock_shared({}) WHERE ", gate::KEY);
        assert!(sql.contains(&gate), "{sql}");
    }

    #[test]
    fn a_transaction_says_that_it_began() {
        for isolation in
            [Isolation::Default, Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable]
        {
            assert!(isolation.begin().ends_with(&format!("; SET LOCAL {BLOCK} = '1'")), "{isolation:?}");
        }
    }
}
