//! One run: load, fault, recovery, audit, repair.

use std::path::PathBuf;
use std::time::Duration;

use steadfast_aws::clock;
use steadfast_core::episode::Episode;
use steadfast_core::evidence::{self, Entry};
use steadfast_core::time::Timestamp;
use tokio::time::{Instant, sleep};

use super::phases::{self, Phases};
use super::result::{ClientOutage, RunResult};
use super::{DrillError, DrillPlan, Progress};
use crate::assembly::{Lab, names};
use crate::workload::{Audit, Diary, Fate, Workload, audit};

/// Every client must have worked this long before the fault.
const WARM_UP: Duration = Duration::from_secs(2);
/// Every client must have worked this long after its first good commit.
const COOL_DOWN: Duration = Duration::from_millis(500);
/// Generous: P4 allows two minutes, and the platform's own failover comes before that.
const RECOVERY_LIMIT: Duration = Duration::from_secs(180);
const WARM_UP_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Carries out one run in a lab of its own.
pub(super) async fn run(
    lab: &Lab,
    plan: &DrillPlan,
    number: u32,
    progress: &dyn Progress,
) -> Result<RunResult, DrillError> {
    let run = format!("{}-{number}-{}", plan.fault.name(), clock::now().as_millis());
    let before = lab.state().await?.episode.map_or(0, |episode| episode.epoch);
    let workload = Workload::start(lab, &plan.workload, &run).await?;
    warm_up(&workload).await?;
    if plan.duplicate {
        lab.lambda.duplicate_next(names::COORDINATOR).await.map_err(crate::assembly::AssemblyError::from)?;
    }
    sleep(moment()).await;
    let old_writer = lab.cluster.writer().to_owned();
    let fault_at = clock::now();
    plan.fault.inject(&lab.cluster).await?;
    progress.say(&format!("  {old_writer} has failed; waiting for Steadfast"));
    let Recovery { episode, complete } = until_recovered(lab, before, &workload, fault_at, progress).await?;
    let diaries = workload.stop().await;
    let ended_at = clock::now();
    if !complete {
        progress.say("  Steadfast has not brought the writes back; restarting the writer to count what is there");
        lab.cluster.recover_all().await?;
    }
    let found = audit(lab, &diaries, &run).await?;
    let evidence = match &episode {
        Some(episode) => {
            lab.table.evidence(&lab.cluster_id(), episode.epoch).await.map_err(crate::assembly::AssemblyError::from)?
        }
        None => Vec::new(),
    };
    let evidence_file = write_evidence(plan, number, &evidence)?;
    let result =
        judge(lab, fault_at, ended_at, old_writer, complete, episode, &evidence, evidence_file, &diaries, found);
    progress.say(&format!(
        "  writes stood still for {:.2} s; {} acknowledged, {} lost, {} twice, {} in doubt",
        result.outage_s, result.audit.acknowledged, result.lost, result.duplicated, result.in_doubt
    ));
    Ok(result)
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

/// How a fault ended.
struct Recovery {
    /// The latest episode since the fault, open or closed.
    episode: Option<Episode>,
    /// Whether it is closed and every client works again.
    complete: bool,
}

/// Waits until the episode is closed and every client has worked on for a while, or time is up.
async fn until_recovered(
    lab: &Lab,
    before: u64,
    workload: &Workload,
    fault_at: Timestamp,
    progress: &dyn Progress,
) -> Result<Recovery, DrillError> {
    let began = Instant::now();
    let mut said_open = false;
    let mut latest: Option<Episode> = None;
    let mut good_since: Option<Timestamp> = None;
    while began.elapsed() < RECOVERY_LIMIT {
        if latest.as_ref().is_none_or(Episode::is_open) {
            latest = lab.state().await?.episode.filter(|episode| episode.epoch > before);
            if let Some(episode) = &latest
                && !said_open
            {
                said_open = true;
                let after = episode.opened_at.since(fault_at);
                progress.say(&format!(
                    "  {:.2} s: episode {} is open: {:?}",
                    after.as_secs_f64(),
                    episode.epoch,
                    episode.cause
                ));
            }
        } else if good_since.is_none() {
            good_since = workload.acknowledged().iter().all(|at| *at > fault_at.plus(COOL_DOWN)).then(clock::now);
        }
        if let Some(since) = good_since
            && workload.acknowledged().iter().all(|at| *at > since.plus(COOL_DOWN))
        {
            return Ok(Recovery { episode: latest, complete: true });
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(Recovery { episode: latest, complete: false })
}

#[expect(clippy::too_many_arguments, reason = "everything that one run has produced")]
fn judge(
    lab: &Lab,
    fault_at: Timestamp,
    ended_at: Timestamp,
    old_writer: String,
    complete: bool,
    episode: Option<Episode>,
    evidence: &[Entry],
    evidence_file: PathBuf,
    diaries: &[Diary],
    audit: Audit,
) -> RunResult {
    let verified = evidence::verify(evidence);
    let chain_verified = matches!((&verified, &episode), (Ok(head), Some(episode)) if *head == episode.evidence);
    let phases = episode.as_ref().map(|episode| phases::phases(lab, fault_at, episode, evidence)).unwrap_or_default();
    let after = |at: Option<Timestamp>| at.map(|at| seconds(fault_at, at));
    let Phases { detected, decided, called, promoted, proved } = phases;
    let calls = lab.rds.calls();
    let failover_calls =
        calls.iter().filter(|call| call.action == "FailoverDBCluster" && call.at_ms >= fault_at.as_millis()).count();
    RunResult {
        detected_s: after(detected),
        decided_s: after(decided),
        called_s: after(called),
        promoted_s: after(promoted),
        proved_s: after(proved),
        outage_s: longest_gap(diaries.iter(), fault_at, ended_at),
        clients: diaries.iter().map(|diary| client_outage(diary, fault_at, ended_at)).collect(),
        lost: audit.lost,
        duplicated: audit.duplicated,
        in_doubt: audit.in_doubt,
        application_errors: audit.errors(),
        refused_connections: diaries.iter().map(|diary| diary.refused_connections).sum(),
        failover_calls: failover_calls as u64,
        old_writer,
        new_writer: episode.as_ref().and_then(|e| e.closed.as_ref()).map(|closed| closed.writer.to_string()),
        recovered_by: episode.as_ref().and_then(|e| e.closed.as_ref()).map(|closed| closed.by),
        rules: phases::rules(evidence),
        canary_lost: canary_lost(evidence),
        chain_verified,
        evidence_file,
        recovered: complete,
        audit,
    }
}

/// The longest gap between two acknowledged commits of all these clients together, from just
/// before the fault until the end, in seconds. Clients that never come back stand still to the end.
fn longest_gap<'a>(diaries: impl Iterator<Item = &'a Diary>, fault_at: Timestamp, ended_at: Timestamp) -> f64 {
    let acknowledged = |diary: &'a Diary| diary.transfers.iter().filter(|t| t.fate == Fate::Acknowledged).map(|t| t.at);
    let mut times: Vec<Timestamp> = diaries.flat_map(acknowledged).collect();
    times.push(ended_at);
    times.sort_unstable();
    let gaps = times.windows(2).filter(|pair| pair[1] >= fault_at).map(|pair| seconds(pair[0], pair[1]));
    gaps.fold(0.0, f64::max)
}

fn client_outage(diary: &Diary, fault_at: Timestamp, ended_at: Timestamp) -> ClientOutage {
    let good = |transfer: &&crate::workload::Transfer| transfer.fate == Fate::Acknowledged && transfer.at > fault_at;
    let resumed = diary.transfers.iter().skip_while(|t| t.at <= fault_at || t.fate == Fate::Acknowledged).find(good);
    ClientOutage {
        client: diary.client,
        route: diary.route,
        outage_s: longest_gap(std::iter::once(diary), fault_at, ended_at),
        first_good_commit_s: resumed.map(|transfer| seconds(fault_at, transfer.at)),
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
    let path = plan.output.join(format!("evidence-{}-{number}.json", plan.fault.name()));
    super::result::write_json(&path, &evidence)?;
    Ok(path)
}
