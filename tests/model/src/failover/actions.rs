//! What may happen next, and who does it.

use steadfast_core::mode::Mode;

use super::cluster::Health;
use super::coordinator::{At, Leave};
use super::{Action, Arrival, Failover, Fate, Faults, State};

impl Failover {
    /// What a coordinator may do next, and what may happen to it.
    pub(super) fn actions_of(&self, state: &State, me: usize, actions: &mut Vec<Action>) {
        let coordinator = &state.coordinators[me];
        let may_look = state.calm.is_none() || !coordinator.rested;
        match coordinator.at {
            At::Off if may_look => self.looks(state, me, actions),
            At::Off => {}
            At::Top(leave) => {
                if may_look {
                    self.looks(state, me, actions);
                }
                let free = leave == Leave::Freely;
                if (free && may_look) || (leave == Leave::WhenTimeIsUp && state.left.time_ups > 0) {
                    actions.push(Action::Leave(me));
                }
            }
            // Deciding touches nobody else: it makes a difference only if time has passed.
            At::Loaded(view) if view.reported.at < 0 => actions.push(Action::Decide(me)),
            At::Loaded(_) => {}
            At::Writing(_) => {
                actions.push(Action::Serve(me, Fate::Answered));
                if state.left.lost_answers > 0 {
                    actions.push(Action::Serve(me, Fate::AnswerLost));
                }
                if state.left.late_writes > 0 && state.late.is_none() {
                    actions.push(Action::Serve(me, Fate::Late));
                }
            }
            At::Intended(_) => actions.push(Action::Call(me)),
            At::Stalled(_) => actions.push(Action::SendAfterStall(me)),
            At::Calling(_, since) => {
                let on_its_way = state.calls.iter().any(|call| call.by.map(usize::from) == Some(me));
                let in_vain = since >= self.scale.call_limit && (!on_its_way || self.beyond.slow_call > 0);
                if in_vain {
                    actions.push(Action::GiveUp(me));
                }
                if state.left.silences > 0 && on_its_way && !self.guards.silence_is_waited_out {
                    actions.push(Action::FailSilently(me));
                }
            }
        }
        if state.left.crashes > 0 && coordinator.dies_visibly() {
            actions.push(Action::Crash(me));
        }
    }

    fn looks(&self, state: &State, me: usize, actions: &mut Vec<Action>) {
        actions.push(Action::Look(me));
        if state.left.stalls > 0 && self.slow_looks {
            actions.push(Action::LookSlowly(me));
        }
    }

    /// What may happen to calls and late writes on their way.
    pub(super) fn actions_on_the_way(&self, state: &State, actions: &mut Vec<Action>) {
        if state.late.is_some() {
            actions.push(Action::Land);
        }
        for call in 0..state.calls.len() {
            actions.push(Action::Deliver(call, Arrival::Answered));
            if state.left.throttles > 0 {
                actions.push(Action::Deliver(call, Arrival::Throttled));
            }
            if state.left.lost_calls > 0 {
                actions.push(Action::Deliver(call, Arrival::AnswerLost));
                actions.push(Action::LoseCall(call));
            }
        }
    }

    /// What the cluster, the platform and the operator may do.
    pub(super) fn actions_outside(&self, state: &State, actions: &mut Vec<Action>) {
        let cluster = &state.cluster;
        if cluster.moving.is_some() {
            actions.push(Action::FailoverEnds);
        } else if state.left.platform_failovers > 0 && matches!(cluster.health, Health::Dead(_)) {
            let others = (0..3).filter(|other| *other != cluster.writer);
            actions.extend(others.map(Action::PlatformBegins));
        }
        let failed = cluster.health != Health::Committing;
        if failed && state.left.returns > 0 && cluster.moving.is_none() {
            actions.push(Action::Returns);
        }
        if !failed && state.left.relapses > 0 && cluster.moving.is_none() {
            actions.push(Action::Relapses);
        }
        if state.left.orders > 0 {
            actions.extend(match state.table.mode {
                Mode::Armed => vec![Action::Order(Mode::Paused), Action::Order(Mode::Shadow)],
                Mode::Paused | Mode::Shadow => vec![Action::Order(Mode::Armed)],
            });
        }
        if self.calm.is_some() && state.calm.is_none() {
            actions.push(Action::Calms);
        }
    }

    pub(super) fn act(&self, state: &mut State, action: Action) {
        match action {
            Action::Tick => self.tick(state),
            Action::Look(me) => {
                self.load(state, me);
                self.decide(state, me);
            }
            Action::LookSlowly(me) => self.load(state, me),
            Action::Decide(me) => self.decide(state, me),
            Action::Serve(me, fate) => self.serve(state, me, fate),
            Action::Call(me) => {
                if let At::Intended(intent) = state.coordinators[me].at {
                    self.follow(state, me, &intent);
                }
            }
            Action::SendAfterStall(me) => {
                if let At::Stalled(intent) = state.coordinators[me].at {
                    self.send(state, me, &intent);
                }
            }
            Action::GiveUp(me) | Action::FailSilently(me) => {
                if matches!(action, Action::FailSilently(_)) {
                    state.left.silences = state.left.silences.saturating_sub(1);
                }
                if let At::Calling(intent, _) = state.coordinators[me].at {
                    for call in &mut state.calls {
                        call.by = call.by.filter(|by| usize::from(*by) != me);
                    }
                    self.answered(state, me, &intent, None);
                }
            }
            Action::Leave(me) => {
                if state.coordinators[me].at == At::Top(Leave::WhenTimeIsUp) {
                    state.left.time_ups = state.left.time_ups.saturating_sub(1);
                }
                self.leave(state, me);
            }
            Action::Crash(me) => {
                state.left.crashes = state.left.crashes.saturating_sub(1);
                self.stop(state, me);
            }
            Action::Land => self.land(state),
            Action::Deliver(call, arrival) => {
                match arrival {
                    Arrival::Answered => {}
                    Arrival::AnswerLost => state.left.lost_calls = state.left.lost_calls.saturating_sub(1),
                    Arrival::Throttled => state.left.throttles = state.left.throttles.saturating_sub(1),
                }
                self.deliver(state, call, arrival);
            }
            Action::LoseCall(call) => {
                state.left.lost_calls = state.left.lost_calls.saturating_sub(1);
                state.calls.remove(call);
            }
            Action::Order(mode) => {
                state.left.orders = state.left.orders.saturating_sub(1);
                state.table.mode = mode;
            }
            Action::PlatformBegins(target) => {
                state.left.platform_failovers = state.left.platform_failovers.saturating_sub(1);
                // Offered only while nothing stands in its way.
                let _begun = state.cluster.begin(target, false);
            }
            Action::FailoverEnds => state.cluster.finish(),
            Action::Returns => {
                state.left.returns = state.left.returns.saturating_sub(1);
                state.cluster.health = Health::Committing;
            }
            Action::Relapses => {
                state.left.relapses = state.left.relapses.saturating_sub(1);
                state.cluster.health = Health::Stalled;
            }
            Action::Calms => {
                state.calm = Some(0);
                state.left = Faults::default();
            }
        }
    }
}

/// Whether the writes flow, the episode is closed, and nobody is in the middle of anything.
pub(super) fn is_over(state: &State) -> bool {
    let closed = state.table.episode.is_some_and(|episode| !episode.is_open());
    let idle = state.coordinators.iter().all(|coordinator| matches!(coordinator.at, At::Off | At::Top(_)));
    let still = state.calls.is_empty() && state.late.is_none() && state.cluster.moving.is_none();
    closed && idle && still && state.left.relapses == 0 && state.cluster.health == Health::Committing
}
