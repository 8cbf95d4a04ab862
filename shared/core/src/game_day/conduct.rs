//! Conducts a game day over its ports: the same code runs in the function and in the simulated year.
//!
//! Every intention is written before anything is asked for, with its entry in the evidence and over the version that was
//! seen; whoever is woken twice or after a crash meets the record and goes on from there.

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::catalogue::{Experiment, named, turn};
use super::hypothesis::{Finding, Measured, Sources, judge};
use super::plan::{self, Experimenting, Known, Record, Stage, Step, Wake};
use super::preflight::{Demands, Facts, Reason, reasons};
use super::slot::Slot;
use super::week::{self, End, Week, Weeks};
use crate::evidence::{Entry, Head, Kind};
use crate::metric::{self, Metric};
use crate::notice::Notice;
use crate::ports::{CallError, StateError};
use crate::time::Timestamp;
use crate::topology::{ClusterId, Deployment, Owner};

/// Between two looks at a running experiment.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why it cannot go on now; the next wake goes on from the record.
#[derive(Debug, thiserror::Error)]
pub enum ConductError {
    /// The record cannot be read or written: nothing is broken then.
    #[error(transparent)]
    State(#[from] StateError),
    /// The experiment could not be started or ended.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A person named an experiment that does not exist.
    #[error("there is no experiment {name:?}; choose one of: {}", .known.join(", "))]
    NoSuchExperiment {
        /// The name.
        name: String,
        /// Those that exist.
        known: Vec<&'static str>,
    },
}

/// What stands before an experiment, so that what it does can be told from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// The epoch of the latest episode.
    pub epoch: u64,
    /// The writer.
    pub writer: String,
    /// Acknowledged canary commits that were lost so far, over all witnesses.
    pub canary_lost: u64,
}

/// An experiment that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The id of the FIS experiment.
    pub id: Option<String>,
    /// Whether the fault was certainly injected: a statement whose answer is missing may not have been.
    pub certain: bool,
}

/// What shows while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What FIS says.
    pub experimenting: Experimenting,
    /// Whether an episode is open.
    pub open_episode: bool,
    /// Acknowledged canary commits that were lost so far, over all witnesses.
    pub canary_lost: u64,
}

/// The outside world as a game day needs it.
pub trait Ground {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Lets time pass. Safe to cancel.
    fn pause(&self, by: Duration) -> impl Future<Output = ()> + Send;
    /// The record of the latest slot.
    fn load(&self) -> impl Future<Output = Result<Option<Record>, StateError>> + Send;
    /// Writes the record, and its entry of the evidence with it or not at all, over the version seen; None: over nothing.
    fn save(
        &self,
        seen: Option<u64>,
        record: &Record,
        entry: Option<&Entry>,
    ) -> impl Future<Output = Result<(), StateError>> + Send;
    /// Everything that the preflight asks, and what stands before.
    fn look(&self) -> impl Future<Output = (Facts, Before)> + Send;
    /// Starts the experiment; of a template, the same one for the same token.
    fn start(
        &self,
        experiment: &'static Experiment,
        token: &str,
    ) -> impl Future<Output = Result<Started, CallError>> + Send;
    /// What shows now.
    fn shown(&self, id: Option<&str>) -> impl Future<Output = Shown> + Send;
    /// Ends the experiment.
    fn stop(&self, id: Option<&str>) -> impl Future<Output = Result<(), CallError>> + Send;
    /// What evidence, canary and ledger say of the time since it began; while the state table does not answer, nothing is
    /// judged.
    fn seen_of(&self, record: &Record) -> impl Future<Output = Result<Measured, StateError>> + Send;
    /// Metrics.
    fn measure(&self, metrics: &[(Metric, u64)]);
    /// Tells people.
    fn notify(&self, notice: &Notice) -> impl Future<Output = Result<(), CallError>> + Send;
    /// One line for the record.
    fn audit(&self, what: &str, data: Value);
}

