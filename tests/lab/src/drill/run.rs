//! One run: load, the scenario's faults, recovery, audit, repair.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use steadfast_aws::clock;
use steadfast_core::episode::Episode;
use steadfast_core::evidence::{self, Entry};
use steadfast_core::time::Timestamp;
use steadfast_scenario::Event;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::expectations::{self, Judged, Shown};
use super::game_day::GameDay;
use super::lateness::Lateness;
use super::milestones::{self, Seen};
use super::phases::{self, Phases};
use super::result::{ClientOutage, RunResult};
use super::timeline::Timeline;
use super::{DrillError, DrillPlan, Progress, over, witnesses};
use crate::assembly::{AssemblyError, Lab, names};
use crate::postgres::NodeState;
use crate::workload::{Audit, Diary, Fate, Route, Workload, audit};

/// Every client must have worked this long before the fault.
const WARM_UP: Duration = Duration::from_secs(2);
const WARM_UP_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What happens in a run.
#[derive(Clone, Copy)]
pub(super) enum Course<'c> {
    /// The scenario's timeline.
    Scenario,
    /// What the scheduler starts.
    GameDay(&'c GameDay),
}

/// Carries out one run in a lab of its own, whose logs are in `logs`.
pub(super) async fn run(
    lab: &Lab,
    logs: &Path,
    plan: &DrillPlan,
    number: u32,
    progress: &dyn Progress,
    course: Course<'_>,
) -> Result<RunResult, DrillError> {
    let run = format!("{}-{number}-{}", plan.scenario.name, clock::now().as_millis());
    let before = lab.state().await?.episode.map_or(0, |episode| episode.epoch);
    let workload = Workload::start(lab, &plan.workload, &run).await?;
    warm_up(&workload).await?;
    if plan.duplicate {
        lab.lambda.duplicate_next(names::COORDINATOR).await.map_err(AssemblyError::from)?;
    }
    sleep(moment()).await;
    let timeline = Timeline::new(lab, &plan.scenario, progress);
    let folder = lab.cluster.ca_file().parent().unwrap_or(logs);
    let unwritable = |source| DrillError::Write { path: folder.to_owned(), source };
    let lateness = Lateness::begin(folder).map_err(unwritable)?;
    let by_timeline = matches!(course, Course::Scenario);
    let played = match course {
        Course::Scenario => play(lab, plan, before, &timeline, &workload, progress).await,
        Course::GameDay(game_day) => game_day.carry_out(lab, &timeline).await,
    };
    let diaries = workload.stop().await;
    let ended_at = clock::now();
    let machine_late = lateness.end();
    let writer = running_writer(lab);
    // Before anything is mended: the next coordinator would go on with what is mended.
    let stood = what_stands(lab, before).await;
    // Also after a run that broke off: nothing may stay behind.
    let ended = timeline.end_all().await;
    let complete = played?;
    ended?;
    if !complete || writer.is_none() {
        progress.say("  bringing every instance back to count what is there");
        lab.cluster.recover_all().await?;
    }
    let found = audit(lab, &diaries, &run).await?;
    let (episodes, latest) = stood?;
    let recorded = episodes.last().map(Vec::as_slice).unwrap_or_default();
    let run = Ran {
        lab,
        fault_at: timeline.first_fault(),
        ended_at,
        old_writer: timeline.old_writer().to_owned(),
        writer,
        complete,
        episode: latest,
        evidence_file: write_evidence(plan, number, recorded)?,
        episodes,
        diaries,
        audit: found,
        machine_late,
    };
    let people = witnesses::people_called(lab).await?;
    let logged = witnesses::logged_rules(logs, run.fault_at, run.ended_at)?;
    let mut result = run.result(over::stays_open(&plan.scenario));
    let shown = run.shown(&result, logged, people);
    result.expectations = judged(plan, &shown);
    if by_timeline {
        result.expectations.extend(timeline.missed().map(|event| never_began(plan, event)));
    }
    result.told = Some(run.told(number, &result, &timeline.journal()));
    progress.say(&format!(
        "  writes stood still for {:.2} s; {} acknowledged, {} lost, {} twice, {} in doubt",
        result.outage_s, result.audit.acknowledged, result.lost, result.duplicated, result.in_doubt
    ));
    Ok(result)
}

