//! What is promised, and what must be possible for the promises to mean anything.

use stateright::Property;
use steadfast_core::lease::LeaseState;
use steadfast_core::mode::Mode;

use super::cluster::Health;
use super::coordinator::At;
use super::look::lease_state;
use super::stored::Who;
use super::turn::place;
use super::{Failover, State};

/// The promises that are judged when something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// P1: no call is made over a failover that had begun before the lease was taken.
    OneFailover,
    /// P2: at most one call under each epoch of the lease.
    OneCallPerEpoch,
    /// P2: no more calls in an episode than the policy allows.
    FewCalls,
    /// P2: a call of unknown fate is repeated with the same target.
    SameTarget,
    /// P2: and not too soon, see [`crate::scale::Scale::called_again_after`].
    LateEnough,
    /// P3.
    IntentionFirst,
    /// P4.
    CallUnderLease,
    /// P4, for the eviction.
    EvictionUnderLease,
    /// P4, for the intention.
    IntentionUnderLease,
    /// P5.
    NothingWhilePaused,
}

impl Promise {
    pub(super) fn bit(self) -> u16 {
        1 << self as u8
    }
}

fn kept(state: &State, promise: Promise) -> bool {
    state.broken & promise.bit() == 0
}

/// P1: never two calls of ours on their way, nor one while a failover that we called is in progress,
/// nor one whose episode is closed.
fn one_failover(state: &State) -> bool {
    let ours = state.cluster.moving.is_some_and(|moving| moving.ours);
    let outlived = !state.calls.is_empty() && state.table.open().is_none();
    state.calls.len() + usize::from(ours) <= 1 && !outlived && kept(state, Promise::OneFailover)
}

/// P2: an episode in which a call was made that was not refused has its promotion.
fn known_calls(_: &Failover, state: &State) -> bool {
    state.called.unsure().is_none() || state.table.open().is_none_or(|open| open.promotion.is_some())
}

/// P6: at most one coordinator believes that the lease is its own.
fn one_owner(model: &Failover, state: &State) -> bool {
    let policy = model.believed().policy();
    let believes = |(me, coordinator): &(usize, &super::Coordinator)| {
        let lease = coordinator.lease().filter(|lease| lease.owner == Who::Runs(place(*me)));
        lease_state(lease, place(*me), coordinator.clock, &policy) == LeaseState::Ours
    };
    state.coordinators.iter().enumerate().filter(believes).count() <= 1
}

/// P9: within the bound after the last fault, a commit has ended the episode, or a person knows.
fn comes_to_an_end(model: &Failover, state: &State) -> bool {
    let in_time = state.calm.is_none() || state.calm < model.calm;
    let ended = state.table.open().is_none() && state.cluster.health == Health::Committing;
    let told = state.table.open().is_some_and(|open| open.told != 0);
    in_time || ended || told || state.table.mode != Mode::Armed
}

/// A call of ours moved the writer role, and the episode is closed.
fn our_failover_ends_an_episode(_: &Failover, state: &State) -> bool {
    state.table.episode.is_some_and(|episode| {
        episode.closed.is_some() && episode.closed == episode.promotion.map(|promotion| promotion.target)
    })
}

/// Somebody waits for the answer to a call, and the lease is no longer its own.
fn a_lease_is_lost_while_its_call_is_unanswered(_: &Failover, state: &State) -> bool {
    state.coordinators.iter().enumerate().any(|(me, coordinator)| {
        let lost = state.table.lease.is_some_and(|lease| lease.owner != Who::Runs(place(me)));
        lost && matches!(coordinator.at, At::Calling(..))
    })
}

/// An episode is closed under a later lease than it was opened under.
fn an_adopted_episode_is_closed(_: &Failover, state: &State) -> bool {
    let closed = state.table.episode.filter(|episode| !episode.is_open());
    closed.zip(state.table.lease).is_some_and(|(closed, lease)| lease.epoch > closed.epoch && lease.ends.is_none())
}

/// An intention stands without its call, and its author is gone.
fn an_intention_outlives_its_author(_: &Failover, state: &State) -> bool {
    let gone = state.table.lease.is_some_and(|lease| lease.owner == Who::Gone);
    gone && state.table.open().is_some_and(|open| open.promotion.is_some() && state.called.number == 0)
}

pub(super) fn properties() -> Vec<Property<Failover>> {
    vec![
        Property::always("P1 never two failovers in flight", |_, state| one_failover(state)),
        Property::always("P2 one call per epoch", |_, state| kept(state, Promise::OneCallPerEpoch)),
        Property::always("P2 repeated late enough", |_, state| kept(state, Promise::LateEnough)),
        Property::always("P2 few calls per episode", |_, state| kept(state, Promise::FewCalls)),
        Property::always("P2 repeated with the same target", |_, state| kept(state, Promise::SameTarget)),
        Property::always("P2 a call that was made is known", known_calls),
        Property::always("P3 no call without its intention", |_, state| kept(state, Promise::IntentionFirst)),
        Property::always("P4 no call but under a lease that stands", |_, state| {
            let under = [Promise::CallUnderLease, Promise::EvictionUnderLease, Promise::IntentionUnderLease];
            under.into_iter().all(|promise| kept(state, promise))
        }),
        Property::always("P5 no intention unless armed", |_, state| kept(state, Promise::NothingWhilePaused)),
        Property::always("P6 one owner", one_owner),
        Property::always("P9 comes to its end", comes_to_an_end),
        Property::sometimes("our failover ends an episode", our_failover_ends_an_episode),
        Property::sometimes(
            "a lease is lost while its call is unanswered",
            a_lease_is_lost_while_its_call_is_unanswered,
        ),
        Property::sometimes("an adopted episode is closed by another", an_adopted_episode_is_closed),
        Property::sometimes("an intention outlives its author uncalled", an_intention_outlives_its_author),
    ]
}
