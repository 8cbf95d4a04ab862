//! A year of weekly game days, with every kind of skip and failure, and what was told to people.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use steadfast_core::game_day::catalogue::{Experiment, Means};
use steadfast_core::game_day::conduct::{Before, Ground, Outcome, Programme, Shown, conduct};
use steadfast_core::game_day::hypothesis::{Finding, Measured};
use steadfast_core::game_day::plan::{Experimenting, Record, Stage, Wake};
use steadfast_core::game_day::preflight::{Alarm, Calendar, Demands, Facts, Freeze};
use steadfast_core::game_day::slot::Slot;
use steadfast_core::game_day::week::{End, Week};
use steadfast_core::mode::Mode;
use steadfast_core::notice::{Notice, Severity};
use steadfast_core::ports::{CallError, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, ClusterStatus, Deployment};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What is different in a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Quiet,
    Frozen,
    Paused,
    EpisodeOpen,
    Lagging,
    Maintenance,
    StaleBackup,
    AlarmFiring,
    LeverEngaged,
    StateUnreadable,
    ScheduleLost,
    StartRefused,
    StartUnanswered,
    DiesAfterIntention,
    StopConditionFires,
    ExperimentFails,
    WritesLost,
    TooSlow,
    Doubled,
    EvidenceMissing,
    NobodyCanMeasure,
    SkippedThenDone,
}

impl Turn {
    /// Every one of them occurs in the year, between quiet weeks.
    const YEAR: [Self; 52] = {
        use Turn as T;
        [
            T::Quiet,
            T::Quiet,
            T::Frozen,
            T::Quiet,
            T::Paused,
            T::Quiet,
            T::EpisodeOpen,
            T::Quiet,
            T::Lagging,
            T::Quiet,
            T::Maintenance,
            T::Quiet,
            T::StaleBackup,
            T::StaleBackup,
            T::StaleBackup,
            T::Quiet,
            T::AlarmFiring,
            T::Quiet,
            T::LeverEngaged,
            T::Quiet,
            T::StateUnreadable,
            T::Quiet,
            T::ScheduleLost,
            T::Quiet,
            T::ScheduleLost,
            T::ScheduleLost,
            T::Quiet,
            T::StartRefused,
            T::Quiet,
            T::StartUnanswered,
            T::Quiet,
            T::DiesAfterIntention,
            T::DiesAfterIntention,
            T::Quiet,
            T::StopConditionFires,
            T::Quiet,
            T::ExperimentFails,
            T::Quiet,
            T::WritesLost,
            T::Quiet,
            T::TooSlow,
            T::Quiet,
            T::Doubled,
            T::Quiet,
            T::EvidenceMissing,
            T::Quiet,
            T::NobodyCanMeasure,
            T::Quiet,
            T::SkippedThenDone,
            T::Quiet,
            T::Quiet,
            T::Quiet,
        ]
    };
}

/// The world of the year: virtual time, one week after another.
struct World {
    inner: Mutex<Inner>,
}

struct Inner {
    now: Timestamp,
    turn: Turn,
    record: Option<Record>,
    /// Experiments by token: when each was really started.
    started: BTreeMap<String, Timestamp>,
    /// Statements that were really sent, by week.
    sent: Vec<Slot>,
    notices: Vec<Notice>,
    /// The function dies at this many calls from now.
    dies_in: Option<u32>,
    stop_requests: u32,
}

impl World {
    fn new(now: Timestamp) -> Self {
        let inner = Inner {
            now,
            turn: Turn::Quiet,
            record: None,
            started: BTreeMap::new(),
            sent: Vec::new(),
            notices: Vec::new(),
            dies_in: None,
            stop_requests: 0,
        };
        Self { inner: Mutex::new(inner) }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn turn(&self) -> Turn {
        self.with(|inner| inner.turn)
    }

    fn ago(&self) -> Duration {
        self.with(|inner| inner.now.since(inner.record.as_ref().map_or(inner.now, |record| record.began)))
    }
}

fn refused() -> CallError {
    CallError::Refused {
        action: "StartExperiment",
        code: "ServiceQuotaExceededException".into(),
        message: "five run".into(),
    }
}

fn unanswered() -> CallError {
    CallError::Unanswered { action: "StartExperiment", cause: "the answer was lost".into() }
}

impl Ground for World {
    fn now(&self) -> Timestamp {
        self.with(|inner| inner.now)
    }

    async fn pause(&self, by: Duration) {
        self.with(|inner| inner.now = inner.now.plus(by));
    }

