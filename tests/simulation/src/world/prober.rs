//! The probers: one per zone, with the board of the real one, its pace and its limits. Their runs overlap.

use std::time::Duration;

use steadfast_core::board::{Board, Finding};
use steadfast_core::time::Timestamp;
use steadfast_core::witness::Outcome;
use steadfast_scenario::{Role, Service};

use super::fault::Reach;
use super::instance::{Commit, Run};
use super::password::Version;
use super::service::Told;
use super::{MS, Micros, Nth, SECOND, World, micros};
use crate::plan::Flaw;

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
const EARLIER_AGE_MAX: Duration = Duration::from_secs(5);
/// Between two ticks of the schedule that starts runs.
const TICK_EVERY: Micros = 60 * SECOND;
/// How long after a tick a run begins at least.
const TICK_LATE: Micros = 2 * SECOND;
/// How long a run lasts, so that two overlap: the newer one takes over.
const RUN_FOR: Micros = 130 * SECOND;
/// A run says nothing before it has probed every instance, or for this long.
const SILENT_START_MAX: Micros = 2 * SECOND;

/// All runs of all probers, those that have ended as well.
#[derive(Default)]
pub(crate) struct Probers(Vec<Prober>);

/// A run, counted from the start of the play.
type RunId = usize;

/// One run of one zone's prober.
struct Prober {
    zone: Nth,
    board: Board,
    run: Timestamp,
    began: Micros,
    ahead_ms: i64,
    alive: bool,
    password: Version,
    /// Sessions that are held, by instance.
    held: Vec<bool>,
    /// Counts plans per instance: an alarm makes a later one void.
    planned: Vec<u64>,
    probes: u64,
    woken: Option<Micros>,
}

impl Probers {
    fn alive(&self, run: RunId) -> Option<&Prober> {
        self.0.get(run).filter(|prober| prober.alive)
    }

    fn alive_mut(&mut self, run: RunId) -> Option<&mut Prober> {
        self.0.get_mut(run).filter(|prober| prober.alive)
    }

    fn end(&mut self, run: RunId) {
        if let Some(prober) = self.0.get_mut(run) {
            prober.alive = false;
        }
    }
}

impl World {
    pub(super) fn begin_probing(&mut self) {
        for zone in 0..self.names.zones.len() {
            let start = self.dice.between(0, 200) * MS;
            self.agenda.after(start, move |world| world.start_prober(zone));
        }
        let first = self.dice.between(0, TICK_EVERY);
        self.agenda.after(first, Self::tick_probers);
    }

    /// The schedule invokes every zone's prober; now and then it does so twice.
    fn tick_probers(&mut self) {
        for zone in 0..self.names.zones.len() {
            let twice = self.dice.happens(self.plan.noise.doubles);
            self.count_if(twice, "prober invoked twice by one tick");
            for _ in 0..=u8::from(twice) {
                let late = micros(self.plan.noise.start_late_max).max(TICK_LATE);
                let delay = self.dice.between(5 * MS, late);
                self.agenda.after(delay, move |world| world.start_prober(zone));
            }
        }
        self.agenda.after(TICK_EVERY, Self::tick_probers);
    }

    fn start_prober(&mut self, zone: Nth) {
        let earlier = self.names.zones.get(zone).and_then(|az| self.table.reports.get(az)).cloned();
        let ahead_ms = self.any_skew();
        let now = self.clock(ahead_ms);
        let instances = self.instances.len();
        let canary = earlier.as_ref().map(|report| report.canary).unwrap_or_default();
        let fresh = earlier.filter(|report| now.since(report.at) <= EARLIER_AGE_MAX);
        let beside = self.probers.0.iter().any(|other| other.alive && other.zone == zone);
        self.count_if(beside, "prober beside its successor");
        let run = self.probers.0.len();
        self.probers.0.push(Prober {
            zone,
            board: Board::new(canary, fresh.map(|report| report.sightings).unwrap_or_default()),
            run: now,
            began: self.agenda.now(),
            ahead_ms,
            alive: true,
            password: self.passwords.stored(Role::Prober),
            held: vec![false; instances],
            planned: vec![0; instances],
            probes: 0,
            woken: None,
        });
        for nth in 0..self.watches() {
            self.plan_probe(run, nth, MS);
        }
        self.agenda.after(20 * MS, move |world| world.heartbeat(run));
    }

    /// Ends the runs of the zone's prober; the next one begins with a tick.
    pub(crate) fn kill_prober(&mut self, zone: Nth) {
        for prober in self.probers.0.iter_mut().filter(|prober| prober.zone == zone) {
            prober.alive = false;
        }
    }

