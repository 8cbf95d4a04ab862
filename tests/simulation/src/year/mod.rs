//! A year of weekly game days with every kind of skip and failure, and what was told to people: the conduct of the core
//! itself over a world in virtual time.

mod turn;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use steadfast_core::evidence::Entry;
use steadfast_core::game_day::conduct::{Outcome, Programme, conduct};
use steadfast_core::game_day::hypothesis::Sources;
use steadfast_core::game_day::plan::{Record, Wake};
use steadfast_core::game_day::preflight::{Calendar, Demands, Freeze};
use steadfast_core::game_day::slot::Slot;
use steadfast_core::game_day::week::{End, Week};
use steadfast_core::notice::{Notice, Severity};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment, Owner};

pub use turn::Turn;
use world::World;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Monday of the first ISO week of 2026, in milliseconds.
const FIRST_MONDAY: Timestamp = Timestamp::from_millis(1_767_571_200_000);
/// What Lambda gives an invocation, but for its margin.
const INVOCATION: Duration = Duration::from_secs(880);

/// A week and what was told in it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which week.
    pub slot: Slot,
    /// What happened in it.
    pub turn: Turn,
    /// Every notice, in its order.
    pub notices: Vec<Notice>,
}

/// A year that has passed.
#[derive(Clone, Debug)]
pub struct Year {
    /// Its weeks.
    pub told: Vec<Told>,
    /// What the scheduler has recorded of each.
    pub weeks: Vec<Week>,
    /// Experiments that were really started, by their tokens.
    pub started: BTreeMap<String, Timestamp>,
    /// Statements that were really sent, by week.
    pub sent: Vec<Slot>,
    /// The chains of all experiments.
    pub evidence: Vec<Entry>,
    /// Tokens of experiments that were asked for before their intention stood in the evidence.
    pub unannounced: Vec<String>,
}

/// What one wake at a time does in a world where `turn` happens. For tests.
#[derive(Debug)]
pub struct Alone {
    /// What came of it; the error in words.
    pub outcome: Result<Outcome, String>,
    /// What is recorded.
    pub record: Option<Record>,
    /// How often the end of the experiment was asked for.
    pub stop_requests: u32,
}

/// Lets a year pass.
pub fn year() -> Year {
    let world = World::new(FIRST_MONDAY);
    let mut told = Vec::new();
    let mut slot = Slot::of(FIRST_MONDAY);
    for turn in turn::YEAR {
        let monday = slot.begins();
        let freeze = Freeze { from: monday, until: monday.plus(7 * DAY), reason: "quarter's end".to_owned() };
        let freezes = if turn == Turn::Frozen { vec![freeze] } else { Vec::new() };
        week(&world, &programme(freezes), monday, turn);
        told.push(Told { slot, turn, notices: world.with(|inner| std::mem::take(&mut inner.notices)) });
        slot = Slot::of(monday.plus(7 * DAY));
    }
    world.with(|inner| Year {
        told,
        weeks: inner.record.as_ref().map(|record| record.weeks.all().to_vec()).unwrap_or_default(),
        started: inner.started.clone(),
        sent: inner.sent.clone(),
        evidence: inner.evidence.clone(),
        unannounced: inner.unannounced.clone(),
    })
}

/// One order on a Monday at ten.
pub fn ordered(turn: Turn, experiment: Option<&str>) -> Alone {
    let now = FIRST_MONDAY.plus(10 * HOUR);
    let world = World::new(now);
    world.with(|inner| inner.turn = turn);
    let programme = programme(Vec::new());
    let outcome =
        done(conduct(&world, &programme, Wake::Due, experiment, now.plus(HOUR))).map_err(|error| error.to_string());
    world.with(|inner| Alone { outcome, record: inner.record.clone(), stop_requests: inner.stop_requests })
}

/// One week: the schedule on Monday at 10, an operator's order on Wednesday, and sweeps.
fn week(world: &World, programme: &Programme, monday: Timestamp, turn: Turn) {
    world.with(|inner| {
        inner.turn = turn;
        inner.stop_requests = 0;
        inner.dies = turn == Turn::DiesAfterIntention;
    });
    for (hours, wake) in [(10, Wake::Due), (11, Wake::Sweep), (12, Wake::Sweep), (58, Wake::Due), (59, Wake::Sweep)] {
        let now = world.with(|inner| {
            inner.now = inner.now.max(monday.plus(hours * HOUR));
            inner.now
        });
        if turn != Turn::ScheduleLost || wake != Wake::Due {
            // Whatever fails is met again by the next wake, from the record.
            let _again = done(conduct(world, programme, wake, None, now.plus(INVOCATION)));
        }
    }
}

fn programme(freezes: Vec<Freeze>) -> Programme {
    Programme {
        cluster: ClusterId::new("orders"),
        me: Owner::new("fis-scheduler"),
        deployment: Deployment::Cluster,
        demands: Demands {
            witnesses: 3,
            instances: 3,
            lag_max: Duration::from_secs(1),
            application: true,
            backup_age_max: 48 * HOUR,
            calendar: Calendar { from_hour: 8, until_hour: 18, days: Vec::new(), freezes },
        },
        allowed: Vec::new(),
        watch: None,
        sources: Sources { ledger: true, application: true },
    }
}

/// Drives it to its end: nothing in this world waits for anything but virtual time.
fn done<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

impl Year {
    /// How a week ended.
    pub fn end(&self, slot: Slot) -> Option<End> {
        self.weeks.iter().find(|week| week.slot == slot).map(|week| week.end)
    }

    /// A line for each week: what happened, what was broken, how it ended, and the loudest notice of it. What was
    /// missed is told a week later. Then what all the weeks come to.
    pub fn table(&self) -> String {
        let mut text =
            format!("{:<9} {:<19} {:<16} {:<8} {:<9} what\n", "week", "happens", "experiment", "end", "told");
        for told in &self.told {
            let week = self.weeks.iter().find(|week| week.slot == told.slot);
            let loudest = told.notices.iter().map(|notice| notice.severity).max();
            let _ = writeln!(
                text,
                "{:<9} {:<19} {:<16} {:<8} {:<9} {}",
                told.slot.to_string(),
                format!("{:?}", told.turn),
                week.map_or("", |week| &week.experiment),
                week.map_or_else(String::new, |week| week.end.to_string()),
                loudest.map_or("nobody", Severity::as_str),
                week.map_or("", |week| &week.says),
            );
        }
        let ends = End::ALL.map(|end| {
            let count = self.weeks.iter().filter(|week| week.end == end).count();
            format!("{count} {end}")
        });
        let called =
            |severity| self.told.iter().flat_map(|told| &told.notices).filter(move |it| it.severity == severity);
        let _ = writeln!(
            text,
            "\n{}; {} experiments started; people were warned {} times and called {} times",
            ends.join(", "),
            self.started.len(),
            called(Severity::Warning).count(),
            called(Severity::Critical).count()
        );
        for notice in self.told.iter().flat_map(|told| &told.notices).filter(|it| it.severity == Severity::Critical) {
            let _ = writeln!(text, "  {}", notice.sns_subject());
        }
        text
    }
}
