//! What can fail.

use std::str::FromStr;

use serde::Serialize;

use crate::postgres::{Cluster, ClusterError};

/// A fault of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Its processes and its proxies vanish without a goodbye.
    KillHost,
    /// PostgreSQL is killed; the host lives and refuses connections.
    KillPostgres,
}

impl Fault {
    /// All faults with their names.
    pub const ALL: [(&str, Self); 2] = [("kill-host", Self::KillHost), ("kill-postgres", Self::KillPostgres)];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillHost => "kill-host",
            Self::KillPostgres => "kill-postgres",
        }
    }

    /// What it does, for the console.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::KillHost => "the writer's host vanishes without a goodbye",
            Self::KillPostgres => "the writer's PostgreSQL is killed",
        }
    }

    /// Injects it into the present writer.
    pub(super) async fn inject(self, cluster: &Cluster) -> Result<(), ClusterError> {
        let writer = cluster.writer().to_owned();
        match self {
            Self::KillHost => cluster.kill_host(&writer).await,
            Self::KillPostgres => cluster.kill_postgres(&writer).await,
        }
    }
}

/// No fault has this name.
#[derive(Debug, thiserror::Error)]
#[error("{name:?} is no fault; choose one of: {}", Fault::ALL.map(|(name, _)| name).join(", "))]
pub struct UnknownFault {
    name: String,
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|(known, _)| *known == name);
        known.map(|(_, fault)| fault).ok_or_else(|| UnknownFault { name: name.to_owned() })
    }
}
