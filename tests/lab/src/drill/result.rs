//! The result of a drill as JSON.

use std::path::{Path, PathBuf};

use serde::Serialize;
use steadfast_core::episode::RecoveredBy;

use super::expectations::Judged;
use super::{DrillError, DrillPlan};
use crate::workload::{Audit, Route};

/// The file that holds the result of a drill.
pub(super) const FILE: &str = "result.json";

/// How long one client stood still.
#[derive(Clone, Debug, Serialize)]
pub struct ClientOutage {
    /// Its number.
    pub client: usize,
    /// How it finds the writer.
    pub route: Route,
    /// Its longest gap between two acknowledged commits, in seconds.
    pub outage_s: f64,
    /// Its first good commit after its first error, in seconds after the fault; None without an error.
    pub first_good_commit_s: Option<f64>,
}

/// One run. All `_s` are seconds after the fault; null for what did not happen.
#[derive(Clone, Debug, Serialize)]
pub struct RunResult {
    /// A quorum of witnesses was recognised.
    pub detected_s: Option<f64>,
    /// The decision to promote was written; null when the platform did it.
    pub decided_s: Option<f64>,
    /// The call that moves the role was made; null when the platform did it.
    pub called_s: Option<f64>,
    /// The new writer accepted writes.
    pub promoted_s: Option<f64>,
    /// A canary commit proved it.
    pub proved_s: Option<f64>,
    /// The longest gap between two acknowledged commits of all clients together, in seconds.
    pub outage_s: f64,
    /// The same for each client alone.
    pub clients: Vec<ClientOutage>,
    /// Acknowledged transfers that are not in the database.
    pub lost: u64,
    /// Transfers that were applied more than once.
    pub duplicated: u64,
    /// Transfers whose COMMIT was not answered.
    pub in_doubt: u64,
    /// Transfers without an acknowledgement.
    pub application_errors: u64,
    /// Connection attempts that failed.
    pub refused_connections: u64,
    /// `FailoverDBCluster` or `RebootDBInstance` calls of Steadfast in the control plane's log.
    pub failover_calls: u64,
    /// The writer that failed.
    pub old_writer: String,
    /// The instance whose commit proved the recovery.
    pub new_writer: Option<String>,
    /// Who brought the writes back.
    pub recovered_by: Option<RecoveredBy>,
    /// The rules that decided, in order.
    pub rules: Vec<u64>,
    /// Acknowledged canary commits that the new writer did not hold.
    pub canary_lost: u64,
    /// Whether the evidence chain verifies up to the head in the episode.
    pub chain_verified: bool,
    /// The chain.
    pub evidence_file: PathBuf,
    /// Whether writes flowed at the end and no episode was open.
    pub recovered: bool,
    /// How late the machine itself was at worst, in seconds: how long it took a thread of the lab to be woken and
    /// to write a page to the disk. What is slower than expected while this is large is no fault of what was
    /// drilled.
    pub machine_late_s: f64,
    /// All counts of the audit.
    pub audit: Audit,
    /// What the scenario expects, and what became of it.
    pub expectations: Vec<Judged>,
    /// All that it has shown, for the report.
    #[serde(skip)]
    pub told: Option<steadfast_report::Run>,
    /// Failovers of Steadfast that took effect beyond one per episode.
    #[serde(skip)]
    pub needless: u64,
    /// Whether the scenario ends with an open episode, so that writes need not flow.
    #[serde(skip)]
    pub stays_open: bool,
}

impl RunResult {
    /// What is wrong with it, in words; empty when it passes.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        let mut check = |failed: bool, words: String| {
            if failed {
                failures.push(words);
            }
        };
        let stuck = !self.recovered && !self.stays_open;
        check(stuck, "an episode is open, or not every client works again, at the end".to_owned());
        check(self.lost > 0, format!("{} acknowledged transfers are lost", self.lost));
        check(self.duplicated > 0, format!("{} transfers were applied twice", self.duplicated));
        check(self.audit.failed_but_applied > 0, "transfers that failed for certain were applied".to_owned());
        check(!self.audit.money_conserved, "money is not conserved".to_owned());
        check(self.canary_lost > 0, format!("{} acknowledged canary commits are lost", self.canary_lost));
        let needless = format!("{} failovers of Steadfast took effect beyond one per episode", self.needless);
        check(self.needless > 0, needless);
        check(!self.rules.is_empty() && !self.chain_verified, "the evidence chain does not verify".to_owned());
        for judged in self.expectations.iter().filter(|judged| judged.held == Some(false)) {
            check(true, format!("expected `{}`, seen: {}", judged.expectation, judged.seen));
        }
        failures
    }
}

