//! What may happen, and what comes of it. The gate's own rules are asked of the core.

use std::time::Duration;

use steadfast_core::gate::{self, Escalation, Measure, Phase, Session};
use steadfast_core::lease::Lease;
use steadfast_core::topology::Owner;

use super::state::{Client, Coordinator, Drainer, Lock, State};
use super::{Action, Event, Holder, Switchover};
use crate::scale::{NOW, Ticks, moment, span};

const DRAINER: usize = 0;
const COORDINATOR: usize = 1;
const ADOPTER: usize = 2;

impl Switchover {
    fn gate_limits(&self) -> gate::Limits {
        gate::Limits {
            closing: span(self.limits.closing),
            closed: span(self.limits.closed),
            warn_after: Duration::ZERO,
            cancel_after: None,
            terminate_after: Some(span(self.limits.terminate_after)),
        }
    }

    fn skew(&self) -> Duration {
        if self.guards.skew_margin { span(self.limits.skew_max) } else { Duration::ZERO }
    }

    /// The coordinator's lease, for the core.
    fn lease(state: &State) -> Lease {
        Lease { owner: Owner::new("owner"), epoch: 1, expires_at: moment(NOW, state.lease_ends) }
    }

    pub(super) fn offer(&self, state: &State, actions: &mut Vec<Action>) {
        if self.may_tick(state) {
            actions.push(Action::Tick);
        }
        for (place, client) in state.clients.iter().enumerate() {
            match client {
                Client::Outside => actions.push(Action::Begin(place)),
                Client::Inside if self.clients.get(place) == Some(&true) => actions.push(Action::End(place)),
                Client::Inside | Client::Queued => {}
            }
        }
        self.offer_server_and_drainer(state, actions);
        self.offer_coordinator(state, actions);
        if state.moving.is_some() {
            actions.push(Action::OldWriterGoes);
        }
        if state.call.is_some() {
            actions.push(Action::Deliver(true));
            if state.left.lost_calls > 0 {
                actions.extend([Action::Deliver(false), Action::LoseCall]);
            }
        }
        let over = Self::lease(state).is_over(moment(NOW, state.clocks[ADOPTER]), self.skew());
        if over && matches!(state.lock, Lock::Held(..)) {
            actions.push(Action::AdopterOpens);
        }
    }

    fn offer_server_and_drainer(&self, state: &State, actions: &mut Vec<Action>) {
        match state.lock {
            Lock::Coming => actions.push(Action::Arrive),
            Lock::Waiting(waited) if waited >= self.limits.closing && self.guards.wait_expires => {
                actions.push(Action::WaitExpires);
            }
            Lock::Held(held, _) if held >= self.limits.closed && self.guards.block_expires => {
                actions.push(Action::BlockExpires);
            }
            Lock::Free | Lock::Waiting(_) | Lock::Held(..) => {}
        }
        let dies = match state.drainer {
            Drainer::Asked(_) => {
                if matches!(state.lock, Lock::Held(..) | Lock::Free) {
                    actions.push(Action::Hear);
                }
                if matches!(state.lock, Lock::Waiting(_)) {
                    actions.push(Action::Escalate);
                }
                true
            }
            Drainer::Holds(_) => true,
            Drainer::Idle | Drainer::Open | Drainer::Dead => false,
        };
        if dies && state.left.drainer_crashes > 0 {
            actions.push(Action::DrainerDies(false));
            // PostgreSQL notices the end of a session only while it does not wait for a lock.
            if self.holder == Holder::Session && matches!(state.lock, Lock::Held(..)) {
                actions.push(Action::DrainerDies(true));
            }
        }
    }

    fn offer_coordinator(&self, state: &State, actions: &mut Vec<Action>) {
        match state.coordinator {
            Coordinator::Idle => actions.push(Action::Ask),
            Coordinator::Waits => match state.drainer {
                Drainer::Holds(_) | Drainer::Open => actions.push(Action::Tell),
                Drainer::Idle | Drainer::Asked(_) | Drainer::Dead => {}
            },
            Coordinator::Knows(_) => actions.push(Action::Intend),
            Coordinator::Intends(_) => actions.push(Action::Call),
            Coordinator::Calls(since) if since >= self.limits.call_limit && state.call.is_none() => {
                actions.push(Action::GiveUp);
            }
            Coordinator::Done => {
                if matches!(state.drainer, Drainer::Holds(_)) {
                    actions.push(Action::Open);
                }
            }
            Coordinator::Calls(_) | Coordinator::Dead => {}
        }
        if state.left.coordinator_crashes > 0 && state.coordinator != Coordinator::Dead {
            actions.push(Action::CoordinatorDies);
        }
    }

    /// Whether nothing that has a limit has reached it.
    fn may_tick(&self, state: &State) -> bool {
        let limits = &self.limits;
        let server = match state.lock {
            Lock::Waiting(waited) => waited < limits.closing || !self.guards.wait_expires,
            Lock::Held(held, _) => held < limits.closed || !self.guards.block_expires,
            Lock::Free | Lock::Coming => true,
        };
        let bounded = state.lock.blocked_for() <= limits.closing + limits.closed;
        let call = state.call.is_none_or(|age| age < limits.call_limit);
        let moving = state.moving.is_none_or(|age| age < limits.failover_time);
        server && bounded && call && moving
    }

