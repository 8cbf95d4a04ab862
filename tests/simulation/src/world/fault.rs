//! The timeline: faults begin, end, and what they do to paths, clocks and deliveries.

use std::collections::BTreeSet;
use std::time::Duration;

use steadfast_core::mode::Mode;
use steadfast_scenario::{
    Delivery, Disturbance, End, Event, Fault, Milestone, Moment, OperatorDeed, Place, PlatformDeed, Role, View, Zone,
};

use super::instance::Run;
use super::platform::Asker;
use super::{MS, Micros, Nth, SECOND, World, micros};
use crate::plan::Plan;

/// Everything is healthy for this long before the first fault can begin.
pub(crate) const WARM_UP: Micros = 3 * SECOND;

/// Statuses of a cluster that cannot serve.
const STOPPED: &str = "stopped";
const KEYLESS: &str = "inaccessible-encryption-credentials-recoverable";

/// A fault that lasts, with the instance it was resolved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Active {
    id: u64,
    fault: Fault,
    instance: Option<Nth>,
}

/// The timeline of one run.
pub(crate) struct Faults {
    ids: u64,
    active: Vec<Active>,
    /// Events that wait for a milestone.
    waiting: Vec<Event>,
    /// Lasting faults that wait for a milestone to end.
    ending: Vec<(u64, Milestone, Duration)>,
    /// Events that have yet to begin, and faults that have yet to end by themselves.
    pub(crate) to_come: usize,
    /// Lines of those that have begun.
    begun: BTreeSet<usize>,
    /// When the first one is to begin: what the play lasts counts from here.
    pub(crate) first_due: Micros,
    /// When the first one began.
    pub(crate) first: Option<Micros>,
    /// Whether the play is over: nothing begins any more.
    stopped: bool,
}

/// What a path to a server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Unreachable,
    Silent,
    Refused,
    Starting,
    Answers,
}

/// What events of the platform meet on their way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    pub(crate) lost: bool,
    pub(crate) doubled: bool,
    pub(crate) late: Duration,
}

/// What invocations of the coordinator meet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Invoked {
    pub(crate) doubled: bool,
    pub(crate) delay: Duration,
    pub(crate) ahead_ms: i64,
}

impl Faults {
    pub(super) fn new(plan: &Plan) -> Self {
        let never_ending = |event: &&Event| event.end != End::Never;
        let ends = plan.scenario.timeline.iter().filter(never_ending).count();
        let due = plan.scenario.timeline.iter().filter_map(|event| match event.at {
            Moment::At(after) => Some(micros(after)),
            Moment::After(..) => None,
        });
        Self {
            ids: 0,
            active: Vec::new(),
            waiting: Vec::new(),
            ending: Vec::new(),
            to_come: plan.scenario.timeline.len().saturating_add(ends),
            begun: BTreeSet::new(),
            first_due: WARM_UP.saturating_add(due.min().unwrap_or(0)),
            first: None,
            stopped: false,
        }
    }
}

impl World {
    pub(super) fn begin_faults(&mut self) {
        for event in self.plan.scenario.timeline.clone() {
            match event.at {
                Moment::At(after) => {
                    let at = WARM_UP.saturating_add(micros(after));
                    self.agenda.after(at, move |world| world.begin_fault(&event));
                }
                Moment::After(..) => self.faults.waiting.push(event),
            }
        }
    }

    /// Faults that wait for this milestone begin or end.
    pub(super) fn faults_after(&mut self, milestone: Milestone) {
        let waiting = std::mem::take(&mut self.faults.waiting);
        for event in waiting {
            match event.at {
                Moment::After(which, delay) if which == milestone => {
                    self.agenda.after(micros(delay), move |world| world.begin_fault(&event));
                }
                Moment::After(..) | Moment::At(_) => self.faults.waiting.push(event),
            }
        }
        let ending = std::mem::take(&mut self.faults.ending);
        for (id, which, delay) in ending {
            if which == milestone {
                self.agenda.after(micros(delay), move |world| world.fault_ends(id));
            } else {
                self.faults.ending.push((id, which, delay));
            }
        }
    }

