//! Metrics as CloudWatch embedded metric format: one JSON line on stdout.

use serde_json::{Map, Value, json};

use crate::time::Timestamp;

/// The CloudWatch namespace of all our metrics.
pub const NAMESPACE: &str = "Steadfast";

/// A CloudWatch unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A duration.
    Milliseconds,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// A metric by its CloudWatch name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
}

/// Probe rounds a prober finished: the dead-man's metric.
pub const PROBES: Metric = Metric { name: "Probes", unit: Unit::Count };
/// How long a canary commit took.
pub const CANARY_COMMIT: Metric = Metric { name: "CanaryCommit", unit: Unit::Milliseconds };
/// Acknowledged canary commits that a new writer did not hold.
pub const CANARY_LOST: Metric = Metric { name: "CanaryLost", unit: Unit::Count };
/// Instances that did not look as they should in a round.
pub const UNHEALTHY_INSTANCES: Metric = Metric { name: "UnhealthyInstances", unit: Unit::Count };
/// Hints the router received.
pub const HINTS: Metric = Metric { name: "Hints", unit: Unit::Count };
/// Hints that were dropped as duplicate or stale.
pub const HINTS_DROPPED: Metric = Metric { name: "HintsDropped", unit: Unit::Count };
/// Episodes opened.
pub const EPISODES_OPENED: Metric = Metric { name: "EpisodesOpened", unit: Unit::Count };
/// Planned switchovers begun.
pub const SWITCHOVERS: Metric = Metric { name: "Switchovers", unit: Unit::Count };
/// From the first sighting of the failure by a quorum to its recognition.
pub const DETECTION: Metric = Metric { name: "Detection", unit: Unit::Milliseconds };
/// From the failure to the commit that proved the recovery.
pub const RECOVERY: Metric = Metric { name: "Recovery", unit: Unit::Milliseconds };
/// Calls of `FailoverDBCluster`.
pub const PROMOTION_CALLS: Metric = Metric { name: "PromotionCalls", unit: Unit::Count };
/// Times a human was called.
pub const HUMAN_CALLS: Metric = Metric { name: "HumanCalls", unit: Unit::Count };
/// Times the stable name could not be set.
pub const PIN_FAILURES: Metric = Metric { name: "PinFailures", unit: Unit::Count };
/// Rotations that gave a secret its next user.
pub const ROTATIONS: Metric = Metric { name: "Rotations", unit: Unit::Count };
/// Steps of a rotation that failed, other than for an episode.
pub const ROTATION_FAILURES: Metric = Metric { name: "RotationFailures", unit: Unit::Count };
/// Whether the last backup that was opened is as it should be: 1 or 0.
pub const BACKUP_VERIFIED: Metric = Metric { name: "BackupVerified", unit: Unit::Count };
/// How much of the writes a restored backup lacked.
pub const BACKUP_AGE: Metric = Metric { name: "BackupAge", unit: Unit::Milliseconds };
/// From the order of a restore to its first answer.
pub const RESTORE: Metric = Metric { name: "Restore", unit: Unit::Milliseconds };
/// Sessions the drainer ended.
pub const SESSIONS_EVICTED: Metric = Metric { name: "SessionsEvicted", unit: Unit::Count };

/// One embedded-metric-format document with the cluster and further dimensions in one set.
///
/// Source: CloudWatch "Embedded metric format specification": `Timestamp` in milliseconds,
/// values at the root, at most 100 metrics and 30 dimensions.
pub fn document(at: Timestamp, dimensions: &[(&str, &str)], metrics: &[(Metric, u64)]) -> Value {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let definitions: Vec<Value> =
        metrics.iter().map(|(metric, _)| json!({ "Name": metric.name, "Unit": metric.unit.as_str() })).collect();
    let mut root = Map::new();
    root.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at.as_millis(),
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": definitions }],
        }),
    );
    for (name, value) in dimensions {
        root.insert((*name).to_owned(), Value::from(*value));
    }
    for (metric, value) in metrics {
        root.insert(metric.name.to_owned(), Value::from(*value));
    }
    Value::Object(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defined_metric_and_dimension_has_its_value_at_the_root() {
        let document = document(
            Timestamp::from_millis(5),
            &[("Cluster", "orders"), ("Az", "a")],
            &[(PROBES, 3), (CANARY_COMMIT, 12)],
        );
        let directive = &document["_aws"]["CloudWatchMetrics"][0];
        for metric in directive["Metrics"].as_array().expect("array") {
            assert!(document[metric["Name"].as_str().expect("name")].is_u64());
        }
        for dimension in directive["Dimensions"][0].as_array().expect("array") {
            assert!(document[dimension.as_str().expect("name")].is_string());
        }
        assert_eq!(document["_aws"]["Timestamp"], 5);
    }
}