    /// How many endpoints a prober watches.
    fn watches(&self) -> usize {
        if self.is_multi_az() { 1 } else { self.instances.len() }
    }

    /// The watch that looks at this instance.
    fn watch_of(&self, nth: Nth) -> Nth {
        if self.is_multi_az() { 0 } else { nth }
    }

    fn plan_probe(&mut self, run: RunId, nth: Nth, delay: Micros) {
        let nth = self.watch_of(nth);
        let Some(number) = self.void_plans(run, nth) else {
            return;
        };
        self.agenda.after(delay, move |world| {
            if world.probers.alive(run).is_some_and(|prober| prober.planned.get(nth) == Some(&number)) {
                world.probe(run, nth);
            }
        });
    }

    /// Makes what was planned for this instance void; the number of the next plan.
    fn void_plans(&mut self, run: RunId, nth: Nth) -> Option<u64> {
        let nth = self.watch_of(nth);
        let planned = self.probers.alive_mut(run)?.planned.get_mut(nth)?;
        *planned = planned.saturating_add(1);
        Some(*planned)
    }

    fn probe(&mut self, run: RunId, nth: Nth) {
        let nth = self.led_to(run, nth);
        let (outcome, takes) = self.outcome_in_time(run, nth);
        if takes <= 10 * MS {
            return self.probed(run, nth, outcome, takes);
        }
        // Nothing else is tried on this instance until the limits have run out.
        self.void_plans(run, nth);
        self.agenda.after(takes, move |world| world.probed(run, nth, outcome, takes));
    }

    /// The instance that a watch leads to: behind the only endpoint, the host that DNS names.
    fn led_to(&mut self, run: RunId, nth: Nth) -> Nth {
        match self.probers.alive(run).map(|prober| prober.zone) {
            Some(zone) if self.is_multi_az() => self.resolve(zone),
            Some(_) | None => nth,
        }
    }

    /// What a probe sent now finds over a path that may be slow.
    fn outcome_in_time(&mut self, run: RunId, nth: Nth) -> (Outcome, Micros) {
        let (outcome, takes) = self.outcome(run, nth);
        let zone = self.probers.alive(run).map(|prober| prober.zone);
        let delay = zone.map_or(0, |zone| self.delay_of(zone));
        if delay >= CONNECT_LIMIT && outcome.answered() {
            return (Outcome::Silent, DOUBT + CONNECT_LIMIT);
        }
        (outcome, takes.saturating_add(delay))
    }

