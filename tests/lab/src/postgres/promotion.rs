//! Makes another node the writer without losing an acknowledged commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::cluster::{Cluster, write_owned};
use super::error::ClusterError;
use super::node::{Node, NodeState, POLL, START_LIMIT};
use super::quorum::{Lineage, Roles, without};
use super::rejoin;
use super::settings::{self, Retry};
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
    /// Only its standbys are taken away, so that none of its commits is acknowledged any more. It goes on as it
    /// believes, or stays frozen.
    Leave,
}

/// Where a target gets what it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It lacks nothing.
    Own,
    /// The standby that is furthest.
    Standby,
    /// The old writer's disk.
    Disk,
}

/// What a promotion did. Times are in order and add up to less than `total`.
#[derive(Debug, Clone)]
pub struct Promotion {
    /// The former writer.
    pub old_writer: String,
    /// The present writer.
    pub new_writer: String,
    /// Where the target got from what it lacked.
    pub source: Source,
    /// What the target had received before it caught up.
    pub target_lsn: Lsn,
    /// How far the target was when it was promoted.
    pub promoted_lsn: Lsn,
    /// Until the old writer was gone.
    pub fence: Duration,
    /// Until every standby had said how far it is.
    pub consult: Duration,
    /// Until the target had fetched what it lacked.
    pub catch_up: Duration,
    /// From the order to promote until the target accepted writes.
    pub promote: Duration,
    /// All of it.
    pub total: Duration,
}

impl Cluster {
    /// Promotes `target` after killing the old writer. It holds every acknowledged commit then:
    /// what it lacks comes from the standby that is furthest, or from the old writer's disk when
    /// one of those that may have acknowledged commits cannot be asked.
    ///
    /// # Errors
    /// [`ClusterError`]: the target is unknown, the writer already, or not running; or the old
    /// writer's log does not reach as far as commits were acknowledged. The old writer is killed
    /// only after the checks that need no answer from it.
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

    /// Promotes `target` and leaves the old writer in its belief, as a network does that tells nobody. Its commits
    /// are acknowledged no more, since its standbys are gone; reads it answers. [`Self::wake`] lets a frozen one go on,
    /// and [`Self::attach`] ends it.
    ///
    /// # Errors
    /// As [`Self::promote`], and when a standby that may have acknowledged commits cannot be asked.
    pub async fn promote_beside(&self, target: &str) -> Result<Promotion, ClusterError> {
        self.promote_with(target, Fence::Leave).await
    }

