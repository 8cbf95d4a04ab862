//! Why nothing may be broken now: numbered reasons, all of them, so that one look tells everything.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::slot::Slot;
use crate::mode::Mode;
use crate::time::Timestamp;
use crate::topology::ClusterStatus;

/// The application probe reports every five seconds; one that is silent for longer than this is not at work.
const APPLICATION_AGE_MAX: Duration = Duration::from_secs(30);

/// When experiments are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// From this hour of the day in UTC.
    pub from_hour: u8,
    /// Until this hour, which is outside; the same as `from_hour`: all day.
    pub until_hour: u8,
    /// Days of the week, 1 for Monday to 7 for Sunday; empty: every day.
    pub days: Vec<u8>,
    /// Frozen stretches of time.
    pub freezes: Vec<Freeze>,
}

/// A stretch of time in which nothing may be broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// Why, such as `year end`.
    pub reason: String,
}

impl Calendar {
    /// All day, every day.
    pub fn always() -> Self {
        Self { from_hour: 0, until_hour: 0, days: Vec::new(), freezes: Vec::new() }
    }

    fn is_open(&self, now: Timestamp) -> bool {
        let seconds = now.as_millis() / 1_000;
        let hour = seconds / 3_600 % 24;
        let day = now.since(Slot::of(now).begins()).as_secs() / 86_400 + 1;
        let (from, until) = (u64::from(self.from_hour), u64::from(self.until_hour));
        let in_hours = match from.cmp(&until) {
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Less => (from..until).contains(&hour),
            // Over midnight.
            std::cmp::Ordering::Greater => hour >= from || hour < until,
        };
        in_hours && (self.days.is_empty() || self.days.iter().any(|allowed| u64::from(*allowed) == day))
    }

    fn frozen(&self, now: Timestamp) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| (freeze.from..freeze.until).contains(&now))
    }
}

/// What a template does about the alarm of a stop condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// FIS asserts that it is OK before the fault begins, and stops the experiment when it fires.
    Asserted,
    /// FIS only stops when it fires: one without data, or that does not exist, would stop nothing.
    Unasserted,
}

/// What was looked at. None: it could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The mode.
    pub mode: Option<Mode>,
    /// Whether an episode is open.
    pub open_episode: Option<bool>,
    /// The cluster's status.
    pub status: Option<ClusterStatus>,
    /// Instances that are not `available`.
    pub unfit: Vec<String>,
    /// How many instances there are.
    pub instances: usize,
    /// Availability Zones that report freshly that every instance is as it should be.
    pub healthy_witnesses: usize,
    /// The largest lag of a reader in milliseconds.
    pub lag_ms: Option<u64>,
    /// Pending maintenance and blue/green deployments, by name.
    pub changes: Option<Vec<String>>,
    /// When a backup was verified last.
    pub backup_verified: Option<Timestamp>,
    /// The alarms of the stop conditions of every template, by ARN.
    pub stop_alarms: Option<Vec<(String, Guard)>>,
    /// Whether the account's safety lever is engaged.
    pub lever_engaged: Option<bool>,
    /// When the application probe had a transfer acknowledged last.
    pub application_acknowledged: Option<Timestamp>,
    /// How much is wrong in its books.
    pub application_wrong: Option<u64>,
}

/// What is asked of the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demands {
    /// At least so many witnesses.
    pub witnesses: usize,
    /// At least so many instances.
    pub instances: usize,
    /// At most so much lag.
    pub lag_max: Duration,
    /// Whether an application probe must be at work.
    pub application: bool,
    /// A verified backup is not older.
    pub backup_age_max: Duration,
    /// When.
    pub calendar: Calendar,
}

/// A reason against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Its number, forever.
    pub id: u16,
    /// In words.
    pub says: String,
}

