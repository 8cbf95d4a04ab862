//! Brings nodes back: as standbys of the writer, or the writer itself in place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::error::ClusterError;
use super::node::{Node, NodeState, POLL, START_LIMIT};
use super::process;
use super::quorum::{Lineage, Roles};
use super::settings;

/// How a node got data that the writer can continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejoinMethod {
    /// Its own was good.
    Kept,
    /// pg_rewind took back what only it had.
    Rewound,
    /// pg_basebackup copied everything anew.
    Copied,
}

/// What a rejoin did.
#[derive(Debug, Clone, Copy)]
pub struct Rejoin {
    /// How the node got its data.
    pub method: RejoinMethod,
    /// From the order until the node streamed and was in the quorum.
    pub total: Duration,
}

impl Cluster {
    /// Starts a stopped node as a standby of the present writer and waits until it streams.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is the writer, runs already or stands on a dead host, when
    /// the writer does not run, or when the node does not come up.
    pub async fn rejoin(&self, id: &str) -> Result<Rejoin, ClusterError> {
        let start = Instant::now();
        let mut roles = self.roles.lock().await;
        let index = self.index_of(id)?;
        let (node, writer) = (self.node_at(index), self.node_at(roles.writer));
        if index == roles.writer {
            return Err(ClusterError::AlreadyWriter { id: id.to_owned() });
        }
        require_stopped(node)?;
        writer.require_running()?;
        // pg_rewind reads the writer's timeline from its last checkpoint.
        tokio::select! {
            done = writer.admin.checkpoint() => done?,
            error = ended(writer) => return Err(error),
        }
        let lineage = roles.lineage.get(index).copied().unwrap_or(Lineage::Unknown);
        let method = self.prepare_data(&mut roles, index, lineage).await?;
        self.follow(node, writer, writer)?;
        self.write_quorum(node, &[])?;
        self.write_file(&node.layout.standby_signal(), "")?;
        let joined = async {
            node.start().await?;
            streaming(node, writer).await?;
            self.join_quorum(&mut roles, index).await
        };
        // A promotion waits for the roles, and must not wait for a node that nobody feeds any more.
        let joined = tokio::select! {
            joined = joined => joined,
            error = ended(writer) => Err(error),
        };
        if let Err(error) = joined {
            // Not left running half way: nobody would lead it to the next writer.
            node.kill().await?;
            return Err(error);
        }
        set_lineage(&mut roles, index, Lineage::Follows);
        Ok(Rejoin { method, total: start.elapsed() })
    }

    /// Starts a stopped reader as the standby it was, also while no writer runs: it serves reads and
    /// can be promoted. It stands aside: the next promotion takes it along, and [`Self::attach`] leads it
    /// to a writer that is back.
    ///
    /// # Errors
    /// [`ClusterError`] when it is the writer, runs already, stands on a dead host or does not come up,
    /// or when only a running writer could tell which of its data is good.
    pub async fn start_alone(&self, id: &str) -> Result<(), ClusterError> {
        let roles = self.roles.lock().await;
        let index = self.index_of(id)?;
        let (node, writer) = (self.node_at(index), self.node_at(roles.writer));
        if index == roles.writer {
            return Err(ClusterError::AlreadyWriter { id: id.to_owned() });
        }
        require_stopped(node)?;
        if roles.lineage.get(index) != Some(&Lineage::Follows) {
            writer.require_running()?;
        }
        self.follow(node, writer, writer)?;
        self.write_quorum(node, &[])?;
        self.write_file(&node.layout.standby_signal(), "")?;
        node.start().await
    }

    /// Leads a running standby that stands aside to the present writer and into the quorum; one
    /// that was away during a promotion is rejoined. Nothing is done while the writer is away:
    /// the next promotion takes the standby along.
    ///
    /// # Errors
    /// [`ClusterError`] when it cannot be brought to stream.
    pub async fn attach(&self, id: &str) -> Result<(), ClusterError> {
        let mut roles = self.roles.lock().await;
        let index = self.index_of(id)?;
        let (node, writer) = (self.node_at(index), self.node_at(roles.writer));
        let aside = index != roles.writer && !roles.quorum.contains(&index);
        if !aside || node.state() != NodeState::Running {
            return Ok(());
        }
        let writer_runs = writer.state() == NodeState::Running;
        if roles.lineage.get(index) != Some(&Lineage::Follows) {
            node.kill().await?;
            drop(roles);
            return if writer_runs { self.rejoin(id).await.map(drop) } else { Ok(()) };
        }
        if !writer_runs {
            return Ok(());
        }
        self.follow(node, writer, writer)?;
        node.reload();
        streaming(node, writer).await?;
        self.join_quorum(&mut roles, index).await
    }

    /// Restarts a node without a change of role: the writer through crash recovery, a reader as
    /// the standby it was. A running one is killed first.
    ///
    /// # Errors
    /// [`ClusterError`] when its host is dead or it does not come up; for a reader also when the
    /// writer does not run.
    pub async fn restart_in_place(&self, id: &str) -> Result<Duration, ClusterError> {
        let start = Instant::now();
        let mut roles = self.roles.lock().await;
        let index = self.index_of(id)?;
        let node = self.node_at(index);
        if index != roles.writer {
            drop(roles);
            if matches!(node.state(), NodeState::Running | NodeState::Frozen) {
                self.kill_postgres(id).await?;
            }
            return self.rejoin(id).await.map(|_| start.elapsed());
        }
        match node.state() {
            NodeState::Running | NodeState::Frozen => node.kill().await?,
            NodeState::Stopped => {}
            NodeState::HostDown => require_stopped(node)?,
        }
        node.start().await?;
        self.gather(&mut roles).await?;
        Ok(start.elapsed())
    }

