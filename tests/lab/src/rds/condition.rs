//! How the platform itself can go wrong, and what it can be told to do now.

use std::sync::Arc;
use std::time::Duration;

use super::event::RdsEvent;
use super::log::Trigger;
use super::nodes::Nodes;
use super::server::Rds;

/// How every failover goes, whoever asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failovers {
    /// The target becomes the writer.
    #[default]
    Succeed,
    /// The cluster is `failing-over` for this long, then the failover is given up (RDS-EVENT-0069)
    /// and the old writer stays as it is, alive or dead.
    Fail(Duration),
    /// The target becomes the writer. This long afterwards, still `failing-over`, the old writer
    /// is brought back and promoted again (RDS-EVENT-0070). One that cannot be brought back,
    /// because its host is lost, leaves the role to the target.
    Reverse(Duration),
}

/// What happens to an instance that is paused at 0 ACU (Aurora guide, "Scaling to zero ACUs").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// It is being paused.
    Initiated,
    /// It is paused.
    Paused,
    /// Somebody connects: it is being resumed.
    ResumeInitiated,
    /// It has resumed.
    Resumed,
}

/// Why all servers of a cluster are down on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closure {
    /// Somebody stopped the cluster (Aurora guide, "Stopping and starting an Aurora DB cluster").
    Stopped,
    /// Its encryption key cannot be used; RDS waits for the key for seven days.
    KeyLost,
}

impl Closure {
    /// The status of the cluster and its instances meanwhile.
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::KeyLost => "inaccessible-encryption-credentials-recoverable",
        }
    }
}

/// Why the platform does not fail over now.
#[derive(Debug, thiserror::Error)]
#[error("the platform cannot fail over now: {0}; wait until the cluster is available and has a living reader")]
pub struct FailoverRefused(String);

impl<N: Nodes> Rds<N> {
    /// Decides how failovers go that are accepted from now on, until it is decided otherwise.
    pub fn set_failovers(&self, failovers: Failovers) {
        self.platform().core.state().failovers = failovers;
    }

    /// The platform fails over by itself now, to an instance of its own choice, also from a
    /// healthy writer. Returns the target as soon as the failover has begun.
    ///
    /// # Errors
    /// [`FailoverRefused`] when a failover is running, the writer restarts, or no living reader
    /// could take over.
    pub fn fail_over_now(&self) -> Result<String, FailoverRefused> {
        let platform = self.platform();
        let run = platform.core.begin_failover(Trigger::Native, None);
        let run = run.map_err(|error| FailoverRefused(error.message))?;
        let target = run.target.clone();
        platform.tasks.spawn(Arc::clone(platform).fail_over(run));
        Ok(target)
    }

    /// Tells of an instance that pauses. Its status stays `available`.
    pub fn say_of_pause(&self, instance: &str, pause: Pause) {
        let core = &self.platform().core;
        core.emit(RdsEvent::pause(&core.config, instance, pause));
    }

    /// The cluster is closed; who calls this has taken its servers down.
    pub fn close(&self, closure: Closure) {
        let core = &self.platform().core;
        core.state().closed = Some(closure.status());
        core.emit_all(RdsEvent::closed(&core.config, closure));
    }

    /// The reason is gone, and the servers are being started.
    pub fn reopen(&self) {
        self.platform().core.state().closed = Some("starting");
    }

    /// The servers run again.
    pub fn reopened(&self, closure: Closure) {
        let core = &self.platform().core;
        core.state().closed = None;
        core.emit_all(RdsEvent::reopened(&core.config, closure));
    }

    /// A blue/green switchover begins: the cluster is about to be renamed. What status the cluster has before
    /// that is nowhere documented.
    pub fn begin_switchover(&self) {
        let core = &self.platform().core;
        core.force_status("renaming");
        core.emit(RdsEvent::switchover_started(&core.config));
    }

    /// The switchover has ended: the cluster's name stands for the green cluster.
    pub fn complete_switchover(&self) {
        let core = &self.platform().core;
        core.force_status("available");
        core.emit(RdsEvent::switchover_completed(&core.config));
    }

    /// While kept, the cluster endpoint stays where it is whoever becomes the writer. Afterwards
    /// it follows the role again, to the present writer first.
    pub fn keep_endpoint(&self, keep: bool) {
        let platform = self.platform();
        let mut state = platform.core.state();
        state.endpoint_kept = keep;
        if !keep {
            let (platform, writer) = (Arc::clone(platform), state.writer.clone());
            self.platform().tasks.spawn(async move { platform.move_endpoint(&writer).await });
        }
    }
}
