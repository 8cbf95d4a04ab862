//! Drills: a fault under load, then what the clients, the evidence and the platform say about it.

mod all;
mod backup;
mod deeds;
mod expectations;
mod game_day;
mod inject;
mod lateness;
mod milestones;
mod over;
mod phases;
mod report;
mod result;
mod rotation;
mod run;
mod setup;
mod soak;
mod summary;
mod table;
mod timeline;
mod witnesses;

use std::path::{Path, PathBuf};
use std::time::Duration;

use steadfast_core::policy::Policy;
use steadfast_core::topology::Deployment;
use steadfast_report::Kind;
use steadfast_scenario::{Expectation, Scenario, Threshold};

pub use all::{AllPlan, drill_all};
pub use backup::{BackupPlan, BackupResult, drill_backup};
pub use expectations::Judged;
pub use game_day::{GameDayResult, game_day, verify_backup};
pub use result::{ClientOutage, DrillResult, RunResult, Spread, Summary};
pub use rotation::{RotationPlan, RotationResult, drill_rotation};
pub use soak::soak;
pub use summary::render_all;
pub use table::render;

use crate::assembly::{AssemblyError, Lab, LabConfig};
use crate::workload::{self, Route};

/// What to drill.
#[derive(Clone, Debug)]
pub struct DrillPlan {
    /// What fails when, and what is expected.
    pub scenario: Scenario,
    /// How often.
    pub repeat: u32,
    /// When the platform fails over by itself; None: as the scenario says.
    pub native: Option<Duration>,
    /// Deliver the coordinator's next event twice during each episode.
    pub duplicate: bool,
    /// Which clients.
    pub workload: workload::Plan,
    /// Where `result.json` and the evidence files go.
    pub output: PathBuf,
}

impl DrillPlan {
    /// One run of the scenario as it is written.
    pub fn new(scenario: Scenario, output: &Path) -> Self {
        let mut workload = workload::Plan { gated: scenario.gated, ..workload::Plan::default() };
        if scenario.expectations.contains(&Expectation::SessionsEvicted) {
            workload.routes.extend([Route::Pinned; 2]);
        }
        if scenario.deployment == Deployment::Instance {
            // There is one endpoint.
            workload.routes = vec![Route::ClusterEndpoint; workload.routes.len()];
        }
        Self { scenario, repeat: 1, native: None, duplicate: false, workload, output: output.to_owned() }
    }

    /// When the platform fails over by itself; None: never.
    fn platform(&self) -> Option<Duration> {
        self.native.or(self.scenario.platform)
    }

    /// How long the platform is given.
    fn grace(&self) -> Duration {
        let set = self.scenario.policy.iter().find(|(threshold, _)| *threshold == Threshold::PlatformGrace);
        match (set, self.platform()) {
            (Some((_, grace)), _) => *grace,
            (None, Some(_)) => Policy::of(self.scenario.deployment).platform_grace,
            (None, None) => Duration::ZERO,
        }
    }
}

/// Says what is going on.
pub trait Progress: Sync {
    /// One line.
    fn say(&self, line: &str);
}

/// Drills: each run in a fresh lab, so that no run spends another one's anti-flap budget. Dropping
/// it ends the lab.
///
/// # Errors
///
/// [`DrillError::Unable`] before anything starts, when the lab cannot do what the scenario asks. Later
/// when the lab does not start or answer, or files cannot be written. A drill that shows a loss, or not
/// what the scenario expects, is no error here: the result says so.
pub async fn drill(lab: &LabConfig, plan: &DrillPlan, progress: &dyn Progress) -> Result<DrillResult, DrillError> {
    setup::check(&plan.scenario)?;
    // The result of an earlier drill must not be taken for this one's.
    result::remove(&plan.output.join(result::FILE))?;
    report::remove(&plan.output)?;
    let (result, broken) = carry_out(lab, plan, progress).await;
    result.write(&plan.output)?;
    report::write(plan, Kind::Drill, &result)?;
    broken.map_or(Ok(result), Err)
}

/// All runs, and why it broke off, if it did.
async fn carry_out(lab: &LabConfig, plan: &DrillPlan, progress: &dyn Progress) -> (DrillResult, Option<DrillError>) {
    let mut runs = Vec::new();
    for number in 1..=plan.repeat {
        progress.say(&format!("run {number} of {}: {}", plan.repeat, plan.scenario.name));
        match one_run(lab, plan, number, progress, run::Course::Scenario).await {
            Ok(run) => runs.push(run),
            Err(error) => return (DrillResult::new(plan, runs, Some(&error)), Some(error)),
        }
    }
    (DrillResult::new(plan, runs, None), None)
}

/// One run in a lab of its own.
async fn one_run(
    lab: &LabConfig,
    plan: &DrillPlan,
    number: u32,
    progress: &dyn Progress,
    course: run::Course<'_>,
) -> Result<RunResult, DrillError> {
    progress.say("  starting PostgreSQL, its control plane, local AWS and the functions");
    let logs = fresh_folder(&lab.logs.join(format!("{}-{number}", plan.scenario.name)))?;
    let lab = Lab::start(&LabConfig { logs: logs.clone(), ..setup::configured(lab, plan) }).await?;
    workload::create(&lab).await?;
    let run = run::run(&lab, &logs, plan, number, progress, course).await;
    lab.shutdown().await;
    run
}

/// An empty folder: a log holds one run.
fn fresh_folder(path: &Path) -> Result<PathBuf, DrillError> {
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(DrillError::Write { path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(path.to_owned()),
    }
}

/// Why a drill could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The lab.
    #[error(transparent)]
    Lab(#[from] AssemblyError),
    /// A fault could not be injected, or the cluster not be brought back.
    #[error(transparent)]
    Cluster(#[from] crate::postgres::ClusterError),
    /// The lab cannot do what the scenario asks.
    #[error("{0}")]
    Unable(String),
    /// The platform does not fail over now.
    #[error(transparent)]
    Refused(#[from] crate::rds::FailoverRefused),
    /// A fault names the target of a promotion, and none was called.
    #[error("a fault names the target of a promotion, and nothing has been promoted; let it come `after called`")]
    NoTarget,
    /// The report could not be made.
    #[error(transparent)]
    Report(#[from] steadfast_report::ReportError),
    /// A file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The workload never got going before the fault.
    #[error(
        "the workload has no acknowledged transfer on every client after {0:?}; see the logs of the run in target/lab"
    )]
    Idle(Duration),
}
