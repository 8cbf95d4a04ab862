//! The drainer: watches a demoted instance, and ends the sessions that stayed there. It comes late, twice, or again
//! after a failure, and may find that the roles have moved back.

use steadfast_core::drain::{self, Void};
use steadfast_scenario::Service;

use super::fault::Reach;
use super::function::RETRIES;
use super::instance::Role;
use super::service::Told;
use super::{MS, Micros, Nth, SECOND, World, micros};
use crate::plan::Flaw;

/// How long the drainer watches a demoted instance, and how long it rests between two looks.
const WATCH: Micros = 60 * SECOND;
const PAUSE: Micros = SECOND;
/// What an attempt to connect may take.
const CONNECT_LIMIT: Micros = SECOND;
/// How long it may stand still between two statements.
const STALL_MAX: Micros = 3 * SECOND;

/// The drainers at work.
#[derive(Default)]
pub(crate) struct Drainers {
    invocations: u64,
    running: Vec<Drainer>,
    /// Sessions that were ended.
    pub(crate) evicted: u64,
}

/// One invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Drainer {
    number: u64,
    epoch: u64,
    demoted: Nth,
    tries: usize,
    until: Micros,
}

impl World {
    /// Lambda accepts an order for the drainer.
    pub(crate) fn invoke_drainer(&mut self, epoch: u64, demoted: Nth) {
        let twice = self.dice.happens(self.plan.noise.doubles);
        for _ in 0..=u8::from(twice) {
            let late = micros(self.plan.noise.start_late_max).max(500 * MS);
            let delay = self.dice.between(5 * MS, late);
            self.agenda.after(delay, move |world| world.start_drainer(epoch, demoted, 0));
        }
    }

    fn start_drainer(&mut self, epoch: u64, demoted: Nth, tries: usize) {
        self.drainers.invocations = self.drainers.invocations.saturating_add(1);
        let until = self.agenda.now().saturating_add(WATCH);
        let drainer = Drainer { number: self.drainers.invocations, epoch, demoted, tries, until };
        self.note(|| format!("drainer {} watches instance {}, try {}", drainer.number, demoted + 1, tries + 1));
        let beside = self.drainers.running.iter().any(|other| other.demoted == demoted);
        self.count_if(beside, "drainer beside another");
        self.count_if(tries > 0, "drainer tried again");
        self.drainers.running.push(drainer);
        self.load_as_drainer(drainer);
    }

    fn drainer_ends(&mut self, drainer: Drainer) {
        self.drainers.running.retain(|other| other.number != drainer.number);
    }

    /// An invocation that fails is tried again by Lambda, minutes later.
    fn drainer_fails(&mut self, drainer: Drainer) {
        self.drainer_ends(drainer);
        if let Some(delay) = RETRIES.get(drainer.tries) {
            let Drainer { epoch, demoted, tries, .. } = drainer;
            self.agenda.after(*delay, move |world| world.start_drainer(epoch, demoted, tries + 1));
        }
    }

    /// One look begins: is the episode still the latest, and are we armed?
    fn load_as_drainer(&mut self, drainer: Drainer) {
        if self.agenda.now() >= drainer.until {
            return self.drainer_ends(drainer);
        }
        let meeting = self.meet(Service::StateTable, "Query");
        let dies = self.dice.happens(self.plan.noise.kills);
        self.agenda.after(meeting.answers, move |world| {
            if dies || !matches!(meeting.told, Told::Answer | Told::SecondAnswer) {
                return world.drainer_fails(drainer);
            }
            let (mode, latest) = (world.table.mode, world.table.episode.as_ref());
            let may = world.id(drainer.demoted).map(|demoted| drain::may_evict(mode, latest, drainer.epoch, demoted));
            if matches!(may, Some(Ok(()))) {
                return world.connect_as_drainer(drainer);
            }
            world.count_if(matches!(may, Some(Err(Void::NotLatest { .. }))), "drainer of an earlier episode leaves");
            world.drainer_ends(drainer);
        });
    }

    fn connect_as_drainer(&mut self, drainer: Drainer) {
        let zone = self.dice.between(0, 2);
        let reach = self.reach_from_zone(usize::try_from(zone).unwrap_or(0), drainer.demoted);
        let takes = match reach {
            Reach::Unreachable | Reach::Silent => CONNECT_LIMIT,
            Reach::Refused | Reach::Starting => MS,
            Reach::Answers => self.dice.between(5, 30) * MS,
        };
        self.agenda.after(takes, move |world| {
            if reach == Reach::Answers {
                world.look_as_drainer(drainer);
            }
            world.agenda.after(PAUSE, move |world| world.load_as_drainer(drainer));
        });
    }

    /// Asks for the role, then ends sessions with a statement that asks for it again.
    fn look_as_drainer(&mut self, drainer: Drainer) {
        let blind = self.plan.flaw == Some(Flaw::DrainsBlindly);
        let life = self.life_of_answering(drainer.demoted);
        let writer = self.is_writer_by_its_word(drainer.demoted);
        if writer && self.is_true_writer(drainer.demoted) {
            self.count(|| "drainer finds the writer and leaves it alone".to_owned());
        }
        if life.is_none() || writer && !blind {
            return;
        }
        let stands_still = self.dice.happens(self.plan.noise.drainer_stalls);
        let way = self.dice.between(MS, if stands_still { STALL_MAX } else { 5 * MS });
        self.agenda.after(way, move |world| {
            let changed = world.is_writer_by_its_word(drainer.demoted);
            world.count_if(changed && !writer, "roles move between two statements of a drainer");
            if world.life_of_answering(drainer.demoted) == life && (!changed || blind) {
                world.evict_as_drainer(drainer);
            }
        });
    }

    fn evict_as_drainer(&mut self, drainer: Drainer) {
        let ended = self.end_sessions(drainer.demoted);
        self.check_evicted(drainer.demoted, ended);
        if ended > 0 {
            self.note(|| format!("drainer {} ends {ended} sessions", drainer.number));
        }
        self.count_if(ended > 0 && drainer.tries > 0, "evicted by a drainer that was tried again");
        self.drainers.evicted = self.drainers.evicted.saturating_add(ended);
    }

    /// Whether the instance says that it is the writer.
    fn is_writer_by_its_word(&self, nth: Nth) -> bool {
        self.instances.get(nth).is_some_and(|instance| instance.role == Role::Writer)
    }
}
