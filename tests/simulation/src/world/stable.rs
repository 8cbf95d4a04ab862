//! The stable name of those who want one: where its record leads, and what is said about that.

use steadfast_core::mode::Mode;
use steadfast_core::pin::{Aim, Pin, PinName};
use steadfast_core::ports::StateError;

use super::World;
use super::table::superseded;
use crate::invariant::Invariant;

/// The record, as the name service holds it.
#[derive(Default)]
pub(crate) struct StableName {
    leads_to: Option<String>,
}

impl World {
    /// The name, where there is one.
    pub(crate) fn stable_name(&self) -> Option<PinName> {
        self.plan.pins.then(|| PinName { zone: "Z1".to_owned(), name: "writer.orders.internal".to_owned() })
    }

    /// Sets the record, whatever it was.
    pub(crate) fn point(&mut self, aim: &Aim) {
        let moved = self.stable.leads_to.replace(aim.endpoint.clone()).is_some_and(|before| before != aim.endpoint);
        let superseded_meanwhile = self.table.pin.as_ref().is_some_and(|pin| pin.aim != *aim);
        self.count_if(superseded_meanwhile, "a name is set after a newer one was asked for");
        self.note(|| format!("the name leads to {}", aim.endpoint));
        self.count(|| if moved { "the name was moved".to_owned() } else { "the name was set".to_owned() });
        self.check_name();
    }

    /// Writes what is said about it, over the version seen.
    pub(crate) fn write_pin(&mut self, seen: Option<u64>, next: Pin) -> Result<(), StateError> {
        let announced = !next.settled && self.table.mode != Mode::Armed;
        if self.table.pin.as_ref().map(|pin| pin.version) != seen || announced {
            return Err(superseded());
        }
        self.table.pin = Some(next);
        Ok(())
    }

    /// A name that is called settled leads where it should, whatever call was on its way.
    pub(crate) fn check_name(&mut self) {
        let Some(pin) = self.table.pin.as_ref().filter(|pin| pin.settled) else {
            return;
        };
        let (aim, leads_to) = (pin.aim.endpoint.clone(), self.stable.leads_to.clone());
        if leads_to.as_deref() != Some(aim.as_str()) {
            self.violate(Invariant::NoError, format!("the name is settled on {aim} and leads to {leads_to:?}"));
        }
    }
}
