//! Arbitrary JSON, and event shapes with one thing changed.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Number, Value};

/// What happens to one field of a shape.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// It is gone.
    Dropped,
    /// It is something else.
    Replaced(Value),
    /// It is there twice, the second time as something else: JSON allows it, and the last one counts.
    Doubled(Value),
    /// It is text that holds what it was.
    Quoted,
}

/// Words that parsers look for, so that arbitrary JSON comes close to something.
const WORDS: &[&str] = &[
    "hint",
    "operator",
    "order",
    "set_mode",
    "mode",
    "armed",
    "reason",
    "cluster",
    "orders",
    "tick",
    "suspicion",
    "az",
    "instance",
    "rds",
    "id",
    "meaning",
    "source",
    "aws.rds",
    "aws.cloudwatch",
    "aws.fis",
    "aws.secretsmanager",
    "detail-type",
    "CloudWatch Alarm State Change",
    "detail",
    "alarmName",
    "alarmData",
    "state",
    "value",
    "ALARM",
    "EventID",
    "RDS-EVENT-0069",
    "RDS-EVENT-0071",
    "SourceType",
    "CLUSTER",
    "SourceIdentifier",
    "SourceArn",
    "Message",
    "Completed failover to DB instance: orders-2",
    "Date",
    "time",
    "2026-03-02T03:12:07.884Z",
    "Records",
    "Events",
    "Sns",
    "TopicArn",
    "MessageId",
    "Timestamp",
    "eventSource",
    "aws:sqs",
    "body",
    "Event ID",
    "Source ID",
    "Event Time",
    "2026-03-02 03:12:07.884",
    "AlarmName",
    "NewStateValue",
    "experiment-id",
    "new-state",
    "status",
    "eventName",
    "RotationStarted",
    "additionalEventData",
    "SecretId",
    "replay-name",
    "arn:aws:rds:r:1:cluster:orders",
    "",
];

pub(crate) fn word() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(WORDS).prop_map(str::to_owned), 1 => any::<String>(), 1 => "\\PC{0,80}"]
}

/// Any JSON value of a sensible size.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        word().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((word(), inner.clone()), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
            inner.prop_map(|value| Value::String(value.to_string())),
        ]
    })
}

/// One field of one shape changed: which shape, which of its fields, and how.
pub(crate) fn change() -> impl Strategy<Value = (Index, Index, Change)> {
    let how = prop_oneof![
        Just(Change::Dropped),
        json().prop_map(Change::Replaced),
        json().prop_map(Change::Doubled),
        Just(Change::Quoted),
    ];
    (any::<Index>(), any::<Index>(), how)
}

/// The paths of all fields and items of a value.
pub(crate) fn paths(value: &Value) -> Vec<Vec<String>> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let below = |(key, value): (String, &Value)| {
        let mut found = vec![vec![key.clone()]];
        found.extend(paths(value).into_iter().map(|path| [vec![key.clone()], path].concat()));
        found
    };
    children.into_iter().flat_map(below).collect()
}

/// The JSON text of `value` with the change made at `path`.
pub(crate) fn changed(value: &Value, path: &[String], change: &Change) -> String {
    let Some((key, rest)) = path.split_first() else {
        return value.to_string();
    };
    let child = |name: &str, child: &Value| -> Vec<String> {
        match change {
            _ if name != key => vec![child.to_string()],
            _ if !rest.is_empty() => vec![changed(child, rest, change)],
            Change::Dropped => Vec::new(),
            Change::Replaced(other) => vec![other.to_string()],
            Change::Doubled(other) => vec![child.to_string(), other.to_string()],
            Change::Quoted => vec![Value::String(child.to_string()).to_string()],
        }
    };
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().flat_map(|(name, value)| {
                let quoted = Value::String(name.clone());
                child(name, value).into_iter().map(move |text| format!("{quoted}:{text}"))
            });
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            let items = items.iter().enumerate().flat_map(|(at, item)| child(&at.to_string(), item));
            format!("[{}]", items.collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