/// What is conducted, and within which bounds.
#[derive(Clone, Debug)]
pub struct Programme {
    /// The cluster.
    pub cluster: ClusterId,
    /// Who writes the evidence.
    pub me: Owner,
    /// What it is.
    pub deployment: Deployment,
    /// What the preflight demands.
    pub demands: Demands,
    /// Which experiments are allowed; empty: all.
    pub allowed: Vec<String>,
    /// How long an experiment is watched, instead of its own time.
    pub watch: Option<Duration>,
    /// Who can be asked.
    pub sources: Sources,
}

/// What came of a wake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The week that ended, if one did.
    pub week: Option<Week>,
    /// Whether an experiment is on its way.
    pub running: bool,
    /// What was measured, of an experiment that was judged.
    pub measured: Option<Measured>,
    /// What became of the hypothesis.
    pub findings: Vec<Finding>,
}

/// Goes on until nothing is to be done, or until `until`. An operator may name the experiment.
///
/// # Errors
///
/// When the record cannot be read or written, or an experiment cannot be started: the next wake goes on from there.
pub async fn conduct<G: Ground + Sync>(
    ground: &G,
    programme: &Programme,
    wake: Wake,
    ordered: Option<&str>,
    until: Timestamp,
) -> Result<Outcome, ConductError> {
    let ordered = ordered.map(experiment).transpose()?;
    let mut outcome = Outcome { week: None, running: false, measured: None, findings: Vec::new() };
    loop {
        let record = ground.load().await?;
        let step = decide(ground, programme, record.as_ref(), wake, ordered).await;
        let conductor = Conductor { ground, programme, record };
        match step {
            (Step::Rest, _) => return Ok(outcome),
            (Step::Follow, _) => {
                outcome.running = true;
                if ground.now().plus(LOOK_EVERY) >= until {
                    return Ok(outcome);
                }
                ground.pause(LOOK_EVERY).await;
            }
            (Step::Miss(slots), _) => conductor.miss(&slots).await?,
            (Step::Skip(reasons), _) => {
                outcome.week = Some(conductor.skip(&reasons, ordered).await?);
                outcome.running = false;
                return Ok(outcome);
            }
            (Step::Start(experiment), Some(before)) => {
                if let Some(week) = conductor.begin(experiment, before).await? {
                    outcome.week = Some(week);
                    return Ok(outcome);
                }
            }
            // Nothing is known of what stands before it: the next round looks.
            (Step::Start(_), None) => {}
            (Step::StartAgain(experiment), _) => {
                if let Some(week) = conductor.start(experiment).await? {
                    outcome.week = Some(week);
                    return Ok(outcome);
                }
            }
            (Step::CountAsStarted, _) => {
                conductor.stage(Stage::Running { id: None, certain: false }, "running").await?;
            }
            (Step::Stop(because), _) => {
                outcome.running = true;
                if conductor.stop(&because).await? {
                    if ground.now().plus(LOOK_EVERY) >= until {
                        return Ok(outcome);
                    }
                    ground.pause(LOOK_EVERY).await;
                }
            }
            (Step::Judge, _) => {
                conductor.judge(None, &mut outcome).await?;
                outcome.running = false;
                return Ok(outcome);
            }
            (Step::Broken(end), _) => {
                conductor.judge(Some(end), &mut outcome).await?;
                outcome.running = false;
                return Ok(outcome);
            }
        }
    }
}

fn experiment(name: &str) -> Result<&'static Experiment, ConductError> {
    named(name).ok_or_else(|| ConductError::NoSuchExperiment {
        name: name.to_owned(),
        known: super::catalogue::CATALOGUE.iter().map(|experiment| experiment.name).collect(),
    })
}

