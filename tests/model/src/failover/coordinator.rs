//! A coordinator between two of its requests to the outside: what it holds in memory.

use super::cluster::{Described, Reported};
use super::stored::{Episode, Instance, Lease, Promotion, Seen};
use crate::scale::{Scale, Ticks};
use steadfast_core::mode::Mode;

/// One coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coordinator {
    /// How far its clock is ahead of the true time.
    pub clock: Ticks,
    /// The latest description of the cluster; None when the next look describes it anew.
    pub described: Option<Described>,
    /// An intention that it has written, or may have written, and not called.
    pub uncalled: Option<Promotion>,
    /// The promotion that stood there before that intention, where it is remembered.
    pub before: Option<Promotion>,
    /// Whether it stood by when it waited last.
    pub standing_by: bool,
    /// Whether it has come to the end of a loop since the last tick; once faults have stopped, of one
    /// in which there was nothing to do but to wait.
    pub rested: bool,
    /// Where it is.
    pub at: At,
}

/// Where a coordinator is in its loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// It does not run.
    Off,
    /// At the top of its loop.
    Top(Leave),
    /// The state table has answered; nothing is decided yet.
    Loaded(View),
    /// A write is on its way to the state table.
    Writing(Write),
    /// The intention stands, and the answer that says so is on its way back.
    Intended(Intent),
    /// The time left was enough for the call, which is yet to be sent: only where a stall between
    /// the two is let in.
    Stalled(Intent),
    /// `FailoverDBCluster` was sent, that long ago.
    Calling(Intent, Ticks),
}

/// Whether it may end its run at the top of its loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leave {
    /// Only because its time is up.
    WhenTimeIsUp,
    /// Whenever it likes.
    Freely,
}

/// What follows once the action of this loop is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum After {
    /// It looks again.
    LooksAgain,
    /// It looks again or leaves.
    MayLeave,
    /// It leaves.
    Leaves,
}

/// The answer of the state table to a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The mode.
    pub mode: Mode,
    /// The lease.
    pub lease: Option<Lease>,
    /// The episode.
    pub episode: Seen,
    /// The witness reports.
    pub reported: Reported,
    /// Whether the cluster was described in this look.
    pub described_now: bool,
}

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Takes the lease, opens or adopts the episode.
    TakeLease,
    /// The intention to promote.
    Intend,
    /// Takes the intention back.
    Withhold,
    /// What came of the call.
    Answer,
    /// The proof.
    Prove,
    /// The intention to evict.
    IntendEviction,
    /// What came of that.
    AnswerEviction,
    /// The intention to call a person.
    IntendCall,
    /// What came of that.
    AnswerCall,
    /// The end.
    Close,
    /// Another rule, or the time since when the writer is gone.
    Note,
    /// A later end of the lease, at the end of a wait.
    Renew,
    /// The same, before a call or an eviction.
    RenewFirst,
    /// The lease given back.
    Release,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::TakeLease,
        Self::Intend,
        Self::Withhold,
        Self::Answer,
        Self::Prove,
        Self::IntendEviction,
        Self::AnswerEviction,
        Self::IntendCall,
        Self::AnswerCall,
        Self::Close,
        Self::Note,
        Self::Renew,
        Self::RenewFirst,
        Self::Release,
    ];
}

/// How a write stands to the lease. See [`steadfast_core::ports::Under`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Under {
    /// Only under this lease.
    Held(Lease),
    /// Only under this lease and while armed.
    Armed(Lease),
    /// Over exactly this lease.
    Changing {
        /// What was seen.
        seen: Option<Lease>,
        /// What is to stand there.
        next: Lease,
    },
}

/// A write on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// What for.
    pub purpose: Purpose,
    /// Its condition.
    pub under: Under,
    /// The episode it writes; None for the lease alone.
    pub episode: Option<Episode>,
    /// Whether the version it was made from is no longer the latest.
    pub outdated: bool,
    /// What follows.
    pub after: After,
}

/// An intention that is known to stand, with what the act and its record need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intent {
    /// The lease.
    pub lease: Lease,
    /// The episode with the intention in it.
    pub episode: Episode,
    /// Whether the version it has is no longer the latest.
    pub outdated: bool,
    /// The target of the call; None for an eviction.
    pub target: Option<Instance>,
    /// The rule that led here.
    pub rule: u16,
    /// What follows.
    pub after: After,
}

impl Coordinator {
    /// One that does not run, with its clock that far ahead.
    pub(crate) fn off(clock: Ticks) -> Self {
        Self { clock, described: None, uncalled: None, before: None, standing_by: false, rested: true, at: At::Off }
    }

