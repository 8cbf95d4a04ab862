//! The cluster: three nodes, their addresses, names and roles.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::account::Account;
use super::certificates::Authority;
use super::directory::Directory;
use super::error::ClusterError;
use super::faults::{Paths, RefusedPasswords};
use super::node::{Node, NodeState};
use super::quorum::Roles;
use super::settings;
use crate::dns::Dns;
use crate::network::LoopbackNetwork;

/// DNS names of the cluster, as the RDS API reports them.
#[derive(Debug, Clone)]
pub struct ClusterNames {
    /// Instance endpoints, in the order of the instance ids.
    pub instances: Vec<String>,
    /// The cluster (writer) endpoint.
    pub writer: String,
    /// The reader endpoint.
    pub reader: String,
}

/// How to start a cluster.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Two or three instance ids; the first is the first writer.
    pub instance_ids: Vec<String>,
    /// Whether it has the functions of Aurora.
    pub is_aurora: bool,
    /// DNS names.
    pub names: ClusterNames,
    /// Where the servers' logs go; created if missing.
    pub log_directory: PathBuf,
    /// How long resolvers keep an answer; 5 s on Aurora.
    pub dns_ttl: Duration,
}

/// A running cluster. Dropping it ends every process and removes its files.
#[derive(Debug)]
pub struct Cluster {
    pub(super) nodes: Vec<Arc<Node>>,
    pub(super) roles: Mutex<Roles>,
    pub(super) writer: AtomicUsize,
    pub(super) account: Account,
    pub(super) replication_password: String,
    pub(super) authority_pem: String,
    /// Signs the certificates of restored servers.
    pub(super) authority: Authority,
    /// How many servers were restored.
    pub(super) restored: AtomicUsize,
    pub(super) authority_file: PathBuf,
    pub(super) dns: Dns,
    pub(super) network: LoopbackNetwork,
    pub(super) paths: std::sync::Mutex<Paths>,
    /// Held while a password changes.
    pub(super) refused: Mutex<RefusedPasswords>,
    /// Last, so that it goes when everything in it has ended.
    pub(super) _directory: Directory,
}

impl Cluster {
    /// The ids of all nodes, in the order of their AZs.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.nodes.iter().map(|node| node.id.as_str()).collect()
    }

    /// The id of the writer: the node promoted last, alive or not.
    #[must_use]
    pub fn writer(&self) -> &str {
        &self.node_at(self.writer_index()).id
    }

    /// What a node is doing.
    ///
    /// # Errors
    /// [`ClusterError::UnknownNode`].
    pub fn state(&self, id: &str) -> Result<NodeState, ClusterError> {
        Ok(self.node_at(self.index_of(id)?).state())
    }

    /// A superuser connection to a node, past proxies and passwords.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown or does not answer.
    pub async fn admin(&self, id: &str) -> Result<Client, ClusterError> {
        self.node_at(self.index_of(id)?).admin.connect().await
    }

    /// The same, to another database than `postgres`.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown or does not answer.
    pub async fn admin_to(&self, id: &str, database: &str) -> Result<Client, ClusterError> {
        self.node_at(self.index_of(id)?).admin.connect_to(database).await
    }

    /// The certificate authority of every server, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The same as a file that everybody may read.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.authority_file
    }

    /// The DNS: authoritative records, and one caching resolver per view.
    #[must_use]
    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    /// Moves the cluster (writer) endpoint to a node; resolvers see it when their answers expire.
    ///
    /// # Errors
    /// [`ClusterError::UnknownNode`].
    pub fn set_cluster_endpoint(&self, id: &str) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        Ok(self.dns.set_cluster_endpoint(node.number)?)
    }

    /// Sets the nodes behind the reader endpoint; with none it leads to the writer.
    ///
    /// # Errors
    /// [`ClusterError::UnknownNode`].
    pub fn set_reader_endpoint(&self, ids: &[&str]) -> Result<(), ClusterError> {
        let mut numbers = Vec::new();
        for id in ids {
            numbers.push(self.node_at(self.index_of(id)?).number);
        }
        Ok(self.dns.set_reader_endpoint(&numbers)?)
    }

    /// The resolver of a view (0 to 3), UDP and TCP.
    #[must_use]
    pub fn resolver_address(&self, view: u8) -> SocketAddr {
        self.network.resolver_address(view)
    }

    /// Where a view (0 to 3) finds a node.
    ///
    /// # Errors
    /// [`ClusterError::UnknownNode`].
    pub fn proxy_address(&self, view: u8, id: &str) -> Result<SocketAddr, ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        Ok(self.network.proxy_address(view, node.number))
    }

    /// The log file of a node's PostgreSQL.
    ///
    /// # Errors
    /// [`ClusterError::UnknownNode`].
    pub fn log_file(&self, id: &str) -> Result<&Path, ClusterError> {
        Ok(&self.node_at(self.index_of(id)?).log)
    }

    /// Ends every process and removes every file; waits for both.
    pub fn shutdown(self) {
        drop(self);
    }

    pub(super) fn directory_path(&self) -> &Path {
        &self._directory.path
    }

    pub(super) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// Indexes come from [`Self::index_of`] and [`Roles`] only, so they are in range.
    #[expect(clippy::indexing_slicing, reason = "the nodes stay the same for the cluster's whole life")]
    pub(super) fn node_at(&self, index: usize) -> &Arc<Node> {
        &self.nodes[index]
    }

    pub(super) fn index_of(&self, id: &str) -> Result<usize, ClusterError> {
        self.nodes
            .iter()
            .position(|node| node.id == id)
            .ok_or_else(|| ClusterError::UnknownNode { id: id.to_owned(), known: self.ids().join(", ") })
    }

    pub(super) fn writer_index(&self) -> usize {
        self.writer.load(Ordering::SeqCst)
    }

    pub(super) fn set_writer_index(&self, index: usize) {
        self.writer.store(index, Ordering::SeqCst);
    }

    /// Points a standby at its upstream; effective after a reload or start.
    pub(super) fn follow(&self, node: &Node, upstream: &Node, writer: &Node) -> Result<(), ClusterError> {
        let text =
            settings::upstream(upstream.address, &node.layout.password(), &self.authority_file, &node.id, &writer.id);
        self.write_file(&node.layout.upstream(), &text)
    }

    pub(super) fn write_file(&self, path: &Path, text: &str) -> Result<(), ClusterError> {
        write_owned(self.account, path, text)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // All at once: the members wait for each other's sockets otherwise.
        std::thread::scope(|scope| {
            for node in &self.nodes {
                scope.spawn(|| node.end());
            }
        });
    }
}

/// Writes a file that only PostgreSQL's user may read; replaced as a whole, because a server
/// may be reading it.
pub(super) fn write_owned(account: Account, path: &Path, text: &str) -> Result<(), ClusterError> {
    use std::os::unix::fs::PermissionsExt;
    let failed = || ClusterError::io(format!("write {}", path.display()));
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).map_err(failed())?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600)).map_err(failed())?;
    account.own(&draft)?;
    std::fs::rename(&draft, path).map_err(failed())
}
