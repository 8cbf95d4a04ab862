//! What woke us, parsed from any JSON. A hint is a reason to look, never a fact.
//!
//! Parsing never fails: what is not understood becomes [`Hint::Unknown`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mode::Mode;
use crate::rds_event::{self, Meaning};
use crate::topology::{Az, ClusterId, InstanceId};

/// What woke a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "hint")]
pub enum Hint {
    /// An RDS event through EventBridge.
    Rds(RdsHint),
    /// A CloudWatch alarm changed state, through EventBridge or directly.
    Alarm {
        /// The alarm.
        name: String,
        /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
        state: String,
    },
    /// A fault injection experiment changed state.
    Experiment {
        /// The experiment.
        id: String,
        /// Its new status.
        status: String,
    },
    /// A secret's rotation began or ended.
    Rotation {
        /// The secret.
        secret: String,
        /// CloudTrail's event name.
        what: String,
    },
    /// A schedule's tick.
    Tick,
    /// A prober saw something wrong.
    Suspicion {
        /// The witness.
        az: Az,
        /// The instance that looks wrong.
        instance: InstanceId,
    },
    /// An operator's order.
    Operator(Order),
    /// Anything else.
    Unknown {
        /// `source` of the event, if it has one.
        source: String,
        /// `detail-type` of the event, if it has one.
        detail_type: String,
    },
}

/// An RDS event, as far as anybody cares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RdsHint {
    /// Its id, such as `RDS-EVENT-0071`; real events without one exist.
    pub id: Option<String>,
    /// What it says has happened.
    pub meaning: Meaning,
    /// `CLUSTER`, `DB_INSTANCE` or another kind of source.
    pub source_type: String,
    /// The cluster or instance it names.
    pub identifier: String,
    /// AWS's sentence.
    pub message: String,
    /// When it happened, RFC 3339, as written by AWS.
    pub date: Option<String>,
    /// The instance that a failover message names as its target.
    pub target: Option<InstanceId>,
}

/// What an operator may order the coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "order")]
pub enum Order {
    /// Change the mode.
    SetMode {
        /// The new mode.
        mode: Mode,
        /// Who ordered it, and why; kept in the audit.
        reason: String,
    },
}

/// The envelope that EventBridge puts around every event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Unique per event; absent on direct invocations.
    pub id: Option<String>,
    /// When it was sent, RFC 3339.
    pub time: Option<String>,
    /// Set when an archive replays it.
    pub replay: Option<String>,
}

/// What one coordinator invocation is asked: to look at a cluster, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    /// The cluster to look at.
    pub cluster: ClusterId,
    /// Why.
    #[serde(flatten)]
    pub hint: Hint,
}

/// Reads the envelope of an event.
pub fn envelope(event: &Value) -> Envelope {
    Envelope {
        id: text(event, "/id").filter(|id| !id.is_empty()),
        time: text(event, "/time"),
        replay: text(event, "/replay-name"),
    }
}

/// Reads any event.
pub fn parse(event: &Value) -> Hint {
    let source = text(event, "/source").unwrap_or_default();
    let detail_type = text(event, "/detail-type").unwrap_or_default();
    let hint = match (source.as_str(), detail_type.as_str()) {
        ("aws.rds", _) => rds(event),
        ("aws.cloudwatch", "CloudWatch Alarm State Change") => alarm(event, "/detail/alarmName", "/detail/state/value"),
        ("aws.cloudwatch", "") => alarm(event, "/alarmData/alarmName", "/alarmData/state/value"),
        ("aws.fis", _) => experiment(event),
        ("aws.secretsmanager", _) => rotation(event),
        ("aws.scheduler" | "aws.events", "Scheduled Event") => Some(Hint::Tick),
        _ => serde_json::from_value(event.clone()).ok(),
    };
    hint.unwrap_or(Hint::Unknown { source, detail_type })
}

fn rds(event: &Value) -> Option<Hint> {
    let id = text(event, "/detail/EventID");
    let message = text(event, "/detail/Message").unwrap_or_default();
    let meaning = rds_event::read(id.as_deref()).meaning;
    let target = matches!(meaning, Meaning::FailoverStarted | Meaning::FailoverCompleted | Meaning::FailoverReversed)
        .then(|| named_instance(&message))
        .flatten();
    Some(Hint::Rds(RdsHint {
        source_type: text(event, "/detail/SourceType").unwrap_or_default(),
        identifier: text(event, "/detail/SourceIdentifier")?,
        date: text(event, "/detail/Date"),
        id,
        meaning,
        message,
        target,
    }))
}

