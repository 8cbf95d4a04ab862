//! The gate on the writer, and a fencer that closes it now and then and may die while it does.

use steadfast_core::gate::{Event, Limits, Phase};

use super::{MS, Micros, Nth, SECOND, World, micros};
use crate::invariant::Invariant;
use crate::plan::Flaw;

/// The gate: open, or closed on one instance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gate {
    closed: Option<Nth>,
    /// Whether the latest one ended with its server.
    died: bool,
    /// Counts closings: what was planned for an earlier one is void.
    closings: u64,
}

impl World {
    pub(super) fn begin_fencing(&mut self) {
        if self.plan.noise.fencer {
            let first = self.dice.between(SECOND, 20 * SECOND);
            self.agenda.after(first, Self::fence);
        }
    }

    fn fence(&mut self) {
        let writer = self.platform.writer;
        if self.can_commit(writer) && self.gate.closed.is_none() {
            self.close_gate(writer);
        }
        let next = self.dice.between(SECOND, 60 * SECOND);
        self.agenda.after(next, Self::fence);
    }

    /// Nobody is inside for long in this world: the lock is granted after a moment.
    fn close_gate(&mut self, nth: Nth) {
        let limits = Limits::default();
        let asked = Phase::Open.after(Event::Asked { at: self.clock(0) }, &limits);
        let granted = self.dice.between(0, micros(limits.closing));
        if !self.shut_gate(nth) {
            return;
        }
        let closing = self.gate.closings;
        self.note(|| format!("fencer: the gate on {} is closed", nth + 1));
        // Whoever dies leaves the opening to the server, whose limit runs from the grant.
        let dies = self.dice.happens(300);
        let held = self.dice.between(100 * MS, micros(limits.closed));
        let opens = granted.saturating_add(if dies { micros(limits.closed) } else { held });
        if !dies || self.plan.flaw != Some(Flaw::GateSticks) {
            self.agenda.after(opens, move |world| world.open_gate(closing));
        }
        self.agenda.after(granted, move |world| world.check_grant(asked, 0));
    }

    /// The server takes a request for the lock: whoever comes now waits behind it. False while another holds it.
    pub(super) fn shut_gate(&mut self, nth: Nth) -> bool {
        if self.gate.closed.is_some() {
            return false;
        }
        self.gate.closings = self.gate.closings.saturating_add(1);
        self.gate.closed = Some(nth);
        self.gate.died = false;
        self.check_block(self.gate.closings, micros(Limits::default().longest_block()));
        true
    }

    /// Which closing is the latest.
    pub(super) fn gate_number(&self) -> u64 {
        self.gate.closings
    }

    /// The transaction of this closing ends.
    pub(super) fn open_gate(&mut self, closing: u64) {
        if self.gate.closings == closing
            && let Some(nth) = self.gate.closed.take()
        {
            self.let_in(nth);
        }
    }

    /// What the drainer believes after the grant is never longer than what the server allows.
    pub(super) fn check_grant(&mut self, asked: Phase, ahead_ms: i64) {
        let limits = Limits::default();
        let by_server = self.clock(ahead_ms).plus(limits.closed);
        let believed = asked.after(Event::Granted, &limits);
        if !matches!(believed, Phase::Closed { until } if until <= by_server) {
            self.violate(
                Invariant::BlocksEnd,
                format!("the drainer believes in {believed:?}, the server in {by_server:?}"),
            );
        }
    }

    fn check_block(&mut self, closing: u64, bound: Micros) {
        self.agenda.after(bound.saturating_add(MS), move |world| {
            if world.gate.closings == closing && world.gate.closed.is_some() {
                world.violate(Invariant::BlocksEnd, "the gate is closed for longer than its bound");
            }
        });
    }

    /// Whether protected transactions must wait on this instance.
    pub(crate) fn is_gate_closed(&self, nth: Nth) -> bool {
        self.gate.closed == Some(nth)
    }

    /// A lock dies with the server that holds it.
    pub(crate) fn gate_dies_with(&mut self, nth: Nth) {
        if self.is_gate_closed(nth) {
            self.gate.closed = None;
            self.gate.died = true;
            self.let_in(nth);
        }
    }

    /// Whether the gate on this instance is open although its server has not ended.
    pub(crate) fn is_gate_let_go(&self, nth: Nth) -> bool {
        !self.is_gate_closed(nth) && !self.gate.died
    }
}
