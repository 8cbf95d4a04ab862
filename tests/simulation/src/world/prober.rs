//! The probers: one per zone, with the board of the real one, its pace and its limits.

use std::time::Duration;

use steadfast_core::board::{Board, Finding};
use steadfast_core::time::Timestamp;
use steadfast_core::witness::Outcome;
use steadfast_scenario::Service;

use super::fault::Reach;
use super::instance::{Commit, Run};
use super::{MS, Micros, Nth, SECOND, World};
use crate::dice::Dice;
use crate::plan::Plan;

/// Between two probes while somebody commits.
const PACE: Micros = 500 * MS;
/// Between two probes while nobody commits.
const PACE_SUSPICIOUS: Micros = 100 * MS;
/// Between two probes of a server that answers but refuses us.
const PACE_PATIENT: Micros = SECOND;
/// A held session that has not answered by then is doubted.
const DOUBT: Micros = 250 * MS;
const TCP_LIMIT: Micros = 400 * MS;
const CONNECT_LIMIT: Micros = SECOND;
const COMMIT_LIMIT: Micros = 750 * MS;
const HEARTBEAT: Micros = SECOND;
const WAKE_EVERY: Micros = 5 * SECOND;
/// Replica lag is asked with every so many probes of the writer.
const LAG_EVERY: u64 = 4;
/// A killed prober's next run begins with its next tick, one minute apart at most.
const NEXT_RUN_MAX: Micros = 60 * SECOND;
const EARLIER_AGE_MAX: Duration = Duration::from_secs(5);

/// One prober.
pub(crate) struct Prober {
    board: Board,
    run: Timestamp,
    ahead_ms: i64,
    alive: bool,
    /// Counts runs: what an earlier run had planned is void.
    life: u64,
    /// Sessions that are held, by instance.
    held: Vec<bool>,
    /// Counts plans per instance: an alarm makes a later one void.
    planned: Vec<u64>,
    probes: u64,
    woken: Option<Micros>,
}

impl Prober {
    pub(super) fn new(instances: usize, plan: &Plan, dice: &mut Dice) -> Self {
        let max = u64::try_from(plan.noise.skew_max.as_millis()).unwrap_or(0);
        let ahead_ms = i64::try_from(dice.between(0, max * 2)).unwrap_or(0) - i64::try_from(max).unwrap_or(0);
        Self {
            board: Board::default(),
            run: Timestamp::default(),
            ahead_ms,
            alive: true,
            life: 0,
            held: vec![false; instances],
            planned: vec![0; instances],
            probes: 0,
            woken: None,
        }
    }
}

impl World {
    pub(super) fn begin_probing(&mut self) {
        for zone in 0..self.probers.len() {
            let start = self.dice.between(0, 200) * MS;
            self.agenda.after(start, move |world| world.start_prober(zone));
        }
    }

    fn start_prober(&mut self, zone: Nth) {
        let earlier = self.names.zones.get(zone).and_then(|az| self.table.reports.get(az)).cloned();
        let Some(prober) = self.probers.get_mut(zone) else {
            return;
        };
        let ahead_ms = prober.ahead_ms;
        prober.life = prober.life.saturating_add(1);
        let life = prober.life;
        let now = self.clock(ahead_ms);
        let instances = self.instances.len();
        let canary = earlier.as_ref().map(|report| report.canary).unwrap_or_default();
        let fresh = earlier.filter(|report| now.since(report.at) <= EARLIER_AGE_MAX);
        if let Some(prober) = self.probers.get_mut(zone) {
            prober.board = Board::new(canary, fresh.map(|report| report.sightings).unwrap_or_default());
            prober.run = now;
            prober.alive = true;
            prober.woken = None;
            prober.held = vec![false; instances];
        }
        for nth in 0..instances {
            self.plan_probe(zone, nth, MS);
        }
        self.agenda.after(20 * MS, move |world| world.heartbeat(zone, life));
    }

    /// Ends the prober's run; the next one begins with a tick.
    pub(crate) fn kill_prober(&mut self, zone: Nth) {
        let Some(prober) = self.probers.get_mut(zone) else {
            return;
        };
        prober.alive = false;
        prober.life = prober.life.saturating_add(1);
        let next = self.dice.between(SECOND, NEXT_RUN_MAX);
        self.agenda.after(next, move |world| world.start_prober(zone));
    }

