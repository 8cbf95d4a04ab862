//! The end of a run: when faults have stopped, whether life goes on.

use std::collections::BTreeMap;

use steadfast_core::episode::RecoveredBy;
use steadfast_core::evidence::{self, Entry};
use steadfast_core::mode::Mode;
use steadfast_core::witness::Outcome;

use super::fault::WARM_UP;
use super::{Micros, Nth, SECOND, World, micros};
use crate::invariant::Invariant;

/// How often the end is looked for.
const LOOK_EVERY: Micros = 500_000;
/// Once faults have stopped: a sweep (60 s), a lease to run out, a promotion's and a platform's deadline
/// (60 s each), and some air.
const LIVE_WITHIN: Micros = 240 * SECOND;

/// Which part of the run it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Faults come and go.
    #[default]
    Play,
    /// All faults were ended at this time but what ails the writer of the start.
    Lasting(Micros),
    /// All faults were ended at this time.
    Mended(Micros),
    /// Over.
    Over,
}

/// The end of the run, as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Supervision {
    phase: Phase,
    quiet_since: Option<Micros>,
    /// Whether we were armed, had called nothing and might call when all but the first writer was mended.
    untouched: bool,
    /// What stood there when the play was over, before everything was mended.
    pub(crate) curtain: Option<Curtain>,
}

/// The state at the end of the play.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curtain {
    pub(crate) writer: Option<Nth>,
    pub(crate) open: bool,
    pub(crate) missed: Vec<usize>,
    pub(crate) recovered_by: Option<RecoveredBy>,
    pub(crate) rules: BTreeMap<u16, u64>,
    pub(crate) people: Vec<u16>,
    pub(crate) calls: u64,
    pub(crate) episodes: u64,
    pub(crate) outage: Micros,
    pub(crate) decisions: Vec<(Micros, String)>,
}

impl World {
    pub(super) fn begin_supervision(&mut self) {
        self.agenda.after(WARM_UP, Self::supervise);
    }

    /// Whether the run is over.
    pub(crate) fn is_over(&self) -> bool {
        self.supervision.phase == Phase::Over
    }

    fn supervise(&mut self) {
        self.refresh_view();
        let now = self.agenda.now();
        if self.is_calm() {
            self.supervision.quiet_since.get_or_insert(now);
        } else {
            self.supervision.quiet_since = None;
        }
        let quiet = self.supervision.quiet_since.map_or(0, |since| now.saturating_sub(since));
        match self.supervision.phase {
            Phase::Play => {
                let until = self.faults.first_due.saturating_add(micros(self.plan.scenario.lasts));
                let calm = !self.plan.scenario.exactly && self.faults.to_come == 0 && quiet >= micros(self.plan.calm);
                if calm || now >= until {
                    self.end_play();
                }
            }
            Phase::Lasting(since) => self.supervise_lasting(since, quiet),
            Phase::Mended(since) => {
                if quiet >= SECOND {
                    self.supervision.phase = Phase::Over;
                } else if now.saturating_sub(since) > LIVE_WITHIN {
                    let what = self.why_not_calm();
                    self.violate(Invariant::Liveness, what);
                    self.supervision.phase = Phase::Over;
                }
            }
            Phase::Over => {}
        }
        if self.is_over() {
            self.audit();
        } else {
            self.agenda.after(LOOK_EVERY, Self::supervise);
        }
    }

    fn end_play(&mut self) {
        let writer = (0..self.instances.len()).find(|nth| self.can_commit(*nth));
        let episode = self.table.episode.as_ref();
        self.supervision.curtain = Some(Curtain {
            writer,
            open: episode.is_some_and(|episode| episode.closed.is_none()),
            missed: self.missed_faults(),
            recovered_by: episode.and_then(|episode| episode.closed.as_ref()).map(|closed| closed.by),
            rules: self.watch.rules.clone(),
            people: self.watch.people.clone(),
            calls: self.watch.calls,
            episodes: self.table.opened,
            outage: self.outage_so_far(),
            decisions: std::mem::take(&mut self.watch.decisions),
        });
        self.supervision.quiet_since = None;
        self.plan.noise.calm_down();
        if self.table.mode == Mode::Paused {
            self.table.mode = Mode::Armed;
        }
        if self.plan.unmended {
            self.note(|| "the play is over; what ails the first writer lasts".to_owned());
            self.supervision.phase = Phase::Lasting(self.agenda.now());
            self.supervision.untouched =
                self.watch.called.is_empty() && self.table.mode == Mode::Armed && self.may_intend_again();
            self.mend_all_but_the_first_writer();
        } else {
            self.mend();
        }
    }