/// Looks at no more than the decision needs.
async fn decide<G: Ground + Sync>(
    ground: &G,
    programme: &Programme,
    record: Option<&Record>,
    wake: Wake,
    ordered: Option<&'static Experiment>,
) -> (Step, Option<Before>) {
    let now = ground.now();
    let unfinished = record.filter(|record| record.stage != Stage::Over);
    let shown = match unfinished {
        Some(record) => ground.shown(id(&record.stage)).await,
        None => Shown { experimenting: Experimenting::Unknown, open_episode: false, canary_lost: 0 },
    };
    let (objections, before) = if unfinished.is_none() && wake == Wake::Due {
        let (facts, before) = ground.look().await;
        (reasons(&facts, &programme.demands, now), Some(before))
    } else {
        (Vec::new(), None)
    };
    let turn = match ordered {
        Some(ordered) => Some(ordered).filter(|it| it.is_allowed(programme.deployment, &programme.allowed)),
        None => turn(Slot::of(now), programme.deployment, &programme.allowed),
    };
    let lost = record.map_or(0, |record| shown.canary_lost.saturating_sub(record.canary_lost_before));
    let known = Known {
        now,
        wake,
        reasons: &objections,
        turn,
        watch: programme.watch,
        experimenting: shown.experimenting,
        open_episode: shown.open_episode,
        lost,
    };
    (plan::next(record, &known), before)
}

fn id(stage: &Stage) -> Option<&str> {
    match stage {
        Stage::Running { id, .. } | Stage::Stopping { id, .. } => id.as_deref(),
        Stage::Intended | Stage::Over => None,
    }
}

struct Conductor<'g, G> {
    ground: &'g G,
    programme: &'g Programme,
    record: Option<Record>,
}

