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
    /// A fault that Aurora injects into itself, by SQL on the writer: FIS has none of these. The template [`GUARD`]
    /// stands around it, with the same conditions before and the same stop conditions.
    ///
    /// Source: Aurora guide, "Testing Amazon Aurora PostgreSQL by using fault injection queries".
    Sql(&'static str),
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
    /// For what it exists.
    pub of: &'static [Deployment],
    /// For how long it is watched after it has begun.
    pub watch: Duration,
    /// What is expected.
    pub hypothesis: Hypothesis,
}

/// The template that breaks nothing: it asserts what all others assert, and waits.
pub const GUARD: &str = "guard";

const CLUSTER: &[Deployment] = &[Deployment::Cluster];
const INSTANCE: &[Deployment] = &[Deployment::Instance];
const BOTH: &[Deployment] = &[Deployment::Cluster, Deployment::Instance];

/// One writer is replaced, and nothing is lost by it.
const REPLACED: Hypothesis = Hypothesis {
    detected_at_most: Duration::from_secs(30),
    outage_at_most: Duration::from_secs(120),
    moves: Some(true),
};
/// A standby takes over: a Multi-AZ DB instance takes 60 to 120 s for it, and five minutes are no more than bad.
const REPLACED_SLOWLY: Hypothesis = Hypothesis { outage_at_most: Duration::from_secs(300), ..REPLACED };
/// Restarted in place, or replaced: both are right.
const CRASHED: Hypothesis = Hypothesis { moves: None, ..REPLACED };
/// Nobody may act on it.
const UNTOUCHED: Hypothesis = Hypothesis {
    detected_at_most: Duration::from_secs(30),
    outage_at_most: Duration::from_secs(10),
    moves: Some(false),
};

impl Experiment {
    /// Whether this installation can have it, and allows it; an empty list allows all.
    pub fn is_allowed(&self, deployment: Deployment, allowed: &[String]) -> bool {
        self.of.contains(&deployment) && (allowed.is_empty() || allowed.iter().any(|name| name == self.name))
    }
}

/// All experiments, in the order of their turns.
pub static CATALOGUE: [Experiment; 7] = [
    Experiment {
        name: "failover",
        says: "The platform fails the writer over in order.",
        means: Means::Template,
        of: CLUSTER,
        watch: Duration::from_secs(300),
        hypothesis: REPLACED,
    },
    Experiment {
        name: "crash",
        says: "The writer's PostgreSQL crashes and restarts in place.",
        means: Means::Sql("SELECT aurora_inject_crash('instance')"),
        of: CLUSTER,
        watch: Duration::from_secs(300),
        hypothesis: CRASHED,
    },
    Experiment {
        name: "zone-unreachable",
        says: "The database's subnet in one Availability Zone is cut off for two minutes.",
        means: Means::Template,
        of: BOTH,
        watch: Duration::from_secs(420),
        hypothesis: CRASHED,
    },
    Experiment {
        name: "replica-failure",
        says: "No reader gets what the writer writes, for one minute.",
        means: Means::Sql("SELECT aurora_inject_replica_failure(100, 60)"),
        of: CLUSTER,
        watch: Duration::from_secs(180),
        hypothesis: UNTOUCHED,
    },
    Experiment {
        name: "reboot-with-failover",
        says: "The instance is rebooted, and its standby takes over.",
        means: Means::Template,
        of: INSTANCE,
        watch: Duration::from_secs(300),
        hypothesis: REPLACED_SLOWLY,
    },
    Experiment {
        name: "disk-failure",
        says: "One of a hundred requests to the storage fails, for one minute.",
        means: Means::Sql("SELECT aurora_inject_disk_failure(1, 0, false, 60)"),
        of: CLUSTER,
        watch: Duration::from_secs(240),
        hypothesis: CRASHED,
    },
    Experiment {
        name: "disk-congestion",
        says: "The storage answers late, by 10 to 50 ms, for one minute.",
        means: Means::Sql("SELECT aurora_inject_disk_congestion(100, 0, false, 60, 10, 50)"),
        of: CLUSTER,
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
    let fit: Vec<&Experiment> =
        CATALOGUE.iter().filter(|experiment| experiment.is_allowed(deployment, allowed)).collect();
    let place = slot.number().checked_rem(fit.len() as u64)?;
    fit.get(usize::try_from(place).ok()?).copied()
}
