//! Who may act: a lease with the epoch as fencing token.
//!
//! The state table applies these transitions as conditional writes; nothing else may change a lease.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::time::Timestamp;
use crate::topology::Owner;

/// The lease as it stands in the state table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it.
    pub owner: Owner,
    /// The fencing token: one more at every change of owner, never less.
    pub epoch: u64,
    /// Until when, by the owner's clock.
    pub expires_at: Timestamp,
}

/// What the lease means to one coordinator now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Nobody holds it, or it has run out.
    Free,
    /// We hold it, with enough time left for one call.
    Ours,
    /// Somebody else holds it.
    Theirs,
}

impl LeaseState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Free, Self::Ours, Self::Theirs];
}

impl Lease {
    /// What `lease` means to `me` at `now`.
    ///
    /// The owner stops believing in it `clock_skew_max` before it ends, everybody else
    /// `clock_skew_max` after, so two never hold it at once while clocks keep the bound.
    pub fn state(lease: Option<&Self>, me: &Owner, now: Timestamp, policy: &Policy) -> LeaseState {
        match lease {
            None => LeaseState::Free,
            Some(lease) if lease.owner == *me && now.plus(policy.clock_skew_max) < lease.expires_at => LeaseState::Ours,
            Some(lease) if lease.is_over(now, policy.clock_skew_max) => LeaseState::Free,
            Some(_) => LeaseState::Theirs,
        }
    }

    /// Whether anybody may take it at `now`.
    pub fn is_over(&self, now: Timestamp, skew: Duration) -> bool {
        self.expires_at.plus(skew) <= now
    }

    /// The lease that `me` may try to write over `current`; None while another holds it.
    ///
    /// Also for an owner whose own lease ran short: a new epoch, since others may have acted. The
    /// epoch is above `epoch_used`, the latest episode's, too: somebody may have deleted the lease.
    pub fn taken(current: Option<&Self>, epoch_used: u64, me: &Owner, now: Timestamp, policy: &Policy) -> Option<Self> {
        match current {
            Some(lease) if lease.owner != *me && !lease.is_over(now, policy.clock_skew_max) => None,
            Some(lease) => Some(Self::fresh(me, lease.epoch.max(epoch_used).saturating_add(1), now, policy)),
            None => Some(Self::fresh(me, epoch_used.saturating_add(1), now, policy)),
        }
    }

    /// The same lease with a later end. None once it has run short: then it must be taken anew.
    pub fn renewed(&self, me: &Owner, now: Timestamp, policy: &Policy) -> Option<Self> {
        (Self::state(Some(self), me, now, policy) == LeaseState::Ours).then(|| Self::fresh(me, self.epoch, now, policy))
    }

    /// The lease given back: it ends now, and its epoch stays used.
    pub fn released(&self) -> Self {
        Self { owner: self.owner.clone(), epoch: self.epoch, expires_at: Timestamp::default() }
    }

    fn fresh(me: &Owner, epoch: u64, now: Timestamp, policy: &Policy) -> Self {
        Self { owner: me.clone(), epoch, expires_at: now.plus(policy.lease_ttl) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        Owner::new(name)
    }

    #[test]
    fn a_free_lease_is_taken_with_a_higher_epoch() {
        let policy = Policy::default();
        let now = Timestamp::from_millis(1_000_000);
        let first = Lease::taken(None, 0, &owner("a"), now, &policy).expect("free");
        assert_eq!(first.epoch, 1);
        assert_eq!(Lease::taken(Some(&first), 0, &owner("b"), now, &policy), None);
        let later = first.expires_at.plus(policy.clock_skew_max);
        let second = Lease::taken(Some(&first), 0, &owner("b"), later, &policy).expect("run out");
        assert_eq!(second.epoch, 2);
    }

    #[test]
    fn two_owners_never_believe_in_it_at_once_within_the_skew() {
        let policy = Policy::default();
        let taken = Timestamp::from_millis(5_000_000);
        let lease = Lease::taken(None, 0, &owner("a"), taken, &policy).expect("free");
        let skew = i64::try_from(policy.clock_skew_max.as_millis()).expect("small");
        for elapsed_ms in 0..30_000_u64 {
            for drift in [-skew, 0, skew] {
                let mine = taken.plus(Duration::from_millis(elapsed_ms));
                let theirs = Timestamp::from_millis(mine.as_millis().checked_add_signed(drift).expect("late enough"));
                let ours = Lease::state(Some(&lease), &owner("a"), mine, &policy) == LeaseState::Ours;
                let free = Lease::state(Some(&lease), &owner("b"), theirs, &policy) == LeaseState::Free;
                assert!(!(ours && free), "both at {elapsed_ms} ms with a drift of {drift} ms");
            }
        }
    }

    #[test]
    fn a_released_lease_keeps_its_epoch_used() {
        let policy = Policy::default();
        let now = Timestamp::from_millis(9_000_000);
        let lease = Lease::taken(None, 0, &owner("a"), now, &policy).expect("free");
        let next = Lease::taken(Some(&lease.released()), 0, &owner("b"), now, &policy).expect("released");
        assert_eq!(next.epoch, 2);
    }

    #[test]
    fn a_deleted_lease_does_not_bring_an_epoch_back() {
        let policy = Policy::default();
        let lease = Lease::taken(None, 7, &owner("a"), Timestamp::from_millis(9_000_000), &policy).expect("free");
        assert_eq!(lease.epoch, 8);
    }

    #[test]
    fn a_lease_that_ran_short_is_not_renewed() {
        let policy = Policy::default();
        let now = Timestamp::from_millis(9_000_000);
        let lease = Lease::taken(None, 0, &owner("a"), now, &policy).expect("free");
        assert!(lease.renewed(&owner("a"), now, &policy).is_some());
        assert!(lease.renewed(&owner("b"), now, &policy).is_none());
        assert!(lease.renewed(&owner("a"), lease.expires_at, &policy).is_none());
    }

    #[test]
    fn the_owner_stops_believing_before_the_end_and_everybody_else_begins_after_it() {
        let policy = Policy::default();
        let taken = Timestamp::from_millis(5_000_000);
        let lease = Lease::taken(None, 0, &owner("a"), taken, &policy).expect("free");
        let (end, skew, tick) = (lease.expires_at, policy.clock_skew_max, Duration::from_millis(1));
        let seen = |who: &str, now| Lease::state(Some(&lease), &owner(who), now, &policy);
        assert_eq!(seen("a", end.minus(skew).minus(tick)), LeaseState::Ours);
        assert_eq!(seen("a", end.minus(skew)), LeaseState::Theirs);
        assert_eq!(seen("b", end.plus(skew).minus(tick)), LeaseState::Theirs);
        assert_eq!(seen("b", end.plus(skew)), LeaseState::Free);
    }

    #[test]
    fn an_epoch_rises_above_both_the_lease_and_what_episodes_have_used() {
        let policy = Policy::default();
        let now = Timestamp::from_millis(9_000_000);
        let ended = Lease { owner: owner("a"), epoch: 3, expires_at: Timestamp::default() };
        assert_eq!(Lease::taken(Some(&ended), 9, &owner("b"), now, &policy).expect("over").epoch, 10);
        assert_eq!(Lease::taken(Some(&ended), 1, &owner("b"), now, &policy).expect("over").epoch, 4);
    }
}
