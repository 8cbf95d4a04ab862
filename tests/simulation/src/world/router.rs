//! The router: the real parsing and routing. It starts late, may be killed, asks the table what it has handled, and is
//! tried again by Lambda when it could not wake the coordinator.

use std::collections::BTreeSet;

use serde_json::Value;
use steadfast_core::{hint, route};
use steadfast_scenario::Service;

use super::function::RETRIES;
use super::service::Told;
use super::{MS, World, micros};

/// What the table remembers of events.
#[derive(Default)]
pub(crate) struct Router {
    handled: BTreeSet<String>,
}

/// One invocation.
#[derive(Clone, Debug)]
struct Routing {
    event: Value,
    tries: usize,
}

impl World {
    /// Lambda hands an event to the router.
    pub(crate) fn route(&mut self, event: Value) {
        let late = micros(self.plan.noise.start_late_max).max(30 * MS);
        let delay = self.dice.between(5 * MS, late);
        self.agenda.after(delay, move |world| world.start_router(Routing { event, tries: 0 }));
    }

    fn start_router(&mut self, routing: Routing) {
        let meeting = self.meet(Service::StateTable, "GetItem");
        self.agenda.after(meeting.answers, move |world| {
            let id = hint::envelope(&routing.event).id.unwrap_or_default();
            // Without an answer it counts as new: a hint too many only makes somebody look.
            let answered = matches!(meeting.told, Told::Answer | Told::SecondAnswer);
            if !(answered && world.router.handled.contains(&id)) {
                world.choose_route(routing, id);
            }
        });
    }

    fn choose_route(&mut self, routing: Routing, id: String) {
        if self.dice.happens(self.plan.noise.kills) {
            self.count(|| "router killed".to_owned());
            return self.route_again(routing);
        }
        let (hint, envelope) = (hint::parse(&routing.event), hint::envelope(&routing.event));
        if route::stale(&hint, &envelope, self.clock(0)).is_some() {
            return;
        }
        let route = route::choose(&hint, &self.names.cluster, self.plan.scenario.deployment);
        self.note(|| format!("router: {hint:?} wakes: {}", route.wakes));
        if !route.wakes {
            return self.mark_handled(id);
        }
        let meeting = self.meet(Service::Invocations, "Invoke");
        if let Some(arrives) = meeting.arrives {
            self.agenda.after(arrives, move |world| world.invoke_coordinator("event"));
        }
        let accepted = matches!(meeting.told, Told::Answer | Told::SecondAnswer);
        self.agenda.after(meeting.answers, move |world| {
            if accepted {
                world.mark_handled(id);
            } else {
                world.route_again(routing);
            }
        });
    }

    /// Marked last: an event that failed half way is handled again.
    fn mark_handled(&mut self, id: String) {
        if let Some(arrives) = self.meet(Service::StateTable, "PutItem").arrives {
            self.agenda.after(arrives, move |world| {
                world.router.handled.insert(id);
            });
        }
    }

    /// An invocation that fails is tried again by Lambda, minutes later.
    fn route_again(&mut self, routing: Routing) {
        if let Some(delay) = RETRIES.get(routing.tries) {
            self.count(|| "router tried again".to_owned());
            let again = Routing { tries: routing.tries + 1, ..routing };
            self.agenda.after(*delay, move |world| world.start_router(again));
        }
    }
}
