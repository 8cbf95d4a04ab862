//! Drills: a fault under load, then what the clients, the evidence and the platform say about it.

mod fault;
mod phases;
mod result;
mod run;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use fault::Fault;
pub use result::{ClientOutage, DrillResult, RunResult, Spread, Summary};
pub use table::render;

use crate::assembly::{AssemblyError, Lab, LabConfig};
use crate::workload;

/// What to drill.
#[derive(Clone, Debug)]
pub struct DrillPlan {
    /// What fails.
    pub fault: Fault,
    /// How often.
    pub repeat: u32,
    /// When the platform fails over by itself; None: never.
    pub native: Option<Duration>,
    /// Deliver the coordinator's next event twice during each episode.
    pub duplicate: bool,
    /// Which clients.
    pub workload: workload::Plan,
    /// Where `result.json` and the evidence files go.
    pub output: PathBuf,
}

impl DrillPlan {
    /// One run of `fault` without the platform's own failover.
    pub fn new(fault: Fault, output: &Path) -> Self {
        Self {
            fault,
            repeat: 1,
            native: None,
            duplicate: false,
            workload: workload::Plan::default(),
            output: output.to_owned(),
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
/// When the lab does not start or answer, or files cannot be written. A drill that shows a loss is
/// no error here: the result says so.
pub async fn drill(lab: &LabConfig, plan: &DrillPlan, progress: &dyn Progress) -> Result<DrillResult, DrillError> {
    // The result of an earlier drill must not be taken for this one's.
    result::remove(&plan.output)?;
    let mut runs = Vec::new();
    for number in 1..=plan.repeat {
        progress.say(&format!("run {number} of {}: {}", plan.repeat, plan.fault.sentence()));
        progress.say("  starting PostgreSQL, its control plane, local AWS and the functions");
        let logs = fresh_folder(&lab.logs.join(format!("{}-{number}", plan.fault.name())))?;
        let lab = Lab::start(&LabConfig { native: plan.native, logs, ..lab.clone() }).await?;
        workload::create(&lab).await?;
        let run = run::run(&lab, plan, number, progress).await;
        lab.shutdown().await;
        match run {
            Ok(run) => runs.push(run),
            Err(error) => {
                DrillResult::new(plan, runs).write(&plan.output)?;
                return Err(error);
            }
        }
    }
    let result = DrillResult::new(plan, runs);
    result.write(&plan.output)?;
    Ok(result)
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