    async fn promote_with(&self, target: &str, fence: Fence) -> Result<Promotion, ClusterError> {
        let start = Instant::now();
        let index = self.index_of(target)?;
        if fence == Fence::Kill && index != self.writer_index() {
            self.node_at(index).require_running()?;
            // Before the roles are free: who is rejoining a node with its help would wait for a
            // frozen writer for ever, and so would we for them.
            self.node_at(self.writer_index()).kill().await?;
        }
        let mut roles = self.roles.lock().await;
        if index == roles.writer {
            return Err(ClusterError::AlreadyWriter { id: target.to_owned() });
        }
        let (node, old) = (self.node_at(index), self.node_at(roles.writer));
        node.require_running()?;
        match fence {
            Fence::Kill | Fence::Orderly => fence_off(old, fence).await?,
            Fence::Leave => self.take_standbys_from(&roles)?,
        }
        let fenced = start.elapsed();
        let (mine, theirs) = tokio::join!(settled(node, old), self.consult(&roles, index));
        let mine = mine?;
        let consulted = start.elapsed();
        self.end_delay(node)?;
        let (source, reached) = self.complete(&roles, index, &mine, &theirs).await?;
        let caught_up = start.elapsed();
        let members: Vec<usize> = theirs.iter().map(|(member, _)| *member).collect();
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
            source,
            target_lsn: mine.received,
            promoted_lsn: reached,
            fence: fenced,
            consult: consulted.saturating_sub(fenced),
            catch_up: caught_up.saturating_sub(consulted),
            promote: total.saturating_sub(caught_up),
            total,
        })
    }

    /// Asks every other standby that follows the old writer how far it is, once its receiver has
    /// let go of it: while it is attached its position may still move. Members of the quorum or
    /// not, they are led to the new writer then. Those that do not answer are left out.
    async fn consult(&self, roles: &Roles, target: usize) -> Vec<(usize, Progress)> {
        let old = self.node_at(roles.writer);
        let others = roles
            .lineage
            .iter()
            .enumerate()
            .filter(|(index, lineage)| *index != target && *index != roles.writer && **lineage == Lineage::Follows);
        let asked = others.map(|(index, _)| async move {
            let standby = self.node_at(index);
            standby.require_running().ok()?;
            match settled(standby, old).await {
                Ok(progress) => Some((index, progress)),
                Err(error) => {
                    tracing::warn!(id = standby.id, %error, "promoting without it");
                    None
                }
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Gives the target every commit that was acknowledged; says from where, and how far it is.
    async fn complete(
        &self,
        roles: &Roles,
        target: usize,
        mine: &Progress,
        theirs: &[(usize, Progress)],
    ) -> Result<(Source, Lsn), ClusterError> {
        let (node, old) = (self.node_at(target), self.node_at(roles.writer));
        let best = theirs.iter().max_by_key(|(_, progress)| progress.received);
        let reached = best.map_or(mine.received, |(_, best)| best.received.max(mine.received));
        let answered = |member: &usize| theirs.iter().any(|(index, _)| index == member);
        let all_asked = without(&roles.quorum, target).iter().all(answered);
        if all_asked && reached >= roles.floor {
            let Some((ahead, _)) = best.filter(|(_, best)| best.received > mine.received) else {
                return Ok((Source::Own, reached));
            };
            match self.catch_up(node, self.node_at(*ahead), reached).await {
                Ok(()) => return Ok((Source::Standby, reached)),
                Err(error) => tracing::warn!(%error, "the old writer's disk is asked instead"),
            }
        }
        if matches!(old.state(), NodeState::Running | NodeState::Frozen) {
            // Its disk may still change.
            return Err(ClusterError::CommitsMissing { target: node.id.clone(), floor: roles.floor, reached });
        }
        let reached = self.salvage(node, old, mine.replayed).await?;
        if roles.floor != Lsn::UNKNOWN && reached < roles.floor {
            return Err(ClusterError::CommitsMissing { target: node.id.clone(), floor: roles.floor, reached });
        }
        Ok((Source::Disk, reached))
    }

    /// Fetches what the target lacks from the standby that has it.
    async fn catch_up(&self, target: &Node, ahead: &Node, goal: Lsn) -> Result<(), ClusterError> {
        self.follow(target, ahead, self.node_at(self.writer_index()))?;
        target.reload();
        let waited = async {
            while target.progress().await?.replayed < goal {
                target.require_running()?;
                ahead.require_running()?;
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(START_LIMIT, waited)
            .await
            .unwrap_or_else(|_| Err(target.timeout("what the other standby has", START_LIMIT)))
    }

    fn take_standbys_from(&self, roles: &Roles) -> Result<(), ClusterError> {
        for (index, standby) in self.nodes().iter().enumerate().filter(|(index, _)| *index != roles.writer) {
            if roles.lineage.get(index) == Some(&Lineage::Follows) {
                self.write_file(&standby.layout.upstream(), &settings::alone(&self.node_at(roles.writer).id))?;
                standby.reload();
            }
        }
        Ok(())
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
            old.admin.checkpoint().await?;
            old.shut_down(SHUTDOWN_LIMIT).await
        }
        (Fence::Kill | Fence::Orderly, _) => old.kill().await,
        (Fence::Leave, _) => Ok(()),
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
