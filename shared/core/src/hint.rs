//! What woke us, parsed from any JSON. A hint is a reason to look, never a fact.
//!
//! Parsing never fails: what is not understood becomes [`Hint::Unknown`].

mod carried;
mod rds;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mode::Mode;
use crate::rds_event::Meaning;
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
    /// Move the writer role on purpose, without an error for applications that use the gate.
    Switchover {
        /// The instance that shall write; the best candidate unless said.
        #[serde(default)]
        target: Option<InstanceId>,
        /// Who ordered it, and why; kept in the evidence.
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

/// The longest text that is taken from outside, in characters. AWS's own sentences stay below 1,000
/// and its ARNs below 2,048.
const TEXT_MAX: usize = 4_096;

/// One event of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its own envelope, completed by that of what carried it.
    pub envelope: Envelope,
    /// What it says.
    pub hint: Hint,
}

/// Reads every event of a payload: the payload itself, or those inside SNS notifications, SQS
/// batches and lists. There is always at least one.
///
/// Our own payloads count only when they come bare, by a direct invocation: a topic or a queue is no
/// place for an order.
pub fn events(payload: &Value) -> Vec<Event> {
    let mut found = Vec::new();
    carried::each(payload, &mut |event, around, bare| {
        let own = if bare { own(event) } else { None };
        found.push(match own {
            Some(hint) => Event { envelope: Envelope::default(), hint },
            None => Event { envelope: envelope_of(event).within(around), hint: foreign(event) },
        });
    });
    if found.is_empty() {
        found.push(Event { envelope: Envelope::default(), hint: foreign(payload) });
    }
    found
}

/// Reads the envelope of the event that [`parse`] reads.
pub fn envelope(payload: &Value) -> Envelope {
    telling(payload).envelope
}

/// Reads any payload. Of several events in it, the first that is understood; [`events`] has all.
pub fn parse(payload: &Value) -> Hint {
    telling(payload).hint
}

fn telling(payload: &Value) -> Event {
    let mut events = events(payload);
    let at = events.iter().position(|event| !matches!(event.hint, Hint::Unknown { .. })).unwrap_or(0);
    events.swap_remove(at)
}

impl Envelope {
    /// What is missing here is taken from the envelope around.
    fn within(self, around: &Self) -> Self {
        let or = |mine: Option<String>, other: &Option<String>| mine.or_else(|| other.clone());
        Self { id: or(self.id, &around.id), time: or(self.time, &around.time), replay: or(self.replay, &around.replay) }
    }
}

fn envelope_of(event: &Value) -> Envelope {
    Envelope {
        id: text(event, "/id").filter(|id| !id.is_empty()),
        time: text(event, "/time"),
        replay: text(event, "/replay-name"),
    }
}

/// One of our own payloads.
fn own(event: &Value) -> Option<Hint> {
    event.get("hint")?;
    Hint::deserialize(event).ok()
}

/// An event from outside.
fn foreign(event: &Value) -> Hint {
    let source = text(event, "/source").unwrap_or_default();
    let detail_type = text(event, "/detail-type").unwrap_or_default();
    let hint = match (source.as_str(), detail_type.as_str()) {
        ("aws.rds", kind) => rds::bridged(event, kind),
        // Of the alarm, or of one contributor to it. A change of its configuration is none of its state.
        ("aws.cloudwatch", kind) if kind.ends_with("State Change") => {
            alarm(event, "/detail/alarmName", "/detail/state/value")
        }
        ("aws.cloudwatch", "") => alarm(event, "/alarmData/alarmName", "/alarmData/state/value"),
        ("aws.fis", _) => experiment(event),
        ("aws.secretsmanager", _) => rotation(event),
        ("aws.scheduler" | "aws.events", "Scheduled Event") => Some(Hint::Tick),
        ("", "") => rds::bare(event).or_else(|| alarm(event, "/AlarmName", "/NewStateValue")),
        _ => None,
    };
    hint.unwrap_or(Hint::Unknown { source, detail_type })
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

/// Secrets Manager's own events through CloudTrail, and calls of its API.
fn rotation(event: &Value) -> Option<Hint> {
    let what = text(event, "/detail/eventName")?;
    let secret = text(event, "/detail/additionalEventData/SecretId")
        .or_else(|| text(event, "/detail/requestParameters/secretId"))?;
    (what.contains("Rotation") || what.contains("RotateSecret")).then_some(Hint::Rotation { secret, what })
}

fn text(event: &Value, pointer: &str) -> Option<String> {
    event.pointer(pointer)?.as_str().map(clipped)
}

/// What is kept of a foreign text.
pub(crate) fn clipped(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
