//! Starts a cluster from nothing.

use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures_util::future::try_join_all;
use tokio::sync::Mutex;

use super::account::Account;
use super::aurora;
use super::binaries::Binaries;
use super::certificates::Authority;
use super::cluster::{Cluster, ClusterConfig};
use super::directory::Directory;
use super::error::ClusterError;
use super::node::{Node, NodeParts};
use super::process;
use super::quorum::{Lineage, Roles};
use super::rejoin;
use super::settings::{self, ADMIN, Layout, REPLICATOR, Retry};
use super::standby::Lsn;
use crate::dns::{Dns, Zone};
use crate::network::{LoopbackNetwork, NODES, VIEWS};
use crate::proxy::Proxy;

const LONGEST_ID: usize = 63;

impl Cluster {
    /// Makes the nodes, the first of them the writer, and waits until all others stream.
    /// Must be called on a tokio runtime that outlives the cluster.
    ///
    /// # Errors
    /// [`ClusterError`]: no PostgreSQL, no free addresses, unusable ids, or a server that does
    /// not start.
    pub async fn start(config: ClusterConfig) -> Result<Self, ClusterError> {
        check_ids(&config.instance_ids)?;
        let binaries = Binaries::find()?;
        let account = Account::choose();
        let network = LoopbackNetwork::claim()?;
        let directory = Directory::create()?;
        let authority = Authority::create()?;
        let authority_file = directory.path.join("ca.pem");
        write_public(&authority_file, authority.pem())?;
        std::fs::create_dir_all(&config.log_directory)
            .map_err(ClusterError::io(format!("create {}", config.log_directory.display())))?;
        let mut nodes = Vec::new();
        for (number, id) in (1..=NODES).zip(&config.instance_ids) {
            nodes.push(Arc::new(Node::new(NodeParts {
                number,
                id: id.clone(),
                address: network.node_address(number),
                layout: Layout { directory: directory.path.join(format!("node-{number}")) },
                log: config.log_directory.join(format!("{id}.log")),
                proxies: proxies(&network, number)?,
                account,
                binaries: binaries.clone(),
            })));
        }
        let dns = Dns::start(zone(&config, &network), VIEWS, |view| network.resolver_address(view)).await?;
        let cluster = Self {
            roles: Mutex::new(Roles {
                writer: 0,
                quorum: (1..nodes.len()).collect(),
                floor: Lsn(0),
                lineage: vec![Lineage::Follows; nodes.len()],
            }),
            nodes,
            writer: AtomicUsize::new(0),
            account,
            replication_password: uuid::Uuid::new_v4().simple().to_string(),
            authority_pem: authority.pem().to_owned(),
            authority,
            restored: AtomicUsize::new(0),
            authority_file,
            dns,
            network,
            paths: std::sync::Mutex::default(),
            refused: Mutex::default(),
            _directory: directory,
        };
        cluster.lay_out(&config)?;
        cluster.bring_up(config.is_aurora).await?;
        Ok(cluster)
    }

    fn lay_out(&self, config: &ClusterConfig) -> Result<(), ClusterError> {
        let writer = self.node_at(0);
        for (index, node) in self.nodes().iter().enumerate() {
            let layout = &node.layout;
            for directory in [&layout.directory, &layout.socket()] {
                make_private(self.account, directory)?;
            }
            let names: Vec<&str> = config
                .names
                .instances
                .iter()
                .skip(index)
                .take(1)
                .chain([&config.names.writer, &config.names.reader])
                .map(String::as_str)
                .collect();
            let addresses: Vec<IpAddr> =
                node.proxies.iter().map(Proxy::address).chain([node.address]).map(|address| address.ip()).collect();
            let server = self.authority.sign(&names, &addresses)?;
            self.write_file(&layout.certificate(), &server.certificate)?;
            self.write_file(&layout.key(), &server.key)?;
            self.write_file(&layout.access(), &settings::access())?;
            let main = settings::main(layout, node.address, &node.id);
            self.write_file(&layout.main(), &main)?;
            self.follow(node, writer, writer)?;
            self.write_quorum(node, &[])?;
            self.write_faults(node)?;
            let password = settings::password(&self.replication_password);
            self.write_file(&layout.password(), &password)?;
            self.write_file(&layout.retry(), Retry::Calm.text())?;
        }
        Ok(())
    }

