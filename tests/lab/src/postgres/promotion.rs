//! Makes another node the writer without losing an acknowledged commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::cluster::{Cluster, write_owned};
use super::error::ClusterError;
use super::node::{Node, NodeState, POLL, START_LIMIT};
use super::quorum::{Lineage, Roles, without};
use super::rejoin;
use super::settings::Retry;
use super::standby::{Lsn, Progress};

/// A fast shutdown takes a fraction of a second, unless a receiver is frozen.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);
/// A receiver ends as soon as the kernel closes the dead writer's sockets.
const DETACH_LIMIT: Duration = Duration::from_secs(5);

/// How the old writer is kept from writing on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// SIGKILL for all of its processes, whatever their state.
    Kill,
    /// A fast shutdown, which also hands every standby the whole log.
    Orderly,
}

/// What a promotion did. Times are in order and add up to less than `total`.
#[derive(Debug, Clone)]
pub struct Promotion {
    /// The former writer.
    pub old_writer: String,
    /// The present writer.
    pub new_writer: String,
    /// What the target had received before it caught up.
    pub target_lsn: Lsn,
    /// What the most advanced standby had received; the target has it now.
    pub promoted_lsn: Lsn,
    /// Until the old writer was gone.
    pub fence: Duration,
    /// Until every standby had said how far it is.
    pub consult: Duration,
    /// Until the target had fetched what it lacked from another standby.
    pub catch_up: Duration,
    /// From the order to promote until the target accepted writes.
    pub promote: Duration,
    /// All of it.
    pub total: Duration,
}

impl Cluster {
    /// Promotes `target` after killing the old writer.
    ///
    /// # Errors
    /// [`ClusterError`]: the target is unknown, the writer already, or not running; a standby
    /// that must be asked is unreachable; or no reachable standby has every acknowledged commit.
    /// The old writer is killed only after the checks that need no answer from it.
    pub async fn promote(&self, target: &str) -> Result<Promotion, ClusterError> {
        self.promote_with(target, Fence::Kill).await
    }

    /// Promotes `target` after an orderly shutdown of the old writer.
    ///
    /// # Errors
    /// As [`Self::promote`].
    pub async fn switch(&self, target: &str) -> Result<Promotion, ClusterError> {
        self.promote_with(target, Fence::Orderly).await
    }

    async fn promote_with(&self, target: &str, fence: Fence) -> Result<Promotion, ClusterError> {
        let start = Instant::now();
        let mut roles = self.roles.lock().await;
        let index = self.index_of(target)?;
        self.check_target(&roles, index)?;
        let (node, old) = (self.node_at(index), self.node_at(roles.writer));
        fence_off(old, fence).await?;
        let fenced = start.elapsed();
        let members = without(&roles.quorum, index);
        let (mine, theirs) = self.consult(old, index, &members).await?;
        let consulted = start.elapsed();
        self.end_delay(node)?;
        let best = theirs.iter().max_by_key(|(_, progress)| progress.received);
        let reached = best.map_or(mine.received, |(_, best)| best.received.max(mine.received));
        if reached < roles.floor {
            return Err(ClusterError::CommitsMissing { target: target.to_owned(), floor: roles.floor, reached });
        }
        if let Some((ahead, _)) = best.filter(|(_, best)| best.received > mine.received) {
            self.catch_up(node, self.node_at(*ahead), reached).await?;
        }
        let caught_up = start.elapsed();
        self.write_quorum(node, &members)?;
        let standbys: Vec<Arc<Node>> = members.iter().map(|member| Arc::clone(self.node_at(*member))).collect();
        for standby in &standbys {
            self.follow(standby, node, node)?;
        }
        for standby in standbys.iter().chain([node]) {
            set_retry(standby, Retry::Eager)?;
        }
        promote_now(node).await?;
        let total = start.elapsed();
        self.installed(&mut roles, index, members, reached);
        drop(tokio::spawn(calm_down(Arc::clone(node), standbys)));
        Ok(Promotion {
            old_writer: old.id.clone(),
            new_writer: node.id.clone(),
            target_lsn: mine.received,
            promoted_lsn: reached,
            fence: fenced,
            consult: consulted.saturating_sub(fenced),
            catch_up: caught_up.saturating_sub(consulted),
            promote: total.saturating_sub(caught_up),
            total,
        })
    }

    fn check_target(&self, roles: &Roles, index: usize) -> Result<(), ClusterError> {
        let target = self.node_at(index);
        if index == roles.writer {
            return Err(ClusterError::AlreadyWriter { id: target.id.clone() });
        }
        target.require_running()?;
        for member in roles.quorum.iter().filter(|member| **member != index) {
            reachable(target, self.node_at(*member))?;
        }
        if roles.floor == Lsn::UNKNOWN {
            return Err(ClusterError::CommitsMissing {
                target: target.id.clone(),
                floor: roles.floor,
                reached: Lsn(0),
            });
        }
        Ok(())
    }

