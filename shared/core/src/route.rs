//! Whom an event concerns.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hint::{Envelope, Hint, RdsHint, clipped};
use crate::notice::{Notice, Severity};
use crate::rds_event::{self, Meaning, Reading};
use crate::time::Timestamp;
use crate::topology::{ClusterId, Deployment};

/// An event older than this is no reason to look: the one-minute sweep has looked since. RDS
/// events are best effort and may be minutes late.
const STALE_AFTER: Duration = Duration::from_secs(15 * 60);

/// Why an event changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dropped {
    /// It was handled before.
    Duplicate,
    /// It happened too long ago.
    Stale,
    /// An archive replays it.
    Replayed,
    /// It is of another cluster.
    Foreign,
    /// Nobody knows what it means.
    Unknown,
}

/// What follows from an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Whether the coordinator shall look at the cluster.
    pub wakes: bool,
    /// What people are told.
    pub notice: Option<Notice>,
    /// Why nothing follows.
    pub dropped: Option<Dropped>,
}

impl Route {
    /// Nothing follows.
    pub fn dropped(because: Dropped) -> Self {
        Self { dropped: Some(because), ..Self::default() }
    }

    fn waking() -> Self {
        Self { wakes: true, ..Self::default() }
    }
}

/// Whether the event is too old, by what it says itself. One without a time counts as new.
pub fn stale(hint: &Hint, envelope: &Envelope, now: Timestamp) -> Option<Dropped> {
    if envelope.replay.is_some() {
        return Some(Dropped::Replayed);
    }
    let happened = match hint {
        Hint::Rds(RdsHint { date: Some(date), .. }) => Timestamp::parse(date),
        Hint::Rds(_)
        | Hint::Alarm { .. }
        | Hint::Experiment { .. }
        | Hint::Rotation { .. }
        | Hint::Tick
        | Hint::Suspicion { .. }
        | Hint::Operator(_)
        | Hint::Unknown { .. } => None,
    };
    let at = happened.or_else(|| envelope.time.as_deref().and_then(Timestamp::parse))?;
    (now.since(at) > STALE_AFTER).then_some(Dropped::Stale)
}

/// Chooses whom to wake and whom to tell. `ours` names what is watched.
pub fn choose(hint: &Hint, ours: &ClusterId, deployment: Deployment) -> Route {
    match hint {
        Hint::Rds(event) if is_foreign(event, ours, deployment) => Route::dropped(Dropped::Foreign),
        Hint::Rds(event) => {
            let reading = rds_event::read_event(event.id.as_deref(), &event.message);
            Route {
                wakes: reading.wakes,
                notice: reading.severity.map(|severity| rds_notice(event, reading, severity)),
                dropped: None,
            }
        }
        Hint::Alarm { state, .. } if state == "ALARM" => Route::waking(),
        Hint::Experiment { .. } | Hint::Suspicion { .. } | Hint::Tick => Route::waking(),
        // A rotation wakes nobody: the coordinator meets it when it looks.
        Hint::Alarm { .. } | Hint::Rotation { .. } => Route::default(),
        // An operator's order goes to the coordinator itself: an event bus is no place for it.
        Hint::Operator(_) | Hint::Unknown { .. } => Route::dropped(Dropped::Unknown),
    }
}

/// RDS keeps identifiers in lower case; who sets ours may not.
fn is_foreign(event: &RdsHint, ours: &ClusterId, deployment: Deployment) -> bool {
    let is_ours = |name: &str| name.eq_ignore_ascii_case(ours.as_str());
    let source = match deployment {
        Deployment::Cluster => "CLUSTER",
        Deployment::Instance if event.source_type == "CLUSTER" => return true,
        Deployment::Instance => "DB_INSTANCE",
    };
    match event.source_type.as_str() {
        kind if kind == source => !event.identifier.is_empty() && !is_ours(&event.identifier),
        // Its name is the deployment's; the clusters stand in the message.
        kind if kind == "BLUE_GREEN_DEPLOYMENT" || event.meaning == Meaning::Switchover => {
            !names_in(&event.message).any(is_ours)
        }
        _ => false,
    }
}

/// Every word of a message that may be an identifier.
pub fn names_in(message: &str) -> impl Iterator<Item = &str> {
    message.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|word| !word.is_empty())
}

fn rds_notice(event: &RdsHint, reading: Reading, severity: Severity) -> Notice {
    let id = clipped(event.id.as_deref().unwrap_or("RDS event without an id"));
    let named = Some(event.identifier.as_str()).filter(|name| !name.is_empty());
    let identifier = clipped(named.unwrap_or("a source without a name"));
    Notice {
        severity,
        subject: format!("{identifier}: {id} {:?}", event.meaning),
        body: format!(
            "RDS says about {identifier}: {} ({id}, {}). {} {}",
            clipped(&event.message),
            clipped(event.date.as_deref().unwrap_or("no date")),
            if reading.wakes {
                "Steadfast looks at the cluster now; another message follows if its writer has failed."
            } else {
                "Steadfast does nothing about it."
            },
            next_step(reading.meaning)
        ),
    }
}