    /// Standbys follow the restarted writer, also those that a failed promotion had led away;
    /// those that died while there was no writer leave the quorum now.
    async fn gather(&self, roles: &mut Roles) -> Result<(), ClusterError> {
        let writer = self.node_at(roles.writer);
        for (index, standby) in self.nodes().iter().enumerate() {
            if index == roles.writer {
                continue;
            }
            self.leave_quorum(roles, index).await?;
            self.follow(standby, writer, writer)?;
            standby.reload();
        }
        Ok(())
    }

    /// Ends every fault and brings all three nodes back under the present writer.
    ///
    /// # Errors
    /// [`ClusterError`] of the first node that does not come back.
    pub async fn recover_all(&self) -> Result<(), ClusterError> {
        self.end_lasting_faults().await?;
        for node in self.nodes() {
            node.repair_host()?;
        }
        let writer = self.node_at(self.writer_index());
        writer.thaw();
        if writer.state() != NodeState::Running {
            self.restart_in_place(&writer.id).await?;
        }
        for node in self.nodes().iter().filter(|node| node.id != writer.id) {
            if node.state() == NodeState::Stopped {
                self.rejoin(&node.id).await?;
            } else {
                self.thaw(&node.id).await?;
                self.attach(&node.id).await?;
            }
        }
        self.accept_all_passwords().await
    }

    async fn prepare_data(
        &self,
        roles: &mut Roles,
        index: usize,
        lineage: Lineage,
    ) -> Result<RejoinMethod, ClusterError> {
        let (node, writer) = (self.node_at(index), self.node_at(roles.writer));
        match lineage {
            Lineage::Follows => return Ok(RejoinMethod::Kept),
            Lineage::WasWriter => match rewind(node, writer).await {
                Ok(()) => return Ok(RejoinMethod::Rewound),
                Err(error) => tracing::warn!(id = node.id, %error, "rewind failed, copying"),
            },
            Lineage::Unknown => {}
        }
        // What is there now is worth nothing, also when the copy fails half way.
        set_lineage(roles, index, Lineage::Unknown);
        copy(node, writer).await
    }
}

/// Waits until the writer does not run any more.
async fn ended(writer: &Node) -> ClusterError {
    loop {
        if let Err(error) = writer.require_running() {
            return error;
        }
        tokio::time::sleep(POLL).await;
    }
}

fn set_lineage(roles: &mut Roles, index: usize, lineage: Lineage) {
    if let Some(known) = roles.lineage.get_mut(index) {
        *known = lineage;
    }
}

async fn copy(node: &Node, writer: &Node) -> Result<RejoinMethod, ClusterError> {
    let data = node.layout.data();
    let action = format!("remove {}", data.display());
    match tokio::fs::remove_dir_all(&data).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(ClusterError::io(action)(error)),
        Ok(()) | Err(_) => {}
    }
    let mut command = node.account.command(node.binaries.path("pg_basebackup"));
    command.arg("--pgdata").arg(&data).arg("--dbname").arg(settings::admin_conninfo(&writer.layout)).args([
        "--checkpoint=fast",
        "--wal-method=stream",
        "--no-sync",
    ]);
    process::run(command, "pg_basebackup").await?;
    Ok(RejoinMethod::Copied)
}

/// Waits until the writer streams to the node.
pub(super) async fn streaming(node: &Node, writer: &Node) -> Result<(), ClusterError> {
    let attached = async {
        while !streams(node, writer).await? {
            node.require_running()?;
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    tokio::time::timeout(START_LIMIT, attached)
        .await
        .unwrap_or_else(|_| Err(node.timeout("streaming replication", START_LIMIT)))
}

/// Whether the writer streams to the node.
pub(super) async fn streams(node: &Node, writer: &Node) -> Result<bool, ClusterError> {
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = '{}' AND state = 'streaming')",
        node.id
    );
    let row = writer.admin.query_one(&sql).await?;
    row.try_get(0).map_err(|source| writer.admin.error(source))
}

/// Recovers the killed server in single-user mode if need be, then takes back what diverged.
async fn rewind(node: &Node, writer: &Node) -> Result<(), ClusterError> {
    let mut command = node.account.command(node.binaries.path("pg_rewind"));
    command
        .arg("--target-pgdata")
        .arg(node.layout.data())
        .arg("--source-server")
        .arg(settings::admin_conninfo(&writer.layout))
        .arg("--config-file")
        .arg(node.layout.main())
        .arg("--no-sync");
    process::run(command, "pg_rewind").await.map(drop)
}

fn require_stopped(node: &Arc<Node>) -> Result<(), ClusterError> {
    match node.state() {
        NodeState::Stopped => Ok(()),
        state @ NodeState::HostDown => Err(ClusterError::NotRunning { id: node.id.clone(), state }),
        state @ (NodeState::Running | NodeState::Frozen) => {
            Err(ClusterError::StillRunning { id: node.id.clone(), state })
        }
    }
}
