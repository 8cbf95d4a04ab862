//! The events that the router is woken by, as patterns of EventBridge rules.
//!
//! Source: EventBridge "Event patterns": lists are alternatives, keys all have to match.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::rds_event;

/// One pattern for each kind of event that [`crate::hint`] understands, by the name of its rule: for instances and
/// clusters whose identifier begins with `database`, and for alarms whose name begins with `alarms`.
pub fn all(database: &str, alarms: &str) -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("rds", rds_event::pattern(database)),
        (
            "alarm",
            json!({
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "detail": { "alarmName": [{ "prefix": alarms }], "state": { "value": ["ALARM"] } },
            }),
        ),
        ("experiment", json!({ "source": ["aws.fis"], "detail-type": ["FIS Experiment State Change"] })),
        (
            "rotation",
            json!({
                "source": ["aws.secretsmanager"],
                "detail-type": ["AWS Service Event via CloudTrail"],
                "detail": {
                    "eventSource": ["secretsmanager.amazonaws.com"],
                    "eventName": ["RotationStarted", "RotationSucceeded", "RotationFailed", "RotationAbandoned"],
                },
            }),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::{self, Hint};

    /// Whether a pattern matches, as far as these use the language: lists of texts and of prefixes.
    fn matches(pattern: &Value, event: &Value) -> bool {
        match pattern {
            Value::Object(keys) => keys.iter().all(|(key, pattern)| matches(pattern, &event[key])),
            Value::Array(any) => any.iter().any(|one| match one.get("prefix").and_then(Value::as_str) {
                Some(prefix) => event.as_str().is_some_and(|text| text.starts_with(prefix)),
                None => one == event,
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }

    #[test]
    fn what_a_rule_lets_through_is_understood_as_what_the_rule_is_for() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/events");
        let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
        for entry in std::fs::read_dir(folder).expect("the folder of events") {
            let path = entry.expect("an entry").path();
            // FIS never sends the misremembered one: it is there for the parser.
            let is_sent = path.file_stem().is_some_and(|name| name != "experiment-misremembered");
            if path.extension().is_none_or(|extension| extension != "json") || !is_sent {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a file");
            let event: Value = serde_json::from_str(&text).expect("JSON");
            for (rule, pattern) in all("orders", "orders-") {
                if !matches(&pattern, &event) {
                    continue;
                }
                *seen.entry(rule).or_default() += 1;
                let hint = hint::parse(&event);
                let is_its = match rule {
                    "rds" => matches!(hint, Hint::Rds(_)),
                    "alarm" => matches!(hint, Hint::Alarm { .. }),
                    "experiment" => matches!(hint, Hint::Experiment { .. }),
                    _ => matches!(hint, Hint::Rotation { .. }),
                };
                assert!(is_its, "{rule} lets {} through, which is {hint:?}", path.display());
            }
        }
        assert_eq!(seen.len(), 4, "every rule lets something through: {seen:?}");
    }

    #[test]
    fn every_pattern_stays_within_what_eventbridge_takes() {
        for (rule, pattern) in all(&"x".repeat(63), &"x".repeat(63)) {
            assert!(pattern.to_string().len() <= 4_096, "{rule}");
        }
    }
}
