//! Commits that are refused: for want of space, with an error of the storage, or because the server takes no writes.

use super::super::cluster::Cluster;
use super::super::error::ClusterError;

/// Gives every table of a database the trigger that fails at COMMIT.
const TRIGGERS: &str = include_str!("commits.sql");

impl Cluster {
    /// Commits of changed rows fail with SQLSTATE 53100 on a node; reads are answered.
    ///
    /// This is a trick: no disk is full, because a file system of a fixed size needs root and a
    /// mount. A deferred trigger on every table that exists now writes to `/dev/full` at COMMIT, so
    /// the error and its words are PostgreSQL's own for the kernel's ENOSPC. A COMMIT that
    /// changed no row succeeds. The trigger stays when the fault has ended and then does nothing; it
    /// reaches the other nodes by replication, and acts only on the node that has the fault.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown, or when the writer does not run or is too busy
    /// to get the triggers.
    pub async fn fill_disk(&self, id: &str) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        self.create_triggers().await?;
        node.inject(|injected| injected.disk_full = true);
        self.enforce_faults(node).await
    }

    /// Ends [`Self::fill_disk`].
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown, or runs and does not take the setting over.
    pub async fn free_disk(&self, id: &str) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        node.inject(|injected| injected.disk_full = false);
        self.enforce_faults(node).await
    }

    /// Commits of changed rows fail with SQLSTATE 58030 on a node; reads are answered. The same trick as
    /// [`Self::fill_disk`]: the trigger raises the error of a disk that cannot be read.
    ///
    /// # Errors
    /// As [`Self::fill_disk`].
    pub async fn fail_commits(&self, id: &str) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        self.create_triggers().await?;
        node.inject(|injected| injected.commits_failing = true);
        self.enforce_faults(node).await
    }

    /// Ends [`Self::fail_commits`].
    ///
    /// # Errors
    /// As [`Self::free_disk`].
    pub async fn mend_commits(&self, id: &str) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        node.inject(|injected| injected.commits_failing = false);
        self.enforce_faults(node).await
    }

    /// A node that is no reader takes writes no more: SQLSTATE 25006 for every transaction that asks for nothing else.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown, or runs and does not take the setting over.
    pub async fn refuse_writes(&self, id: &str) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        node.inject(|injected| injected.read_only = true);
        self.enforce_faults(node).await
    }

    /// Ends [`Self::refuse_writes`].
    ///
    /// # Errors
    /// As [`Self::refuse_writes`].
    pub async fn accept_writes(&self, id: &str) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        node.inject(|injected| injected.read_only = false);
        self.enforce_faults(node).await
    }

    async fn create_triggers(&self) -> Result<(), ClusterError> {
        let writer = self.node_at(self.writer_index());
        writer.require_running()?;
        let failed = |source| writer.admin.error(source);
        let client = writer.admin.client().await?;
        let databases = "SELECT datname::text FROM pg_database WHERE datallowconn AND NOT datistemplate";
        for row in client.query(databases, &[]).await.map_err(failed)? {
            let database: String = row.try_get(0).map_err(failed)?;
            writer.admin.execute_in(&database, TRIGGERS).await?;
        }
        Ok(())
    }
}
