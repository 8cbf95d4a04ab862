//! The gate on the writer, and a fencer that closes it now and then and may die while it does.

use super::{MS, Micros, Nth, SECOND, World};
use crate::invariant::Invariant;
use crate::plan::Flaw;

/// The server ends a session that holds the gate for longer, whoever crashed.
const BLOCK_LIMIT: Micros = 8 * SECOND;
/// How long the fencer means to hold it.
const HELD_MAX: Micros = 5 * SECOND;

/// The gate: closed on one instance, or open.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gate {
    closed: Option<(Nth, Micros)>,
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
        let nth = self.platform.writer;
        if self.can_commit(nth) && self.gate.closed.is_none() {
            self.gate.closings = self.gate.closings.saturating_add(1);
            let (closing, now) = (self.gate.closings, self.agenda.now());
            self.gate.closed = Some((nth, now));
            self.note(|| format!("fencer: the gate on {} is closed", nth + 1));
            let dies = self.dice.happens(300);
            let held = self.dice.between(100 * MS, HELD_MAX);
            let opens = if dies { BLOCK_LIMIT } else { held };
            if !dies || self.plan.flaw != Some(Flaw::GateSticks) {
                self.agenda.after(opens, move |world| {
                    if world.gate.closings == closing {
                        world.gate.closed = None;
                    }
                });
            }
            self.agenda.after(BLOCK_LIMIT + MS, move |world| {
                if world.gate.closings == closing && world.gate.closed.is_some() {
                    world.violate(Invariant::BlocksEnd, "the gate is closed for longer than its bound");
                }
            });
        }
        let next = self.dice.between(SECOND, 30 * SECOND);
        self.agenda.after(next, Self::fence);
    }

    /// Whether protected transactions must wait on this instance.
    pub(crate) fn is_gate_closed(&self, nth: Nth) -> bool {
        self.gate.closed.is_some_and(|(closed, _)| closed == nth)
    }

    /// A lock dies with the server that holds it.
    pub(crate) fn gate_dies_with(&mut self, nth: Nth) {
        if self.is_gate_closed(nth) {
            self.gate.closed = None;
        }
    }
}