    fn plan_probe(&mut self, zone: Nth, nth: Nth, delay: Micros) {
        let Some(prober) = self.probers.get_mut(zone) else {
            return;
        };
        let life = prober.life;
        let Some(planned) = prober.planned.get_mut(nth) else {
            return;
        };
        *planned = planned.saturating_add(1);
        let number = *planned;
        self.agenda.after(delay, move |world| {
            let due = world
                .probers
                .get(zone)
                .is_some_and(|prober| prober.alive && prober.life == life && prober.planned.get(nth) == Some(&number));
            if due {
                world.probe(zone, nth);
            }
        });
    }

    fn probe(&mut self, zone: Nth, nth: Nth) {
        let held = self.probers.get(zone).and_then(|prober| prober.held.get(nth)).copied().unwrap_or(false);
        let (outcome, takes) = self.outcome(zone, nth, held);
        if takes <= 10 * MS {
            return self.probed(zone, nth, outcome, takes);
        }
        // Nothing else is tried on this instance until the limits have run out.
        let life = self.probers.get(zone).map_or(0, |prober| prober.life);
        if let Some(planned) = self.probers.get_mut(zone).and_then(|prober| prober.planned.get_mut(nth)) {
            *planned = planned.saturating_add(1);
        }
        self.agenda.after(takes, move |world| {
            if world.probers.get(zone).is_some_and(|prober| prober.alive && prober.life == life) {
                world.probed(zone, nth, outcome, takes);
            }
        });
    }

    /// What a probe sent now finds, and how long it takes to find it.
    fn outcome(&mut self, zone: Nth, nth: Nth, held: bool) -> (Outcome, Micros) {
        let quick = self.dice.between(2, 5) * MS;
        let doubt = if held { DOUBT } else { 0 };
        let refused = !held && self.refuses_password(steadfast_scenario::Role::Prober);
        match self.reach_from_zone(zone, nth) {
            Reach::Unreachable => (Outcome::Unreachable, doubt + TCP_LIMIT),
            Reach::Silent => (Outcome::Silent, doubt + CONNECT_LIMIT),
            Reach::Refused => (Outcome::Refused, MS),
            Reach::Starting => (Outcome::Restarting, quick),
            Reach::Answers if !held && self.instances.get(nth).is_some_and(|instance| instance.taken) => {
                (Outcome::Saturated, quick)
            }
            Reach::Answers if refused => (Outcome::BadCredentials, quick),
            Reach::Answers => match self.commit_on(nth) {
                Commit::Done => (Outcome::Committing, quick),
                Commit::Reader => (Outcome::Reading, quick),
                Commit::Full => (Outcome::DiskFull, quick),
                Commit::Stands => (Outcome::Stalled, COMMIT_LIMIT),
            },
        }
    }

    fn probed(&mut self, zone: Nth, nth: Nth, outcome: Outcome, took: Micros) {
        // What was true when the probe was sent may have ended before its limits had.
        let committed = (outcome == Outcome::Committing && self.can_commit(nth)).then(|| self.canary(zone, nth));
        let outcome = if outcome == Outcome::Committing && committed.is_none() { Outcome::Refused } else { outcome };
        let lag = if committed.is_some() && self.lag_is_due(zone) { self.lags(nth) } else { Vec::new() };
        let Some(prober) = self.probers.get(zone) else {
            return;
        };
        let ahead_ms = prober.ahead_ms;
        let was_suspicious = prober.board.is_suspicious();
        let now = self.clock(ahead_ms);
        let sent_at = now.minus(Duration::from_micros(took));
        let answered = outcome.answered();
        let Some(id) = self.names.instances.get(nth).cloned() else {
            return;
        };
        let finding = Finding { sent_at, outcome, latency_ms: answered.then_some(took / MS), committed, detail: None };
        let Some(prober) = self.probers.get_mut(zone) else {
            return;
        };
        if let Some(held) = prober.held.get_mut(nth) {
            *held = matches!(outcome, Outcome::Committing | Outcome::Reading | Outcome::DiskFull);
        }
        let changed = prober.board.record(&id, finding, now);
        for (reader, lag_ms) in lag {
            if let Some(name) = self.names.instances.get(reader) {
                prober.board.record_lag(name, lag_ms);
            }
        }
        let suspicious = prober.board.is_suspicious();
        if changed {
            self.note(|| format!("prober {}: instance {} is {outcome:?}", zone + 1, nth + 1));
            self.agenda.after(MS, move |world| world.report(zone));
            if !was_suspicious {
                self.alarm(zone, nth);
            }
        }
        let patient = matches!(outcome, Outcome::BadCredentials | Outcome::Stalled | Outcome::Saturated);
        let pace = match (patient, suspicious) {
            (true, _) => PACE_PATIENT,
            (false, true) => PACE_SUSPICIOUS,
            (false, false) => PACE,
        };
        self.plan_probe(zone, nth, pace);
    }