/// Smallest, middle and largest value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// Middle, or the mean of the two middle ones.
    pub median: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// None without values.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        let median = if values.len() % 2 == 1 { upper } else { f64::midpoint(*values.get(middle - 1)?, upper) };
        Some(Self { min: *values.first()?, median, max: *values.last()? })
    }
}

/// All runs together.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Over the runs.
    pub outage_s: Option<Spread>,
    /// Over the runs that detected anything.
    pub detected_s: Option<Spread>,
    /// Sum over the runs.
    pub lost: u64,
    /// Sum over the runs.
    pub duplicated: u64,
    /// Sum over the runs.
    pub in_doubt: u64,
    /// Sum over the runs.
    pub failover_calls: u64,
    /// Sum over the runs.
    pub application_errors: u64,
}

/// A drill.
#[derive(Clone, Debug, Serialize)]
pub struct DrillResult {
    /// The scenario.
    pub fault: String,
    /// When the platform would have failed over by itself, in seconds; null for never.
    pub native_s: Option<f64>,
    /// Whether the coordinator's events were delivered twice.
    pub duplicated_invocation: bool,
    /// The runs in order.
    pub runs: Vec<RunResult>,
    /// All of them together.
    pub summary: Summary,
    /// What is wrong, run by run; empty when the drill passes.
    pub failures: Vec<String>,
}

impl DrillResult {
    /// The result of these runs; `broken` is why there are no more of them.
    pub(super) fn new(plan: &DrillPlan, runs: Vec<RunResult>, broken: Option<&DrillError>) -> Self {
        let summary = Summary {
            outage_s: Spread::of(runs.iter().map(|run| run.outage_s)),
            detected_s: Spread::of(runs.iter().filter_map(|run| run.detected_s)),
            lost: runs.iter().map(|run| run.lost).sum(),
            duplicated: runs.iter().map(|run| run.duplicated).sum(),
            in_doubt: runs.iter().map(|run| run.in_doubt).sum(),
            failover_calls: runs.iter().map(|run| run.failover_calls).sum(),
            application_errors: runs.iter().map(|run| run.application_errors).sum(),
        };
        let mut failures = failures(plan, &runs);
        failures.extend(broken.map(|error| format!("run {}: broke off: {error}", runs.len() + 1)));
        Self {
            fault: plan.scenario.name.clone(),
            native_s: plan.platform().map(|native| native.as_secs_f64()),
            duplicated_invocation: plan.duplicate,
            runs,
            summary,
            failures,
        }
    }

    pub(super) fn write(&self, output: &Path) -> Result<(), DrillError> {
        write_json(&output.join(FILE), self)
    }
}

/// What is wrong, run by run.
fn failures(plan: &DrillPlan, runs: &[RunResult]) -> Vec<String> {
    let platforms_turn = plan.platform().is_some_and(|native| native < plan.grace());
    let mut failures = Vec::new();
    for (run, number) in runs.iter().zip(1..) {
        failures.extend(run.failures().into_iter().map(|what| format!("run {number}: {what}")));
        if platforms_turn && run.failover_calls > 0 {
            failures.push(format!("run {number}: a failover was called in the platform's time"));
        }
    }
    failures
}

/// Removes a file of an earlier drill.
pub(super) fn remove(path: &Path) -> Result<(), DrillError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(DrillError::Write { path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a value as indented JSON, making the folder if it is missing.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), DrillError> {
    let failed = |source| DrillError::Write { path: path.to_owned(), source };
    let mut text = serde_json::to_string_pretty(value).map_err(|error| failed(error.into()))?;
    text.push('\n');
    write_text(path, &text)
}

/// Writes a text, making the folder if it is missing.
pub(super) fn write_text(path: &Path, text: &str) -> Result<(), DrillError> {
    let failed = |source| DrillError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        assert_eq!(Spread::of([].into_iter()), None);
        let spread = Spread::of([4.0, 1.0, 2.0, 3.0].into_iter()).expect("values");
        assert_eq!(spread, Spread { min: 1.0, median: 2.5, max: 4.0 });
        assert_eq!(Spread::of([2.0, 9.0, 1.0].into_iter()).expect("values").median, 2.0);
    }
}