    /// Whether it is in the middle of a loop and nobody else has to move first.
    pub(crate) fn is_busy(&self, scale: &Scale) -> bool {
        match self.at {
            At::Off => false,
            At::Top(_) => !self.rested,
            At::Loaded(_) | At::Writing(_) | At::Intended(_) | At::Stalled(_) => true,
            At::Calling(_, since) => since >= scale.call_limit,
        }
    }

    /// It has called, or will not.
    pub(crate) fn forget_intention(&mut self) {
        self.uncalled = None;
        self.before = None;
    }

    /// Whether dying here differs from dying at the top of the loop: something of this loop has had an
    /// effect already.
    pub(crate) fn dies_visibly(&self) -> bool {
        match &self.at {
            At::Off | At::Loaded(_) => false,
            At::Top(_) | At::Intended(_) | At::Stalled(_) | At::Calling(..) => true,
            At::Writing(write) => {
                matches!(write.purpose, Purpose::Answer | Purpose::AnswerEviction | Purpose::AnswerCall)
            }
        }
    }

    /// The lease that it acts on now.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.at {
            At::Off | At::Top(_) => None,
            At::Loaded(view) => view.lease.as_ref(),
            At::Writing(write) => match &write.under {
                Under::Held(lease) | Under::Armed(lease) => Some(lease),
                Under::Changing { seen, .. } => seen.as_ref(),
            },
            At::Intended(intent) | At::Stalled(intent) | At::Calling(intent, _) => Some(&intent.lease),
        }
    }

    /// Whether the next look describes the cluster anew.
    fn is_description_due(&self, described: Described, scale: &Scale) -> bool {
        let pace = if self.standing_by { scale.describe_every_standing_by } else { scale.describe_every };
        self.clock - described.at >= pace
    }

    /// A description that is due to be replaced and not in use makes no difference any more.
    pub(crate) fn drop_due_description(&mut self, scale: &Scale) {
        let in_use = matches!(self.at, At::Loaded(_));
        if !in_use && self.described.is_some_and(|seen| self.is_description_due(seen, scale)) {
            self.described = None;
        }
    }

    pub(crate) fn age(&mut self, scale: &Scale) {
        self.rested = false;
        if let Some(described) = &mut self.described {
            described.age(scale);
        }
        self.uncalled.iter_mut().chain(&mut self.before).for_each(|promotion| promotion.age(scale));
        match &mut self.at {
            At::Off | At::Top(_) => {}
            At::Loaded(view) => view.age(scale),
            At::Writing(write) => write.age(scale),
            At::Intended(intent) | At::Stalled(intent) => intent.age(scale),
            At::Calling(intent, since) => {
                intent.age(scale);
                *since = since.saturating_add(1).min(scale.call_limit);
            }
        }
    }

    /// The run in `place` has ended.
    pub(crate) fn forget(&mut self, place: u8) {
        match &mut self.at {
            At::Off | At::Top(_) => {}
            At::Loaded(view) => view.lease.iter_mut().for_each(|lease| lease.forget(place)),
            At::Writing(write) => write.forget(place),
            At::Intended(intent) | At::Stalled(intent) | At::Calling(intent, _) => intent.lease.forget(place),
        }
    }

    /// Another version of the episode has been written.
    pub(crate) fn outdate(&mut self) {
        match &mut self.at {
            At::Off | At::Top(_) => {}
            At::Loaded(view) => view.episode.outdated = true,
            At::Writing(write) => write.outdate(),
            At::Intended(intent) | At::Stalled(intent) | At::Calling(intent, _) => intent.outdated = true,
        }
    }
}

impl View {
    fn age(&mut self, scale: &Scale) {
        self.lease.iter_mut().for_each(|lease| lease.age(scale));
        self.episode.age(scale);
        self.reported.age(scale);
    }

    /// The open episode.
    pub fn open(&self) -> Option<&Episode> {
        self.episode.episode.as_ref().filter(|episode| episode.is_open())
    }
}

impl Write {
    pub(crate) fn age(&mut self, scale: &Scale) {
        match &mut self.under {
            Under::Held(lease) | Under::Armed(lease) => lease.age(scale),
            Under::Changing { seen, next } => {
                seen.iter_mut().for_each(|lease| lease.age(scale));
                next.age(scale);
            }
        }
        self.episode.iter_mut().for_each(|episode| episode.age(scale));
    }

    pub(crate) fn forget(&mut self, place: u8) {
        match &mut self.under {
            Under::Held(lease) | Under::Armed(lease) => lease.forget(place),
            Under::Changing { seen, next } => {
                seen.iter_mut().for_each(|lease| lease.forget(place));
                next.forget(place);
            }
        }
    }

    pub(crate) fn outdate(&mut self) {
        self.outdated = self.episode.is_some();
    }
}

impl Intent {
    fn age(&mut self, scale: &Scale) {
        self.lease.age(scale);
        self.episode.age(scale);
    }
}