    /// A change makes the other watches look at once.
    fn alarm(&mut self, zone: Nth, changed: Nth) {
        for nth in 0..self.instances.len() {
            let idle = self.probers.get(zone).is_some_and(|prober| prober.held.get(nth) == Some(&true));
            if nth != changed && idle {
                self.plan_probe(zone, nth, MS);
            }
        }
    }

    fn canary(&mut self, zone: Nth, nth: Nth) -> u64 {
        self.acknowledged(nth);
        match self.storage.canaries.get_mut(zone) {
            Some(value) => {
                *value = value.saturating_add(1);
                *value
            }
            None => 0,
        }
    }

    fn lag_is_due(&mut self, zone: Nth) -> bool {
        self.probers.get_mut(zone).is_some_and(|prober| {
            prober.probes = prober.probes.saturating_add(1);
            prober.probes % LAG_EVERY == 1
        })
    }

    fn lags(&self, writer: Nth) -> Vec<(Nth, u64)> {
        let others = self.instances.iter().enumerate().filter(|(nth, _)| *nth != writer);
        others.filter(|(_, instance)| instance.run == Run::Up).map(|(nth, instance)| (nth, instance.lag_ms)).collect()
    }

    /// Sessions on this instance are gone. Whoever held one notices at once, if he is told.
    pub(crate) fn break_sessions(&mut self, nth: Nth, noticed: bool) {
        for zone in 0..self.probers.len() {
            let held = self.probers.get_mut(zone).and_then(|prober| prober.held.get_mut(nth));
            let was_held = held.is_some_and(|held| if noticed { std::mem::take(held) } else { false });
            if was_held && self.reach_from_zone(zone, nth) != Reach::Unreachable {
                self.plan_probe(zone, nth, MS);
            }
        }
    }

    fn heartbeat(&mut self, zone: Nth, life: u64) {
        if self.probers.get(zone).is_none_or(|prober| !prober.alive || prober.life != life) {
            return;
        }
        self.report(zone);
        self.agenda.after(HEARTBEAT, move |world| world.heartbeat(zone, life));
    }

    /// Writes the report, and wakes the coordinator when nobody commits.
    fn report(&mut self, zone: Nth) {
        let Some((prober, az)) = self.probers.get(zone).zip(self.names.zones.get(zone)) else {
            return;
        };
        if !prober.alive || prober.board.probed() < self.instances.len() {
            return;
        }
        let report = prober.board.report(az, prober.run, self.clock(prober.ahead_ms));
        let suspicious = report.suspect().is_some();
        let now = self.agenda.now();
        let rested = prober.woken.is_none_or(|at| now.saturating_sub(at) >= WAKE_EVERY);
        if let Some(prober) = self.probers.get_mut(zone) {
            match (suspicious, rested) {
                (false, _) => prober.woken = None,
                (true, true) => prober.woken = Some(now),
                (true, false) => {}
            }
        }
        if suspicious && rested {
            self.wake_coordinator("suspicion");
        }
        let meeting = self.meet(Service::StateTable, "PutItem");
        if let Some(arrives) = meeting.arrives {
            if self.dice.happens(self.plan.noise.reports_again) {
                let (again, later) = (report.clone(), self.dice.between(arrives, 5 * SECOND));
                self.count(|| "report written again later".to_owned());
                self.agenda.after(later, move |world| {
                    world.table.report(again);
                });
            }
            self.agenda.after(arrives, move |world| {
                world.table.report(report);
            });
        }
    }
}