    async fn load(&self) -> Result<Option<Record>, StateError> {
        if self.turn() == Turn::StateUnreadable {
            return Err(StateError::Unavailable { table: "t".to_owned(), cause: "throttled".to_owned() });
        }
        Ok(self.with(|inner| inner.record.clone()))
    }

    async fn save(&self, seen: Option<u64>, record: &Record) -> Result<(), StateError> {
        self.with(|inner| {
            if inner.record.as_ref().map(|record| record.version) != seen {
                return Err(StateError::Superseded { table: "t".to_owned() });
            }
            inner.record = Some(record.clone());
            Ok(())
        })
    }

    async fn look(&self) -> (Facts, Before) {
        let (turn, now) = self.with(|inner| (inner.turn, inner.now));
        let alarm = if turn == Turn::AlarmFiring { Alarm::Firing } else { Alarm::Ok };
        let monday = Slot::of(now).begins();
        let facts = Facts {
            mode: Some(if turn == Turn::Paused { Mode::Paused } else { Mode::Armed }),
            open_episode: Some(
                turn == Turn::EpisodeOpen || turn == Turn::SkippedThenDone && now < monday.plus(2 * DAY),
            ),
            status: Some(ClusterStatus::Available),
            unfit: Vec::new(),
            instances: 3,
            healthy_witnesses: 3,
            lag_ms: Some(if turn == Turn::Lagging { 9_000 } else { 12 }),
            changes: Some(if turn == Turn::Maintenance { vec!["system-update".to_owned()] } else { Vec::new() }),
            backup_verified: Some(now.minus(if turn == Turn::StaleBackup { 9 * DAY } else { 8 * HOUR })),
            alarms: Some(vec![("person-called".to_owned(), alarm)]),
            lever_engaged: Some(turn == Turn::LeverEngaged),
        };
        (facts, Before { epoch: 3, writer: "orders-1".to_owned(), canary_lost: 0 })
    }

    async fn start(&self, experiment: &'static Experiment, token: &str) -> Result<Option<String>, CallError> {
        if self.turn() == Turn::StartRefused {
            return Err(refused());
        }
        let dies = self.with(|inner| inner.dies_in.take().is_some());
        if dies && matches!(experiment.means, Means::Sql(_)) {
            return Err(unanswered());
        }
        let first = self.with(|inner| {
            let first = !inner.started.contains_key(token);
            inner.started.entry(token.to_owned()).or_insert(inner.now);
            if matches!(experiment.means, Means::Sql(_)) {
                let slot = Slot::of(inner.now);
                inner.sent.push(slot);
            }
            first
        });
        if dies || first && self.turn() == Turn::StartUnanswered {
            return Err(unanswered());
        }
        Ok(matches!(experiment.means, Means::Template).then(|| token.to_owned()))
    }

    async fn shown(&self, id: Option<&str>) -> Shown {
        let (turn, stopped) = self.with(|inner| (inner.turn, inner.stop_requests > 0));
        let experimenting = match (turn, id) {
            (Turn::StopConditionFires, Some(_)) => Experimenting::Stopped,
            (Turn::ExperimentFails, Some(_)) => Experimenting::Failed,
            (_, Some(_)) if stopped => Experimenting::Stopped,
            (_, Some(_)) if self.ago() < Duration::from_secs(60) => Experimenting::Running,
            (_, Some(_)) => Experimenting::Completed,
            (_, None) => Experimenting::Unknown,
        };
        let lost = u64::from(turn == Turn::WritesLost);
        Shown { experimenting, open_episode: self.ago() < Duration::from_secs(20), canary_lost: lost }
    }

    async fn stop(&self, _: Option<&str>) -> Result<(), CallError> {
        self.with(|inner| inner.stop_requests += 1);
        Ok(())
    }

    async fn measure(&self, record: &Record) -> Measured {
        let turn = self.turn();
        let untouched = matches!(record.experiment.as_str(), "replica-failure" | "disk-congestion");
        let episodes = u64::from(!untouched);
        Measured {
            detected_ms: (!untouched).then_some(740),
            outage_ms: match turn {
                Turn::TooSlow => Some(180_000),
                Turn::NobodyCanMeasure => None,
                _ if untouched => Some(90),
                _ => Some(1_150),
            },
            lost: Some(u64::from(turn == Turn::WritesLost)),
            duplicated: Some(u64::from(turn == Turn::Doubled)),
            calls: episodes,
            episodes,
            evidenced: if turn == Turn::EvidenceMissing { 0 } else { episodes },
            moved: Some(!untouched),
        }
    }