    pub(super) fn act(&self, state: &mut State, action: Action) {
        match action {
            Action::Tick => state.age(),
            Action::Begin(client) => {
                state.clients[client] = if state.lock.blocks() { Client::Queued } else { Client::Inside };
            }
            Action::End(client) => state.clients[client] = Client::Outside,
            Action::Ask => {
                state.coordinator = Coordinator::Waits;
                state.drainer = Drainer::Asked(state.clocks[DRAINER]);
                state.lock = Lock::Coming;
            }
            Action::Arrive => state.lock = Lock::Waiting(0),
            Action::Hear => self.hear(state),
            Action::Escalate => self.escalate(state),
            Action::WaitExpires => {
                self.happened(Event::WaitExpired);
                state.lock = Lock::Free;
            }
            Action::BlockExpires => {
                self.happened(Event::BlockExpired);
                state.lock = Lock::Free;
            }
            Action::Tell => {
                state.coordinator = match state.drainer {
                    Drainer::Holds(until) => Coordinator::Knows(until),
                    Drainer::Idle | Drainer::Asked(_) | Drainer::Open | Drainer::Dead => Coordinator::Done,
                };
            }
            Action::Intend => {
                if let Coordinator::Knows(until) = state.coordinator {
                    state.coordinator = Coordinator::Intends(until);
                }
            }
            Action::Call => self.call(state),
            Action::Deliver(answered) => self.deliver(state, answered),
            Action::LoseCall => {
                state.left.lost_calls = state.left.lost_calls.saturating_sub(1);
                state.call = None;
            }
            Action::GiveUp => state.coordinator = Coordinator::Done,
            Action::Open => {
                state.drainer = Drainer::Open;
                state.lock = Lock::Free;
            }
            Action::OldWriterGoes => self.old_writer_goes(state),
            Action::AdopterOpens => {
                self.happened(Event::AdopterOpened);
                state.lock = Lock::Free;
            }
            Action::DrainerDies(noticed) => {
                state.left.drainer_crashes = state.left.drainer_crashes.saturating_sub(1);
                state.drainer = Drainer::Dead;
                if noticed {
                    state.lock = Lock::Free;
                }
            }
            Action::CoordinatorDies => {
                state.left.coordinator_crashes = state.left.coordinator_crashes.saturating_sub(1);
                state.coordinator = Coordinator::Dead;
            }
        }
    }

    /// The drainer hears what became of its statement.
    fn hear(&self, state: &mut State) {
        let Drainer::Asked(at) = state.drainer else {
            return;
        };
        let counted_from = if self.guards.counted_from_the_question { at } else { state.clocks[DRAINER] };
        let event = match state.lock {
            Lock::Held(..) => gate::Event::Granted,
            Lock::Free | Lock::Coming | Lock::Waiting(_) => gate::Event::Ended,
        };
        let limits = self.gate_limits();
        let asked = Phase::Open.after(gate::Event::Asked { at: moment(NOW, counted_from) }, &limits);
        state.drainer = match asked.after(event, &limits) {
            Phase::Open | Phase::Closing { .. } => Drainer::Open,
            Phase::Closed { until } => Drainer::Holds(ticks_until(until)),
        };
    }

    /// What the core says is due is done to those who do not leave by themselves.
    fn escalate(&self, state: &mut State) {
        let Drainer::Asked(at) = state.drainer else {
            return;
        };
        let waited = moment(NOW, state.clocks[DRAINER]).since(moment(NOW, at));
        let escalation = self.gate_limits().escalation(waited);
        if escalation == Escalation::GiveUp {
            state.lock = Lock::Free;
            state.drainer = Drainer::Open;
        } else if escalation.measure(Session::Idle) == Measure::Terminate && state.somebody_inside() {
            self.happened(Event::Terminated);
            for client in &mut state.clients {
                *client = if *client == Client::Inside { Client::Outside } else { *client };
            }
        }
    }

    /// The coordinator's last look at the clock, and then the call.
    fn call(&self, state: &mut State) {
        let Coordinator::Intends(until) = state.coordinator else {
            return;
        };
        let now = moment(NOW, state.clocks[COORDINATOR]);
        let takes = span(self.limits.call_limit);
        let closed = Phase::Closed { until: moment(NOW, until) };
        let left = Self::lease(state).expires_at.since(now);
        if self.guards.lease_covers_the_call && left < takes + self.skew() {
            self.happened(Event::LeaseTooShort);
            state.coordinator = Coordinator::Done;
        } else if self.guards.block_covers_the_call && !closed.covers(now, takes, self.skew()) {
            self.happened(Event::BlockTooShort);
            state.coordinator = Coordinator::Done;
        } else {
            self.happened(Event::Called);
            state.coordinator = Coordinator::Calls(0);
            state.call = Some(0);
            self.judge(state);
        }
    }

    /// What was promised about the call, when it is sent and when it arrives.
    fn judge(&self, state: &mut State) {
        state.called_over_somebody |= state.somebody_inside();
        state.called_without_lease |= state.lease_ends <= state.clocks[COORDINATOR];
    }

    fn deliver(&self, state: &mut State, answered: bool) {
        if !answered {
            state.left.lost_calls = state.left.lost_calls.saturating_sub(1);
        }
        state.call = None;
        state.moving = Some(0);
        self.judge(state);
        if answered && matches!(state.coordinator, Coordinator::Calls(_)) {
            state.coordinator = Coordinator::Done;
        }
    }

    fn old_writer_goes(&self, state: &mut State) {
        state.cut_off = state.somebody_inside();
        if !state.cut_off {
            self.happened(Event::MovedCleanly);
        }
        state.moving = None;
        state.role_moved = true;
        state.lock = Lock::Free;
        state.clients.fill(Client::Outside);
    }
}

/// A moment of the core's in ticks from now.
fn ticks_until(moment: steadfast_core::time::Timestamp) -> Ticks {
    let ahead = Ticks::try_from(moment.since(NOW).as_secs()).unwrap_or(Ticks::MAX);
    let ago = Ticks::try_from(NOW.since(moment).as_secs()).unwrap_or(Ticks::MAX);
    ahead - ago
}
