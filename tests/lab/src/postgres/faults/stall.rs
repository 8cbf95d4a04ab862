//! Commits that stand still while reads are answered.

use super::super::cluster::Cluster;
use super::super::error::ClusterError;

impl Cluster {
    /// Commits on a node stay open from now on: synchronous replication waits for a standby that
    /// does not exist. Reads are answered, and the standbys go on receiving. The fault lasts
    /// whatever becomes of the node, so it also meets a node that becomes the writer later.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown, or runs and does not take the setting over.
    pub async fn stall_commits(&self, id: &str) -> Result<(), ClusterError> {
        self.set_stalled(id, true).await
    }

    /// Ends [`Self::stall_commits`]; commits that wait go through within a second, when the
    /// standbys report next.
    ///
    /// # Errors
    /// As [`Self::stall_commits`].
    pub async fn resume_commits(&self, id: &str) -> Result<(), ClusterError> {
        self.set_stalled(id, false).await
    }

    async fn set_stalled(&self, id: &str, stalled: bool) -> Result<(), ClusterError> {
        let roles = self.roles.lock().await;
        let index = self.index_of(id)?;
        self.node_at(index).inject(|injected| injected.commits_stalled = stalled);
        self.renew_quorum(&roles, index).await
    }
}