/// The instance after the last `": "` of a failover message, without a final period.
fn named_instance(message: &str) -> Option<InstanceId> {
    let (_, name) = message.rsplit_once(": ")?;
    let name = name.trim().trim_end_matches('.');
    let plausible = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    plausible.then(|| InstanceId::new(name))
}

fn alarm(event: &Value, name: &str, state: &str) -> Option<Hint> {
    Some(Hint::Alarm { name: text(event, name)?, state: text(event, state)? })
}

fn experiment(event: &Value) -> Option<Hint> {
    Some(Hint::Experiment {
        id: text(event, "/detail/experiment-id")?,
        status: text(event, "/detail/new-state/status")?,
    })
}

fn rotation(event: &Value) -> Option<Hint> {
    let what = text(event, "/detail/eventName")?;
    let secret = text(event, "/detail/additionalEventData/SecretId")?;
    what.contains("Rotation").then_some(Hint::Rotation { secret, what })
}

fn text(event: &Value, pointer: &str) -> Option<String> {
    event.pointer(pointer)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failover_event_names_its_target_with_or_without_a_period() {
        for message in [
            "Completed failover to DB instance: orders-2",
            "Completed failover to DB instance: orders-2.",
            "Completed RDS initiated failover to DB instance: orders-2",
        ] {
            let event = json!({ "source": "aws.rds", "detail-type": "RDS DB Cluster Event",
                "detail": { "EventID": "RDS-EVENT-0071", "SourceIdentifier": "orders", "Message": message } });
            let Hint::Rds(hint) = parse(&event) else { panic!("{event}") };
            assert_eq!(hint.target, Some(InstanceId::new("orders-2")));
            assert_eq!(hint.meaning, Meaning::FailoverCompleted);
        }
    }

    #[test]
    fn an_event_without_an_id_is_no_error() {
        let event = json!({ "source": "aws.rds", "detail": { "SourceIdentifier": "orders-1",
            "Message": "Performance Insights has been disabled", "EventCategories": ["empty"] } });
        assert!(matches!(parse(&event), Hint::Rds(RdsHint { id: None, meaning: Meaning::Other, .. })));
    }

    #[test]
    fn alarms_come_in_two_shapes() {
        let bridged = json!({ "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change",
            "detail": { "alarmName": "a", "state": { "value": "ALARM" } } });
        let direct = json!({ "source": "aws.cloudwatch", "alarmArn": "arn",
            "alarmData": { "alarmName": "a", "state": { "value": "ALARM" } } });
        assert_eq!(parse(&bridged), parse(&direct));
        assert!(matches!(parse(&bridged), Hint::Alarm { .. }));
    }

    #[test]
    fn experiment_keys_are_hyphenated() {
        let event = json!({ "source": "aws.fis", "detail-type": "FIS Experiment State Change",
            "detail": { "experiment-id": "EXP", "new-state": { "status": "completed" } } });
        assert_eq!(parse(&event), Hint::Experiment { id: "EXP".to_owned(), status: "completed".to_owned() });
    }

    #[test]
    fn a_wake_survives_its_own_json() {
        for hint in [
            Hint::Tick,
            Hint::Suspicion { az: Az::new("a"), instance: InstanceId::new("i") },
            Hint::Operator(Order::SetMode { mode: Mode::Armed, reason: "drill".to_owned() }),
        ] {
            let wake = Wake { cluster: ClusterId::new("orders"), hint };
            let json = serde_json::to_value(&wake).expect("serialises");
            assert_eq!(serde_json::from_value::<Wake>(json.clone()).expect("parses"), wake, "{json}");
            assert_eq!(parse(&json), wake.hint);
        }
    }

    #[test]
    fn nothing_is_too_strange_to_parse() {
        for event in [
            json!(null),
            json!(7),
            json!("x"),
            json!([]),
            json!({}),
            json!({ "source": 1 }),
            json!({ "source": "aws.rds" }),
            json!({ "source": "aws.rds", "detail": [] }),
            json!({ "source": "aws.fis", "detail": { "state": { "status": "running" } } }),
            json!({ "hint": "suspicion" }),
            json!({ "source": "my.app", "detail-type": "Hello" }),
        ] {
            assert!(matches!(parse(&event), Hint::Unknown { .. }), "{event}");
        }
    }
}