/// Plays the timeline until the run is over; says whether writes flow and no episode is open.
async fn play(
    lab: &Lab,
    plan: &DrillPlan,
    before: u64,
    timeline: &Timeline<'_>,
    workload: &Workload,
    progress: &dyn Progress,
) -> Result<bool, DrillError> {
    let (sender, seen) = watch::channel(Seen::default());
    let faults = async {
        timeline.play(&seen).await?;
        std::future::pending::<Result<Infallible, DrillError>>().await
    };
    tokio::select! {
        stopped = milestones::follow(lab, before, timeline, &sender, progress) => match stopped? {},
        stopped = faults => match stopped? {},
        complete = over::until_over(plan, timeline, workload, &seen) => Ok(complete),
    }
}

/// The evidence of every episode after epoch `before`, and the latest of them as it stood then.
async fn what_stands(lab: &Lab, before: u64) -> Result<(Vec<Vec<Entry>>, Option<Episode>), DrillError> {
    loop {
        let latest = lab.state().await?.episode;
        let episodes = witnesses::evidence(lab, before).await?;
        if lab.state().await?.episode == latest {
            return Ok((episodes, latest.filter(|episode| episode.epoch > before)));
        }
    }
}

/// The instance that has the role, if its server runs.
fn running_writer(lab: &Lab) -> Option<String> {
    let writer = lab.cluster.writer();
    matches!(lab.cluster.state(writer), Ok(NodeState::Running)).then(|| writer.to_owned())
}

/// What a scenario with another platform than its own expects is not asked.
fn judged(plan: &DrillPlan, shown: &Shown) -> Vec<Judged> {
    let own = plan.platform() == plan.scenario.platform;
    let judge = |expectation: &_| {
        let judged = expectations::judge(*expectation, shown);
        Judged { held: judged.held.filter(|_| own), ..judged }
    };
    plan.scenario.expectations.iter().map(judge).collect()
}

/// A fault that waited for what never came: the run has not tried what the scenario is about.
fn never_began(plan: &DrillPlan, event: &Event) -> Judged {
    let own = plan.platform() == plan.scenario.platform;
    Judged { expectation: format!("`{event}` begins"), held: own.then_some(false), seen: "it never began".to_owned() }
}

/// Any moment within a second: a fault does not know the probers' pace, and must not always meet
/// the same phase of it.
fn moment() -> Duration {
    let random = uuid::Uuid::new_v4().as_u128() % 1_000;
    Duration::from_millis(u64::try_from(random).unwrap_or(0))
}

async fn warm_up(workload: &Workload) -> Result<(), DrillError> {
    let began = Instant::now();
    let start = clock::now();
    while !workload.acknowledged().iter().all(|at| at.since(start) >= WARM_UP) {
        if began.elapsed() > WARM_UP_LIMIT {
            return Err(DrillError::Idle(WARM_UP_LIMIT));
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Everything that one run has produced.
pub(super) struct Ran<'l> {
    pub(super) lab: &'l Lab,
    pub(super) fault_at: Timestamp,
    pub(super) ended_at: Timestamp,
    old_writer: String,
    writer: Option<String>,
    complete: bool,
    /// The latest episode.
    pub(super) episode: Option<Episode>,
    pub(super) evidence_file: PathBuf,
    /// The evidence of every episode.
    pub(super) episodes: Vec<Vec<Entry>>,
    pub(super) diaries: Vec<Diary>,
    audit: Audit,
    /// How late the machine was at worst.
    machine_late: Duration,
}

impl Ran<'_> {
    fn result(&self, stays_open: bool) -> RunResult {
        let evidence = self.episodes.last().map(Vec::as_slice).unwrap_or_default();
        let verified = evidence::verify(evidence);
        let chain_verified =
            matches!((&verified, &self.episode), (Ok(head), Some(episode)) if *head == episode.evidence);
        let span = self.fault_at.as_millis()..=self.ended_at.as_millis();
        let phases = self.episode.as_ref().map(|episode| phases::phases(self.lab, &span, episode, evidence));
        let Phases { detected, decided, called, promoted, proved } = phases.unwrap_or_default();
        let after = |at: Option<Timestamp>| at.map(|at| seconds(self.fault_at, at));
        let closed = self.episode.as_ref().and_then(|episode| episode.closed.as_ref());
        let diaries = &self.diaries;
        RunResult {
            detected_s: after(detected),
            decided_s: after(decided),
            called_s: after(called),
            promoted_s: after(promoted),
            proved_s: after(proved),
            outage_s: longest_gap(diaries.iter(), self.fault_at, self.ended_at).as_secs_f64(),
            clients: diaries.iter().map(|diary| client_outage(diary, self.fault_at, self.ended_at)).collect(),
            lost: self.audit.lost,
            duplicated: self.audit.duplicated,
            in_doubt: self.audit.in_doubt,
            application_errors: self.audit.errors(),
            refused_connections: diaries.iter().map(|diary| diary.refused_connections).sum(),
            failover_calls: phases::calls(self.lab, &span),
            old_writer: self.old_writer.clone(),
            new_writer: closed.map(|closed| closed.writer.to_string()),
            recovered_by: closed.map(|closed| closed.by),
            rules: witnesses::recorded_rules(evidence).map(u64::from).collect(),
            canary_lost: canary_lost(evidence),
            chain_verified,
            evidence_file: self.evidence_file.clone(),
            recovered: self.complete,
            machine_late_s: self.machine_late.as_secs_f64(),
            audit: self.audit.clone(),
            expectations: Vec::new(),
            told: None,
            needless: phases::took_effect(self.lab, &span).saturating_sub(self.episodes.len() as u64),
            stays_open,
        }
    }

    fn shown(&self, result: &RunResult, logged: BTreeSet<u16>, people: Vec<String>) -> Shown {
        let recorded = self.episodes.iter().flat_map(|evidence| witnesses::recorded_rules(evidence));
        let first = self.episodes.first().and_then(|evidence| phases::opened(evidence));
        Shown {
            rules: recorded.chain(logged).collect(),
            calls: result.failover_calls,
            episodes: self.episodes.len() as u64,
            old_writer: self.old_writer.clone(),
            writer: self.writer.clone(),
            outage: longest_gap(self.diaries.iter(), self.fault_at, self.ended_at),
            detected: first.map(|at| at.since(self.fault_at)),
            lost: self.audit.lost,
            errors: result.application_errors,
            recovered_by: result.recovered_by,
            evicted: self.diaries.iter().filter(|diary| diary.route == Route::Pinned).map(|d| d.evicted).collect(),
            people,
            open: self.episode.as_ref().map(Episode::is_open),
        }
    }
}

/// The longest gap between two acknowledged commits of all these clients together, from just
/// before the fault until the end. Clients that never come back stand still to the end.
fn longest_gap<'a>(diaries: impl Iterator<Item = &'a Diary>, fault_at: Timestamp, ended_at: Timestamp) -> Duration {
    longest_pause(diaries, fault_at, ended_at).map(|(from, to)| to.since(from)).unwrap_or_default()
}

