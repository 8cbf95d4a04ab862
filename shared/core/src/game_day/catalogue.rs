//! What is broken, in turn, and what is expected of it.

use std::time::Duration;

use super::hypothesis::Hypothesis;
use super::slot::Slot;
use crate::topology::Deployment;

/// How an experiment breaks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// An experiment template of AWS FIS.
    Template,
    /// A fault that Aurora injects into itself, by SQL over a session to an instance. FIS has none of these.
    ///
    /// Source: Aurora guide, "Testing Amazon Aurora PostgreSQL by using fault injection queries".
    Sql(&'static str),
}

/// Where a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The writer.
    Writer,
    /// A reader.
    Reader,
}

/// One experiment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Experiment {
    /// Its name: that of the template, and in the record.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub says: &'static str,
    /// How.
    pub means: Means,
    /// To whom, for a statement.
    pub side: Side,
    /// Whether it exists for a Multi-AZ DB instance.
    pub of_instance: bool,
    /// For how long it is watched after it has begun.
    pub watch: Duration,
    /// What is expected.
    pub hypothesis: Hypothesis,
}

/// One writer is replaced, and nothing is lost by it.
const REPLACED: Hypothesis = Hypothesis {
    detected_at_most: Duration::from_secs(30),
    outage_at_most: Duration::from_secs(120),
    moves: Some(true),
};
/// The platform moves the writer in order: there may be nothing to detect.
const MOVED_IN_ORDER: Hypothesis = REPLACED;
/// Restarted in place, or replaced: both are right.
const CRASHED: Hypothesis = Hypothesis { moves: None, ..REPLACED };
/// Nobody may act on it.
const UNTOUCHED: Hypothesis = Hypothesis {
    detected_at_most: Duration::from_secs(30),
    outage_at_most: Duration::from_secs(10),
    moves: Some(false),
};

/// All experiments, in the order of their turns.
pub static CATALOGUE: [Experiment; 7] = [
    Experiment {
        name: "failover",
        says: "The platform fails the writer over in order.",
        means: Means::Template,
        side: Side::Writer,
        of_instance: true,
        watch: Duration::from_secs(300),
        hypothesis: MOVED_IN_ORDER,
    },
    Experiment {
        name: "crash",
        says: "The writer's PostgreSQL crashes and restarts in place.",
        means: Means::Sql("SELECT aurora_inject_crash('instance')"),
        side: Side::Writer,
        of_instance: false,
        watch: Duration::from_secs(300),
        hypothesis: CRASHED,
    },
    Experiment {
        name: "zone-unreachable",
        says: "The database's subnet in one Availability Zone is cut off for two minutes.",
        means: Means::Template,
        side: Side::Writer,
        of_instance: true,
        watch: Duration::from_secs(420),
        hypothesis: CRASHED,
    },
    Experiment {
        name: "replica-failure",
        says: "A reader no longer gets what the writer writes, for one minute.",
        means: Means::Sql("SELECT aurora_inject_replica_failure(100, 60, NULL)"),
        side: Side::Reader,
        of_instance: false,
        watch: Duration::from_secs(180),
        hypothesis: UNTOUCHED,
    },
    Experiment {
        name: "reboot-with-failover",
        says: "The writer is rebooted.",
        means: Means::Template,
        side: Side::Writer,
        of_instance: true,
        watch: Duration::from_secs(300),
        hypothesis: CRASHED,
    },
    Experiment {
        name: "disk-failure",
        says: "One of a hundred requests to the storage fails, for one minute.",
        means: Means::Sql("SELECT aurora_inject_disk_failure(1, 0, false, 60)"),
        side: Side::Writer,
        of_instance: false,
        watch: Duration::from_secs(240),
        hypothesis: CRASHED,
    },
    Experiment {
        name: "disk-congestion",
        says: "The storage answers late, by 10 to 50 ms, for one minute.",
        means: Means::Sql("SELECT aurora_inject_disk_congestion(100, 0, false, 60, 10, 50)"),
        side: Side::Writer,
        of_instance: false,
        watch: Duration::from_secs(180),
        hypothesis: UNTOUCHED,
    },
];

/// The experiment of this name.
pub fn named(name: &str) -> Option<&'static Experiment> {
    CATALOGUE.iter().find(|experiment| experiment.name == name)
}

/// Whose turn it is, among those that this installation allows; None when it allows none.
pub fn turn(slot: Slot, deployment: Deployment, allowed: &[String]) -> Option<&'static Experiment> {
    let fit: Vec<&Experiment> = CATALOGUE
        .iter()
        .filter(|experiment| deployment == Deployment::Cluster || experiment.of_instance)
        .filter(|experiment| allowed.is_empty() || allowed.iter().any(|name| name == experiment.name))
        .collect();
    let place = slot.number().checked_rem(fit.len() as u64)?;
    fit.get(usize::try_from(place).ok()?).copied()
}
