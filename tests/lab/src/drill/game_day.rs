//! A game day in the lab: the real scheduler starts a real experiment, beside the clients of the bank.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use steadfast_aws::clock;
use steadfast_core::application::Felt;
use steadfast_core::evidence;
use steadfast_core::game_day::catalogue::{self, Experiment};
use steadfast_core::game_day::conduct::Outcome;
use steadfast_core::game_day::plan::Record;
use steadfast_core::game_day::week::End;
use steadfast_core::topology::Deployment;
use steadfast_core::verification::{Manifest, SourceKind};
use steadfast_report::Kind;
use tokio::time::{Instant, sleep};

use super::expectations::Judged;
use super::result::{self, DrillResult, RunResult};
use super::run::Course;
use super::timeline::Timeline;
use super::{DrillError, DrillPlan, Progress, one_run, report};
use crate::assembly::{AssemblyError, Lab, LabConfig, names};

/// The result.
const FILE: &str = "game-day.json";
/// How long a backup may take to be restored, opened and deleted.
const VERIFIED_WITHIN: Duration = Duration::from_secs(300);
const TICK: Duration = Duration::from_millis(250);

/// An experiment that the scheduler is told to conduct.
pub(super) struct GameDay {
    experiment: &'static Experiment,
    conducted: RefCell<Option<Conducted>>,
}

/// What the scheduler did.
struct Conducted {
    outcome: Outcome,
    started: usize,
    /// Why its evidence does not verify.
    broken_chain: Option<String>,
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
    /// What the application probe felt.
    pub application: Option<Felt>,
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
        verify_backup(lab).await?;
        lab.until_healthy().await?;
        if lab.application_probe {
            lab.until_transferring().await?;
        }
        let ordered_at = clock::now();
        let order = json!({ "cluster": names::CLUSTER, "order": "game_day", "experiment": self.experiment.name });
        let answer = lab.invoke(names::SCHEDULER, &order).await?;
        let outcome = serde_json::from_value(answer.clone());
        let outcome: Outcome = outcome.map_err(|_| AssemblyError::Function {
            function: names::SCHEDULER.to_owned(),
            answer: answer.to_string(),
        })?;
        let began = lab.fis.latest().unwrap_or(ordered_at);
        timeline.broken_elsewhere(began, &format!("game day: {}", self.experiment.name));
        let broken_chain = broken_chain(lab).await?;
        self.conducted.replace(Some(Conducted { outcome, started: lab.fis.started(), broken_chain }));
        Ok(!lab.state().await?.episode.is_some_and(|episode| episode.is_open()))
    }

    fn judged(&self) -> Vec<Judged> {
        let conducted = self.conducted.borrow();
        let findings = conducted.iter().flat_map(|conducted| &conducted.outcome.findings);
        let judged = |finding: &steadfast_core::game_day::hypothesis::Finding| Judged {
            expectation: finding.expectation.clone(),
            held: Some(finding.held),
            seen: finding.seen.clone(),
        };
        findings.map(judged).collect()
    }
}

/// Why the evidence of the latest game day does not verify to the end that its record names; None when it does.
async fn broken_chain(lab: &Lab) -> Result<Option<String>, DrillError> {
    let cluster = lab.cluster_id();
    let Some(record) = lab.table.game_day(&cluster).await.map_err(AssemblyError::from)? else {
        return Ok(Some("there is no record".to_owned()));
    };
    let of = Record::evidence_of(&cluster);
    let entries = lab.table.evidence(&of, record.began.as_millis()).await.map_err(AssemblyError::from)?;
    Ok(match evidence::verify(&entries) {
        Ok(head) if head == record.evidence => None,
        Ok(head) => Some(format!("its record names {} entries, and there are {}", record.evidence.length, head.length)),
        Err(error) => Some(error.to_string()),
    })
}