    /// Waits until the standbys' receivers have let go of the dead writer, then asks how far
    /// they are. While one is attached its position may still move.
    async fn consult(
        &self,
        old: &Node,
        target: usize,
        members: &[usize],
    ) -> Result<(Progress, Vec<(usize, Progress)>), ClusterError> {
        let node = self.node_at(target);
        let mine = settled(node, old);
        let theirs = try_join_all(members.iter().map(|member| async move {
            let standby = self.node_at(*member);
            match settled(standby, old).await {
                Ok(progress) => Ok((*member, progress)),
                // It may have failed while it was asked.
                Err(error) => Err(reachable(node, standby).err().unwrap_or(error)),
            }
        }));
        futures_util::future::try_join(mine, theirs).await
    }

    /// Fetches what the target lacks from the standby that has it.
    async fn catch_up(&self, target: &Node, ahead: &Node, goal: Lsn) -> Result<(), ClusterError> {
        self.follow(target, ahead, self.node_at(self.writer_index()))?;
        target.reload();
        let waited = async {
            while target.progress().await?.replayed < goal {
                target.require_running()?;
                reachable(target, ahead)?;
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(START_LIMIT, waited)
            .await
            .unwrap_or_else(|_| Err(target.timeout("what the other standby has", START_LIMIT)))
    }

    fn installed(&self, roles: &mut Roles, writer: usize, quorum: Vec<usize>, reached: Lsn) {
        for (index, lineage) in roles.lineage.iter_mut().enumerate() {
            if index == roles.writer {
                *lineage = Lineage::WasWriter;
            } else if index != writer && !quorum.contains(&index) && *lineage == Lineage::Follows {
                *lineage = Lineage::Unknown;
            }
        }
        roles.floor = match quorum.is_empty() {
            true => Lsn::UNKNOWN,
            false => reached,
        };
        roles.writer = writer;
        roles.quorum = quorum;
        self.set_writer_index(writer);
    }
}

async fn fence_off(old: &Node, fence: Fence) -> Result<(), ClusterError> {
    match (fence, old.state()) {
        (Fence::Orderly, NodeState::Running) => {
            // While commits still flow, so that the shutdown has little left to write.
            old.admin.execute("CHECKPOINT").await?;
            old.shut_down(SHUTDOWN_LIMIT).await
        }
        (Fence::Kill | Fence::Orderly, _) => old.kill().await,
    }
}

async fn promote_now(node: &Node) -> Result<(), ClusterError> {
    // pg_promote(wait => true) looks only every 100 ms.
    node.admin.query_one("SELECT pg_promote(wait => false)").await?;
    let promoted = async {
        loop {
            let row = node.admin.query_one("SELECT pg_is_in_recovery()").await?;
            if !row.try_get::<_, bool>(0).map_err(|source| node.admin.error(source))? {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(START_LIMIT, promoted)
        .await
        .unwrap_or_else(|_| Err(node.timeout("the end of recovery", START_LIMIT)))
}

/// Ends the eager retries once the standbys are on the new timeline.
async fn calm_down(writer: Arc<Node>, standbys: Vec<Arc<Node>>) {
    for standby in &standbys {
        if let Err(error) = arrived(standby, &writer).await {
            tracing::warn!(id = standby.id, %error, "does not follow the new writer");
        }
    }
    for node in standbys.iter().chain([&writer]) {
        if let Err(error) = set_retry(node, Retry::Calm) {
            tracing::debug!(id = node.id, %error, "retries stay eager");
        }
    }
}

async fn arrived(standby: &Node, writer: &Node) -> Result<(), ClusterError> {
    rejoin::streaming(standby, writer).await?;
    let goal = writer.flushed().await?;
    let there = async {
        while standby.progress().await?.received < goal {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    tokio::time::timeout(START_LIMIT, there)
        .await
        .unwrap_or_else(|_| Err(standby.timeout("the new timeline", START_LIMIT)))
}

fn set_retry(node: &Node, retry: Retry) -> Result<(), ClusterError> {
    write_owned(node.account, &node.layout.retry(), retry.text())?;
    node.reload();
    Ok(())
}

async fn settled(standby: &Node, old: &Node) -> Result<Progress, ClusterError> {
    let dead = old.address.ip().to_string();
    let detached = async {
        loop {
            let progress = standby.progress().await?;
            if progress.upstream.as_deref() != Some(dead.as_str()) {
                return Ok(progress);
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(DETACH_LIMIT, detached)
        .await
        .unwrap_or_else(|_| Err(standby.timeout("the receiver's end", DETACH_LIMIT)))
}

fn reachable(target: &Node, standby: &Node) -> Result<(), ClusterError> {
    match standby.state() {
        NodeState::Running => Ok(()),
        state @ (NodeState::Stopped | NodeState::Frozen | NodeState::HostDown) => {
            Err(ClusterError::StandbyUnreachable { target: target.id.clone(), standby: standby.id.clone(), state })
        }
    }
}
