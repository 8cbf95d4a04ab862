//! The drainer's other work: it closes the gate for a switchover, and opens it again. It may come late, or die when
//! the gate is closed; the server ends the block by itself then.

use std::sync::{Arc, Mutex};

use steadfast_core::drain;
use steadfast_core::gate::{Event, Limits, Phase};
use steadfast_core::switchover::Quiesced;

use super::{MS, Micros, Nth, World, micros};
use crate::plan::Flaw;

/// Between two looks at those inside.
const PAUSE: Micros = 20 * MS;

/// Where the coordinator waits for the drainer's answer.
pub(crate) type Reply = Arc<Mutex<Option<Quiesced>>>;

/// One closing of the gate.
struct Closing {
    epoch: u64,
    writer: Nth,
    /// How far the drainer's clock is ahead.
    ahead_ms: i64,
    reply: Reply,
}

fn refused(because: &str) -> Quiesced {
    Quiesced { because: Some(because.to_owned()), ..Quiesced::default() }
}

fn answer(reply: &Reply, quiesced: Quiesced) {
    if let Ok(mut reply) = reply.lock() {
        *reply = Some(quiesced);
    }
}

impl World {
    /// Lambda hands an order to close the gate to the drainer.
    pub(crate) fn start_quiesce(&mut self, epoch: u64, writer: Nth, reply: Reply) {
        let closing = Closing { epoch, writer, ahead_ms: self.any_skew(), reply };
        let start = self.dice.between(5, 400) * MS;
        self.agenda.after(start, move |world| world.ask_for_gate(closing));
    }

    fn ask_for_gate(&mut self, closing: Closing) {
        if self.dice.happens(self.plan.noise.kills) {
            return;
        }
        let (mode, latest, writer) = (self.table.mode, self.table.episode.as_ref(), self.id(closing.writer));
        if let Some(Err(because)) = writer.map(|writer| drain::may_close_gate(mode, latest, closing.epoch, writer)) {
            return answer(&closing.reply, refused(&because.to_string()));
        }
        if self.life_of_answering(closing.writer).is_none() || !self.is_true_writer(closing.writer) {
            return answer(&closing.reply, refused("the writer does not answer"));
        }
        let limits = Limits::default();
        let asked = Phase::Open.after(Event::Asked { at: self.clock(closing.ahead_ms) }, &limits);
        if !self.shut_gate(closing.writer) {
            return answer(&closing.reply, refused("somebody else holds the gate"));
        }
        let given_up = self.agenda.now().saturating_add(micros(limits.closing));
        self.await_grant(closing, asked, given_up, limits);
    }

    /// Nobody enters any more; the lock is granted when nobody is inside.
    fn await_grant(&mut self, closing: Closing, asked: Phase, given_up: Micros, limits: Limits) {
        let number = self.gate_number();
        if !self.is_gate_closed(closing.writer) {
            return answer(&closing.reply, refused("the server ended the transaction"));
        }
        self.end_lingerer(closing.writer, given_up, &limits);
        if self.inside(closing.writer) > 0 || self.is_lingered_on(closing.writer) {
            if self.agenda.now() >= given_up {
                self.count(|| "gate given up".to_owned());
                self.open_gate(number);
                return answer(&closing.reply, refused("a transaction goes on"));
            }
            self.agenda.after(PAUSE, move |world| world.await_grant(closing, asked, given_up, limits));
            return;
        }
        // From the grant on the server's own limit runs, whatever becomes of the drainer.
        self.agenda.after(micros(limits.closed), move |world| world.open_gate(number));
        self.check_grant(asked, closing.ahead_ms);
        let dies = self.dice.happens(self.plan.noise.kills);
        self.count_if(dies, "drainer dies behind the closed gate");
        if !dies {
            let gate = asked.after(Event::Granted, &limits);
            let hold = Some(number.to_string());
            answer(&closing.reply, Quiesced { gate, hold, ..Quiesced::default() });
        }
        if self.plan.flaw == Some(Flaw::HollowGate) {
            self.open_gate(number);
        }
    }

    fn is_lingered_on(&self, writer: Nth) -> bool {
        self.instances.get(writer).is_some_and(|instance| instance.lingered_on)
    }

    /// Whoever has not left by then is ended.
    fn end_lingerer(&mut self, writer: Nth, given_up: Micros, limits: &Limits) {
        let waited = self.agenda.now().saturating_add(micros(limits.closing)).saturating_sub(given_up);
        let due = limits.terminate_after.is_some_and(|after| waited >= micros(after));
        if due && self.is_lingered_on(writer) {
            self.count(|| "lingering session ended".to_owned());
            self.set(Some(writer), |instance| instance.lingered_on = false);
        }
    }

    /// Lambda hands an order to open the gate to the drainer.
    pub(crate) fn start_resume(&mut self, hold: &str) {
        if let Ok(number) = hold.parse() {
            self.count(|| "gate opened by order".to_owned());
            self.open_gate(number);
        }
    }
}
