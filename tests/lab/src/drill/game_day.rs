//! A game day in the lab: the real scheduler starts a real experiment, beside the clients of the bank.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use steadfast_aws::clock;
use steadfast_core::game_day::conduct::Outcome;
use steadfast_core::game_day::week::End;
use steadfast_report::Kind;

use super::expectations::Judged;
use super::result::{self, DrillResult, RunResult};
use super::run::Course;
use super::timeline::Timeline;
use super::{DrillError, DrillPlan, Progress, one_run, report};
use crate::assembly::{AssemblyError, Lab, LabConfig, names};

/// The result.
const FILE: &str = "game-day.json";

/// An experiment that the scheduler is told to conduct.
pub(super) struct GameDay {
    experiment: String,
    outcome: RefCell<Option<(Outcome, usize)>>,
}

/// What came of a game day.
#[derive(Clone, Debug, Serialize)]
pub struct GameDayResult {
    /// The experiment.
    pub experiment: String,
    /// The scheduler's verdict, or `failed` when the clients saw otherwise.
    pub verdict: String,
    /// What the scheduler says of it.
    pub says: String,
    /// How many experiments FIS has started.
    pub experiments_started: usize,
    /// From the fault to the opening of the episode, in seconds; null without one.
    pub detected_s: Option<f64>,
    /// The longest time without an acknowledged commit of any client, in seconds.
    pub outage_s: f64,
    /// Acknowledged transfers that are not there.
    pub lost: u64,
    /// Transfers that are there more than once.
    pub duplicated: u64,
    /// What is wrong; empty when it passed.
    pub failures: Vec<String>,
    /// The page.
    pub report: PathBuf,
}

impl GameDayResult {
    /// In one line.
    pub fn told(&self) -> String {
        format!(
            "game day {}: {}; {} experiments started, writes stood still for {:.2} s, {} lost, {} twice; {}",
            self.experiment,
            self.verdict,
            self.experiments_started,
            self.outage_s,
            self.lost,
            self.duplicated,
            self.says
        )
    }
}

impl GameDay {
    /// Orders it as an operator does, and waits until the scheduler has judged it. Whether no episode is left open.
    pub(super) async fn carry_out(&self, lab: &Lab, timeline: &Timeline<'_>) -> Result<bool, DrillError> {
        // The daily verification has no place in a lab that lives for a minute.
        let verified =
            json!({ "at": clock::now(), "verdict": "verified", "says": "the lab's storage is a minute old" });
        let written = lab.table.write_record(&lab.cluster_id(), "backup", None, 1, &verified).await;
        written.map_err(AssemblyError::from)?;
        timeline.begin_elsewhere(&format!("game day: {}", self.experiment));
        let order = json!({ "cluster": names::CLUSTER, "game_day": "due", "experiment": self.experiment });
        let answer = lab.invoke(names::SCHEDULER, &order).await?;
        let outcome = serde_json::from_value(answer.clone());
        let outcome: Outcome = outcome.map_err(|_| AssemblyError::Function {
            function: names::SCHEDULER.to_owned(),
            answer: answer.to_string(),
        })?;
        self.outcome.replace(Some((outcome, lab.fis.started())));
        Ok(!lab.state().await?.episode.is_some_and(|episode| episode.is_open()))
    }

    fn judged(&self) -> Vec<Judged> {
        let outcome = self.outcome.borrow();
        let findings = outcome.iter().flat_map(|(outcome, _)| &outcome.findings);
        let judged = |finding: &steadfast_core::game_day::hypothesis::Finding| Judged {
            expectation: finding.expectation.clone(),
            held: Some(finding.held),
            seen: finding.seen.clone(),
        };
        findings.map(judged).collect()
    }
}

/// Conducts one in a lab of its own, and writes its result and its report.
///
/// # Errors
///
/// When the lab does not start or answer, or a file cannot be written. One that did not pass is no error here.
pub async fn game_day(
    lab: &LabConfig,
    experiment: &str,
    output: &Path,
    progress: &dyn Progress,
) -> Result<GameDayResult, DrillError> {
    result::remove(&output.join(FILE))?;
    let game_day = GameDay { experiment: experiment.to_owned(), outcome: RefCell::default() };
    let mut plan = DrillPlan::new(scenario(experiment)?, output);
    plan.output = output.to_owned();
    let mut run = one_run(lab, &plan, 1, progress, Course::GameDay(&game_day)).await?;
    run.expectations = game_day.judged();
    let result = finished(&plan, &game_day, run)?;
    result::write_json(&output.join(FILE), &result)?;
    Ok(result)
}

fn finished(plan: &DrillPlan, game_day: &GameDay, run: RunResult) -> Result<GameDayResult, DrillError> {
    let (week, started) = match game_day.outcome.borrow().as_ref() {
        Some((outcome, started)) => (outcome.week.clone(), *started),
        None => (None, 0),
    };
    let mut drill = DrillResult::new(plan, vec![run], None);
    let end = week.as_ref().map(|week| week.end);
    let says = week.map_or_else(|| "the scheduler has not judged it".to_owned(), |week| week.says);
    if end != Some(End::Passed) {
        let word = end.map_or_else(|| "unfinished".to_owned(), |end| end.to_string());
        drill.failures.push(format!("the scheduler's verdict is {word}: {says}"));
    }
    let report = report::write(plan, Kind::GameDay, &drill)?;
    let passed = drill.failures.is_empty();
    let run = drill.runs.first();
    Ok(GameDayResult {
        experiment: game_day.experiment.clone(),
        verdict: if passed { End::Passed } else { end.filter(|end| *end != End::Passed).unwrap_or(End::Failed) }
            .to_string(),
        says,
        experiments_started: started,
        detected_s: run.and_then(|run| run.detected_s),
        outage_s: run.map_or(0.0, |run| run.outage_s),
        lost: drill.summary.lost,
        duplicated: drill.summary.duplicated,
        failures: drill.failures,
        report,
    })
}

/// A scenario without a timeline of its own: what breaks is the experiment.
fn scenario(experiment: &str) -> Result<steadfast_scenario::Scenario, DrillError> {
    let says = steadfast_core::game_day::catalogue::named(experiment).map_or("An experiment.", |known| known.says);
    let text = format!("# {says}\nexpect lost 0\n");
    let name = format!("game-day-{experiment}");
    steadfast_scenario::parse(&name, &text).map_err(|error| DrillError::Unable(error.to_string()))
}