    /// The standbys start from a cold copy of the first node: quicker than a base backup.
    async fn bring_up(&self, is_aurora: bool) -> Result<(), ClusterError> {
        let (writer, standbys) = match self.nodes() {
            [writer, standbys @ ..] => (writer, standbys),
            [] => return Ok(()),
        };
        let mut initdb = self.account.command(writer.binaries.path("initdb"));
        initdb
            .arg("--pgdata")
            .arg(writer.layout.data())
            .args(["--username", ADMIN, "--encoding=UTF8", "--locale=C"])
            .args(["--auth-host=scram-sha-256", "--auth-local=trust"])
            .args(["--data-checksums", "--no-sync"])
            // A promotion copies the current segment, and a standby that changes its upstream
            // fetches it from its beginning: 16 MB, the default, cost 0.1 s.
            .arg(format!("--wal-segsize={}", settings::WAL_SEGMENT_BYTES >> 20));
        process::run(initdb, "initdb").await?;
        try_join_all(standbys.iter().map(|standby| async {
            let mut copy = self.account.command("cp");
            copy.arg("-a").arg(writer.layout.data()).arg(standby.layout.data());
            process::run(copy, "cp").await?;
            self.write_file(&standby.layout.standby_signal(), "")
        }))
        .await?;
        writer.start().await?;
        writer
            .admin
            .execute(&format!("CREATE ROLE {REPLICATOR} LOGIN REPLICATION PASSWORD '{}'", self.replication_password))
            .await?;
        if is_aurora {
            writer.admin.execute(aurora::FUNCTIONS).await?;
            // Databases are copies of template1: every one shall have them.
            let template = writer.admin.connect_to("template1").await?;
            template.batch_execute(aurora::FUNCTIONS).await.map_err(|error| writer.admin.error(error))?;
        }
        try_join_all(standbys.iter().map(|standby| async {
            standby.start().await?;
            rejoin::streaming(standby, writer).await
        }))
        .await?;
        let mut roles = self.roles.lock().await;
        let members = std::mem::take(&mut roles.quorum);
        roles.floor = Lsn::UNKNOWN;
        for member in members {
            self.join_quorum(&mut roles, member).await?;
        }
        Ok(())
    }
}

/// Ids stand in configuration files and SQL: RDS's own alphabet is safe in both, and so is the `@` of a host's name.
fn check_ids(ids: &[String]) -> Result<(), ClusterError> {
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    if !(2..=usize::from(NODES)).contains(&ids.len()) || distinct.len() != ids.len() {
        return Err(ClusterError::InstanceCount { given: ids.len() });
    }
    for id in ids {
        let good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '@');
        if id.is_empty() || id.len() > LONGEST_ID || !id.chars().all(good) {
            return Err(ClusterError::InstanceName { id: id.clone() });
        }
    }
    Ok(())
}

fn zone(config: &ClusterConfig, network: &LoopbackNetwork) -> Zone {
    let addresses =
        (0..VIEWS).map(|view| (1..=NODES).map(|node| network.proxy_address(view, node).ip()).collect()).collect();
    Zone {
        instances: config.names.instances.clone(),
        writer: config.names.writer.clone(),
        reader: config.names.reader.clone(),
        addresses,
        ttl: config.dns_ttl,
    }
}

fn proxies(network: &LoopbackNetwork, node: u8) -> Result<Vec<Proxy>, ClusterError> {
    (0..VIEWS)
        .map(|view| {
            let address = network.proxy_address(view, node);
            Proxy::start(address, network.node_address(node)).map_err(ClusterError::io(format!("listen on {address}")))
        })
        .collect()
}

pub(super) fn make_private(account: Account, path: &Path) -> Result<(), ClusterError> {
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(ClusterError::io(format!("create {}", path.display())))?;
    account.own(path)
}

fn write_public(path: &Path, text: &str) -> Result<(), ClusterError> {
    let failed = || ClusterError::io(format!("write {}", path.display()));
    std::fs::write(path, text).map_err(failed())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).map_err(failed())
}
