//! The world of the year: virtual time, one week after another.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use steadfast_core::application::{Audit, Felt};
use steadfast_core::evidence::{Entry, Kind};
use steadfast_core::game_day::catalogue::{Experiment, Means};
use steadfast_core::game_day::conduct::{Before, Ground, Shown, Started};
use steadfast_core::game_day::hypothesis::Measured;
use steadfast_core::game_day::plan::{Experimenting, Record};
use steadfast_core::game_day::preflight::{Facts, Guard};
use steadfast_core::game_day::slot::Slot;
use steadfast_core::metric::Metric;
use steadfast_core::mode::Mode;
use steadfast_core::notice::Notice;
use steadfast_core::ports::{CallError, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, ClusterStatus};

use super::turn::Turn;
use super::{DAY, HOUR};

/// For so long an experiment runs, and an episode of it is open.
const RUNS: Duration = Duration::from_secs(60);
const EPISODE: Duration = Duration::from_secs(20);
/// So old is the latest report of the application probe.
const REPORTS_EVERY: Duration = Duration::from_secs(5);

pub(super) struct World {
    inner: Mutex<Inner>,
}

pub(super) struct Inner {
    pub(super) now: Timestamp,
    pub(super) turn: Turn,
    pub(super) record: Option<Record>,
    /// Experiments by token: when each was really started.
    pub(super) started: BTreeMap<String, Timestamp>,
    /// Statements that were really sent, by week.
    pub(super) sent: Vec<Slot>,
    pub(super) notices: Vec<Notice>,
    /// The chains of all experiments.
    pub(super) evidence: Vec<Entry>,
    /// Tokens of experiments that were asked for before their intention stood in the evidence.
    pub(super) unannounced: Vec<String>,
    /// Whether the function dies when it starts the next experiment.
    pub(super) dies: bool,
    pub(super) stop_requests: u32,
}

