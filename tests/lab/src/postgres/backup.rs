//! Base backups of the writer, and servers that are restored from them: the backup's files, then the writer's
//! write-ahead log up to a point in time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_postgres::Client;

use super::cluster::{Cluster, write_owned};
use super::error::ClusterError;
use super::node::{Injected, Node, NodeParts, POLL, START_LIMIT};
use super::process;
use super::settings::{self, Layout};

/// Restored servers have addresses of their own in the lab's block.
const RESTORED: u8 = 101;

/// A base backup on the lab's disk.
#[derive(Debug, Clone)]
pub struct BaseBackup {
    folder: PathBuf,
    /// When it was complete: nothing earlier can be restored from it.
    pub complete: SystemTime,
}

/// What is done to a base backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Bytes in the middle of the first page of a relation are others.
    Page,
    /// The file of a relation is gone.
    File,
}

/// A server that was restored. Dropping it ends its processes; its files go with the cluster's at the latest.
#[derive(Debug)]
pub struct RestoredServer {
    node: Arc<Node>,
}

impl Cluster {
    /// Copies the writer as it is now.
    ///
    /// # Errors
    /// [`ClusterError`] when the writer does not run, or the copy fails.
    pub async fn back_up(&self) -> Result<BaseBackup, ClusterError> {
        let writer = self.node_at(self.writer_index());
        writer.require_running()?;
        let folder = self.fresh_folder("backup")?;
        let data = folder.join("data");
        let mut command = self.account.command(writer.binaries.path("pg_basebackup"));
        command.arg("--pgdata").arg(&data).arg("--dbname").arg(settings::admin_conninfo(&writer.layout)).args([
            "--checkpoint=fast",
            "--wal-method=stream",
            "--no-sync",
        ]);
        process::run(command, "pg_basebackup").await?;
        Ok(BaseBackup { folder, complete: SystemTime::now() })
    }

    /// Damages a relation in a base backup; production is not touched.
    ///
    /// # Errors
    /// [`ClusterError`] when the writer does not know the relation, or the file cannot be changed.
    pub async fn damage(
        &self,
        backup: &BaseBackup,
        database: &str,
        relation: &str,
        damage: Damage,
    ) -> Result<(), ClusterError> {
        let writer = self.node_at(self.writer_index());
        let failed = |source| writer.admin.error(source);
        let client = writer.admin.connect_to(database).await?;
        let row = client.query_one("SELECT pg_relation_filepath($1::text::regclass)", &[&relation]).await;
        let file: String = row.and_then(|row| row.try_get(0)).map_err(failed)?;
        let file = backup.folder.join("data").join(file);
        let action = format!("damage {}", file.display());
        let done = match damage {
            Damage::File => std::fs::remove_file(&file),
            Damage::Page => std::fs::read(&file).and_then(|mut bytes| {
                for byte in bytes.iter_mut().skip(4_096).take(64) {
                    *byte ^= 0x5a;
                }
                std::fs::write(&file, bytes)
            }),
        };
        done.map_err(ClusterError::io(action))
    }

    /// Starts a server from a base backup, replays the writer's log up to `until` (none of it without one), and waits
    /// until it takes writes.
    ///
    /// # Errors
    /// [`ClusterError`] when the copy fails, or the server does not come up.
    pub async fn restore(
        &self,
        backup: &BaseBackup,
        until: Option<SystemTime>,
        host: &str,
        log: &Path,
    ) -> Result<RestoredServer, ClusterError> {
        let number = self.restored.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let number = u8::try_from(number % 200).unwrap_or(0).saturating_add(1);
        let writer = Arc::clone(self.node_at(self.writer_index()));
        let layout = Layout { directory: self.fresh_folder("restored")? };
        let address = self.network.address_of(RESTORED, number);
        self.lay_out_restored(&layout, address, host, &writer, until)?;
        let mut copy = self.account.command("cp");
        copy.arg("-a").arg(backup.folder.join("data")).arg(layout.data());
        process::run(copy, "cp").await?;
        for stale in ["standby.signal", "postmaster.pid"] {
            let _absent = std::fs::remove_file(layout.data().join(stale));
        }
        if until.is_some() {
            self.write_file(&layout.data().join("recovery.signal"), "")?;
        }
        let node = Arc::new(Node::new(NodeParts {
            number,
            id: format!("restored-{number}"),
            address,
            layout,
            log: log.to_owned(),
            proxies: Vec::new(),
            account: self.account,
            binaries: writer.binaries.clone(),
        }));
        node.start().await?;
        let server = RestoredServer { node };
        server.until_writable().await?;
        Ok(server)
    }

    fn lay_out_restored(
        &self,
        layout: &Layout,
        address: SocketAddr,
        host: &str,
        writer: &Node,
        until: Option<SystemTime>,
    ) -> Result<(), ClusterError> {
        let own = |path: &Path, text: &str| write_owned(self.account, path, text);
        std::fs::create_dir_all(layout.socket()).map_err(ClusterError::io("make the socket's folder"))?;
        self.account.own(&layout.socket())?;
        let server = self.authority.sign(&[host], &[address.ip()])?;
        own(&layout.certificate(), &server.certificate)?;
        own(&layout.key(), &server.key)?;
        own(&layout.access(), &settings::access())?;
        own(&layout.main(), &settings::main(layout, address, "restored"))?;
        own(&layout.quorum(), &settings::quorum(&settings::quorum_value(&[])))?;
        own(&layout.retry(), settings::Retry::Calm.text())?;
        own(&layout.faults(), &settings::faults(Injected::default()))?;
        own(&layout.upstream(), &settings::restored(&writer.layout.wal(), until))
    }

    /// An empty folder of the lab's that PostgreSQL's user owns.
    fn fresh_folder(&self, kind: &str) -> Result<PathBuf, ClusterError> {
        let (name, _) = uuid::Uuid::new_v4().as_u64_pair();
        let path = self.directory_path().join(format!("{kind}-{name:x}"));
        super::start::make_private(self.account, &path)?;
        Ok(path)
    }
}

impl RestoredServer {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.node.address
    }

    /// A superuser connection to it.
    ///
    /// # Errors
    /// [`ClusterError`] when it does not answer.
    pub async fn admin(&self) -> Result<Client, ClusterError> {
        self.node.admin.connect().await
    }

    /// Ends it and removes its files.
    pub async fn remove(self) {
        if let Err(error) = self.node.kill().await {
            tracing::warn!(%error, "a restored server did not end");
        }
        let directory = self.node.layout.directory.clone();
        if let Err(error) = tokio::fs::remove_dir_all(&directory).await {
            tracing::warn!(%error, path = %directory.display(), "a restored server's files are still there");
        }
    }

    /// Replay ends at its target; then the server promotes itself.
    async fn until_writable(&self) -> Result<(), ClusterError> {
        let recovered = async {
            loop {
                self.node.require_running()?;
                let row = self.node.admin.query_one("SELECT pg_is_in_recovery()").await?;
                if !row.try_get::<_, bool>(0).map_err(|source| self.node.admin.error(source))? {
                    return Ok(());
                }
                tokio::time::sleep(POLL.max(Duration::from_millis(20))).await;
            }
        };
        let late = || self.node.timeout("the end of a restore", START_LIMIT);
        tokio::time::timeout(START_LIMIT, recovered).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Drop for RestoredServer {
    fn drop(&mut self) {
        self.node.end();
    }
}
