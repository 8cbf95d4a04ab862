//! The few small enums that the rules see: every combination can be tried out in a test.

use serde::{Deserialize, Serialize};

use crate::candidate::{self, Choice};
use crate::diagnosis::{self, Diagnosis, WriterState};
use crate::episode::Promotion;
use crate::lease::{Lease, LeaseState};
use crate::mode::Mode;
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::switchover::{self, Planned};
use crate::time::Timestamp;
use crate::topology::{ClusterStatus, Deployment, InstanceId, Topology};

/// What the control plane says of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// It did not answer, or too long ago.
    Mute,
    /// Nothing in progress.
    Idle,
    /// A failover is in progress.
    FailingOver,
    /// A failover has been in progress for longer than `platform_deadline`.
    Overdue,
    /// The cluster is changed on purpose: maintenance, upgrade, renaming.
    Changing,
    /// The cluster is stopped, deleted or locked out of its key.
    Unusable,
}

impl Platform {
    /// All values.
    pub const ALL: [Self; 6] =
        [Self::Mute, Self::Idle, Self::FailingOver, Self::Overdue, Self::Changing, Self::Unusable];
}

/// The open episode, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// No episode is open.
    None,
    /// Open, nothing called yet.
    Open,
    /// Our promotion was intended, and may or may not have been called and taken effect.
    Promoting,
    /// The same, for longer than `promotion_deadline`.
    Overdue,
    /// The control plane refused our call: nothing has happened, and we do not call again.
    Refused,
    /// Our call left no trace, or was refused for a reason that passes: a new epoch may call again.
    Traceless,
    /// The same, and the lease has a new epoch.
    Repeatable,
}

impl Progress {
    /// All values.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Open, Self::Promoting, Self::Overdue, Self::Refused, Self::Traceless, Self::Repeatable];
}

/// What the rules see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facts {
    /// What the operator allows.
    pub mode: Mode,
    /// Who may act.
    pub lease: LeaseState,
    /// The control plane.
    pub platform: Platform,
    /// The writer, by quorum.
    pub writer: WriterState,
    /// The episode.
    pub progress: Progress,
    /// The switchover that an operator ordered.
    #[serde(default)]
    pub planned: Planned,
    /// Whether the episode has been open for longer than `episode_deadline`.
    pub overdue: bool,
    /// Whether the platform still has time to act first.
    pub grace_running: bool,
    /// Whether a safe target exists.
    pub candidate: bool,
    /// Whether the anti-flap budget for this cause has a promotion left.
    pub budget_left: bool,
}

/// Facts with what they were made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reduced {
    /// What the rules see.
    pub facts: Facts,
    /// The writer's state with its votes.
    pub diagnosis: Diagnosis,
    /// The candidates with their refusals.
    pub choice: Choice,
}

/// Makes the facts out of a snapshot.
pub fn reduce(snapshot: &Snapshot, policy: &Policy) -> Reduced {
    let diagnosis = diagnosis::diagnose(snapshot, policy);
    let mut choice =
        diagnosis.presumed.as_ref().map(|writer| candidate::choose(snapshot, policy, writer)).unwrap_or_default();
    let gone_since = snapshot.open_episode().and_then(|episode| episode.gone_since).or(diagnosis.since);
    let platform = platform(snapshot, policy, &diagnosis, gone_since);
    let progress = progress(snapshot, policy, platform);
    let only = called_target(snapshot, progress).or_else(|| switchover::planned_target(snapshot, diagnosis.writer));
    if let Some(target) = only {
        choice.keep_to(target);
    }
    let facts = Facts {
        mode: snapshot.mode,
        lease: Lease::state(snapshot.lease.as_ref(), &snapshot.me, snapshot.now, policy),
        platform,
        writer: diagnosis.writer,
        progress,
        planned: switchover::planned(snapshot, policy),
        overdue: snapshot
            .open_episode()
            .is_some_and(|episode| snapshot.now.since(episode.opened_at) > policy.episode_deadline),
        grace_running: gone_since.is_none_or(|since| snapshot.now.since(since) < policy.platform_grace),
        candidate: choice.chosen.is_some(),
        budget_left: budget_left(snapshot, policy, diagnosis.writer),
    };
    Reduced { facts, diagnosis, choice }
}

fn platform(snapshot: &Snapshot, policy: &Policy, diagnosis: &Diagnosis, gone_since: Option<Timestamp>) -> Platform {
    let Some(topology) = snapshot.fresh_topology(policy) else {
        return Platform::Mute;
    };
    let time_given = policy.platform_grace.saturating_add(policy.platform_deadline);
    let overdue = gone_since.is_some_and(|since| snapshot.now.since(since) > time_given);
    let moving = if overdue { Platform::Overdue } else { Platform::FailingOver };
    match &topology.status {
        ClusterStatus::FailingOver => moving,
        // The control plane names another writer already, or none for the moment: a failover is done but for the
        // first commit.
        ClusterStatus::Available if names_another_or_none(topology, snapshot) => moving,
        ClusterStatus::Available if leads_elsewhere(snapshot, policy) => moving,
        ClusterStatus::Available if is_being_changed(topology, policy, diagnosis, snapshot.now) => Platform::Changing,
        ClusterStatus::Available => Platform::Idle,
        ClusterStatus::Changing(_) => Platform::Changing,
        ClusterStatus::Unusable(_) => Platform::Unusable,
    }
}

