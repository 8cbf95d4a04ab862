//! What RDS events mean, by their id.
//!
//! Source: the event message tables of the Aurora and RDS user guides. Ids that are not listed
//! here are recorded and wake nobody.

use serde::{Deserialize, Serialize};

use crate::notice::Severity;

/// What an event says has happened. A hint, never a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// A failover began, whoever asked for it.
    FailoverStarted,
    /// A failover ended on another instance.
    FailoverCompleted,
    /// A failover ended on the old writer.
    FailoverReversed,
    /// A failover failed.
    FailoverFailed,
    /// A failover that somebody asked for was not begun, since another one had happened shortly before.
    FailoverAbandoned,
    /// An instance went down.
    Shutdown,
    /// An instance came up.
    Restarted,
    /// Recovery of an instance began or ended.
    Recovery,
    /// Members or roles changed.
    TopologyChanged,
    /// Storage runs out.
    LowStorage,
    /// An instance or its key is in a state it does not leave by itself.
    Broken,
    /// The platform changes the cluster on purpose.
    Maintenance,
    /// A blue/green switchover began, ended or was called off: afterwards the cluster's name stands for another
    /// cluster.
    Switchover,
    /// A Serverless v2 instance pauses at 0 ACU or resumes. Witnesses hold connections, so one that is watched
    /// does not pause.
    Pause,
    /// Any other event.
    Other,
}

/// What an event means, how loud it is, and whether the coordinator should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it says has happened.
    pub meaning: Meaning,
    /// How soon somebody should know. None: nobody is told.
    pub severity: Option<Severity>,
    /// Whether the coordinator should look at the cluster now.
    pub wakes: bool,
}

const fn reading(meaning: Meaning, severity: Option<Severity>, wakes: bool) -> Reading {
    Reading { meaning, severity, wakes }
}

