//! A game day's ground: AWS FIS, RDS, the state table, the database over the RDS Data API, people.

mod changes;
mod experiments;
mod look;
mod measure;

use std::time::Duration;

use serde_json::Value;
use steadfast_core::evidence::Entry;
use steadfast_core::game_day::catalogue::{Experiment, GUARD, Means};
use steadfast_core::game_day::conduct::{Before, Ground, Shown, Started};
use steadfast_core::game_day::hypothesis::Measured;
use steadfast_core::game_day::plan::{Experimenting, Record};
use steadfast_core::game_day::preflight::Facts;
use steadfast_core::metric::{self, Metric};
use steadfast_core::notice::Notice;
use steadfast_core::ports::{CallError, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::ClusterId;

pub use changes::Changes;
pub use experiments::Experiments;

use crate::control_plane::Rds;
use crate::data_api::DataApi;
use crate::notifier::Topic;
use crate::state::Table;
use crate::{clock, log};

/// The function's name in audit lines.
pub const FUNCTION: &str = "fis-scheduler";
/// A fault injection query answers at once, or never: a crash takes its own session along.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);

/// Everything that a game day reaches.
pub struct Scheduler {
    /// What is watched.
    pub cluster: ClusterId,
    /// State.
    pub table: Table,
    /// The control plane.
    pub rds: Rds,
    /// What is about to be changed.
    pub changes: Changes,
    /// FIS.
    pub experiments: Experiments,
    /// The database as a role that may inject faults and read the ledger; None without a Data API.
    pub database: Option<DataApi>,
    /// Whether an application probe is asked.
    pub application: bool,
    /// People.
    pub topic: Topic,
}

impl Scheduler {
    /// FIS guards it; then it is sent, once. A crash ends the session that asked for it: no answer is the usual one.
    async fn inject(&self, sql: &str, token: &str) -> Result<Started, CallError> {
        let Some(database) = &self.database else {
            let message = "no Data API serves it, so no statement can be sent".to_owned();
            return Err(CallError::Refused { action: "ExecuteStatement", code: "NoDataApi".to_owned(), message });
        };
        let id = self.experiments.start(GUARD, token).await?;
        self.experiments.until_guarding(&id).await?;
        let started = |certain: bool| Ok(Started { id: Some(id.clone()), certain });
        match database.run(sql, STATEMENT_LIMIT).await {
            Ok(()) => started(true),
            Err(CallError::Unanswered { .. }) => started(false),
            Err(CallError::Refused { code, message, .. }) if is_cut(&code, &message) => started(true),
            Err(CallError::Refused { code, .. }) if is_silence(&code) => started(false),
            Err(error @ CallError::Refused { .. }) => {
                self.experiments.stop(&id).await?;
                Err(error)
            }
        }
    }
}

/// Whether the connection was cut under the statement, so that it was sent: an error of the connection (class 08) or of a
/// server that ends (57P01 to 57P03).
///
/// Source: the errors of `ExecuteStatement` in the RDS Data API reference; PostgreSQL, appendix A.
fn is_cut(code: &str, message: &str) -> bool {
    let state = message.rsplit_once("SQLState: ").map_or("", |(_, state)| state);
    code == "DatabaseErrorException" && (state.starts_with("08") || state.starts_with("57P0"))
}

/// Whether the Data API does not say what became of the statement.
fn is_silence(code: &str) -> bool {
    matches!(code, "DatabaseUnavailableException" | "InternalServerErrorException" | "StatementTimeoutException")
}

impl Ground for Scheduler {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn pause(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }

    async fn load(&self) -> Result<Option<Record>, StateError> {
        self.table.game_day(&self.cluster).await
    }

    async fn save(&self, seen: Option<u64>, record: &Record, entry: Option<&Entry>) -> Result<(), StateError> {
        self.table.write_game_day(&self.cluster, record, seen, entry).await
    }

    async fn look(&self) -> (Facts, Before) {
        self.facts().await
    }

    async fn start(&self, experiment: &'static Experiment, token: &str) -> Result<Started, CallError> {
        match experiment.means {
            Means::Template => {
                let id = Some(self.experiments.start(experiment.name, token).await?);
                Ok(Started { id, certain: true })
            }
            Means::Sql(sql) => self.inject(sql, token).await,
        }
    }

    async fn shown(&self, id: Option<&str>) -> Shown {
        let state = self.table.load(&self.cluster).await.ok();
        let experimenting = match id {
            Some(id) => self.experiments.experimenting(id).await,
            None => Experimenting::Unknown,
        };
        Shown {
            experimenting,
            // A table that does not answer may hide an open one.
            open_episode: state.as_ref().is_none_or(|state| state.episode.as_ref().is_some_and(|e| e.is_open())),
            canary_lost: state.as_ref().map_or(0, look::canary_lost),
        }
    }

    async fn stop(&self, id: Option<&str>) -> Result<(), CallError> {
        match id {
            Some(id) => self.experiments.stop(id).await,
            None => Ok(()),
        }
    }

    async fn seen_of(&self, record: &Record) -> Result<Measured, StateError> {
        self.measured(record).await
    }

    fn measure(&self, metrics: &[(Metric, u64)]) {
        log::measure(&[(metric::CLUSTER, self.cluster.as_str())], metrics);
    }

    async fn notify(&self, notice: &Notice) -> Result<(), CallError> {
        self.topic.notify(notice).await
    }

    fn audit(&self, what: &str, data: Value) {
        log::audit(FUNCTION, what, &data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_under_the_statement_is_no_refusal() {
        let died = "FATAL: An I/O error occurred while sending to the backend.; SQLState: 08006";
        assert!(is_cut("DatabaseErrorException", died));
        assert!(is_cut("DatabaseErrorException", "FATAL: terminating connection; SQLState: 57P01"));
        assert!(!is_cut("DatabaseErrorException", "ERROR: permission denied; SQLState: 42501"));
        assert!(!is_cut("BadRequestException", died));
        assert!(is_silence("DatabaseUnavailableException") && !is_silence("BadRequestException"));
    }
}