    /// What a probe sent now finds, and how long it takes to find it.
    fn outcome(&mut self, run: RunId, nth: Nth) -> (Outcome, Micros) {
        let quick = self.dice.between(2, 5) * MS;
        let Some(prober) = self.probers.alive(run) else {
            return (Outcome::Unknown, quick);
        };
        let held = prober.held.get(nth) == Some(&true);
        let zone = prober.zone;
        let refused = !held && self.refuses(Role::Prober, prober.password);
        let doubt = if held { DOUBT } else { 0 };
        self.touch(nth);
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
                Commit::Failed => (Outcome::Failed, quick),
                Commit::ReadOnly => (Outcome::ReadOnly, quick),
                Commit::Stands => (Outcome::Stalled, COMMIT_LIMIT),
            },
        }
    }

    fn probed(&mut self, run: RunId, nth: Nth, outcome: Outcome, took: Micros) {
        let Some((zone, ahead_ms)) = self.probers.alive(run).map(|prober| (prober.zone, prober.ahead_ms)) else {
            return;
        };
        // What was true when the probe was sent may have ended before its limits had.
        let committed = (outcome == Outcome::Committing && self.can_commit(nth)).then(|| self.canary(zone, nth));
        let flawed = self.plan.flaw == Some(Flaw::StallsAreCommits) && outcome == Outcome::Stalled;
        let (outcome, committed) = if flawed { (Outcome::Committing, Some(0)) } else { (outcome, committed) };
        let outcome = if outcome == Outcome::Committing && committed.is_none() { Outcome::Refused } else { outcome };
        let lag = if committed.is_some() && !self.is_multi_az() && self.lag_is_due(run) {
            self.lags(nth)
        } else {
            Vec::new()
        };
        let now = self.clock(ahead_ms);
        let sent_at = now.minus(Duration::from_micros(took));
        let answered = outcome.answered();
        let Some(id) = self.names.instances.get(nth).cloned() else {
            return;
        };
        let finding = Finding { sent_at, outcome, latency_ms: answered.then_some(took / MS), committed, detail: None };
        let stored = self.passwords.stored(Role::Prober);
        let alone = self.is_multi_az();
        let Some(prober) = self.probers.alive_mut(run) else {
            return;
        };
        if alone {
            prober.board.keep_only(&id);
        }
        let was_suspicious = prober.board.is_suspicious();
        if let Some(held) = prober.held.get_mut(nth) {
            *held = matches!(outcome, Outcome::Committing | Outcome::Reading);
        }
        let rotated = outcome == Outcome::BadCredentials && prober.password != stored;
        if rotated {
            prober.password = stored;
        }
        let changed = prober.board.record(&id, finding, now);
        for (reader, lag_ms) in lag {
            if let Some(name) = self.names.instances.get(reader) {
                prober.board.record_lag(name, lag_ms);
            }
        }
        let suspicious = prober.board.is_suspicious();
        self.count_if(rotated, "prober reads a rotated password");
        if changed {
            self.note(|| format!("prober {}: instance {} is {outcome:?}", zone + 1, nth + 1));
            self.agenda.after(MS, move |world| world.report(run));
            if !was_suspicious {
                self.alarm(run, nth);
            }
        }
        let patient = matches!(outcome, Outcome::BadCredentials | Outcome::Stalled | Outcome::Saturated);
        let pace = match (patient, suspicious) {
            (true, _) => PACE_PATIENT,
            (false, true) => PACE_SUSPICIOUS,
            (false, false) => PACE,
        };
        self.plan_probe(run, nth, pace);
    }

    /// A change makes the other watches look at once.
    fn alarm(&mut self, run: RunId, changed: Nth) {
        for nth in 0..self.watches() {
            let idle = self.probers.alive(run).is_some_and(|prober| prober.held.get(nth) == Some(&true));
            if nth != changed && idle {
                self.plan_probe(run, nth, MS);
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

    fn lag_is_due(&mut self, run: RunId) -> bool {
        self.probers.alive_mut(run).is_some_and(|prober| {
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
        if !noticed {
            return;
        }
        for run in 0..self.probers.0.len() {
            let held = self.probers.alive_mut(run).and_then(|prober| prober.held.get_mut(nth));
            let was_held = held.is_some_and(std::mem::take);
            let zone = self.probers.alive(run).map(|prober| prober.zone);
            if was_held && zone.is_some_and(|zone| self.reach_from_zone(zone, nth) != Reach::Unreachable) {
                self.plan_probe(run, nth, MS);
            }
        }
    }

    fn heartbeat(&mut self, run: RunId) {
        let Some(began) = self.probers.alive(run).map(|prober| prober.began) else {
            return;
        };
        if self.agenda.now().saturating_sub(began) >= RUN_FOR {
            self.count(|| "prober at the end of its run".to_owned());
            return self.probers.end(run);
        }
        self.report(run);
        self.agenda.after(HEARTBEAT, move |world| world.heartbeat(run));
    }

    /// Writes the report, and wakes the coordinator when nobody commits.
    fn report(&mut self, run: RunId) {
        let now = self.agenda.now();
        let watches = self.watches();
        let Some((prober, az)) = self.probers.alive(run).and_then(|p| Some((p, self.names.zones.get(p.zone)?))) else {
            return;
        };
        if prober.board.probed() < watches && now.saturating_sub(prober.began) < SILENT_START_MAX {
            return;
        }
        let report = prober.board.report(az, prober.run, self.clock(prober.ahead_ms));
        let suspicious = report.suspect().is_some();
        let rested = prober.woken.is_none_or(|at| now.saturating_sub(at) >= WAKE_EVERY);
        if let Some(prober) = self.probers.alive_mut(run) {
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
        let Some(arrives) = meeting.arrives else {
            return;
        };
        if self.dice.happens(self.plan.noise.reports_again) {
            let (again, later) = (report.clone(), self.dice.between(arrives, 5 * SECOND));
            self.count(|| "report written again later".to_owned());
            self.agenda.after(later, move |world| {
                let taken = world.table.report(again);
                world.count_if(!taken, "late report refused");
            });
        }
        let back = meeting.answers.saturating_sub(arrives);
        let told = matches!(meeting.told, Told::Answer | Told::SecondAnswer);
        self.agenda.after(arrives, move |world| {
            // The real one writes its reports one after the other, so that only a newer run can be in its way.
            let newer_run = world.table.reports.get(&report.az).is_some_and(|known| known.run > report.run);
            if !world.table.report(report) && newer_run && told {
                world.agenda.after(back, move |world| world.supersede(run));
            }
        });
    }

    /// A newer run of the same prober reports: this one leaves.
    fn supersede(&mut self, run: RunId) {
        if self.probers.alive(run).is_some() {
            self.count(|| "prober superseded by its successor".to_owned());
            self.probers.end(run);
        }
    }
}