    fn mend(&mut self) {
        self.supervision.quiet_since = None;
        self.supervision.phase = Phase::Mended(self.agenda.now());
        self.note(|| "everything is mended".to_owned());
        self.mend_everything();
    }

    /// Nobody mends the first writer: life goes on without it, or a person knows.
    fn supervise_lasting(&mut self, since: Micros, quiet: Micros) {
        let late = self.agenda.now().saturating_sub(since) > LIVE_WITHIN;
        if quiet >= SECOND {
            self.count(|| "recovered while the fault lasted".to_owned());
        } else if !late {
            return;
        } else {
            self.check_lasting();
        }
        self.mend();
    }

    /// Whether the open episode has room for one more call. An intention counts as a call even if it never became
    /// one: whoever adopts it cannot know.
    fn may_intend_again(&self) -> bool {
        let open = self.table.episode.as_ref().filter(|episode| episode.closed.is_none());
        let standing = open.and_then(|episode| episode.promotion.as_ref());
        standing.is_none_or(|promotion| promotion.number < self.policy.calls_lost_max)
    }

    fn check_lasting(&mut self) {
        let told =
            self.table.episode.as_ref().is_some_and(|open| open.closed.is_none() && !open.human_called.is_empty());
        let why = self.why_not_calm();
        if !told {
            self.violate(Invariant::Liveness, format!("nobody was called, and {why}"));
        } else if self.supervision.untouched && self.first_writer_can_be_replaced() {
            self.violate(Invariant::Liveness, format!("a person was called where a promotion was due, and {why}"));
        } else {
            self.count(|| "a person was called while the fault lasted".to_owned());
        }
    }

    /// A writer that all can use, seen to commit by all witnesses; no open episode, and nobody at work.
    fn is_calm(&self) -> bool {
        self.why_not_calm().is_empty()
    }

    fn why_not_calm(&self) -> String {
        let mut why = Vec::new();
        let writer = self.platform.writer;
        if !self.can_commit(writer) {
            why.push(format!("instance {} is no writable writer", writer + 1));
        }
        if self.platform.in_flight.is_some() {
            why.push("a failover is in flight".to_owned());
        }
        if let Some(open) = self.table.episode.as_ref().filter(|episode| episode.closed.is_none()) {
            why.push(format!("episode {} is open, rule {}", open.epoch, open.rule));
        }
        if !self.functions.running.is_empty() {
            why.push(format!("{} coordinators are at work", self.functions.running.len()));
        }
        let seen = self.names.instances.get(writer).map_or(0, |id| {
            let commits = |report: &&steadfast_core::witness::WitnessReport| {
                report.sighting(id).is_some_and(|sighting| sighting.outcome == Outcome::Committing)
            };
            self.table.reports.values().filter(commits).count()
        });
        if seen < self.policy.quorum {
            why.push(format!("{seen} witnesses see the writer commit"));
        }
        why.join("; ")
    }

    /// What can only be checked at the end: the ledger, and every chain of evidence.
    fn audit(&mut self) {
        self.audit_ledger();
        self.check_name();
        let mut chains: Vec<Vec<Entry>> = Vec::new();
        for ((epoch, _), entry) in &self.table.evidence {
            match chains.last_mut().filter(|chain| chain.last().is_some_and(|last| last.epoch == *epoch)) {
                Some(chain) => chain.push(entry.clone()),
                None => chains.push(vec![entry.clone()]),
            }
        }
        for chain in chains {
            if let Err(error) = evidence::verify(&chain) {
                self.violate(Invariant::NoError, format!("the evidence does not verify: {error}"));
            }
        }
    }
}
