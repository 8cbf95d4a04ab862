//! What a backup must hold, as its owner says.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// From what a run restores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// The latest point in time that can be restored: the snapshot before it, and the log since.
    #[default]
    PointInTime,
    /// The newest snapshot.
    Snapshot,
}

/// How many rows a table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// At least so many.
    #[serde(default)]
    pub at_least: u64,
    /// At most so many.
    #[serde(default)]
    pub at_most: Option<u64>,
}

impl Bounds {
    /// Whether a count is within them.
    pub fn hold(self, rows: u64) -> bool {
        rows >= self.at_least && self.at_most.is_none_or(|most| rows <= most)
    }
}

/// A query of the owner's own: its first column of its first row, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// What it is called in findings.
    pub name: String,
    /// One query, which is run in a read-only transaction.
    pub sql: String,
    /// What it must answer.
    pub expected: String,
}

/// What is restored, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Manifest {
    /// From what.
    pub source: SourceKind,
    /// How many seconds of writes a restore may lack, by the canary.
    pub rpo_max_s: u64,
    /// Within how many seconds it must answer its first query.
    pub rto_max_s: u64,
    /// Extensions that must be there.
    pub extensions: Vec<String>,
    /// Settings that must have these values.
    pub settings: BTreeMap<String, String>,
    /// By `schema.table`.
    pub tables: BTreeMap<String, Bounds>,
    /// The owner's own queries.
    pub assertions: Vec<Assertion>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            source: SourceKind::default(),
            rpo_max_s: 900,
            rto_max_s: 3_600,
            extensions: Vec::new(),
            settings: BTreeMap::new(),
            tables: BTreeMap::new(),
            assertions: Vec::new(),
        }
    }
}

impl Manifest {
    /// How much a restore may lack.
    pub fn rpo_max(&self) -> Duration {
        Duration::from_secs(self.rpo_max_s)
    }

    /// Within what it must answer.
    pub fn rto_max(&self) -> Duration {
        Duration::from_secs(self.rto_max_s)
    }
}
