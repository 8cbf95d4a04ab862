//! The database nodes under the control plane.

use std::future::Future;

/// How one database node is, as its host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeHealth {
    /// The server process runs.
    Running,
    /// The host is alive, the server process is not.
    Down,
    /// The host is lost, and the server with it.
    HostDown,
    /// The process exists and answers nobody; the platform takes it for running.
    Frozen,
}

/// A request that a node did not carry out.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} instance {instance}: {reason}; look at that node's server log")]
pub struct NodesError {
    /// What was asked, as a verb: `promote`, `rejoin`, `restart`.
    pub operation: &'static str,
    /// The instance that was asked.
    pub instance: String,
    /// What the node answered.
    pub reason: String,
}

/// A cluster of database nodes that the control plane steers.
///
/// A `promote` may come while a `rejoin` of another instance is still running.
pub trait Nodes: Send + Sync + 'static {
    /// Identifiers of all instances.
    fn instances(&self) -> Vec<String>;

    /// The instance that accepts writes now, if there is one.
    fn writer(&self) -> impl Future<Output = Option<String>> + Send;

    /// How an instance is now.
    fn health(&self, instance: &str) -> impl Future<Output = NodeHealth> + Send;

    /// Fences the old writer, promotes the target, re-points the rest; returns when the target
    /// accepts writes.
    fn promote(&self, target: &str) -> impl Future<Output = Result<(), NodesError>> + Send;

    /// Brings a demoted or dead instance back as a reader.
    fn rejoin(&self, instance: &str) -> impl Future<Output = Result<(), NodesError>> + Send;

    /// Restarts an instance in its present role.
    fn restart_in_place(&self, instance: &str) -> impl Future<Output = Result<(), NodesError>> + Send;

    /// Moves the cluster endpoint's DNS record to an instance.
    fn set_cluster_endpoint(&self, instance: &str) -> impl Future<Output = ()> + Send;
}
