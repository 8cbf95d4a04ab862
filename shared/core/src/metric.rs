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
    /// CloudWatch's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// The dimension that every metric has: what is watched.
pub const CLUSTER: &str = "Cluster";
/// The dimension of what each witness sees for itself.
pub const AZ: &str = "Az";

/// A metric by its CloudWatch name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Names of its dimensions, all of them in one set.
    pub dimensions: &'static [&'static str],
    /// What it counts or measures, for people.
    pub meaning: &'static str,
}

/// The table of all metrics: a line makes the constant that is emitted and its row in [`ALL`].
macro_rules! metrics {
    ($(#[doc = $meaning:literal] $constant:ident = $name:literal, $unit:ident, $dimensions:expr;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Metric = Metric {
                name: $name,
                unit: Unit::$unit,
                dimensions: &$dimensions,
                meaning: $meaning.trim_ascii_start(),
            };
        )*

        /// Every metric of every function. What is emitted, drawn and watched is in it.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    /// Probe rounds a prober finished: the dead-man's metric.
    PROBES = "Probes", Count, [CLUSTER, AZ];
    /// How long a canary commit took.
    CANARY_COMMIT = "CanaryCommit", Milliseconds, [CLUSTER, AZ];
    /// Acknowledged canary commits that a new writer did not hold.
    CANARY_LOST = "CanaryLost", Count, [CLUSTER, AZ];
    /// Instances that did not look as they should in a round.
    UNHEALTHY_INSTANCES = "UnhealthyInstances", Count, [CLUSTER, AZ];
    /// Hints the router received.
    HINTS = "Hints", Count, [CLUSTER];
    /// Hints that were dropped as duplicate or stale.
    HINTS_DROPPED = "HintsDropped", Count, [CLUSTER];
    /// Episodes opened.
    EPISODES_OPENED = "EpisodesOpened", Count, [CLUSTER];
    /// Planned switchovers begun.
    SWITCHOVERS = "Switchovers", Count, [CLUSTER];
    /// From the first sighting of the failure by a quorum to its recognition.
    DETECTION = "Detection", Milliseconds, [CLUSTER];
    /// From the failure to the commit that proved the recovery.
    RECOVERY = "Recovery", Milliseconds, [CLUSTER];
    /// Calls of `FailoverDBCluster`.
    PROMOTION_CALLS = "PromotionCalls", Count, [CLUSTER];
    /// Times a human was called.
    HUMAN_CALLS = "HumanCalls", Count, [CLUSTER];
    /// Times the stable name could not be set.
    PIN_FAILURES = "PinFailures", Count, [CLUSTER];
    /// Sessions the drainer ended.
    SESSIONS_EVICTED = "SessionsEvicted", Count, [CLUSTER];
    /// Rotations that gave a secret its next user.
    ROTATIONS = "Rotations", Count, [CLUSTER];
    /// Steps of a rotation that failed, other than for an episode.
    ROTATION_FAILURES = "RotationFailures", Count, [CLUSTER];
    /// Whether the last backup that was opened is as it should be: 1 or 0.
    BACKUP_VERIFIED = "BackupVerified", Count, [CLUSTER];
    /// How much of the writes a restored backup lacked.
    BACKUP_AGE = "BackupAge", Milliseconds, [CLUSTER];
    /// From the order of a restore to its first answer.
    RESTORE = "Restore", Milliseconds, [CLUSTER];
    /// Weeks of game days that came to an end, whatever it was.
    GAME_DAYS = "GameDays", Count, [CLUSTER];
    /// Of these, those without a success: failed, stopped, skipped or missed.
    GAME_DAYS_FAILED = "GameDaysFailed", Count, [CLUSTER];
    /// From a fault on purpose to the opening of the episode.
    GAME_DAY_DETECTION = "GameDayDetection", Milliseconds, [CLUSTER];
    /// The longest time without an acknowledged commit on a game day.
    GAME_DAY_OUTAGE = "GameDayOutage", Milliseconds, [CLUSTER];
    /// Acknowledged canary commits that were lost on a game day: the achieved recovery point.
    GAME_DAY_LOST = "GameDayLost", Count, [CLUSTER];
    /// Transfers of the application probe that were acknowledged.
    APPLICATION_TRANSFERS = "ApplicationTransfers", Count, [CLUSTER];
    /// Transfers of the application probe that failed.
    APPLICATION_ERRORS = "ApplicationErrors", Count, [CLUSTER];
    /// The longest time that a transfer of the application probe waited for its answer.
    APPLICATION_WAIT = "ApplicationWait", Milliseconds, [CLUSTER];
    /// What is wrong in the books of the application probe: transfers lost, there twice, or there though denied.
    APPLICATION_WRONG = "ApplicationWrong", Count, [CLUSTER];
}

/// One embedded-metric-format document: each metric under its own dimensions, whose values `dimensions` holds.
///
/// Source: CloudWatch "Embedded metric format specification": `Timestamp` in milliseconds,
/// values at the root, at most 100 metrics and 30 dimensions.
pub fn document(at: Timestamp, dimensions: &[(&str, &str)], metrics: &[(Metric, u64)]) -> Value {
    let mut sets: Vec<&[&str]> = metrics.iter().map(|(metric, _)| metric.dimensions).collect();
    sets.sort_unstable();
    sets.dedup();
    let directives: Vec<Value> = sets.into_iter().map(|set| directive(set, metrics)).collect();
    let mut root = Map::new();
    root.insert("_aws".to_owned(), json!({ "Timestamp": at.as_millis(), "CloudWatchMetrics": directives }));
    for (name, value) in dimensions {
        root.insert((*name).to_owned(), Value::from(*value));
    }
    for (metric, value) in metrics {
        root.insert(metric.name.to_owned(), Value::from(*value));
    }
    Value::Object(root)
}

/// The metrics that have exactly these dimensions.
fn directive(dimensions: &[&str], metrics: &[(Metric, u64)]) -> Value {
    let definitions: Vec<Value> = metrics
        .iter()
        .filter(|(metric, _)| metric.dimensions == dimensions)
        .map(|(metric, _)| json!({ "Name": metric.name, "Unit": metric.unit.as_str() }))
        .collect();
    json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": definitions })
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

    #[test]
    fn each_metric_has_its_own_dimensions_beside_others() {
        let document = document(
            Timestamp::from_millis(5),
            &[("Cluster", "orders"), ("Az", "a")],
            &[(PROBES, 3), (HINTS, 1), (CANARY_LOST, 0)],
        );
        let found: Vec<(usize, usize)> = document["_aws"]["CloudWatchMetrics"]
            .as_array()
            .expect("array")
            .iter()
            .map(|one| {
                (one["Dimensions"][0].as_array().map_or(0, Vec::len), one["Metrics"].as_array().map_or(0, Vec::len))
            })
            .collect();
        assert_eq!(found, [(1, 1), (2, 2)]);
    }

    #[test]
    fn no_two_metrics_have_one_name_and_each_says_what_it_means() {
        let mut names: Vec<&str> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|metric| metric.meaning.ends_with('.') && metric.dimensions.contains(&CLUSTER)));
    }
}