/// The same with its beginning and its end; None without any commit.
pub(super) fn longest_pause<'a>(
    diaries: impl Iterator<Item = &'a Diary>,
    fault_at: Timestamp,
    ended_at: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    let acknowledged = |diary: &'a Diary| diary.transfers.iter().filter(|t| t.fate == Fate::Acknowledged).map(|t| t.at);
    let mut times: Vec<Timestamp> = diaries.flat_map(acknowledged).collect();
    times.push(ended_at);
    times.sort_unstable();
    let pauses = times.windows(2).filter(|pair| pair[1] >= fault_at).map(|pair| (pair[0], pair[1]));
    pauses.max_by_key(|(from, to)| to.since(*from))
}

/// The first good commit of a client after its first error.
pub(super) fn resumed_at(diary: &Diary, fault_at: Timestamp) -> Option<Timestamp> {
    let good = |transfer: &&crate::workload::Transfer| transfer.fate == Fate::Acknowledged && transfer.at > fault_at;
    let mut after = diary.transfers.iter().skip_while(|t| t.at <= fault_at || t.fate == Fate::Acknowledged);
    after.find(good).map(|transfer| transfer.at)
}

fn client_outage(diary: &Diary, fault_at: Timestamp, ended_at: Timestamp) -> ClientOutage {
    ClientOutage {
        client: diary.client,
        route: diary.route,
        outage_s: longest_gap(std::iter::once(diary), fault_at, ended_at).as_secs_f64(),
        first_good_commit_s: resumed_at(diary, fault_at).map(|at| seconds(fault_at, at)),
    }
}

/// Canary commits that the new writer did not hold, as the witnesses reported at the proof.
fn canary_lost(evidence: &[Entry]) -> u64 {
    let proof = evidence.iter().find(|entry| entry.kind == evidence::Kind::Proved);
    let witnesses = proof.and_then(|proof| proof.data.get("witnesses")).and_then(|witnesses| witnesses.as_array());
    witnesses.into_iter().flatten().filter_map(|witness| witness.pointer("/canary/lost")?.as_u64()).sum()
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).as_secs_f64()
}

fn write_evidence(plan: &DrillPlan, number: u32, evidence: &[Entry]) -> Result<PathBuf, DrillError> {
    let path = plan.output.join(format!("evidence-{}-{number}.json", plan.scenario.name));
    super::result::write_json(&path, &evidence)?;
    Ok(path)
}
