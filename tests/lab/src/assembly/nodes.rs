//! The PostgreSQL cluster as the control plane steers it.

use std::sync::Arc;

use steadfast_core::topology::Deployment;

use crate::network::VIEWS;
use crate::postgres::{Cluster, ClusterError, NodeState};
use crate::rds::{NodeHealth, Nodes, NodesError};

/// The nodes of the lab's cluster, or the hosts of its Multi-AZ DB instance.
pub struct PostgresNodes {
    cluster: Arc<Cluster>,
    deployment: Deployment,
}

impl PostgresNodes {
    /// The nodes of this cluster. From now on nobody reaches the standby of a Multi-AZ DB instance.
    ///
    /// # Errors
    ///
    /// When a standby cannot be hidden.
    pub fn new(cluster: Arc<Cluster>, deployment: Deployment) -> Result<Self, ClusterError> {
        let nodes = Self { cluster, deployment };
        for id in nodes.cluster.ids().into_iter().filter(|id| *id != nodes.cluster.writer()) {
            nodes.hide(id)?;
        }
        Ok(nodes)
    }

    fn hide(&self, standby: &str) -> Result<(), ClusterError> {
        match self.deployment {
            Deployment::Cluster => Ok(()),
            Deployment::Instance => self.cluster.cut_off(standby, 0..VIEWS),
        }
    }

    fn show(&self, writer: &str) -> Result<(), ClusterError> {
        match self.deployment {
            Deployment::Cluster => Ok(()),
            Deployment::Instance => self.cluster.reconnect(writer, 0..VIEWS),
        }
    }
}

impl Nodes for PostgresNodes {
    fn instances(&self) -> Vec<String> {
        self.cluster.ids().into_iter().map(str::to_owned).collect()
    }

    /// Asked again and again: what has happened to the nodes by itself is settled here.
    async fn writer(&self) -> Option<String> {
        if let Err(error) = self.cluster.settle_quorum().await {
            tracing::warn!(%error, "commits may wait for a standby that is gone");
        }
        Some(self.cluster.writer().to_owned())
    }

    async fn health(&self, instance: &str) -> NodeHealth {
        match self.cluster.state(instance) {
            Ok(NodeState::Running) => NodeHealth::Running,
            Ok(NodeState::Frozen) => NodeHealth::Frozen,
            Ok(NodeState::HostDown) => NodeHealth::HostDown,
            Ok(NodeState::Stopped) | Err(_) => NodeHealth::Down,
        }
    }

    async fn promote(&self, target: &str) -> Result<(), NodesError> {
        let promoted = self.cluster.promote(target).await.map_err(failed("promote", target))?;
        self.show(target).and_then(|()| self.hide(&promoted.old_writer)).map_err(failed("show", target))
    }

    async fn rejoin(&self, instance: &str) -> Result<(), NodesError> {
        if matches!(self.cluster.state(instance), Ok(NodeState::Running)) {
            return self.cluster.attach(instance).await.map_err(failed("rejoin", instance));
        }
        self.cluster.rejoin(instance).await.map(|_| ()).map_err(failed("rejoin", instance))
    }

    async fn restart_in_place(&self, instance: &str) -> Result<(), NodesError> {
        self.cluster.restart_in_place(instance).await.map(|_| ()).map_err(failed("restart", instance))
    }

    async fn set_cluster_endpoint(&self, instance: &str) {
        if let Err(error) = self.cluster.set_cluster_endpoint(instance) {
            tracing::warn!(%error, instance, "the cluster endpoint cannot move there");
        }
    }
}

fn failed(operation: &'static str, instance: &str) -> impl FnOnce(ClusterError) -> NodesError {
    move |error| NodesError { operation, instance: instance.to_owned(), reason: error.to_string() }
}
