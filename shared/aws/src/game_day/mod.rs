//! A game day's ground: AWS FIS, alarms, the state table, the database over the RDS Data API, people.

mod look;
mod measure;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use steadfast_core::game_day::catalogue::{Experiment, Means};
use steadfast_core::game_day::conduct::{Before, Ground, Shown};
use steadfast_core::game_day::hypothesis::{Finding, Measured};
use steadfast_core::game_day::plan::{Experimenting, Record};
use steadfast_core::game_day::preflight::Facts;
use steadfast_core::game_day::week::Week;
use steadfast_core::metric;
use steadfast_core::notice::Notice;
use steadfast_core::ports::{CallError, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::ClusterId;

use crate::control_plane::{Rds, call_error};
use crate::data_api::DataApi;
use crate::notifier::Topic;
use crate::state::Table;
use crate::{clock, log};

/// The function's name in audit lines.
pub const FUNCTION: &str = "fis-scheduler";
/// The sort key of its record in the state table.
pub const RECORD: &str = "game-day";
/// A fault injection query answers at once, or never: a crash takes its own session along.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);

/// Everything that a game day reaches.
pub struct World {
    /// What is watched.
    pub cluster: ClusterId,
    /// State.
    pub table: Table,
    /// The control plane.
    pub rds: Rds,
    /// The same for what only a preflight asks.
    pub rds_api: aws_sdk_rds::Client,
    /// FIS.
    pub fis: aws_sdk_fis::Client,
    /// The database as a role that may inject faults; None for a Multi-AZ DB instance.
    pub database: Option<DataApi>,
    /// People.
    pub topic: Topic,
    /// Experiment templates by the name of the experiment.
    pub templates: BTreeMap<String, String>,
}

impl World {
    async fn start_template(&self, experiment: &Experiment, token: &str) -> Result<Option<String>, CallError> {
        let action = "StartExperiment";
        let Some(template) = self.templates.get(experiment.name) else {
            let message = format!("STEADFAST_TEMPLATES names no experiment template for {}", experiment.name);
            return Err(CallError::Refused { action, code: "NoTemplate".to_owned(), message });
        };
        let answer = self
            .fis
            .start_experiment()
            .client_token(token)
            .experiment_template_id(template)
            .tags("Name", token)
            .send()
            .await
            .map_err(|error| call_error(action, &error))?;
        let id = answer.experiment.and_then(|experiment| experiment.id);
        id.map(Some).ok_or_else(|| CallError::Unanswered { action, cause: "the answer has no id".to_owned() })
    }

    /// A crash ends the session that asked for it: no answer is the usual one.
    async fn inject(&self, sql: &str) -> Result<Option<String>, CallError> {
        let Some(database) = &self.database else {
            let message = "no Data API serves it, so no statement can be sent".to_owned();
            return Err(CallError::Refused { action: "ExecuteStatement", code: "NoDataApi".to_owned(), message });
        };
        match database.run(sql, STATEMENT_LIMIT).await {
            Ok(()) => Ok(None),
            Err(CallError::Unanswered { .. }) => Ok(None),
            Err(CallError::Refused { code, .. }) if is_lost(&code) => Ok(None),
            Err(error @ CallError::Refused { .. }) => Err(error),
        }
    }

    async fn experimenting(&self, id: &str) -> Experimenting {
        let Ok(answer) = self.fis.get_experiment().id(id).send().await else { return Experimenting::Unknown };
        let state = answer.experiment.and_then(|experiment| experiment.state);
        let Some(status) = state.and_then(|state| state.status) else { return Experimenting::Unknown };
        match status.as_str() {
            "pending" | "initiating" | "running" | "stopping" => Experimenting::Running,
            "completed" => Experimenting::Completed,
            "stopped" | "cancelled" => Experimenting::Stopped,
            "failed" => Experimenting::Failed,
            // A state that this build does not know: it is looked at again.
            _ => Experimenting::Unknown,
        }
    }
}

/// What the Data API says of a writer that went away under a statement.
///
/// Source: the errors of `ExecuteStatement` in the RDS Data API reference.
fn is_lost(code: &str) -> bool {
    matches!(code, "DatabaseUnavailableException" | "DatabaseErrorException" | "InternalServerErrorException")
}

impl Ground for World {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn pause(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }

    async fn load(&self) -> Result<Option<Record>, StateError> {
        self.table.record(&self.cluster, RECORD).await
    }

    async fn save(&self, seen: Option<u64>, record: &Record) -> Result<(), StateError> {
        self.table.write_record(&self.cluster, RECORD, seen, record.version, record).await
    }

    async fn look(&self) -> (Facts, Before) {
        self.facts().await
    }

    async fn start(&self, experiment: &'static Experiment, token: &str) -> Result<Option<String>, CallError> {
        match experiment.means {
            Means::Template => self.start_template(experiment, token).await,
            Means::Sql(sql) => self.inject(sql).await,
        }
    }

    async fn shown(&self, id: Option<&str>) -> Shown {
        let state = self.table.load(&self.cluster).await.ok();
        let experimenting = match id {
            Some(id) => self.experimenting(id).await,
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
        let Some(id) = id else { return Ok(()) };
        let answer = self.fis.stop_experiment().id(id).send().await;
        answer.map(|_| ()).map_err(|error| call_error("StopExperiment", &error))
    }

    async fn measure(&self, record: &Record) -> Measured {
        self.measured(record).await
    }

    async fn report(&self, record: &Record, week: &Week, measured: &Measured, findings: &[Finding]) -> Option<String> {
        let facts =
            json!({ "slot": record.slot.to_string(), "week": week, "measured": measured, "findings": findings });
        log::audit(FUNCTION, "game_day_report", &facts);
        let mut values = vec![(metric::GAME_DAYS, 1), (metric::GAME_DAYS_FAILED, u64::from(!is_good(week)))];
        values.extend(measured.outage_ms.map(|ms| (metric::GAME_DAY_OUTAGE, ms)));
        values.extend(measured.detected_ms.map(|ms| (metric::GAME_DAY_DETECTION, ms)));
        log::measure(&[("Cluster", self.cluster.as_str())], &values);
        None
    }

    async fn notify(&self, notice: &Notice) -> Result<(), CallError> {
        self.topic.notify(notice).await
    }

    fn audit(&self, what: &str, data: Value) {
        log::audit(FUNCTION, what, &data);
    }
}

fn is_good(week: &Week) -> bool {
    week.end == steadfast_core::game_day::week::End::Passed
}
