//! The steps of an episode, planned or not.
//!
//! A step judges itself from the observed world, so running one twice, crashing between two,
//! or somebody else doing it meanwhile are all the same case.

use serde::{Deserialize, Serialize};

use crate::decision::Decision;
use crate::diagnosis::WriterState;
use crate::lease::LeaseState;
use crate::mode::Mode;
use crate::rules::Verdict;
use crate::snapshot::Snapshot;
use crate::switchover::Plan;
use crate::topology::{Deployment, InstanceId};

/// A stage of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Hold the lease and have an open episode.
    Own,
    /// For a planned switchover: have nobody in a protected transaction on the writer, and nobody enter.
    Quiesce,
    /// Have the role moved: by us once, or by the platform.
    Promote,
    /// Have the gate opened again where the old writer stayed.
    Resume,
    /// Have a commit that proves that writes flow.
    Prove,
    /// Have the drainer evict sessions from the old writer.
    Evict,
    /// Have the episode closed and told.
    Close,
}

/// The steps of every episode, in order. Without a plan there is nothing to quiesce or resume.
pub const STEPS: [Step; 7] =
    [Step::Own, Step::Quiesce, Step::Promote, Step::Resume, Step::Prove, Step::Evict, Step::Close];

/// One request to the outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Take the lease; open the episode, or adopt the one that is open.
    TakeLease,
    /// Have the drainer close the gate on the writer. Once per plan.
    Quiesce {
        /// The writer.
        writer: InstanceId,
    },
    /// Have the drainer open the gate again.
    Resume {
        /// What holds it.
        hold: String,
    },
    /// Call [`crate::topology::Deployment::failover_action`] for this target. At most once per epoch.
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
            Self::Quiesce => quiesce(snapshot, decision),
            Self::Promote => promote(snapshot, decision),
            Self::Resume => resume(snapshot, decision),
            Self::Prove => prove(snapshot, decision),
            Self::Evict => evict(snapshot, decision),
            Self::Close => close(decision),
        }
    }
}

/// The first step that is not done, and what it needs. None when nothing is left.
pub fn next(snapshot: &Snapshot, decision: &Decision) -> Option<(Step, Progress)> {
    STEPS
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
        | Verdict::SwitchOver
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

/// While the plan is due, a gate that was asked for is closed and covers the call.
fn quiesce(snapshot: &Snapshot, decision: &Decision) -> Progress {
    let open = snapshot.open_episode().filter(|_| decision.verdict == Verdict::SwitchOver);
    match open.and_then(|open| Some((open, open.plan.as_ref()?))) {
        Some((open, plan)) if !plan.asked => Progress::Ready(Action::Quiesce { writer: open.old_writer.clone() }),
        Some(_) | None => Progress::Done,
    }
}

/// A gate is a lock of the old writer's: it is gone with its role.
fn resume(snapshot: &Snapshot, decision: &Decision) -> Progress {
    let stayed = decision.facts.writer == WriterState::Committing;
    let plan = snapshot.open_episode().and_then(|open| open.plan.as_ref()).filter(|_| stayed);
    match plan.and_then(Plan::to_resume) {
        Some(hold) => Progress::Ready(Action::Resume { hold: hold.to_owned() }),
        None => Progress::Done,
    }
}

fn promote(snapshot: &Snapshot, decision: &Decision) -> Progress {
    match (decision.verdict, &decision.target) {
        (Verdict::Recovered, _) => Progress::Done,
        (Verdict::FailOver | Verdict::SwitchOver, Some(target)) if has_not_called(snapshot) => {
            Progress::Ready(Action::Promote { target: target.clone() })
        }
        (Verdict::CallHuman, _) if human_is_due(snapshot, decision) => Progress::Ready(Action::CallHuman),
        (Verdict::Hold, _) => open_when_paused(snapshot, decision),
        (
            Verdict::Rest
            | Verdict::StandBy
            | Verdict::LookAgain
            | Verdict::TakeLease
            | Verdict::AwaitPlatform
            | Verdict::Observe
            | Verdict::FailOver
            | Verdict::SwitchOver
            | Verdict::WouldFailOver
            | Verdict::CallHuman,
            _,
        ) => Progress::Blocked,
    }
}

/// Whoever pauses us before the call has nobody wait at a gate that serves no purpose any more.
fn open_when_paused(snapshot: &Snapshot, decision: &Decision) -> Progress {
    let called = snapshot.open_episode().and_then(|open| open.promotion.as_ref());
    match resume(snapshot, decision) {
        ready @ Progress::Ready(_) if called.is_none_or(|promotion| promotion.refused.is_some()) => ready,
        Progress::Ready(_) | Progress::Done | Progress::Blocked => Progress::Blocked,
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

/// Behind the endpoint of a Multi-AZ DB instance there is no old writer left to evict anybody from.
fn evict(snapshot: &Snapshot, decision: &Decision) -> Progress {
    if snapshot.deployment() == Deployment::Instance {
        return Progress::Done;
    }
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
