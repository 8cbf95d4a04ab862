//! Readers that lag.

use std::sync::Arc;
use std::time::Duration;

use super::super::cluster::Cluster;
use super::super::error::ClusterError;
use super::super::node::Node;

impl Cluster {
    /// A reader replays each commit this much later than it was made; zero ends it, and the reader
    /// catches up at once. While the writer commits, `aurora_replica_status()` shows the lag grow
    /// to the delay and stay there. The reader still receives and acknowledges without delay, as
    /// Aurora's storage does, and a promotion ends its lag.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown, or runs and does not take the setting over.
    pub async fn delay_replay(&self, id: &str, delay: Duration) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        node.inject(|injected| injected.replay_delay = delay);
        self.enforce_faults(node).await
    }

    /// A node that becomes the writer replays all that it has.
    pub(in super::super) fn end_delay(&self, node: &Arc<Node>) -> Result<(), ClusterError> {
        if node.injected().replay_delay.is_zero() {
            return Ok(());
        }
        node.inject(|injected| injected.replay_delay = Duration::ZERO);
        self.write_faults(node)?;
        node.reload();
        Ok(())
    }
}
