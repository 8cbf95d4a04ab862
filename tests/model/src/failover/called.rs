//! What was truly called, whatever the state table says.

use super::Promise;
use super::stored::{Episode, Instance};
use crate::scale::{Scale, Ticks};

/// The calls of the open episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Called {
    /// The epochs of the leases that a call was sent under: a set of bits.
    pub epochs: u16,
    /// How many calls were sent.
    pub number: u8,
    /// The last call that was not refused: its target, and ticks since it was sent.
    pub last: Option<(Instance, Ticks)>,
}

impl Called {
    /// A call leaves. The promises that it breaks.
    pub(super) fn call(&mut self, epoch: u8, target: Instance, scale: &Scale) -> Vec<Promise> {
        let bit = 1_u16.checked_shl(epoch.into()).unwrap_or(0);
        let unsure = |broken: fn((Instance, Ticks), Instance, &Scale) -> bool| {
            self.last.is_some_and(|last| broken(last, target, scale))
        };
        let broken = [
            (self.epochs & bit != 0, Promise::OneCallPerEpoch),
            (self.number >= scale.calls_lost_max.max(scale.calls_refused_max), Promise::FewCalls),
            (unsure(|(before, _), target, _| before != target), Promise::SameTarget),
            (unsure(|(_, age), _, scale| age < scale.called_again_after()), Promise::LateEnough),
        ];
        self.epochs |= bit;
        self.number = self.number.saturating_add(1);
        self.last = Some((target, 0));
        broken.into_iter().filter_map(|(broken, promise)| broken.then_some(promise)).collect()
    }

    /// The last call was refused: nothing has happened.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// A closed episode's calls are over.
    pub(super) fn forget_closed(&mut self, written: &Episode) {
        if !written.is_open() {
            *self = Self::default();
        }
    }

    pub(super) fn age(&mut self, scale: &Scale) {
        if let Some((_, age)) = &mut self.last {
            *age = age.saturating_add(1).min(scale.call_lost_after);
        }
    }
}