/// Has a backup of the lab restored, opened and found good: without one nothing is broken on purpose.
///
/// # Errors
///
/// When the verifier does not answer, or is not done in five minutes.
pub async fn verify_backup(lab: &Lab) -> Result<(), DrillError> {
    let id = "rds:orders-game-day";
    lab.take_snapshot(id).await?;
    let manifest = Manifest { source: SourceKind::Snapshot, ..Manifest::default() };
    let order = json!({ "order": "verify", "cluster": names::CLUSTER, "manifest": manifest });
    let tick = json!({ "hint": "tick", "cluster": names::CLUSTER });
    let began = Instant::now();
    let mut event = order;
    while began.elapsed() < VERIFIED_WITHIN {
        // A step that was not taken is taken by the next tick.
        let _step = lab.invoke(names::VERIFIER, &event).await;
        let run = lab.table.verification(&lab.cluster_id()).await.map_err(AssemblyError::from)?;
        if run.as_ref().is_some_and(|run| !run.is_open()) {
            lab.delete_snapshot(id).await;
            return Ok(());
        }
        if run.is_some() {
            event = tick.clone();
        }
        sleep(TICK).await;
    }
    Err(DrillError::Unable(format!("a verification is not over after {VERIFIED_WITHIN:?}")))
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
    report::remove(output)?;
    let known = || catalogue::CATALOGUE.map(|known| known.name).join(", ");
    let unknown = || DrillError::Unable(format!("there is no experiment {experiment}; choose one of: {}", known()));
    let experiment = catalogue::named(experiment).ok_or_else(unknown)?;
    let game_day = GameDay { experiment, conducted: RefCell::default() };
    let plan = DrillPlan::new(scenario(experiment)?, output);
    let lab = LabConfig { application_probe: true, ..lab.clone() };
    let mut run = one_run(&lab, &plan, 1, progress, Course::GameDay(&game_day)).await?;
    run.expectations = game_day.judged();
    let result = finished(&plan, &game_day, run)?;
    result::write_json(&output.join(FILE), &result)?;
    Ok(result)
}

fn finished(plan: &DrillPlan, game_day: &GameDay, run: RunResult) -> Result<GameDayResult, DrillError> {
    let conducted = game_day.conducted.take();
    let started = conducted.as_ref().map_or(0, |conducted| conducted.started);
    let broken_chain = conducted.as_ref().and_then(|conducted| conducted.broken_chain.clone());
    let (week, measured) = conducted.map(|it| (it.outcome.week, it.outcome.measured)).unwrap_or_default();
    let detected_ms = measured.as_ref().and_then(|measured| measured.detected_ms);
    let mut drill = DrillResult::new(plan, vec![run], None);
    let end = week.as_ref().map(|week| week.end);
    let says = week.map_or_else(|| "the scheduler has not judged it".to_owned(), |week| week.says);
    if end != Some(End::Passed) {
        let word = end.map_or_else(|| "unfinished".to_owned(), |end| end.to_string());
        drill.failures.push(format!("the scheduler's verdict is {word}: {says}"));
    }
    drill.failures.extend(broken_chain.map(|why| format!("the evidence of the game day does not verify: {why}")));
    let report = report::write(plan, Kind::GameDay, &drill)?;
    let passed = drill.failures.is_empty();
    let run = drill.runs.first();
    Ok(GameDayResult {
        experiment: game_day.experiment.name.to_owned(),
        verdict: if passed { End::Passed } else { end.filter(|end| *end != End::Passed).unwrap_or(End::Failed) }
            .to_string(),
        says,
        experiments_started: started,
        detected_s: detected_ms.map(|ms| Duration::from_millis(ms).as_secs_f64()),
        outage_s: run.map_or(0.0, |run| run.outage_s),
        lost: drill.summary.lost,
        duplicated: drill.summary.duplicated,
        application: measured.and_then(|measured| measured.application),
        failures: drill.failures,
        report,
    })
}

/// A scenario without a timeline of its own: what breaks is the experiment.
fn scenario(experiment: &Experiment) -> Result<steadfast_scenario::Scenario, DrillError> {
    let text = format!("# {}\nexpect lost 0\n", experiment.says);
    let name = format!("game-day-{}", experiment.name);
    let scenario = steadfast_scenario::parse(&name, &text).map_err(|error| DrillError::Unable(error.to_string()))?;
    let deployment =
        if experiment.of.contains(&Deployment::Cluster) { Deployment::Cluster } else { Deployment::Instance };
    Ok(steadfast_scenario::Scenario { deployment, ..scenario })
}
