//! What the facts mean: the state of the writer, by a quorum of Availability Zones.

use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;
use crate::topology::{Az, Deployment, InstanceId};
use crate::witness::{Outcome, WitnessReport};

/// What a quorum of witnesses makes of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriterState {
    /// Canary commits are acknowledged.
    Committing,
    /// Another instance acknowledges canary commits: the role has moved.
    Moved,
    /// Host or server is gone.
    Dead,
    /// Connected but mute for longer than `silent_after`.
    Silent,
    /// Reads answered, commits standing still for longer than `stalled_after`.
    Stalled,
    /// It says itself that it is starting up.
    Restarting,
    /// It answers as a reader or refuses writes, and no other instance commits.
    Demoted,
    /// Alive, all connections taken.
    Saturated,
    /// Every witness's password is refused.
    BadCredentials,
    /// It cannot write for want of space.
    DiskFull,
    /// It answers, but with an error that no rule knows, or the custom check fails.
    Failing,
    /// A quorum of witnesses reports, and none sees any instance at all; of a Multi-AZ DB instance, none has an address
    /// to try.
    Dark,
    /// Something is wrong, but fewer than a quorum say so, or not long enough.
    Suspected,
    /// Too few fresh and seeing witnesses to say anything.
    Unknown,
}

impl WriterState {
    /// All states.
    pub const ALL: [Self; 14] = [
        Self::Committing,
        Self::Moved,
        Self::Dead,
        Self::Silent,
        Self::Stalled,
        Self::Restarting,
        Self::Demoted,
        Self::Saturated,
        Self::BadCredentials,
        Self::DiskFull,
        Self::Failing,
        Self::Dark,
        Self::Suspected,
        Self::Unknown,
    ];

    /// Failures that the platform sees as well, and usually mends by itself.
    pub fn is_gone(self) -> bool {
        matches!(self, Self::Dead | Self::Restarting | Self::Demoted | Self::Dark)
    }

    /// Failures of one kind share the anti-flap budget.
    pub fn same_kind(self, other: Self) -> bool {
        self == other || self.is_gone() && other.is_gone() || self.is_gray() && other.is_gray()
    }

    /// Failures that only witnesses see.
    fn is_gray(self) -> bool {
        matches!(self, Self::Silent | Self::Stalled)
    }
}

/// What one witness says of the presumed writer, and whether it counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The witness.
    pub az: Az,
    /// What it saw.
    pub outcome: Outcome,
    /// Since when.
    pub since: Timestamp,
    /// Age of its report in milliseconds.
    pub age_ms: u64,
    /// Why it did not count.
    pub ignored: Option<Ignored>,
}

/// Why a vote did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ignored {
    /// The report is older than `report_age_max`.
    Stale,
    /// The witness sees no instance at all: the fault is its own.
    Blind,
    /// It has not looked at this instance, or its probe says nothing about it.
    Abstained,
}

/// The meaning of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The instance in question.
    pub presumed: Option<InstanceId>,
    /// What became of it.
    pub writer: WriterState,
    /// Since when a quorum has seen it so.
    pub since: Option<Timestamp>,
    /// The instance that acknowledged a commit, and when: the only proof of recovery.
    pub committed: Option<(InstanceId, Timestamp)>,
    /// What each witness said.
    pub votes: Vec<Vote>,
}

/// Reads the writer's state out of the witness reports.
pub fn diagnose(snapshot: &Snapshot, policy: &Policy) -> Diagnosis {
    let presumed = snapshot.presumed_writer(policy);
    let votes: Vec<Vote> = presumed
        .iter()
        .flat_map(|writer| snapshot.reports.iter().map(|report| vote(snapshot, policy, report, writer)))
        .collect();
    let committed = latest_commit(snapshot, policy);
    let moved = matches!((&presumed, &committed), (Some(presumed), Some((writer, _))) if writer != presumed);
    let (writer, since) = if moved {
        (WriterState::Moved, committed.as_ref().map(|(_, at)| *at))
    } else {
        match tally(snapshot, policy, &votes) {
            (WriterState::Committing, _) if committed.is_none() => (WriterState::Suspected, None),
            named => named,
        }
    };
    Diagnosis { presumed, writer, since, committed, votes }
}

fn vote(snapshot: &Snapshot, policy: &Policy, report: &WitnessReport, writer: &InstanceId) -> Vote {
    let sighting = report.sighting(writer);
    let outcome = sighting.map_or(Outcome::Unknown, |sighting| sighting.outcome);
    let age = snapshot.now.since(report.at);
    let ignored = if !snapshot.is_fresh(report, policy) {
        Some(Ignored::Stale)
    } else if snapshot.is_blind(report) {
        Some(Ignored::Blind)
    } else if matches!(outcome, Outcome::Unknown | Outcome::Unresolved) {
        Some(Ignored::Abstained)
    } else {
        None
    };
    Vote {
        az: report.az.clone(),
        outcome,
        since: sighting.map_or(report.at, |sighting| sighting.since),
        age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        ignored,
    }
}