/// Ids that mean something to us, in rising order.
pub static TABLE: &[(&str, Reading)] = &[
    ("RDS-EVENT-0004", reading(Meaning::Shutdown, None, true)),
    ("RDS-EVENT-0006", reading(Meaning::Restarted, None, true)),
    ("RDS-EVENT-0007", reading(Meaning::LowStorage, Some(Severity::Critical), false)),
    ("RDS-EVENT-0013", reading(Meaning::FailoverStarted, Some(Severity::Warning), true)),
    ("RDS-EVENT-0015", reading(Meaning::FailoverCompleted, Some(Severity::Warning), true)),
    ("RDS-EVENT-0020", reading(Meaning::Recovery, None, true)),
    ("RDS-EVENT-0021", reading(Meaning::Recovery, None, true)),
    ("RDS-EVENT-0031", reading(Meaning::Broken, Some(Severity::Critical), true)),
    ("RDS-EVENT-0034", reading(Meaning::FailoverAbandoned, Some(Severity::Warning), true)),
    ("RDS-EVENT-0035", reading(Meaning::Broken, Some(Severity::Critical), true)),
    ("RDS-EVENT-0036", reading(Meaning::Broken, Some(Severity::Critical), true)),
    ("RDS-EVENT-0049", reading(Meaning::FailoverCompleted, Some(Severity::Warning), true)),
    ("RDS-EVENT-0050", reading(Meaning::FailoverStarted, None, true)),
    ("RDS-EVENT-0051", reading(Meaning::FailoverCompleted, None, true)),
    ("RDS-EVENT-0052", reading(Meaning::Recovery, None, true)),
    ("RDS-EVENT-0053", reading(Meaning::Recovery, None, true)),
    ("RDS-EVENT-0065", reading(Meaning::Recovery, Some(Severity::Warning), true)),
    ("RDS-EVENT-0069", reading(Meaning::FailoverFailed, Some(Severity::Critical), true)),
    ("RDS-EVENT-0070", reading(Meaning::FailoverReversed, Some(Severity::Critical), true)),
    ("RDS-EVENT-0071", reading(Meaning::FailoverCompleted, Some(Severity::Warning), true)),
    ("RDS-EVENT-0072", reading(Meaning::FailoverStarted, Some(Severity::Warning), true)),
    ("RDS-EVENT-0073", reading(Meaning::FailoverStarted, Some(Severity::Warning), true)),
    ("RDS-EVENT-0089", reading(Meaning::LowStorage, Some(Severity::Warning), false)),
    ("RDS-EVENT-0177", reading(Meaning::Maintenance, Some(Severity::Info), false)),
    ("RDS-EVENT-0221", reading(Meaning::LowStorage, Some(Severity::Critical), true)),
    ("RDS-EVENT-0222", reading(Meaning::LowStorage, Some(Severity::Critical), false)),
    ("RDS-EVENT-0227", reading(Meaning::LowStorage, Some(Severity::Critical), false)),
    ("RDS-EVENT-0259", reading(Meaning::Switchover, Some(Severity::Warning), false)),
    ("RDS-EVENT-0260", reading(Meaning::Switchover, Some(Severity::Warning), true)),
    ("RDS-EVENT-0261", reading(Meaning::Switchover, Some(Severity::Warning), true)),
    ("RDS-EVENT-0288", reading(Meaning::Maintenance, Some(Severity::Info), false)),
    ("RDS-EVENT-0370", reading(Meaning::Pause, None, false)),
    ("RDS-EVENT-0371", reading(Meaning::Pause, None, false)),
    ("RDS-EVENT-0372", reading(Meaning::Pause, Some(Severity::Warning), false)),
    ("RDS-EVENT-0373", reading(Meaning::Pause, None, false)),
    ("RDS-EVENT-0374", reading(Meaning::Pause, Some(Severity::Info), true)),
    ("RDS-EVENT-0385", reading(Meaning::TopologyChanged, None, true)),
    ("RDS-EVENT-0388", reading(Meaning::Maintenance, Some(Severity::Info), false)),
    ("RDS-EVENT-0417", reading(Meaning::Maintenance, Some(Severity::Info), false)),
    ("RDS-EVENT-0418", reading(Meaning::Broken, Some(Severity::Critical), true)),
    ("RDS-EVENT-0419", reading(Meaning::Broken, Some(Severity::Critical), true)),
];

/// How the messages begin that mean something to us, for events that come without an id: those of
/// `DescribeEvents`, and of EventBridge before it sent ids. A `*` stands for one word, such as a name.
static BEGINNINGS: &[(&str, &str)] = &[
    ("Abandoning user requested failover", "RDS-EVENT-0034"),
    ("Allocated storage has been exhausted", "RDS-EVENT-0007"),
    ("Amazon RDS has been unable to access the KMS", "RDS-EVENT-0419"),
    ("Amazon RDS is unable to access the KMS", "RDS-EVENT-0418"),
    ("Cluster failover failed", "RDS-EVENT-0069"),
    ("Cluster operating system upgrade starting", "RDS-EVENT-0288"),
    ("Cluster topology is updated", "RDS-EVENT-0385"),
    ("Completed RDS initiated failover to DB instance", "RDS-EVENT-0071"),
    ("Completed failover to DB instance", "RDS-EVENT-0071"),
    ("DB instance has reached the storage-full threshold", "RDS-EVENT-0221"),
    ("DB instance put into", "RDS-EVENT-0031"),
    ("DB instance restarted", "RDS-EVENT-0006"),
    ("DB instance shutdown", "RDS-EVENT-0004"),
    ("Database cluster engine version upgrade started", "RDS-EVENT-0417"),
    ("Database cluster upgrade is in progress", "RDS-EVENT-0177"),
    ("Database instance in", "RDS-EVENT-0036"),
    ("Database instance put into", "RDS-EVENT-0035"),
    ("Free storage capacity for DB instance", "RDS-EVENT-0222"),
    ("Initiated pause for the DB instance", "RDS-EVENT-0370"),
    ("Initiated resume for the DB instance", "RDS-EVENT-0373"),
    ("Multi-AZ failover to standby complete", "RDS-EVENT-0015"),
    ("Multi-AZ instance activation completed", "RDS-EVENT-0051"),
    ("Multi-AZ instance activation started", "RDS-EVENT-0050"),
    ("Multi-AZ instance failover completed", "RDS-EVENT-0049"),
    ("Multi-AZ instance failover started", "RDS-EVENT-0013"),
    ("Multi-AZ instance recovery completed", "RDS-EVENT-0053"),
    ("Multi-AZ instance recovery started", "RDS-EVENT-0052"),
    ("Pause was canceled for the DB instance", "RDS-EVENT-0371"),
    ("Promoting previous primary again", "RDS-EVENT-0070"),
    ("Recovered from partial failover", "RDS-EVENT-0065"),
    ("Recovery of the DB instance has started", "RDS-EVENT-0020"),
    ("Recovery of the DB instance is complete", "RDS-EVENT-0021"),
    ("Started cross AZ failover to DB instance", "RDS-EVENT-0073"),
    ("Started same AZ failover to DB instance", "RDS-EVENT-0072"),
    ("Starting offline patches to DB instances", "RDS-EVENT-0388"),
    ("Successfully paused the DB instance", "RDS-EVENT-0372"),
    ("Successfully resumed the DB instance", "RDS-EVENT-0374"),
    ("Switchover from DB cluster * to * completed", "RDS-EVENT-0260"),
    ("Switchover from DB cluster * to * started", "RDS-EVENT-0259"),
    ("Switchover from DB cluster * to * was canceled", "RDS-EVENT-0261"),
    ("The free storage capacity for DB instance", "RDS-EVENT-0089"),
    ("Your Aurora cluster's storage is dangerously low", "RDS-EVENT-0227"),
];

