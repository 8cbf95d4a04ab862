//! Services between a function and what it wants done: they lose, delay and refuse.

use steadfast_scenario::{Service, Trouble};

use super::{MS, Micros, SECOND, World, micros};

/// An operation gives up after this long, by the SDK's settings.
const OPERATION_LIMIT: Micros = 5 * SECOND;
/// One attempt of it.
const ATTEMPT_LIMIT: Micros = 2 * SECOND;

/// Services that are in trouble now.
#[derive(Default)]
pub(crate) struct Services {
    troubles: Vec<(u64, Service, Trouble, Option<&'static str>)>,
    /// When the view of the control plane stopped moving.
    pub(crate) stale_since: Option<Micros>,
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// What came of it.
    Answer,
    /// What came of a second attempt, after the first took effect and its answer was lost.
    SecondAnswer,
    /// This error code; nothing was done, unless `Meeting::arrives` says otherwise.
    Refused(&'static str),
    /// An error of the service itself: anybody's guess whether it was done.
    Broken,
    /// Nothing, until time was up.
    Nothing,
}

/// How one request fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meeting {
    /// When it takes effect, from now; None: never.
    pub(crate) arrives: Option<Micros>,
    /// When the caller knows, from now.
    pub(crate) answers: Micros,
    /// What the caller is told.
    pub(crate) told: Told,
}

impl Meeting {
    /// The same request, should its answer be lost.
    pub(crate) fn losing_its_answer(self) -> Self {
        Self { answers: OPERATION_LIMIT, told: Told::Nothing, ..self }
    }
}

impl World {
    pub(super) fn trouble_begins(&mut self, id: u64, service: Service, trouble: Trouble, action: Option<&'static str>) {
        if trouble == Trouble::Stale {
            self.services.stale_since = Some(self.agenda.now());
        }
        self.services.troubles.push((id, service, trouble, action));
    }

    pub(super) fn trouble_ends(&mut self, id: u64) {
        self.services.troubles.retain(|(other, ..)| *other != id);
        if !self.services.troubles.iter().any(|(_, _, trouble, _)| *trouble == Trouble::Stale) {
            self.services.stale_since = None;
        }
    }

    /// How a request to this service fares now.
    pub(crate) fn meet(&mut self, service: Service, action: &str) -> Meeting {
        let (low, high) = match service {
            Service::StateTable => (2, 8),
            Service::Rds => (10, 60),
            Service::Notifier | Service::Invocations => (5, 30),
        };
        let arrives = self.dice.between(low * MS / 2, high * MS / 2);
        let back = self.dice.between(low * MS / 2, high * MS / 2);
        let lasting = self.lasting_trouble_of(service, action);
        let Some(trouble) = lasting.or_else(|| self.passing_trouble_of(service)) else {
            return Meeting { arrives: Some(arrives), answers: arrives + back, told: Told::Answer };
        };
        self.note(|| format!("trouble {service:?} {action}: {trouble:?}"));
        self.count(|| match trouble {
            Trouble::Slow(_) => format!("trouble {service:?} Slow"),
            Trouble::Throttle
            | Trouble::Error
            | Trouble::Denied
            | Trouble::Silence
            | Trouble::LostAnswer
            | Trouble::ErrorAfterEffect
            | Trouble::Stale => format!("trouble {service:?} {trouble:?}"),
        });
        // A second attempt meets what lasts once more.
        let retried = lasting.is_none() && service != Service::Rds && self.dice.happens(500);
        self.meet_trouble(trouble, retried, arrives, back)
    }

    fn lasting_trouble_of(&self, service: Service, action: &str) -> Option<Trouble> {
        let met = self.services.troubles.iter().find(|(_, which, trouble, only)| {
            *which == service && *trouble != Trouble::Stale && only.is_none_or(|only| only == action)
        });
        met.map(|(_, _, trouble, _)| *trouble)
    }

    fn passing_trouble_of(&mut self, service: Service) -> Option<Trouble> {
        let chance = match service {
            Service::StateTable => self.plan.noise.state_table,
            Service::Rds => self.plan.noise.rds,
            Service::Notifier | Service::Invocations => self.plan.noise.others,
        };
        if !self.dice.happens(chance) {
            return None;
        }
        let slow = Trouble::Slow(std::time::Duration::from_millis(self.dice.between(50, 4_000)));
        let all = [
            Trouble::Throttle,
            Trouble::Error,
            Trouble::Silence,
            Trouble::LostAnswer,
            Trouble::ErrorAfterEffect,
            slow,
            slow,
        ];
        self.dice.one_of(&all).copied()
    }

    fn meet_trouble(&mut self, trouble: Trouble, retried: bool, arrives: Micros, back: Micros) -> Meeting {
        match trouble {
            Trouble::Throttle => Meeting { arrives: None, answers: arrives + back, told: Told::Refused("Throttling") },
            Trouble::Denied => Meeting { arrives: None, answers: arrives + back, told: Told::Refused("AccessDenied") },
            Trouble::Error => Meeting { arrives: None, answers: arrives + back, told: Told::Broken },
            Trouble::ErrorAfterEffect => {
                Meeting { arrives: Some(arrives), answers: arrives + back, told: Told::Broken }
            }
            Trouble::Silence => {
                // A request may lie in a queue and take effect long after its sender has turned to the next try.
                let late = self.dice.happens(300).then(|| self.dice.between(ATTEMPT_LIMIT, OPERATION_LIMIT));
                Meeting { arrives: late, answers: OPERATION_LIMIT, told: Told::Nothing }
            }
            Trouble::LostAnswer if retried => {
                let answers = ATTEMPT_LIMIT + arrives + back;
                Meeting { arrives: Some(arrives), answers, told: Told::SecondAnswer }
            }
            Trouble::LostAnswer => Meeting { arrives: Some(arrives), answers: OPERATION_LIMIT, told: Told::Nothing },
            Trouble::Slow(by) => {
                let arrives = arrives + micros(by);
                if arrives + back > OPERATION_LIMIT {
                    Meeting {
                        arrives: Some(arrives.min(OPERATION_LIMIT)),
                        answers: OPERATION_LIMIT,
                        told: Told::Nothing,
                    }
                } else {
                    Meeting { arrives: Some(arrives), answers: arrives + back, told: Told::Answer }
                }
            }
            Trouble::Stale => Meeting { arrives: Some(arrives), answers: arrives + back, told: Told::Answer },
        }
    }
}
