//! What can go wrong with the cluster.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::dns::DnsError;
use crate::network::NetworkError;

/// Why the cluster could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No usable server binaries.
    #[error(
        "no PostgreSQL server of version {oldest} or newer found through pg_config or in \
         /usr/lib/postgresql/*/bin; install the Debian package `postgresql`"
    )]
    NoPostgres {
        /// The oldest usable major version.
        oldest: u32,
    },
    /// Wrong number of instance ids.
    #[error("a cluster has 2 or 3 nodes, {given} instance ids were given; name so many, all different")]
    InstanceCount {
        /// How many were given.
        given: usize,
    },
    /// An instance id that cannot stand in a configuration file.
    #[error("instance id {id:?} is not usable; RDS allows 1 to 63 letters, digits and hyphens")]
    InstanceName {
        /// The id.
        id: String,
    },
    /// No such node.
    #[error("no node {id:?} in this cluster; it has {known}")]
    UnknownNode {
        /// The id asked for.
        id: String,
        /// The ids there are.
        known: String,
    },
    /// No such role.
    #[error("no role {role:?} with a password in this cluster; create it first")]
    UnknownRole {
        /// The role asked for.
        role: String,
    },
    /// The promotion target is the writer already.
    #[error("{id} is the writer already; name another node")]
    AlreadyWriter {
        /// The node.
        id: String,
    },
    /// The node does not run.
    #[error("{id} is {state}; bring it back first (repair_host, thaw or rejoin)")]
    NotRunning {
        /// The node.
        id: String,
        /// Its state.
        state: super::NodeState,
    },
    /// The node runs already.
    #[error("{id} is {state} already; nothing to rejoin or restart")]
    StillRunning {
        /// The node.
        id: String,
        /// Its state.
        state: super::NodeState,
    },
    /// Not even the old writer's disk holds every acknowledged commit.
    #[error(
        "cannot promote {target}: commits up to {floor} were acknowledged, the old writer's log \
         gives it {reached}; restart the old writer in place"
    )]
    CommitsMissing {
        /// The promotion target.
        target: String,
        /// WAL position that must be reached.
        floor: super::standby::Lsn,
        /// WAL position that is reached.
        reached: super::standby::Lsn,
    },
    /// A condition did not come true in time.
    #[error("{id}: {what} not reached within {limit:?}; see its log {log}")]
    Timeout {
        /// The node.
        id: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
        /// The node's log file.
        log: PathBuf,
    },
    /// PostgreSQL ended by itself.
    #[error("{id}: postgres ended while {what} was awaited; see its log {log}")]
    Ended {
        /// The node.
        id: String,
        /// What was waited for.
        what: &'static str,
        /// The node's log file.
        log: PathBuf,
    },
    /// A PostgreSQL program failed.
    #[error("{program} failed with {status}: {stderr}")]
    Program {
        /// The program's name.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// Its complaint.
        stderr: String,
    },
    /// An admin query failed.
    #[error("{id}: admin query failed: {source}")]
    Query {
        /// The node.
        id: String,
        /// The reason.
        source: tokio_postgres::Error,
    },
    /// A file or process operation failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, with the path.
        action: String,
        /// The reason.
        source: io::Error,
    },
    /// The lab's certificates could not be made.
    #[error("cannot make the lab's certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// No addresses.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No DNS.
    #[error(transparent)]
    Dns(#[from] DnsError),
}

impl ClusterError {
    /// For `map_err`: an I/O error with what was tried.
    pub(super) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