/// All reasons against breaking something now; empty when there is none.
pub fn reasons(facts: &Facts, demands: &Demands, now: Timestamp) -> Vec<Reason> {
    let mut found = Vec::new();
    let mut object = |id: u16, stands: bool, says: &dyn Fn() -> String| {
        if stands {
            found.push(Reason { id, says: says() });
        }
    };
    // 1xx When?
    let frozen = demands.calendar.frozen(now);
    object(110, !demands.calendar.is_open(now), &|| "outside the change window".to_owned());
    object(120, frozen.is_some(), &|| {
        format!("the calendar is frozen: {}", frozen.map_or("", |freeze| &freeze.reason))
    });
    // 2xx May anybody act?
    object(210, facts.mode.is_none(), &|| "the state table cannot be read".to_owned());
    object(220, facts.mode == Some(Mode::Paused), &|| "Steadfast is paused".to_owned());
    object(230, facts.open_episode == Some(true), &|| "an episode is open".to_owned());
    object(240, facts.lever_engaged == Some(true), &|| "the safety lever of FIS is engaged".to_owned());
    object(250, facts.lever_engaged.is_none(), &|| "the safety lever of FIS cannot be read".to_owned());
    // 3xx Is it whole?
    object(310, facts.status.is_none(), &|| "the control plane does not answer".to_owned());
    object(320, facts.status.as_ref().is_some_and(|status| *status != ClusterStatus::Available), &|| {
        format!("its status is {:?}", facts.status)
    });
    object(330, !facts.unfit.is_empty(), &|| format!("not available: {}", facts.unfit.join(", ")));
    object(340, facts.instances < demands.instances, &|| {
        format!("{} instances, fewer than {}", facts.instances, demands.instances)
    });
    object(350, facts.healthy_witnesses < demands.witnesses, &|| {
        format!(
            "{} Availability Zones see all as it should be, fewer than {}",
            facts.healthy_witnesses, demands.witnesses
        )
    });
    let lag = facts.lag_ms.filter(|lag| u128::from(*lag) > demands.lag_max.as_millis());
    object(360, lag.is_some(), &|| format!("a reader lags by {} ms", lag.unwrap_or_default()));
    let heard = facts.application_acknowledged.filter(|at| now.since(*at) <= APPLICATION_AGE_MAX);
    object(370, demands.application && heard.is_none(), &|| {
        format!("the application probe had no transfer acknowledged for {} s", APPLICATION_AGE_MAX.as_secs())
    });
    object(380, demands.application && facts.application_wrong != Some(0), &|| match facts.application_wrong {
        Some(wrong) => format!("{wrong} wrong in the books of the application probe"),
        None => "nobody has looked into the books of the application probe".to_owned(),
    });
    // 4xx Is somebody else at work?
    object(410, facts.changes.is_none(), &|| "pending maintenance cannot be read".to_owned());
    let changes = facts.changes.as_deref().unwrap_or_default();
    object(420, !changes.is_empty(), &|| format!("maintenance or a blue/green deployment: {}", changes.join(", ")));
    // 5xx Could it be undone?
    let age = facts.backup_verified.map(|at| now.since(at));
    object(510, age.is_none(), &|| "no backup was ever verified".to_owned());
    object(520, age.is_some_and(|age| age > demands.backup_age_max), &|| {
        format!("the last verified backup is {} hours old", age.unwrap_or_default().as_secs() / 3_600)
    });
    // 6xx Would anybody stop it?
    let alarms = facts.stop_alarms.as_deref().unwrap_or_default();
    object(610, alarms.is_empty(), &|| "there is no stop condition, or the templates cannot be read".to_owned());
    let unasserted = alarms.iter().filter(|(_, guard)| *guard == Guard::Unasserted);
    let unasserted: Vec<&str> = unasserted.map(|(name, _)| name.as_str()).collect();
    object(620, !unasserted.is_empty(), &|| {
        format!("a template does not assert that the alarms of its stop conditions are OK: {}", unasserted.join(", "))
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Wednesday.
    fn now() -> Timestamp {
        Timestamp::parse("2026-08-26T10:30:00Z").expect("a time")
    }

    fn whole() -> Facts {
        Facts {
            mode: Some(Mode::Armed),
            open_episode: Some(false),
            status: Some(ClusterStatus::Available),
            unfit: Vec::new(),
            instances: 3,
            healthy_witnesses: 3,
            lag_ms: Some(20),
            changes: Some(Vec::new()),
            backup_verified: Some(now().minus(20 * HOUR)),
            stop_alarms: Some(vec![("person-called".to_owned(), Guard::Asserted)]),
            lever_engaged: Some(false),
            application_acknowledged: Some(now().minus(Duration::from_secs(4))),
            application_wrong: Some(0),
        }
    }

    fn demands() -> Demands {
        Demands {
            witnesses: 3,
            instances: 3,
            lag_max: Duration::from_secs(1),
            application: true,
            backup_age_max: 48 * HOUR,
            calendar: Calendar { from_hour: 9, until_hour: 16, days: vec![2, 3, 4], freezes: Vec::new() },
        }
    }

    fn ids(facts: &Facts, demands: &Demands, at: Timestamp) -> Vec<u16> {
        reasons(facts, demands, at).iter().map(|reason| reason.id).collect()
    }

    #[test]
    fn each_reason_stands_by_itself_under_its_number() {
        assert_eq!(ids(&whole(), &demands(), now()), Vec::<u16>::new());
        let unasserted = vec![("person-called".to_owned(), Guard::Unasserted)];
        for (id, facts) in [
            (210, Facts { mode: None, ..whole() }),
            (220, Facts { mode: Some(Mode::Paused), ..whole() }),
            (230, Facts { open_episode: Some(true), ..whole() }),
            (240, Facts { lever_engaged: Some(true), ..whole() }),
            (250, Facts { lever_engaged: None, ..whole() }),
            (310, Facts { status: None, ..whole() }),
            (320, Facts { status: Some(ClusterStatus::FailingOver), ..whole() }),
            (330, Facts { unfit: vec!["orders-2 (rebooting)".to_owned()], ..whole() }),
            (340, Facts { instances: 2, ..whole() }),
            (350, Facts { healthy_witnesses: 2, ..whole() }),
            (360, Facts { lag_ms: Some(1_001), ..whole() }),
            (370, Facts { application_acknowledged: None, ..whole() }),
            (370, Facts { application_acknowledged: Some(now().minus(Duration::from_secs(31))), ..whole() }),
            (380, Facts { application_wrong: None, ..whole() }),
            (380, Facts { application_wrong: Some(1), ..whole() }),
            (410, Facts { changes: None, ..whole() }),
            (420, Facts { changes: Some(vec!["system-update".to_owned()]), ..whole() }),
            (510, Facts { backup_verified: None, ..whole() }),
            (520, Facts { backup_verified: Some(now().minus(49 * HOUR)), ..whole() }),
            (610, Facts { stop_alarms: None, ..whole() }),
            (610, Facts { stop_alarms: Some(Vec::new()), ..whole() }),
            (620, Facts { stop_alarms: Some(unasserted), ..whole() }),
        ] {
            assert_eq!(ids(&facts, &demands(), now()), [id], "{facts:?}");
        }
    }

    #[test]
    fn the_window_has_hours_and_days_and_freezes_stand_above_both() {
        let at = |text: &str| Timestamp::parse(text).expect("a time");
        for (moment, expected) in [
            ("2026-08-26T08:59:59Z", vec![110]),
            ("2026-08-26T09:00:00Z", vec![]),
            ("2026-08-26T16:00:00Z", vec![110]),
            ("2026-08-24T10:00:00Z", vec![110]),
            ("2026-08-28T10:00:00Z", vec![110]),
        ] {
            let fresh = Some(at(moment));
            let facts = Facts { backup_verified: fresh, application_acknowledged: fresh, ..whole() };
            assert_eq!(ids(&facts, &demands(), at(moment)), expected, "{moment}");
        }
        let alone = Demands { application: false, ..demands() };
        assert_eq!(
            ids(&Facts { application_acknowledged: None, application_wrong: None, ..whole() }, &alone, now()),
            Vec::<u16>::new()
        );
        let night = Calendar { from_hour: 22, until_hour: 4, ..Calendar::always() };
        assert!(night.is_open(at("2026-08-26T23:00:00Z")) && night.is_open(at("2026-08-26T03:59:00Z")));
        assert!(!night.is_open(at("2026-08-26T12:00:00Z")));
        let freeze = Freeze { from: now().minus(HOUR), until: now().plus(HOUR), reason: "year end".to_owned() };
        let frozen = Demands { calendar: Calendar { freezes: vec![freeze], ..demands().calendar }, ..demands() };
        assert_eq!(reasons(&whole(), &frozen, now())[0].says, "the calendar is frozen: year end");
    }
}
