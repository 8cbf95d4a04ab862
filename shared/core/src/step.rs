//! The steps of an unplanned failover.
//!
//! A step judges itself from the observed world, so running one twice, crashing between two,
//! or somebody else doing it meanwhile are all the same case.

use serde::{Deserialize, Serialize};

use crate::decision::Decision;
use crate::lease::LeaseState;
use crate::mode::Mode;
use crate::rules::Verdict;
use crate::snapshot::Snapshot;
use crate::topology::InstanceId;

/// A stage of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Hold the lease and have an open episode.
    Own,
    /// Have the role moved: by us once, or by the platform.
    Promote,
    /// Have a commit that proves that writes flow.
    Prove,
    /// Have the drainer evict sessions from the old writer.
    Evict,
    /// Have the episode closed and told.
    Close,
}

/// The steps of an unplanned failover, in order.
pub const UNPLANNED: [Step; 5] = [Step::Own, Step::Promote, Step::Prove, Step::Evict, Step::Close];

/// One request to the outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Take the lease; open the episode, or adopt the one that is open.
    TakeLease,
    /// Call `FailoverDBCluster` with this explicit target. At most once per epoch.
    Promote {
        /// The instance to promote.
        target: InstanceId,
    },
    /// Write down that a commit on this instance proved the recovery.
    RecordProof {
        /// The instance that commits.
        writer: InstanceId,
    },
    /// Ask the drainer to end read-write sessions on the demoted instance.
    Evict {
        /// The old writer.
        demoted: InstanceId,
    },
    /// Close the episode and give the lease back.
    Close {
        /// The instance that commits.
        writer: InstanceId,
    },
    /// Tell a person, once per rule and episode.
    CallHuman,
}

/// What a step makes of the observed world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The world is as the step wants it.
    Done,
    /// This one action brings it on.
    Ready(Action),
    /// Wait, or give up for now; the decision's sentence says why.
    Blocked,
}

impl Step {
    /// Judges the step from what is seen and decided now.
    pub fn progress(self, snapshot: &Snapshot, decision: &Decision) -> Progress {
        match self {
            Self::Own => own(snapshot, decision),
            Self::Promote => promote(snapshot, decision),
            Self::Prove => prove(snapshot, decision),
            Self::Evict => evict(snapshot, decision),
            Self::Close => close(decision),
        }
    }
}

/// The first step that is not done, and what it needs. None when nothing is left.
pub fn next(snapshot: &Snapshot, decision: &Decision) -> Option<(Step, Progress)> {
    UNPLANNED
        .into_iter()
        .map(|step| (step, step.progress(snapshot, decision)))
        .find(|(_, progress)| *progress != Progress::Done)
}

fn own(snapshot: &Snapshot, decision: &Decision) -> Progress {
    match decision.verdict {
        Verdict::TakeLease => Progress::Ready(Action::TakeLease),
        Verdict::Rest
        | Verdict::Hold
        | Verdict::StandBy
        | Verdict::LookAgain
        | Verdict::AwaitPlatform
        | Verdict::Observe
        | Verdict::FailOver
        | Verdict::WouldFailOver
        | Verdict::Recovered
        | Verdict::CallHuman => {
            if decision.facts.lease == LeaseState::Ours && snapshot.open_episode().is_some() {
                Progress::Done
            } else {
                Progress::Blocked
            }
        }
    }
}

fn promote(snapshot: &Snapshot, decision: &Decision) -> Progress {
    match (decision.verdict, &decision.target) {
        (Verdict::Recovered, _) => Progress::Done,
        (Verdict::FailOver, Some(target)) if has_not_called(snapshot) => {
            Progress::Ready(Action::Promote { target: target.clone() })
        }
        (Verdict::CallHuman, _) if human_is_due(snapshot, decision) => Progress::Ready(Action::CallHuman),
        (
            Verdict::Rest
            | Verdict::Hold
            | Verdict::StandBy
            | Verdict::LookAgain
            | Verdict::TakeLease
            | Verdict::AwaitPlatform
            | Verdict::Observe
            | Verdict::FailOver
            | Verdict::WouldFailOver
            | Verdict::CallHuman,
            _,
        ) => Progress::Blocked,
    }
}

/// Whether nothing has been called under the present epoch. Keeps invariant 2.
fn has_not_called(snapshot: &Snapshot) -> bool {
    snapshot.open_episode().zip(snapshot.lease.as_ref()).is_some_and(|(episode, lease)| {
        episode.promotion.as_ref().is_none_or(|promotion| promotion.epoch < lease.epoch)
    })
}

fn human_is_due(snapshot: &Snapshot, decision: &Decision) -> bool {
    snapshot.open_episode().is_some_and(|episode| !episode.human_called.contains(&decision.rule))
}

fn prove(snapshot: &Snapshot, decision: &Decision) -> Progress {
    if snapshot.open_episode().is_some_and(|episode| episode.proved_at.is_some()) {
        return Progress::Done;
    }
    match &decision.diagnosis.committed {
        Some((writer, _)) => Progress::Ready(Action::RecordProof { writer: writer.clone() }),
        None => Progress::Blocked,
    }
}

fn evict(snapshot: &Snapshot, decision: &Decision) -> Progress {
    match (snapshot.open_episode(), &decision.diagnosis.committed) {
        (Some(episode), Some((writer, _)))
            if snapshot.mode == Mode::Armed && !episode.evicted && *writer != episode.old_writer =>
        {
            Progress::Ready(Action::Evict { demoted: episode.old_writer.clone() })
        }
        (Some(_) | None, _) => Progress::Done,
    }
}

fn close(decision: &Decision) -> Progress {
    match &decision.diagnosis.committed {
        Some((writer, _)) => Progress::Ready(Action::Close { writer: writer.clone() }),
        None => Progress::Blocked,
    }
}