/// Reads an event by its id, or by its message when it has none.
pub fn read_event(id: Option<&str>, message: &str) -> Reading {
    read(id.or_else(|| BEGINNINGS.iter().find(|(beginning, _)| begins(message, beginning)).map(|(_, id)| *id)))
}

/// Compares word by word, since case, punctuation and what stands behind vary.
fn begins(message: &str, beginning: &str) -> bool {
    let mut said = message.split_whitespace().map(|word| word.trim_end_matches(|c: char| c.is_ascii_punctuation()));
    beginning.split(' ').all(|word| said.next().is_some_and(|said| word == "*" || said.eq_ignore_ascii_case(word)))
}

/// Reads an event id. An unknown or missing one is [`Meaning::Other`].
pub fn read(id: Option<&str>) -> Reading {
    const OTHER: Reading = reading(Meaning::Other, None, false);
    let Some(id) = id else {
        return OTHER;
    };
    TABLE.binary_search_by(|(known, _)| (*known).cmp(id)).ok().and_then(|at| TABLE.get(at)).map_or(OTHER, |row| row.1)
}

/// The EventBridge pattern of the events that mean something to us, for instances and clusters
/// whose identifier begins with `prefix`. A blue/green deployment has a name of AWS's making; which cluster it is
/// about stands in its message.
pub fn pattern(prefix: &str) -> serde_json::Value {
    let ids: Vec<&str> = TABLE.iter().map(|(id, _)| *id).collect();
    serde_json::json!({
        "source": ["aws.rds"],
        "detail-type": ["RDS DB Cluster Event", "RDS DB Instance Event", "RDS Blue Green Deployment Event"],
        "detail": { "EventID": ids, "SourceIdentifier": [{ "prefix": prefix }, { "prefix": "bgd-" }] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_the_search() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(read(Some("RDS-EVENT-0071")).meaning, Meaning::FailoverCompleted);
        assert_eq!(read(Some("RDS-EVENT-9999")).meaning, Meaning::Other);
        assert_eq!(read(None).meaning, Meaning::Other);
    }

    #[test]
    fn the_pattern_stays_within_what_eventbridge_takes() {
        assert!(pattern(&"x".repeat(63)).to_string().len() <= 4_096);
    }
}
