//! What stands in the state table, small enough to be compared by the million.

use steadfast_core::mode::Mode;

use crate::scale::{Scale, Ticks, aged};

/// An instance of the cluster, by its place in the description.
pub type Instance = u8;

/// Who holds a lease: a coordinator that runs now, by its place, or one that runs no more.
///
/// No two runs of a coordinator share a name. Those that are gone need none: the epoch tells their
/// leases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// The coordinator in this place, in the run it is in now.
    Runs(u8),
    /// A run that ended.
    Gone,
}

/// A lease. See [`steadfast_core::lease::Lease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Its owner.
    pub owner: Who,
    /// Its epoch.
    pub epoch: u8,
    /// Its end by the owner's clock; None once it is given back.
    pub ends: Option<Ticks>,
}

/// The intention to promote. See [`steadfast_core::episode::Promotion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Promotion {
    /// The target.
    pub target: Instance,
    /// The epoch of the lease it was written under.
    pub epoch: u8,
    /// When, by its writer's clock.
    pub at: Ticks,
    /// Whether the control plane refused the call.
    pub refused: bool,
    /// Whether for a reason that passes.
    pub passing: bool,
    /// Which call of the episode this is.
    pub number: u8,
    /// The target of an earlier call whose fate is unknown.
    pub bound: Option<Instance>,
}

/// An episode. See [`steadfast_core::episode::Episode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Episode {
    /// The epoch it was opened under.
    pub epoch: u8,
    /// The writer that failed.
    pub old_writer: Instance,
    /// The latest promotion.
    pub promotion: Option<Promotion>,
    /// Since when the writer has been gone.
    pub gone_since: Option<Ticks>,
    /// Whether a commit proved the recovery.
    pub proved: bool,
    /// Whether the drainer was asked.
    pub evicted: bool,
    /// The rules for which a person was called: a set, see [`super::look::told_bit`].
    pub told: u32,
    /// The rule recorded last.
    pub rule: u16,
    /// The instance whose commit closed it.
    pub closed: Option<Instance>,
}

/// The state table of one cluster. Versions are kept where they are compared: whoever saw an older
/// one is marked, see [`Seen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    /// What the operator allows.
    pub mode: Mode,
    /// The lease.
    pub lease: Option<Lease>,
    /// The latest episode.
    pub episode: Option<Episode>,
}

/// An episode as somebody saw it, or None; and whether another version has been written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The episode, or that there was none.
    pub episode: Option<Episode>,
    /// Whether the table holds another version by now.
    pub outdated: bool,
}

impl Lease {
    pub(crate) fn age(&mut self, scale: &Scale) {
        if let Some(ends) = &mut self.ends {
            *ends = aged(*ends, scale.lease_floor());
        }
    }

    /// The run in `place` has ended: its name will never be used again.
    pub(crate) fn forget(&mut self, place: u8) {
        if self.owner == Who::Runs(place) {
            self.owner = Who::Gone;
        }
    }

    /// Whether `self` in the table satisfies a write that names `seen`: a renewal may have moved the
    /// end, nothing else may have changed.
    pub(crate) fn stands_for(&self, seen: &Self) -> bool {
        self.owner == seen.owner && self.epoch == seen.epoch && self.ends >= seen.ends
    }
}

impl Promotion {
    pub(crate) fn age(&mut self, scale: &Scale) {
        self.at = aged(self.at, scale.promotion_floor());
    }
}

impl Episode {
    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    pub(crate) fn age(&mut self, scale: &Scale) {
        if let Some(promotion) = &mut self.promotion {
            promotion.age(scale);
        }
        if let Some(since) = &mut self.gone_since {
            *since = aged(*since, scale.failure_floor());
        }
    }
}

impl Table {
    /// The open episode.
    pub fn open(&self) -> Option<&Episode> {
        self.episode.as_ref().filter(|episode| episode.is_open())
    }

    pub(crate) fn age(&mut self, scale: &Scale) {
        if let Some(lease) = &mut self.lease {
            lease.age(scale);
        }
        if let Some(episode) = &mut self.episode {
            episode.age(scale);
        }
    }
}

impl Seen {
    pub(crate) fn age(&mut self, scale: &Scale) {
        if let Some(episode) = &mut self.episode {
            episode.age(scale);
        }
    }
}