    async fn report(&self, record: &Record, _: &Week, _: &Measured, _: &[Finding]) -> Option<String> {
        Some(format!("{}.html", record.slot))
    }

    async fn notify(&self, notice: &Notice) -> Result<(), CallError> {
        self.with(|inner| inner.notices.push(notice.clone()));
        Ok(())
    }

    fn audit(&self, _: &str, _: serde_json::Value) {}
}

/// Nothing here waits for anything but virtual time.
fn done<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits for something that never comes"),
    }
}

fn programme(freezes: Vec<Freeze>) -> Programme {
    Programme {
        cluster: ClusterId::new("orders"),
        deployment: Deployment::Cluster,
        demands: Demands {
            witnesses: 3,
            instances: 3,
            lag_max: Duration::from_secs(1),
            backup_age_max: 48 * HOUR,
            calendar: Calendar { from_hour: 8, until_hour: 18, days: Vec::new(), freezes },
        },
        allowed: Vec::new(),
        watch: None,
    }
}

fn wake(world: &World, programme: &Programme, wake: Wake) -> Option<Outcome> {
    let until = world.now().plus(Duration::from_secs(880));
    done(conduct(world, programme, wake, None, until)).ok()
}

/// One week: the schedule on Monday at 10, an operator's order on Wednesday where the first one was skipped, and sweeps.
fn week(world: &World, programme: &Programme, monday: Timestamp, turn: Turn) {
    let at = |by: Duration| world.with(|inner| inner.now = inner.now.max(monday.plus(by)));
    world.with(|inner| {
        inner.turn = turn;
        inner.stop_requests = 0;
        inner.dies_in = (turn == Turn::DiesAfterIntention).then_some(1);
    });
    for (hours, kind) in [(10, Wake::Due), (11, Wake::Sweep), (12, Wake::Sweep), (58, Wake::Due), (59, Wake::Sweep)] {
        at(hours * HOUR);
        let lost = turn == Turn::ScheduleLost && kind == Wake::Due;
        if !lost {
            wake(world, programme, kind);
        }
    }
}

struct Year {
    world: World,
    told: Vec<(Slot, Turn, Vec<Notice>)>,
}

fn year() -> Year {
    let start = Slot::of(Timestamp::parse("2026-01-05T00:00:00Z").expect("a time"));
    let world = World::new(start.begins());
    let told = RefCell::new(Vec::new());
    let mut slot = start;
    for turn in Turn::YEAR {
        let monday = slot.begins();
        let freeze = Freeze { from: monday, until: monday.plus(7 * DAY), reason: "quarter's end".to_owned() };
        let freezes = if turn == Turn::Frozen { vec![freeze] } else { Vec::new() };
        week(&world, &programme(freezes), monday, turn);
        told.borrow_mut().push((slot, turn, world.with(|inner| std::mem::take(&mut inner.notices))));
        slot = Slot::of(monday.plus(7 * DAY));
    }
    Year { world, told: told.into_inner() }
}

fn ends(year: &Year) -> Vec<(Turn, End)> {
    let weeks = year.world.with(|inner| inner.record.clone()).expect("a record").weeks;
    let end = |slot: Slot| weeks.all().iter().find(|week| week.slot == slot).map(|week| week.end);
    year.told
        .iter()
        .map(|(slot, turn, _)| (*turn, end(*slot).unwrap_or_else(|| panic!("{slot} is forgotten"))))
        .collect()
}

#[test]
fn every_week_of_the_year_ends_as_it_should() {
    for (turn, end) in ends(&year()) {
        let expected: &[End] = match turn {
            Turn::Quiet | Turn::StartUnanswered | Turn::SkippedThenDone => &[End::Passed],
            Turn::Frozen
            | Turn::Paused
            | Turn::EpisodeOpen
            | Turn::Lagging
            | Turn::Maintenance
            | Turn::StaleBackup
            | Turn::AlarmFiring
            | Turn::LeverEngaged
            | Turn::StartRefused => &[End::Skipped],
            Turn::StateUnreadable | Turn::ScheduleLost => &[End::Missed],
            Turn::TooSlow | Turn::Doubled | Turn::EvidenceMissing | Turn::NobodyCanMeasure => &[End::Failed],
            Turn::ExperimentFails | Turn::StopConditionFires | Turn::WritesLost => &[End::Failed, End::Stopped],
            // A template is started again under the same token; a statement is never sent again.
            Turn::DiesAfterIntention => &[End::Passed, End::Failed],
        };
        assert!(expected.contains(&end), "{turn:?} ended {end}");
    }
}