    fn begin_fault(&mut self, event: &Event) {
        if self.faults.stopped {
            return;
        }
        self.faults.to_come = self.faults.to_come.saturating_sub(1);
        let now = self.agenda.now();
        self.faults.first.get_or_insert(now);
        self.faults.ids = self.faults.ids.saturating_add(1);
        let active = Active { id: self.faults.ids, fault: event.fault, instance: self.place_of(event.fault) };
        if active.instance.is_some() || active.fault.place().is_none() {
            self.faults.begun.insert(event.line);
        }
        self.note(|| format!("FAULT   {:?}", active.fault));
        self.count(|| {
            let name = format!("{:?}", active.fault);
            let mut words: String = name.split('(').take(2).collect::<Vec<_>>().join(" ");
            if let Fault::Lag(..) = active.fault {
                words.truncate(words.find(',').unwrap_or(words.len()));
            }
            format!("fault {}", words.trim_end_matches(|c: char| !c.is_alphabetic()))
        });
        self.faults.active.push(active);
        self.inject(active);
        match event.end {
            End::Never => {}
            End::For(lasts) => self.agenda.after(micros(lasts), move |world| world.fault_ends(active.id)),
            End::Until(milestone, delay) if self.watch.milestones.contains_key(&milestone) => {
                self.agenda.after(micros(delay), move |world| world.fault_ends(active.id));
            }
            End::Until(milestone, delay) => self.faults.ending.push((active.id, milestone, delay)),
        }
    }

    /// Lines of the scenario whose fault has not begun, or found no instance.
    pub(crate) fn missed_faults(&self) -> Vec<usize> {
        let lines = self.plan.scenario.timeline.iter().map(|event| event.line);
        // What was drawn by chance stands on no line, and may come to nothing.
        lines.filter(|line| *line > 0 && !self.faults.begun.contains(line)).collect()
    }

    fn fault_ends(&mut self, id: u64) {
        self.faults.to_come = self.faults.to_come.saturating_sub(1);
        self.lift_fault(id);
    }

    fn lift_fault(&mut self, id: u64) {
        let Some(at) = self.faults.active.iter().position(|active| active.id == id) else {
            return;
        };
        let active = self.faults.active.remove(at);
        self.note(|| format!("mended  {:?}", active.fault));
        self.lift(active);
    }

    /// Ends every fault but what ails the writer of the start, and starts every other server that is down.
    pub(crate) fn mend_all_but_the_first_writer(&mut self) {
        self.faults.stopped = true;
        self.faults.waiting.clear();
        self.faults.ending.clear();
        self.faults.to_come = 0;
        let mended = self.faults.active.iter().filter(|active| active.instance != Some(0)).map(|active| active.id);
        for id in mended.collect::<Vec<_>>() {
            self.lift_fault(id);
        }
        for nth in 1..self.instances.len() {
            if self.instances.get(nth).is_some_and(|i| matches!(i.run, Run::Down | Run::HostGone)) {
                self.start(nth, 2 * SECOND);
            }
        }
    }

    /// Ends every fault, voids those that have not begun, and starts every server that is down.
    pub(crate) fn mend_everything(&mut self) {
        self.faults.stopped = true;
        self.faults.waiting.clear();
        self.faults.ending.clear();
        self.faults.to_come = 0;
        while let Some(active) = self.faults.active.first().copied() {
            self.lift_fault(active.id);
        }
        for nth in 0..self.instances.len() {
            if self.instances.get(nth).is_some_and(|i| matches!(i.run, Run::Down | Run::HostGone)) {
                self.start(nth, 2 * SECOND);
            }
        }
    }