/// What whoever reads of it does next.
fn next_step(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::FailoverStarted
        | Meaning::FailoverCompleted
        | Meaning::Shutdown
        | Meaning::Restarted
        | Meaning::Recovery
        | Meaning::TopologyChanged => "Nothing to do unless applications still cannot write in three minutes.",
        Meaning::FailoverReversed => {
            "The old writer has the role again: see whether applications write, then ask RDS why (describe-events)."
        }
        Meaning::FailoverFailed => {
            "If no other message follows within three minutes and applications cannot write, fail over by hand: RDS \
             console, Actions, Failover."
        }
        Meaning::FailoverAbandoned => {
            "Nothing was done, since a failover had happened shortly before: see whether applications write."
        }
        Meaning::LowStorage => {
            "Look at FreeLocalStorage, FreeStorageSpace and VolumeBytesUsed in CloudWatch; drop what is not needed, or \
             give it more storage (Modify) before writes fail."
        }
        Meaning::Broken => {
            "It does not leave this state by itself: look at its status in the RDS console; enable its KMS key or mend \
             its configuration, else restore the latest point in time beside it."
        }
        Meaning::Maintenance => "Nothing to do if it was planned; else see Maintenance & backups in the RDS console.",
        Meaning::Switchover => {
            "The cluster's name may stand for another cluster now: see that applications and probers reach the green one."
        }
        Meaning::Pause => "If a paused instance should not be, raise its minimum capacity above 0 ACU.",
        Meaning::Other => "Read it in the RDS console, Logs & events.",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hint;

    fn event(id: &str, source_type: &str, identifier: &str, date: &str) -> serde_json::Value {
        json!({ "id": "1", "time": date, "source": "aws.rds", "detail": { "EventID": id, "SourceType": source_type,
            "SourceIdentifier": identifier, "Date": date, "Message": "m" } })
    }

    fn route(event: &serde_json::Value) -> Route {
        choose(&hint::parse(event), &ClusterId::new("orders"), Deployment::Cluster)
    }

    #[test]
    fn a_failed_failover_wakes_the_coordinator_and_tells_people_now() {
        let route = route(&event("RDS-EVENT-0069", "CLUSTER", "orders", "2026-01-01T00:00:00Z"));
        assert!(route.wakes);
        assert_eq!(route.notice.expect("told").severity, Severity::Critical);
    }

    #[test]
    fn another_cluster_and_an_unknown_event_change_nothing() {
        let foreign = route(&event("RDS-EVENT-0069", "CLUSTER", "billing", "2026-01-01T00:00:00Z"));
        assert_eq!(foreign, Route::dropped(Dropped::Foreign));
        assert_eq!(route(&json!({ "hello": "world" })), Route::dropped(Dropped::Unknown));
        let unlisted = route(&event("RDS-EVENT-0501", "DB_INSTANCE", "orders-1", "2026-01-01T00:00:00Z"));
        assert!(!unlisted.wakes && unlisted.notice.is_none());
    }

    #[test]
    fn a_blue_green_switchover_is_ours_if_its_message_names_the_cluster() {
        let switchover = |blue: &str| {
            let mut event =
                event("RDS-EVENT-0260", "BLUE_GREEN_DEPLOYMENT", "bgd-1234567890abcdef", "2026-01-01T00:00:00Z");
            event["detail"]["Message"] =
                format!("Switchover from DB cluster {blue} to {blue}-green-ab1cde completed.").into();
            route(&event)
        };
        let ours = switchover("Orders");
        assert!(ours.wakes && ours.notice.is_some_and(|notice| notice.severity == Severity::Warning));
        for foreign in ["billing", "orders-archive"] {
            assert_eq!(switchover(foreign), Route::dropped(Dropped::Foreign), "{foreign}");
        }
    }

    #[test]
    fn a_message_holds_no_empty_name() {
        let names: Vec<&str> = names_in("Switchover from DB cluster `orders` to x-1.").collect();
        assert_eq!(names, ["Switchover", "from", "DB", "cluster", "orders", "to", "x-1"]);
    }

    #[test]
    fn an_event_five_minutes_late_still_counts_and_an_hour_late_does_not() {
        let event = event("RDS-EVENT-0071", "CLUSTER", "orders", "2026-01-01T00:00:00.000Z");
        let (hint, envelope) = (hint::parse(&event), hint::envelope(&event));
        let at = Timestamp::parse("2026-01-01T00:00:00Z").expect("time");
        assert_eq!(stale(&hint, &envelope, at.plus(Duration::from_secs(300))), None);
        assert_eq!(stale(&hint, &envelope, at.plus(Duration::from_secs(3_600))), Some(Dropped::Stale));
        let replayed = Envelope { replay: Some("archive".to_owned()), ..envelope };
        assert_eq!(stale(&hint, &replayed, at), Some(Dropped::Replayed));
    }
}
