//! What can be done to a node or to the path to it. Every fault can be undone.

use super::cluster::Cluster;
use super::error::ClusterError;
use super::node::NodeState;
use crate::network::VIEWS;
use crate::proxy::Link;

impl Cluster {
    /// SIGKILL for every PostgreSQL process of the node; its host lives on and refuses.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown.
    pub async fn kill_postgres(&self, id: &str) -> Result<(), ClusterError> {
        let index = self.index_of(id)?;
        self.node_at(index).kill().await?;
        self.leave_if_standby(index).await
    }

    /// The host vanishes: connections go silent, connects hang, processes are dead.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown.
    pub async fn kill_host(&self, id: &str) -> Result<(), ClusterError> {
        let index = self.index_of(id)?;
        self.node_at(index).kill_host().await?;
        self.leave_if_standby(index).await
    }

    /// The host is back, PostgreSQL is not: rejoin it, or restart the writer in place.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown.
    pub fn repair_host(&self, id: &str) -> Result<(), ClusterError> {
        self.node_at(self.index_of(id)?).repair_host()
    }

    /// SIGSTOP for every process: the kernel still accepts connections, nothing answers.
    ///
    /// # Errors
    /// [`ClusterError::NotRunning`] unless the node runs.
    pub async fn freeze(&self, id: &str) -> Result<(), ClusterError> {
        let index = self.index_of(id)?;
        let node = self.node_at(index);
        node.require_running()?;
        node.freeze()?;
        self.leave_if_standby(index).await
    }

    /// Undoes [`Self::freeze`]; a node that is not frozen stays as it is.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown, or does not stream again.
    pub async fn thaw(&self, id: &str) -> Result<(), ClusterError> {
        let index = self.index_of(id)?;
        let node = self.node_at(index);
        if node.state() != NodeState::Frozen {
            return Ok(());
        }
        node.thaw();
        let mut roles = self.roles.lock().await;
        let writer = self.node_at(roles.writer);
        if index == roles.writer || writer.state() != NodeState::Running {
            return Ok(());
        }
        super::rejoin::streaming(node, writer).await?;
        self.join_quorum(&mut roles, index).await
    }

    /// Sets the fault of the path from a view (0 to 3) to a node; in force on return.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown or a listener cannot be opened again.
    pub fn set_link(&self, view: u8, id: &str, link: Link) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        let view = view.min(VIEWS - 1);
        let Some(proxy) = node.proxies.get(usize::from(view)) else {
            return Ok(());
        };
        let action = format!("set the link from view {view} to {id}");
        proxy.set_link(link).map_err(ClusterError::io(action))
    }

    async fn leave_if_standby(&self, index: usize) -> Result<(), ClusterError> {
        if index == self.writer_index() {
            return Ok(());
        }
        let mut roles = self.roles.lock().await;
        self.leave_quorum(&mut roles, index).await
    }
}
