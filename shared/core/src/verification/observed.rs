//! What is seen of a run and of what it made, frozen.

use serde::Serialize;

use super::manifest::Manifest;
use super::run::Run;
use crate::time::Timestamp;
use crate::topology::{ClusterId, Deployment};

/// Everything that the next step is judged from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When.
    pub now: Timestamp,
    /// The latest run.
    pub run: Option<Run>,
    /// What was ordered with this invocation.
    pub order: Option<Manifest>,
    /// The database whose backups are verified.
    pub production: Production,
    /// Its snapshots.
    pub backups: Vec<Backup>,
    /// What the open run restored: a cluster, or an instance.
    pub restored: Thing,
    /// The instance of a restored cluster.
    pub instance: Thing,
}

/// The database that serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Production {
    /// Its identifier.
    pub database: ClusterId,
    /// What it is.
    pub deployment: Deployment,
    /// `EngineVersion`.
    pub engine_version: String,
    /// The latest point in time that it can be restored to.
    pub restorable_to: Option<Timestamp>,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// The security groups that a restored database gets.
    pub isolated: Vec<String>,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// Its identifier.
    pub id: String,
    /// Whether it can be restored.
    pub available: bool,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// `EngineVersion`.
    pub engine_version: String,
}

/// Something by a name of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// There is none.
    Missing,
    /// It does not carry our tag: it is not touched.
    Foreign,
    /// We made it.
    Ours {
        /// Its status, in the platform's word.
        status: String,
        /// Where it listens, as soon as it does.
        host: Option<String>,
        /// Port of it.
        port: u16,
        /// The secret that RDS keeps of its master user, once it is ready.
        secret: Option<String>,
    },
}

impl Thing {
    /// Whether it is there and ours.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Ours { .. })
    }
}