impl World {
    pub(super) fn new(now: Timestamp) -> Self {
        let inner = Inner {
            now,
            turn: Turn::Quiet,
            record: None,
            started: BTreeMap::new(),
            sent: Vec::new(),
            notices: Vec::new(),
            evidence: Vec::new(),
            unannounced: Vec::new(),
            dies: false,
            stop_requests: 0,
        };
        Self { inner: Mutex::new(inner) }
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn turn(&self) -> Turn {
        self.with(|inner| inner.turn)
    }

    fn ago(&self) -> Duration {
        self.with(|inner| inner.now.since(inner.record.as_ref().map_or(inner.now, |record| record.began)))
    }
}

fn unanswered() -> CallError {
    CallError::Unanswered { action: "StartExperiment", cause: "the answer was lost".to_owned() }
}

fn refused(code: &str, message: &str) -> CallError {
    CallError::Refused { action: "StartExperiment", code: code.to_owned(), message: message.to_owned() }
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
            return Err(StateError::Unavailable { table: "steadfast".to_owned(), cause: "throttled".to_owned() });
        }
        Ok(self.with(|inner| inner.record.clone()))
    }

    async fn save(&self, seen: Option<u64>, record: &Record, entry: Option<&Entry>) -> Result<(), StateError> {
        self.with(|inner| {
            if inner.record.as_ref().map(|record| record.version) != seen {
                return Err(StateError::Superseded { table: "steadfast".to_owned() });
            }
            inner.record = Some(record.clone());
            inner.evidence.extend(entry.cloned());
            Ok(())
        })
    }

    async fn look(&self) -> (Facts, Before) {
        let (turn, now) = self.with(|inner| (inner.turn, inner.now));
        let is = |what| turn == what;
        let monday = Slot::of(now).begins();
        let open = is(Turn::EpisodeOpen) || is(Turn::SkippedThenDone) && now < monday.plus(2 * DAY);
        let guard = if is(Turn::Unguarded) { Guard::Unasserted } else { Guard::Asserted };
        let some = |when: bool, what: &str| if when { vec![what.to_owned()] } else { Vec::new() };
        let facts = Facts {
            mode: Some(if is(Turn::Paused) { Mode::Paused } else { Mode::Armed }),
            open_episode: Some(open),
            status: Some(ClusterStatus::Available),
            unfit: some(is(Turn::Unwhole), "orders-2 (rebooting)"),
            instances: 3,
            healthy_witnesses: if is(Turn::WitnessSilent) { 1 } else { 3 },
            lag_ms: Some(if is(Turn::Lagging) { 9_000 } else { 12 }),
            changes: Some(some(is(Turn::Maintenance), "system-update")),
            backup_verified: Some(now.minus(if is(Turn::StaleBackup) { 9 * DAY } else { 8 * HOUR })),
            stop_alarms: Some(vec![("person-called".to_owned(), guard)]),
            lever_engaged: Some(is(Turn::LeverEngaged)),
            application_acknowledged: Some(now.minus(if is(Turn::ApplicationSilent) { HOUR } else { REPORTS_EVERY })),
            application_wrong: Some(0),
        };
        (facts, Before { epoch: 3, writer: "orders-1".to_owned(), canary_lost: 0 })
    }

    async fn start(&self, experiment: &'static Experiment, token: &str) -> Result<Started, CallError> {
        self.with(|inner| {
            let chain = inner.record.as_ref().map(|record| record.began.as_millis());
            let is_intention = |entry: &Entry| entry.kind == Kind::Intended && Some(entry.epoch) == chain;
            if !inner.evidence.iter().any(is_intention) {
                inner.unannounced.push(token.to_owned());
            }
        });
        let is_statement = matches!(experiment.means, Means::Sql(_));
        if self.turn() == Turn::StartRefused {
            return Err(refused("ServiceQuotaExceededException", "five experiments run"));
        }
        // What guards a statement asserts the alarms before the statement is sent.
        if self.turn() == Turn::AlarmFiring && is_statement {
            return Err(refused("NotSteady", "an alarm is not OK"));
        }
        let dies = self.with(|inner| std::mem::take(&mut inner.dies));
        if dies && is_statement {
            return Err(unanswered());
        }
        let first = self.with(|inner| {
            let first = !inner.started.contains_key(token);
            inner.started.entry(token.to_owned()).or_insert(inner.now);
            if is_statement {
                inner.sent.push(Slot::of(inner.now));
            }
            first
        });
        if dies || first && self.turn() == Turn::StartUnanswered {
            return Err(unanswered());
        }
        Ok(Started { id: Some(token.to_owned()), certain: true })
    }

    async fn shown(&self, id: Option<&str>) -> Shown {
        let (turn, stopped) = self.with(|inner| (inner.turn, inner.stop_requests > 0));
        let experimenting = match (turn, id) {
            (_, None) => Experimenting::Unknown,
            (Turn::AlarmFiring, Some(_)) => Experimenting::NotBegun,
            (Turn::StopConditionFires, Some(_)) => Experimenting::Stopped,
            (Turn::ExperimentFails, Some(_)) => Experimenting::Failed,
            (_, Some(_)) if stopped => Experimenting::Stopped,
            (_, Some(_)) if self.ago() < RUNS => Experimenting::Running,
            (_, Some(_)) => Experimenting::Completed,
        };
        let lost = u64::from(turn == Turn::WritesLost);
        Shown { experimenting, open_episode: self.ago() < EPISODE, canary_lost: lost }
    }

    async fn stop(&self, _: Option<&str>) -> Result<(), CallError> {
        self.with(|inner| inner.stop_requests = inner.stop_requests.saturating_add(1));
        Ok(())
    }

    async fn seen_of(&self, record: &Record) -> Result<Measured, StateError> {
        let turn = self.turn();
        let token = record.slot.token(&ClusterId::new("orders"), record.attempt);
        let happened = self.with(|inner| inner.started.contains_key(&token));
        let untouched = !happened || matches!(record.experiment.as_str(), "replica-failure" | "disk-congestion");
        let episodes = u64::from(!untouched);
        let outage = if untouched { 90 } else { 1_150 };
        Ok(Measured {
            detected_ms: (!untouched).then_some(740),
            outage_ms: Some(if turn == Turn::TooSlow { 180_000 } else { outage })
                .filter(|_| turn != Turn::NobodyCanMeasure),
            lost: Some(u64::from(turn == Turn::WritesLost)),
            duplicated: Some(u64::from(turn == Turn::Doubled)),
            calls: episodes,
            episodes,
            evidenced: if turn == Turn::EvidenceMissing { 0 } else { episodes },
            moved: Some(!untouched),
            application: Some(Felt {
                acknowledged: 120,
                errors: if turn == Turn::ApplicationFails { 2 } else { 0 },
                longest_ms: outage,
                silent_ms: 3_000,
                audit: Some(Audit { at: record.at, ..Audit::default() }),
            }),
        })
    }

    fn measure(&self, _: &[(Metric, u64)]) {}

    async fn notify(&self, notice: &Notice) -> Result<(), CallError> {
        self.with(|inner| inner.notices.push(notice.clone()));
        Ok(())
    }

    fn audit(&self, _: &str, _: serde_json::Value) {}
}
