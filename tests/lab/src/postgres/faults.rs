//! What can be done to a node or to the path to it. Every fault can be undone.

mod commits;
mod crowd;
mod lag;
mod password;
mod path;
mod stall;

pub(super) use password::RefusedPasswords;
pub(super) use path::Paths;

use std::sync::Arc;
use std::time::Duration;

use super::cluster::Cluster;
use super::error::ClusterError;
use super::node::{Node, NodeState, POLL, START_LIMIT};
use super::settings;

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
        self.attach(id).await
    }

    /// Undoes [`Self::freeze`] and nothing else: an old writer goes on as it believes.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown.
    pub fn wake(&self, id: &str) -> Result<(), ClusterError> {
        self.node_at(self.index_of(id)?).thaw();
        Ok(())
    }

    /// Ends every fault of a node's settings, of its connections and of the way to it.
    pub(super) async fn end_lasting_faults(&self) -> Result<(), ClusterError> {
        self.reconnect_all()?;
        for id in self.ids() {
            self.resume_commits(id).await?;
            self.free_disk(id).await?;
            self.mend_commits(id).await?;
            self.accept_writes(id).await?;
            self.release_connections(id).await?;
            self.delay_replay(id, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Writes the faults that lie in a node's settings; they count after a reload or a start.
    pub(super) fn write_faults(&self, node: &Node) -> Result<(), ClusterError> {
        self.write_file(&node.layout.faults(), &settings::faults(node.injected()))
    }

    /// The same, and waits until a running node has taken them over.
    async fn enforce_faults(&self, node: &Arc<Node>) -> Result<(), ClusterError> {
        self.write_faults(node)?;
        node.reload();
        if node.state() != NodeState::Running {
            return Ok(());
        }
        let wanted = node.injected().mark();
        let applied = async {
            loop {
                if node.admin.is_set_for_all("lab.faults", &wanted).await? {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let applied = tokio::time::timeout(START_LIMIT, applied).await;
        match applied.unwrap_or_else(|_| Err(node.timeout("the settings of a fault", START_LIMIT))) {
            // It has failed meanwhile, and reads the file when it starts again.
            Err(error) if node.state() != NodeState::Running => {
                tracing::debug!(id = node.id, %error, "the fault waits for a start");
                Ok(())
            }
            result => result,
        }
    }

    async fn leave_if_standby(&self, index: usize) -> Result<(), ClusterError> {
        if index == self.writer_index() {
            return Ok(());
        }
        let mut roles = self.roles.lock().await;
        self.leave_quorum(&mut roles, index).await
    }
}
