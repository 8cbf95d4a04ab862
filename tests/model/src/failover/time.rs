//! The passing of time, and what no longer makes a difference.

use super::coordinator::{At, Under};
use super::{Failover, State};

impl Failover {
    /// Whether time may pass: nothing that has a limit has reached it. Once faults have stopped,
    /// nobody dawdles either.
    pub(super) fn may_tick(&self, state: &State) -> bool {
        let on_the_way = self.scale.call_limit + self.beyond.slow_call;
        let calls = state.calls.iter().all(|call| call.age < on_the_way);
        let failover = state.cluster.moving.is_none_or(|moving| moving.age < self.scale.failover_time);
        let stalls = usize::from(state.left.stalls) >= self.busy(state);
        calls && failover && stalls && (state.calm.is_none() || everybody_has_rested(state))
    }

    fn busy(&self, state: &State) -> usize {
        state.coordinators.iter().filter(|coordinator| coordinator.is_busy(&self.scale)).count()
    }

    /// A tick later.
    pub(super) fn tick(&self, state: &mut State) {
        let stalls = u8::try_from(self.busy(state)).unwrap_or(u8::MAX);
        state.left.stalls = state.left.stalls.saturating_sub(stalls);
        state.table.age(&self.scale);
        state.cluster.age(&self.scale);
        state.called.age(&self.scale);
        for call in &mut state.calls {
            call.age = call.age.saturating_add(1);
        }
        state.late.iter_mut().for_each(|write| write.age(&self.scale));
        for coordinator in &mut state.coordinators {
            coordinator.age(&self.scale);
        }
        if let (Some(since), Some(limit)) = (&mut state.calm, self.calm) {
            *since = since.saturating_add(1).min(limit);
        }
    }

    /// Forgets what makes no difference any more, so that equal states are equal.
    pub(super) fn settle(&self, state: &mut State) {
        for coordinator in &mut state.coordinators {
            coordinator.drop_due_description(&self.scale);
            coordinator.rested |= coordinator.at == At::Off && state.calm.is_none();
        }
        if state.late.is_some() && self.can_never_land(state) {
            state.late = None;
        }
        if state.table.open().is_none() {
            state.moved_before_lease = false;
        }
    }

    /// Epochs only rise, and a version never comes back.
    fn can_never_land(&self, state: &State) -> bool {
        let Some(write) = &state.late else {
            return true;
        };
        let lease = state.table.lease;
        let passed = |seen: u8| lease.is_some_and(|lease| lease.epoch > seen);
        let other_lease = match &write.under {
            Under::Held(seen) | Under::Armed(seen) => self.guards.lease_condition && passed(seen.epoch),
            Under::Changing { seen, .. } => passed(seen.map_or(0, |seen| seen.epoch)),
        };
        other_lease || (write.outdated && self.guards.version_condition)
    }
}

/// Whether everybody has waited or left since the last tick, but for those who wait for an answer
/// that does not come.
fn everybody_has_rested(state: &State) -> bool {
    state.coordinators.iter().zip(0..).all(|(coordinator, place)| match coordinator.at {
        At::Calling(..) => !state.calls.iter().any(|call| call.by == Some(place)),
        At::Off | At::Top(_) => coordinator.rested,
        At::Loaded(_) | At::Writing(_) | At::Intended(_) | At::Stalled(_) => false,
    })
}