/// Keeps invariant 1: a role that has moved counts as a failover in flight until a commit ends the episode.
fn names_another_or_none(topology: &Topology, snapshot: &Snapshot) -> bool {
    let open = snapshot.open_episode();
    open.is_some_and(|episode| topology.writer().is_none_or(|writer| writer.id != episode.old_writer))
}

/// The only endpoint of a Multi-AZ DB instance leads to another host than the old writer's, and did not before the
/// failure: the role moves, although the control plane may say so minutes later.
fn leads_elsewhere(snapshot: &Snapshot, policy: &Policy) -> bool {
    let Some(open) = snapshot.open_episode().filter(|_| snapshot.deployment() == Deployment::Instance) else {
        return false;
    };
    let mut sightings = snapshot.counted_reports(policy).flat_map(|report| &report.sightings);
    sightings.any(|seen| seen.instance != open.old_writer && seen.since.plus(policy.report_age_max) > open.failed_since)
}

/// Whether somebody changes the writer's instance on purpose. A reboot may also be the platform's
/// answer to a crash, so it counts only as long as the platform is given time.
fn is_being_changed(topology: &Topology, policy: &Policy, diagnosis: &Diagnosis, now: Timestamp) -> bool {
    let member = diagnosis.presumed.as_ref().and_then(|writer| topology.member(writer));
    let status = member.map_or("", |member| member.status.as_str());
    match status {
        "rebooting" => {
            let given = policy.platform_grace.saturating_mul(3);
            diagnosis.since.is_some_and(|since| now.since(since) < given)
        }
        "modifying"
        | "upgrading"
        | "maintenance"
        | "renaming"
        | "resetting-master-credentials"
        | "starting"
        | "stopping"
        | "stopped" => true,
        status => status.starts_with("configuring-"),
    }
}

fn progress(snapshot: &Snapshot, policy: &Policy, platform: Platform) -> Progress {
    match snapshot.open_episode().map(|episode| &episode.promotion) {
        None => Progress::None,
        Some(None) => Progress::Open,
        Some(Some(promotion)) => called(snapshot, policy, platform, promotion),
    }
}

/// How a call stands. Only a control plane that is idle and still names the old writer shows that nothing came
/// of it; a second call is made under another epoch, so that each epoch has one.
fn called(snapshot: &Snapshot, policy: &Policy, platform: Platform, promotion: &Promotion) -> Progress {
    let since = snapshot.now.since(promotion.at);
    let (calls_max, patience) = if promotion.passing {
        let doubled = 2_u32.saturating_pow(u32::from(promotion.number.saturating_sub(1)));
        (policy.calls_refused_max, policy.call_again_after.saturating_mul(doubled))
    } else {
        (policy.calls_lost_max, policy.call_lost_after)
    };
    let calls_left = promotion.number < calls_max;
    if promotion.refused.is_some() && !(promotion.passing && calls_left) {
        return Progress::Refused;
    }
    if calls_left && since >= patience && (platform == Platform::Idle || promotion.passing) {
        let new_epoch = snapshot.lease.as_ref().is_some_and(|lease| lease.epoch > promotion.epoch);
        return if new_epoch { Progress::Repeatable } else { Progress::Traceless };
    }
    if since > policy.promotion_deadline { Progress::Overdue } else { Progress::Promoting }
}

/// The target of a call of unknown fate: should it still take effect, another call with the same target is
/// refused by the control plane, and one with another target would flip the roles.
fn called_target(snapshot: &Snapshot, progress: Progress) -> Option<&InstanceId> {
    let promotion = snapshot.open_episode()?.promotion.as_ref()?;
    let again = matches!(progress, Progress::Traceless | Progress::Repeatable);
    promotion.only_target().filter(|_| again)
}

/// Whether a promotion for what has failed now is left, whatever the episode was opened for. A call that is made
/// again is the same promotion: it counts once.
fn budget_left(snapshot: &Snapshot, policy: &Policy, cause: WriterState) -> bool {
    let past = match snapshot.open_episode() {
        Some(open) => open.past.clone(),
        None => snapshot.episode.as_ref().map(|last| last.past_promotions(snapshot.now, policy)).unwrap_or_default(),
    };
    past.iter().filter(|promotion| promotion.cause.same_kind(cause)).count() < policy.budget
}