/// The latest acknowledged commit any counted witness reports on an instance it sees committing.
///
/// A commit from before the open episode's failure proves nothing and is left out. Keeps invariant 7.
fn latest_commit(snapshot: &Snapshot, policy: &Policy) -> Option<(InstanceId, Timestamp)> {
    let after = snapshot.open_episode().map_or(Timestamp::default(), |episode| episode.failed_since);
    snapshot
        .counted_reports(policy)
        .flat_map(|report| &report.sightings)
        .filter(|sighting| sighting.outcome == Outcome::Committing)
        .filter_map(|sighting| Some((sighting.instance.clone(), sighting.committed_at?)))
        .filter(|(_, at)| *at > after)
        .max_by_key(|(_, at)| *at)
}

fn tally(snapshot: &Snapshot, policy: &Policy, votes: &[Vote]) -> (WriterState, Option<Timestamp>) {
    let counted: Vec<&Vote> = votes.iter().filter(|vote| vote.ignored.is_none()).collect();
    if counted.len() < policy.quorum {
        return if counted.is_empty() { in_the_dark(votes, policy.quorum) } else { (WriterState::Unknown, None) };
    }
    if is_disproved(snapshot, &counted) {
        return named_by_quorum(&counted, policy.quorum, true);
    }
    if let Some(since) = agreed(&counted, policy.quorum, Dying::Dead) {
        return (WriterState::Dead, Some(since));
    }
    let mut premature = false;
    for (state, dying, patience) in [
        (WriterState::Silent, Dying::Silent, policy.silent_after),
        (WriterState::Stalled, Dying::Stalled, policy.stalled_after),
    ] {
        if let Some(since) = agreed(&counted, policy.quorum, dying) {
            if snapshot.now.since(since) >= patience {
                return (state, Some(since));
            }
            premature = true;
        }
    }
    if premature {
        return (WriterState::Suspected, None);
    }
    named_by_quorum(&counted, policy.quorum, false)
}

/// Whether one commit disproves that the writer has failed, whatever a quorum does not see. So it is for a Multi-AZ DB
/// instance: nothing else tells two zones that are cut off from a dead writer.
fn is_disproved(snapshot: &Snapshot, counted: &[&Vote]) -> bool {
    snapshot.deployment() == Deployment::Instance && counted.iter().any(|vote| vote.outcome == Outcome::Committing)
}

/// What it means that no witness sees anything: the whole cluster, or too few who look.
fn in_the_dark(votes: &[Vote], quorum: usize) -> (WriterState, Option<Timestamp>) {
    let mut since: Vec<Timestamp> =
        votes.iter().filter(|vote| vote.ignored == Some(Ignored::Blind)).map(|vote| vote.since).collect();
    since.sort_unstable();
    match quorum.checked_sub(1).and_then(|last| since.get(last)) {
        Some(since) => (WriterState::Dark, Some(*since)),
        None => (WriterState::Unknown, None),
    }
}

/// How strict a reading of "it does not serve" is.
#[derive(Clone, Copy)]
enum Dying {
    /// Only what a dead host or server shows.
    Dead,
    /// Also a mute connection.
    Silent,
    /// Also commits that stand still.
    Stalled,
}

/// Since when a quorum has agreed on this reading: the time of the last one needed. Keeps invariant 5.
fn agreed(votes: &[&Vote], quorum: usize, dying: Dying) -> Option<Timestamp> {
    let mut since: Vec<Timestamp> = votes
        .iter()
        .filter(|vote| match (vote.outcome, dying) {
            (Outcome::Unreachable | Outcome::Refused, _)
            | (Outcome::Silent, Dying::Silent | Dying::Stalled)
            | (Outcome::Stalled, Dying::Stalled) => true,
            (
                Outcome::Committing
                | Outcome::Reading
                | Outcome::Stalled
                | Outcome::Silent
                | Outcome::Restarting
                | Outcome::ReadOnly
                | Outcome::Saturated
                | Outcome::BadCredentials
                | Outcome::DiskFull
                | Outcome::CheckFailed
                | Outcome::Unresolved
                | Outcome::Failed
                | Outcome::Unknown,
                _,
            ) => false,
        })
        .map(|vote| vote.since)
        .collect();
    since.sort_unstable();
    since.get(quorum.checked_sub(1)?).copied()
}

/// The state that a quorum names in so many words, else what the votes together allow to say.
fn named_by_quorum(counted: &[&Vote], quorum: usize, disproved: bool) -> (WriterState, Option<Timestamp>) {
    // One commit disproves what any number of witnesses say of its role.
    let commits = counted.iter().any(|vote| vote.outcome == Outcome::Committing);
    for (state, outcomes) in [
        (WriterState::Committing, &[Outcome::Committing][..]),
        (WriterState::Restarting, &[Outcome::Restarting, Outcome::Refused, Outcome::Unreachable][..]),
        (WriterState::Demoted, &[Outcome::Reading, Outcome::ReadOnly][..]),
        (WriterState::Saturated, &[Outcome::Saturated][..]),
        (WriterState::BadCredentials, &[Outcome::BadCredentials][..]),
        (WriterState::DiskFull, &[Outcome::DiskFull][..]),
        (WriterState::Failing, &[Outcome::CheckFailed, Outcome::Failed][..]),
    ] {
        let mut since: Vec<Timestamp> =
            counted.iter().filter(|vote| outcomes.contains(&vote.outcome)).map(|vote| vote.since).collect();
        since.sort_unstable();
        if let Some(since) = quorum.checked_sub(1).and_then(|last| since.get(last))
            && !(commits && state == WriterState::Demoted)
            && !(disproved && state == WriterState::Restarting)
        {
            return (state, Some(*since));
        }
    }
    (WriterState::Suspected, None)
}
