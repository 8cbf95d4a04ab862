//! Which standbys acknowledge commits, and up to where some reachable standby must have got
//! for a promotion to lose nothing.

use std::sync::Arc;

use super::cluster::Cluster;
use super::error::ClusterError;
use super::node::{Node, NodeState, POLL, START_LIMIT};
use super::rejoin;
use super::settings;
use super::standby::Lsn;

/// The roles of the nodes. Changed only under the cluster's control lock.
///
/// Every acknowledged commit lies at or below `floor`, or has been received by at least one
/// member of `quorum`. So the most advanced member has them all once it has reached the floor.
#[derive(Debug)]
pub(super) struct Roles {
    /// Index of the writer.
    pub(super) writer: usize,
    /// Indexes of the standbys that may acknowledge commits.
    pub(super) quorum: Vec<usize>,
    pub(super) floor: Lsn,
    /// How each node's data relates to the writer's.
    pub(super) lineage: Vec<Lineage>,
}

/// How a node's data relates to the writer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lineage {
    /// A prefix of the writer's.
    Follows,
    /// It was the writer, and may hold commits that nobody has.
    WasWriter,
    /// It was away during a promotion.
    Unknown,
}

impl Cluster {
    /// Takes standbys that ended by themselves out of the quorum, as Aurora's storage does without
    /// them, and those in that stream again. Does nothing while roles change: a promotion asks for
    /// itself who is there.
    ///
    /// # Errors
    /// [`ClusterError`] when the writer runs and does not take the quorum over.
    pub async fn settle_quorum(&self) -> Result<(), ClusterError> {
        let Ok(mut roles) = self.roles.try_lock() else {
            return Ok(());
        };
        for index in roles.quorum.clone() {
            if matches!(self.node_at(index).state(), NodeState::Stopped | NodeState::HostDown) {
                self.leave_quorum(&mut roles, index).await?;
            }
        }
        let writer = self.node_at(roles.writer);
        for index in 0..self.nodes().len() {
            let aside = index != roles.writer && !roles.quorum.contains(&index);
            let node = self.node_at(index);
            let able = [node, writer].iter().all(|node| node.state() == NodeState::Running);
            if aside && able && rejoin::streams(node, writer).await? {
                self.join_quorum(&mut roles, index).await?;
            }
        }
        Ok(())
    }

    /// Takes a standby that is away out of the quorum, so that a promotion need not ask it.
    /// Without a running writer it stays a member: then nobody can tell what only it has.
    pub(super) async fn leave_quorum(&self, roles: &mut Roles, index: usize) -> Result<(), ClusterError> {
        let writer = self.node_at(roles.writer);
        let away = self.node_at(index).state() != NodeState::Running;
        if !away || !roles.quorum.contains(&index) || writer.state() != NodeState::Running {
            return Ok(());
        }
        let rest = without(&roles.quorum, index);
        match self.shrink_quorum(roles, rest).await {
            // The writer has failed meanwhile: the member stays.
            Err(error) if writer.state() != NodeState::Running => {
                tracing::warn!(id = self.node_at(index).id, %error, "still in the quorum");
                Ok(())
            }
            result => result,
        }
    }

    async fn shrink_quorum(&self, roles: &mut Roles, rest: Vec<usize>) -> Result<(), ClusterError> {
        let writer = self.node_at(roles.writer);
        self.enforce_quorum(writer, &rest).await?;
        // Alone, the writer acknowledges commits that no standby has.
        roles.floor = match rest.is_empty() {
            true => Lsn::UNKNOWN,
            false => roles.floor.max(writer.flushed().await?),
        };
        roles.quorum = rest;
        Ok(())
    }

    /// Makes a streaming standby a member.
    pub(super) async fn join_quorum(&self, roles: &mut Roles, index: usize) -> Result<(), ClusterError> {
        let writer = self.node_at(roles.writer);
        let mut members = without(&roles.quorum, index);
        members.push(index);
        members.sort_unstable();
        // A member from now on: it may acknowledge before the writer's answer arrives here.
        roles.quorum = members;
        self.enforce_quorum(writer, &roles.quorum).await?;
        if roles.floor == Lsn::UNKNOWN {
            roles.floor = writer.flushed().await?;
        }
        Ok(())
    }

    /// Writes the member list of a node; it counts once the node is the writer.
    pub(super) fn write_quorum(&self, node: &Node, members: &[usize]) -> Result<(), ClusterError> {
        self.write_file(&node.layout.quorum(), &settings::quorum(&self.quorum_value(node, members)))
    }

    /// Lets a changed member list or a changed fault take effect on the writer, if it runs.
    pub(super) async fn renew_quorum(&self, roles: &Roles, index: usize) -> Result<(), ClusterError> {
        let node = self.node_at(index);
        let members = if index == roles.writer { roles.quorum.as_slice() } else { &[] };
        self.write_quorum(node, members)?;
        node.reload();
        if index != roles.writer || node.state() != NodeState::Running {
            return Ok(());
        }
        match self.enforce_quorum(node, members).await {
            // It has failed meanwhile, and reads the file when it starts again.
            Err(error) if node.state() != NodeState::Running => {
                tracing::debug!(id = node.id, %error, "the quorum waits for a start");
                Ok(())
            }
            result => result,
        }
    }

    fn quorum_value(&self, node: &Node, members: &[usize]) -> String {
        if node.injected().commits_stalled {
            return settings::NOBODY.to_owned();
        }
        settings::quorum_value(&self.ids_of(members))
    }

    async fn enforce_quorum(&self, writer: &Arc<Node>, members: &[usize]) -> Result<(), ClusterError> {
        self.write_quorum(writer, members)?;
        writer.reload();
        let wanted = self.quorum_value(writer, members);
        let applied = async {
            loop {
                if writer.admin.is_set_for_all("synchronous_standby_names", &wanted).await? {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(START_LIMIT, applied)
            .await
            .unwrap_or_else(|_| Err(writer.timeout("the new quorum", START_LIMIT)))
    }

    fn ids_of(&self, members: &[usize]) -> Vec<&str> {
        members.iter().map(|index| self.node_at(*index).id.as_str()).collect()
    }
}

/// The members but one.
pub(super) fn without(members: &[usize], index: usize) -> Vec<usize> {
    members.iter().copied().filter(|member| *member != index).collect()
}