    /// Whether what ails the first writer is something that another writer cures and that everybody sees.
    pub(crate) fn first_writer_can_be_replaced(&self) -> bool {
        let cured = |active: &Active| {
            matches!(
                active.fault,
                Fault::KillHost(_) | Fault::Freeze(_) | Fault::StallCommits(_) | Fault::Cut(_, View::Everyone)
            )
        };
        let mut ails = self.faults.active.iter().filter(|active| active.instance == Some(0)).peekable();
        // An episode about another instance waits for the platform, which has moved the role here.
        let about_it = self.table.episode.as_ref().is_some_and(|open| self.nth(&open.old_writer) == Some(0));
        let reader = self.instances.len() > 1;
        ails.peek().is_some() && ails.all(cured) && self.platform.writer == 0 && about_it && reader
    }

    fn place_of(&self, fault: Fault) -> Option<Nth> {
        match fault.place()? {
            Place::Writer => Some(self.platform.writer),
            Place::OldWriter => Some(0),
            Place::Target => self.platform.target,
            Place::Reader(nth) => Some(usize::from(nth)),
        }
    }

    fn inject(&mut self, active: Active) {
        let nth = active.instance;
        match active.fault {
            Fault::KillHost(_) => self.on(nth, |world, nth| world.take_down(nth, Run::HostGone)),
            Fault::KillPostgres(_) => self.on(nth, |world, nth| world.take_down(nth, Run::Down)),
            Fault::Restart(_) => self.on(nth, |world, nth| {
                let takes = world.dice.between(300, 3_000) * MS;
                world.take_down(nth, Run::Down);
                world.start(nth, takes);
            }),
            Fault::Freeze(_) => self.set(nth, |instance| instance.frozen = instance.run == Run::Up),
            Fault::StallCommits(_) => self.set(nth, |instance| instance.stalled = true),
            Fault::FillDisk(_) => self.set(nth, |instance| instance.full = true),
            Fault::FailCommits(_) => self.set(nth, |instance| instance.failing = true),
            Fault::RefuseWrites(_) => self.set(nth, |instance| instance.read_only = true),
            Fault::RotatePassword(role) => self.rotate(role),
            Fault::TakeConnections(_) => self.set(nth, |instance| instance.taken = true),
            Fault::Linger(_) => self.set(nth, |instance| instance.lingered_on = true),
            Fault::Lag(_, by) => {
                self.set(nth, |instance| instance.lag_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
            }
            Fault::Fail(service, trouble, action) => self.trouble_begins(active.id, service, trouble, action),
            Fault::Coordinator(Disturbance::Killed) => self.kill_coordinators(),
            Fault::KillProber(Zone(zone)) => self.kill_prober(usize::from(zone)),
            Fault::Platform(deed) => self.platform_does(deed, true),
            Fault::Operator(deed) => self.operator_does(deed),
            // Looked up where they matter.
            Fault::Cut(..)
            | Fault::Blind(_)
            | Fault::Delay(..)
            | Fault::Isolate(_)
            | Fault::RefusePassword(_)
            | Fault::Events(_)
            | Fault::Coordinator(_) => {}
        }
    }

    fn lift(&mut self, active: Active) {
        let nth = active.instance;
        match active.fault {
            Fault::KillHost(_) => self.on(nth, |world, nth| {
                if world.instances.get(nth).is_some_and(|instance| instance.run == Run::HostGone) {
                    let takes = world.dice.between(500, 4_000) * MS;
                    world.start(nth, takes);
                }
            }),
            Fault::Freeze(_) => self.on(nth, Self::thaw),
            Fault::StallCommits(_) => self.set(nth, |instance| instance.stalled = false),
            Fault::FillDisk(_) => self.set(nth, |instance| instance.full = false),
            Fault::FailCommits(_) => self.set(nth, |instance| instance.failing = false),
            Fault::RefuseWrites(_) => self.set(nth, |instance| instance.read_only = false),
            Fault::RotatePassword(role) => self.store_rotated(role),
            Fault::TakeConnections(_) => self.set(nth, |instance| instance.taken = false),
            Fault::Linger(_) => self.set(nth, |instance| instance.lingered_on = false),
            Fault::Lag(..) => self.set(nth, |instance| instance.lag_ms = 20),
            Fault::Fail(..) => self.trouble_ends(active.id),
            Fault::Platform(deed) => self.platform_does(deed, false),
            Fault::KillPostgres(_)
            | Fault::Restart(_)
            | Fault::Cut(..)
            | Fault::Blind(_)
            | Fault::Delay(..)
            | Fault::Isolate(_)
            | Fault::RefusePassword(_)
            | Fault::Events(_)
            | Fault::Coordinator(_)
            | Fault::KillProber(_)
            | Fault::Operator(_) => {}
        }
    }

    fn on(&mut self, nth: Option<Nth>, deed: impl FnOnce(&mut Self, Nth)) {
        if let Some(nth) = nth.filter(|nth| *nth < self.instances.len()) {
            deed(self, nth);
        }
    }

    pub(super) fn set(&mut self, nth: Option<Nth>, change: impl FnOnce(&mut super::instance::Instance)) {
        if let Some(instance) = nth.and_then(|nth| self.instances.get_mut(nth)) {
            change(instance);
        }
    }

    fn platform_does(&mut self, deed: PlatformDeed, begins: bool) {
        match deed {
            PlatformDeed::FailsOver if begins => {
                let refused = self.fail_over(Asker::Itself, None);
                self.note(|| format!("platform fails over by itself: {refused:?}"));
            }
            PlatformDeed::FailsOver => {}
            PlatformDeed::FailoversFail => self.platform.failovers_fail = begins,
            PlatformDeed::FailoversReverse => self.platform.failovers_reverse = begins,
            PlatformDeed::ChangesCluster | PlatformDeed::SwitchesBlueGreen => self.platform.changing = begins,
            PlatformDeed::PausesCluster => {
                for nth in 0..self.instances.len() {
                    if begins {
                        self.set(Some(nth), |instance| instance.frozen = instance.run == Run::Up);
                    } else {
                        self.thaw(nth);
                    }
                }
            }
            PlatformDeed::KeepsEndpoint => {
                self.platform.keeps_endpoint = begins;
                if !begins {
                    self.point_endpoint(self.platform.writer);
                }
            }
            PlatformDeed::StopsCluster if begins => self.shut_down(STOPPED),
            PlatformDeed::StopsCluster => self.open_up(STOPPED),
            PlatformDeed::LosesKey if begins => self.shut_down(KEYLESS),
            PlatformDeed::LosesKey => self.open_up(KEYLESS),
        }
        self.refresh_view();
    }

    fn operator_does(&mut self, deed: OperatorDeed) {
        match deed {
            OperatorDeed::Sets(mode) => self.table.mode = mode,
            OperatorDeed::FailsOver => {
                let refused = self.fail_over(Asker::Operator, None);
                self.note(|| format!("operator fails over: {refused:?}"));
            }
            OperatorDeed::DeletesLease => {
                let owner = self.table.lease.take().map(|lease| lease.owner);
                self.watch.robbed.extend(owner);
            }
            OperatorDeed::SwitchesOver => self.order_switchover(),
        }
    }

    /// An operator pauses, and arms again later.
    pub(crate) fn pause_for(&mut self, time: Micros) {
        let before = self.table.mode;
        if before == Mode::Paused {
            return;
        }
        self.table.mode = Mode::Paused;
        self.note(|| "operator pauses".to_owned());
        self.agenda.after(time, move |world| {
            if world.table.mode == Mode::Paused {
                world.table.mode = before;
            }
        });
    }

    /// What a zone's prober meets at an instance.
    pub(crate) fn reach_from_zone(&self, zone: Nth, nth: Nth) -> Reach {
        self.path(zone, nth, false)
    }

    /// What a client in this zone meets at an instance.
    pub(crate) fn reach_from_client(&self, zone: Nth, nth: Nth) -> Reach {
        self.path(zone, nth, true)
    }

    /// How much later than usual an answer comes back to this zone.
    pub(crate) fn delay_of(&self, zone: Nth) -> Micros {
        let slow = self.faults.active.iter().filter_map(|active| {
            let Fault::Delay(Zone(slow), by) = active.fault else {
                return None;
            };
            (usize::from(slow) == zone).then(|| micros(by).saturating_mul(2))
        });
        slow.max().unwrap_or(0)
    }

    fn path(&self, zone: Nth, nth: Nth, client: bool) -> Reach {
        if self.is_hidden(nth) {
            return Reach::Unreachable;
        }
        let home = self.zone_of(nth);
        let cut = self.faults.active.iter().any(|active| match active.fault {
            Fault::Cut(_, view) if active.instance == Some(nth) => match view {
                View::Zone(Zone(from)) => usize::from(from) == zone,
                View::Everyone => true,
                View::Clients => client,
            },
            Fault::Blind(Zone(blind)) => usize::from(blind) == zone,
            Fault::Isolate(Zone(lost)) => usize::from(lost) == zone || usize::from(lost) == home,
            Fault::Cut(..)
            | Fault::Delay(..)
            | Fault::KillHost(_)
            | Fault::KillPostgres(_)
            | Fault::Freeze(_)
            | Fault::Restart(_)
            | Fault::StallCommits(_)
            | Fault::FillDisk(_)
            | Fault::FailCommits(_)
            | Fault::RefuseWrites(_)
            | Fault::TakeConnections(_)
            | Fault::Linger(_)
            | Fault::Lag(..)
            | Fault::RefusePassword(_)
            | Fault::RotatePassword(_)
            | Fault::Fail(..)
            | Fault::Events(_)
            | Fault::Coordinator(_)
            | Fault::KillProber(_)
            | Fault::Platform(_)
            | Fault::Operator(_) => false,
        });
        match self.instances.get(nth) {
            _ if cut => Reach::Unreachable,
            None => Reach::Unreachable,
            Some(instance) => match instance.run {
                Run::HostGone => Reach::Unreachable,
                Run::Down => Reach::Refused,
                Run::Starting => Reach::Starting,
                Run::Paused | Run::Resuming => Reach::Silent,
                Run::Up if instance.frozen => Reach::Silent,
                Run::Up => Reach::Answers,
            },
        }
    }

    /// Whether a fault keeps this host down.
    pub(crate) fn is_host_killed(&self, nth: Nth) -> bool {
        let kills = |active: &Active| matches!(active.fault, Fault::KillHost(_)) && active.instance == Some(nth);
        self.faults.active.iter().any(kills)
    }

    /// Whether this role's password is refused now.
    pub(crate) fn refuses_password(&self, role: Role) -> bool {
        self.faults.active.iter().any(|active| active.fault == Fault::RefusePassword(role))
    }

    /// What an event of the platform meets on its way now.
    pub(crate) fn delivery(&mut self) -> Way {
        let mut way = Way::default();
        for active in &self.faults.active {
            if let Fault::Events(delivery) = active.fault {
                match delivery {
                    Delivery::Late(by) => way.late = by,
                    Delivery::Dropped => way.lost = true,
                    Delivery::Doubled => way.doubled = true,
                    Delivery::Reordered => way.late = Duration::from_millis(self.dice.between(0, 20_000)),
                }
            }
        }
        way
    }

    /// What an invocation of the coordinator meets now.
    pub(crate) fn disturbance(&self) -> Invoked {
        let mut met = Invoked::default();
        for active in &self.faults.active {
            if let Fault::Coordinator(disturbance) = active.fault {
                let millis = |by: Duration| i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
                match disturbance {
                    Disturbance::Killed => {}
                    Disturbance::Delayed(by) => met.delay = by,
                    Disturbance::Doubled => met.doubled = true,
                    Disturbance::Ahead(by) => met.ahead_ms = millis(by),
                    Disturbance::Behind(by) => met.ahead_ms = -millis(by),
                }
            }
        }
        met
    }
}