#[test]
fn no_slot_has_more_than_one_experiment_whatever_happens() {
    let year = year();
    let (started, sent) = year.world.with(|inner| (inner.started.clone(), inner.sent.clone()));
    for (slot, turn, _) in &year.told {
        let token = slot.token(&ClusterId::new("orders"));
        assert!(sent.iter().filter(|known| *known == slot).count() <= 1, "{turn:?}: a statement was sent twice");
        let skipped = matches!(turn, Turn::Frozen | Turn::Paused | Turn::StaleBackup | Turn::AlarmFiring);
        assert!(!(skipped && started.contains_key(&token)), "{turn:?}: something was broken all the same");
    }
    let tokens: std::collections::BTreeSet<_> = started.keys().collect();
    assert_eq!(tokens.len(), started.len());
}

#[test]
fn whatever_is_not_a_success_is_told_and_the_second_barren_week_calls_a_person() {
    let year = year();
    let ends = ends(&year);
    let mut barren = 0;
    for ((slot, turn, notices), (_, end)) in year.told.iter().zip(&ends) {
        barren = if *end == End::Passed { 0 } else { barren + 1 };
        // What was missed is told in the week after.
        if *end == End::Missed {
            continue;
        }
        let about = format!("game day {slot} {end}");
        let told: Vec<&Notice> = notices.iter().filter(|notice| notice.subject.contains(&about)).collect();
        assert!(!told.is_empty(), "{turn:?} {slot}: nobody was told: {notices:?}");
        let expected = match end {
            End::Passed => Severity::Info,
            End::Failed | End::Stopped => Severity::Critical,
            End::Skipped | End::Missed if barren > 1 => Severity::Critical,
            End::Skipped | End::Missed => Severity::Warning,
        };
        assert!(told.iter().any(|notice| notice.severity == expected), "{turn:?} {slot}: {told:?}");
    }
    let missed = year.told.iter().flat_map(|(_, _, notices)| notices).filter(|told| told.subject.ends_with("missed"));
    assert!(missed.count() >= 3);
}

#[test]
fn lost_writes_end_the_experiment_at_once() {
    let start = Timestamp::parse("2026-01-05T10:00:00Z").expect("a time");
    let world = World::new(start);
    world.with(|inner| inner.turn = Turn::WritesLost);
    let outcome = done(conduct(&world, &programme(Vec::new()), Wake::Due, Some("failover"), start.plus(HOUR)));
    let week = outcome.expect("conducted").week.expect("ended");
    assert_eq!(week.end, End::Stopped);
    assert!(world.with(|inner| inner.stop_requests) > 0 && week.says.contains("lost"), "{week:?}");
}

#[test]
fn an_experiment_that_does_not_exist_is_named_with_those_that_do() {
    let world = World::new(Timestamp::parse("2026-01-05T10:00:00Z").expect("a time"));
    let outcome = done(conduct(&world, &programme(Vec::new()), Wake::Due, Some("earthquake"), world.now().plus(HOUR)));
    let said = outcome.expect_err("there is none").to_string();
    assert!(said.contains("earthquake") && said.contains("zone-unreachable"), "{said}");
    assert!(world.with(|inner| inner.record.is_none()));
}

#[test]
fn the_year_is_told_as_reviewed() {
    let year = year();
    let weeks = year.world.with(|inner| inner.record.clone()).expect("a record").weeks;
    let mut text = String::new();
    for week in weeks.all() {
        text.push_str(&format!("{} {:<20} {:<7} {}\n", week.slot, week.experiment, week.end.to_string(), week.says));
    }
    text.push('\n');
    for (_, _, notices) in &year.told {
        for notice in notices.iter().filter(|notice| notice.severity > Severity::Info) {
            text.push_str(&format!("{}\n", notice.sns_subject()));
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/game-year.txt");
    if std::fs::read_to_string(path).unwrap_or_default() != text {
        std::fs::write(path, &text).expect("writes");
        panic!("the year has changed; {path} was rewritten: review the difference and commit it");
    }
}

#[test]
fn a_record_survives_the_table() {
    let world = World::new(Timestamp::parse("2026-01-05T10:00:00Z").expect("a time"));
    wake(&world, &programme(Vec::new()), Wake::Due);
    let record = world.with(|inner| inner.record.clone()).expect("a record");
    assert_eq!(record.stage, Stage::Over);
    let text = serde_json::to_string(&record).expect("serialises");
    assert_eq!(serde_json::from_str::<Record>(&text).expect("parses"), record);
}