impl<G: Ground + Sync> Conductor<'_, G> {
    fn weeks(&self) -> Weeks {
        self.record.as_ref().map(|record| record.weeks.clone()).unwrap_or_default()
    }

    fn version(&self) -> Option<u64> {
        self.record.as_ref().map(|record| record.version)
    }

    /// How often an experiment of this slot was ended before it broke anything.
    fn attempt(&self, slot: Slot) -> u32 {
        self.record.as_ref().filter(|record| record.slot == slot).map_or(0, |record| record.attempt)
    }

    /// The record that stands after this one when nothing is broken.
    fn resting(&self, week: &Week, weeks: Weeks, attempt: u32) -> Record {
        Record {
            slot: week.slot,
            experiment: week.experiment.clone(),
            stage: Stage::Over,
            at: week.at,
            began: week.at,
            epoch_before: 0,
            writer_before: String::new(),
            canary_lost_before: 0,
            verdict: week.end.to_string(),
            says: week.says.clone(),
            attempt,
            weeks,
            evidence: Head::default(),
            version: self.version().map_or(1, |version| version.saturating_add(1)),
        }
    }

    /// The next link of the chain that belongs to the record's experiment.
    fn linked(&self, record: &Record, kind: Kind, told: Value) -> (Entry, Head) {
        let (of, chain) = (Record::evidence_of(&self.programme.cluster), record.began.as_millis());
        record.evidence.append(&of, chain, self.ground.now(), &self.programme.me, kind, told)
    }

    async fn close(&self, record: Record, week: &Week, entry: Option<&Entry>) -> Result<(), ConductError> {
        // People may hear a verdict twice, never not at all.
        self.ground.notify(&week::notice(&self.programme.cluster, week, &record.weeks)).await?;
        self.ground.save(self.version(), &record, entry).await?;
        self.ground.audit("game_day", json!(week));
        self.ground.measure(&[(metric::GAME_DAYS, 1), (metric::GAME_DAYS_FAILED, u64::from(week.end != End::Passed))]);
        Ok(())
    }

    async fn miss(&self, slots: &[Slot]) -> Result<(), ConductError> {
        let mut weeks = self.weeks();
        let mut last = None;
        for slot in slots {
            let says = "nothing was recorded in that week".to_owned();
            let week = plan::unbroken(*slot, "none", End::Missed, self.ground.now(), says);
            weeks.put(week.clone());
            last = Some(week);
        }
        match last {
            Some(week) => self.close(self.resting(&week, weeks, 0), &week, None).await,
            None => Ok(()),
        }
    }

    async fn skip(&self, objections: &[Reason], ordered: Option<&'static Experiment>) -> Result<Week, ConductError> {
        let unfinished = self.record.as_ref().filter(|record| record.stage != Stage::Over);
        let slot = unfinished.map_or_else(|| Slot::of(self.ground.now()), |record| record.slot);
        let turn = ordered.or_else(|| turn(slot, self.programme.deployment, &self.programme.allowed));
        let name = unfinished.map_or(turn.map_or("none", |experiment| experiment.name), |record| &record.experiment);
        let week = plan::unbroken(slot, name, End::Skipped, self.ground.now(), plan::told(objections));
        let mut weeks = self.weeks();
        weeks.put(week.clone());
        let attempt = self.attempt(slot).saturating_add(u32::from(unfinished.is_some()));
        // Where nothing was intended there is no chain to end.
        let closed = unfinished.map(|record| self.linked(record, Kind::Closed, json!({ "week": week })).0);
        self.close(self.resting(&week, weeks, attempt), &week, closed.as_ref()).await?;
        Ok(week)
    }

    /// Writes the intention, then starts it; the week, if it was refused.
    async fn begin(&self, experiment: &'static Experiment, before: Before) -> Result<Option<Week>, ConductError> {
        let now = self.ground.now();
        let intended = Record {
            slot: Slot::of(now),
            experiment: experiment.name.to_owned(),
            stage: Stage::Intended,
            at: now,
            began: now,
            epoch_before: before.epoch,
            writer_before: before.writer,
            canary_lost_before: before.canary_lost,
            verdict: "intended".to_owned(),
            says: experiment.says.to_owned(),
            attempt: self.attempt(Slot::of(now)),
            weeks: self.weeks(),
            evidence: Head::default(),
            version: self.version().map_or(1, |version| version.saturating_add(1)),
        };
        let told = json!({ "action": "StartExperiment", "experiment": experiment.name, "slot": intended.slot.to_string(),
            "attempt": intended.attempt });
        let (entry, evidence) = self.linked(&intended, Kind::Intended, told);
        let record = Record { evidence, ..intended };
        self.ground.save(self.version(), &record, Some(&entry)).await?;
        Conductor { record: Some(record), ..*self }.start(experiment).await
    }

    async fn start(&self, experiment: &'static Experiment) -> Result<Option<Week>, ConductError> {
        let token = |record: &Record| record.slot.token(&self.programme.cluster, record.attempt);
        let token = self.record.as_ref().map(token).unwrap_or_default();
        match self.ground.start(experiment, &token).await {
            Ok(Started { id, certain }) => self.stage(Stage::Running { id, certain }, "running").await.map(|()| None),
            // Refused: nothing was broken, and the slot is not spent.
            Err(error @ CallError::Refused { .. }) => {
                let reason = Reason { id: 910, says: error.to_string() };
                self.skip(&[reason], Some(experiment)).await.map(Some)
            }
            Err(error @ CallError::Unanswered { .. }) => Err(error.into()),
        }
    }

    /// A stage that is to come is an intention, one that has come an answer.
    async fn stage(&self, stage: Stage, verdict: &str) -> Result<(), ConductError> {
        let Some(record) = &self.record else { return Ok(()) };
        let kind = if matches!(stage, Stage::Stopping { .. }) { Kind::Intended } else { Kind::Answered };
        let (entry, evidence) = self.linked(record, kind, json!({ "stage": stage }));
        let next = Record {
            stage,
            evidence,
            at: self.ground.now(),
            verdict: verdict.to_owned(),
            version: record.version.saturating_add(1),
            ..record.clone()
        };
        Ok(self.ground.save(Some(record.version), &next, Some(&entry)).await?)
    }

    /// Writes down that it is to be ended; then asks for it. Whether it was asked for.
    async fn stop(&self, because: &str) -> Result<bool, ConductError> {
        let Some(record) = &self.record else { return Ok(false) };
        let id = id(&record.stage).map(str::to_owned);
        if !matches!(record.stage, Stage::Stopping { .. }) {
            let stage = Stage::Stopping { id, because: because.to_owned() };
            return self.stage(stage, "stopping").await.map(|()| false);
        }
        self.ground.stop(id.as_deref()).await?;
        Ok(true)
    }

    /// Measures, judges, records, reports, tells.
    async fn judge(&self, broken: Option<End>, outcome: &mut Outcome) -> Result<(), ConductError> {
        let Some(record) = &self.record else { return Ok(()) };
        let measured = self.ground.seen_of(record).await?;
        let judged = named(&record.experiment).map(|it| judge(&it.hypothesis, &measured, self.programme.sources));
        let findings = judged.unwrap_or_default();
        let stopped = matches!(record.stage, Stage::Stopping { .. }).then_some(End::Stopped);
        // What is not certain by itself is, when the cluster shows it.
        let certain = !matches!(record.stage, Stage::Running { certain: false, .. }) || measured.episodes > 0;
        let held = certain && !findings.is_empty() && findings.iter().all(|finding| finding.held);
        let end = broken.or(stopped).unwrap_or(if held { End::Passed } else { End::Failed });
        let week = Week {
            slot: record.slot,
            experiment: record.experiment.clone(),
            end,
            at: self.ground.now(),
            says: says(end, certain, &record.stage, &findings),
            detected_ms: measured.detected_ms,
            outage_ms: measured.outage_ms,
            lost: measured.lost,
            application: measured.application.clone(),
        };
        let mut weeks = record.weeks.clone();
        weeks.put(week.clone());
        let told = json!({ "week": week, "measured": measured, "findings": findings });
        let (entry, evidence) = self.linked(record, Kind::Closed, told);
        let next = Record {
            stage: Stage::Over,
            evidence,
            at: week.at,
            verdict: end.to_string(),
            says: week.says.clone(),
            weeks,
            version: record.version.saturating_add(1),
            ..record.clone()
        };
        self.close(next, &week, Some(&entry)).await?;
        self.ground.audit("judged", json!({ "measured": measured, "findings": findings }));
        self.measure(&measured);
        *outcome = Outcome { week: Some(week), running: false, measured: Some(measured), findings };
        Ok(())
    }

    fn measure(&self, measured: &Measured) {
        if let Some(ms) = measured.detected_ms {
            self.ground.measure(&[(metric::GAME_DAY_DETECTION, ms)]);
        }
        if let Some(ms) = measured.outage_ms {
            self.ground.measure(&[(metric::GAME_DAY_OUTAGE, ms)]);
        }
        if let Some(lost) = measured.lost {
            self.ground.measure(&[(metric::GAME_DAY_LOST, lost)]);
        }
    }
}

/// What held and what did not, in one sentence.
fn says(end: End, certain: bool, stage: &Stage, findings: &[Finding]) -> String {
    let failed = findings.iter().filter(|finding| !finding.held);
    let failed: Vec<String> =
        failed.map(|finding| format!("expected {}, seen {}", finding.expectation, finding.seen)).collect();
    let stopped = match stage {
        Stage::Stopping { because, .. } => because.clone(),
        Stage::Intended | Stage::Running { .. } | Stage::Over => "a stop condition or a person ended it".to_owned(),
    };
    if !certain {
        return "nobody knows whether the fault was injected: the statement's answer is missing".to_owned();
    }
    match end {
        End::Stopped => [vec![stopped], failed].concat().join("; "),
        End::Passed => format!("all {} expectations held", findings.len()),
        End::Failed if failed.is_empty() => "the experiment could not do what it was to do".to_owned(),
        End::Failed | End::Skipped | End::Missed => failed.join("; "),
    }
}
