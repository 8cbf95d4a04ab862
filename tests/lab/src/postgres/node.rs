//! One PostgreSQL server, its host and the proxies in front of it.

use std::fmt;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_postgres::Client;

use super::account::Account;
use super::admin::Admin;
use super::binaries::Binaries;
use super::error::ClusterError;
use super::process::Postmaster;
use super::settings::Layout;
use crate::proxy::{Host, Proxy};

/// Generous: a loaded machine with two cores may need seconds for crash recovery.
pub(super) const START_LIMIT: Duration = Duration::from_secs(60);
pub(super) const POLL: Duration = Duration::from_millis(2);

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// Its processes run.
    Running,
    /// PostgreSQL does not run; the host refuses connections.
    Stopped,
    /// Every process is stopped by SIGSTOP.
    Frozen,
    /// The host is gone without a goodbye.
    HostDown,
}

impl fmt::Display for NodeState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Frozen => "frozen",
            Self::HostDown => "on a dead host",
        })
    }
}

/// A node. Its faults take effect at once and wait for nobody.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) number: u8,
    pub(super) id: String,
    pub(super) address: SocketAddr,
    pub(super) layout: Layout,
    pub(super) log: PathBuf,
    pub(super) admin: Admin,
    /// By view.
    pub(super) proxies: Vec<Proxy>,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
    /// The sessions of [`super::Cluster::take_connections`].
    pub(super) crowd: Mutex<Vec<Client>>,
    condition: Mutex<Condition>,
    injected: Mutex<Injected>,
}

/// Faults that lie in a node's settings: they outlast its role and its restarts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Injected {
    pub(super) commits_stalled: bool,
    pub(super) disk_full: bool,
    pub(super) commits_failing: bool,
    pub(super) read_only: bool,
    pub(super) replay_delay: Duration,
}

impl Injected {
    /// What a server shows that has taken over the settings of these faults.
    pub(super) fn mark(self) -> String {
        format!(
            "disk_full {} commits_failing {} read_only {} replay_delay {:?}",
            self.disk_full, self.commits_failing, self.read_only, self.replay_delay
        )
    }
}

#[derive(Debug, Default)]
struct Condition {
    postmaster: Option<Arc<Postmaster>>,
    frozen: bool,
    host_down: bool,
}

/// What a node is made of.
pub(super) struct NodeParts {
    pub(super) number: u8,
    pub(super) id: String,
    pub(super) address: SocketAddr,
    pub(super) layout: Layout,
    pub(super) log: PathBuf,
    pub(super) proxies: Vec<Proxy>,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
}

impl Node {
    pub(super) fn new(parts: NodeParts) -> Self {
        Self {
            admin: Admin::new(&parts.id, &parts.layout, parts.log.clone()),
            number: parts.number,
            id: parts.id,
            address: parts.address,
            layout: parts.layout,
            log: parts.log,
            proxies: parts.proxies,
            account: parts.account,
            binaries: parts.binaries,
            crowd: Mutex::default(),
            condition: Mutex::default(),
            injected: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> NodeState {
        let condition = self.condition();
        if condition.host_down {
            return NodeState::HostDown;
        }
        match &condition.postmaster {
            Some(postmaster) if postmaster.running() && condition.frozen => NodeState::Frozen,
            Some(postmaster) if postmaster.running() => NodeState::Running,
            Some(_) | None => NodeState::Stopped,
        }
    }

    pub(super) fn injected(&self) -> Injected {
        *self.injected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the faults in the settings; the caller writes the files.
    pub(super) fn inject(&self, change: impl FnOnce(&mut Injected)) -> Injected {
        let mut injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut injected);
        *injected
    }

    /// Starts PostgreSQL on the present data directory and waits until it answers queries.
    pub(super) async fn start(self: &Arc<Self>) -> Result<(), ClusterError> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(ClusterError::io(format!("open {}", self.log.display())))?;
        let errors = log.try_clone().map_err(ClusterError::io("open the log twice"))?;
        let mut command = self.account.command(self.binaries.path("postgres"));
        command
            .arg("-c")
            .arg(format!("config_file={}", self.layout.main().display()))
            .stdout(Stdio::from(log))
            .stderr(Stdio::from(errors));
        self.admin.close().await;
        let postmaster = Arc::new(Postmaster::start(command, &self.id)?);
        {
            let mut condition = self.condition();
            condition.postmaster = Some(Arc::clone(&postmaster));
            condition.frozen = false;
        }
        self.answering(&postmaster).await?;
        self.set_host(Host::Up)?;
        let node = Arc::downgrade(self);
        tokio::spawn(async move {
            postmaster.exited().await;
            if let Some(node) = node.upgrade() {
                node.refuse_after(&postmaster);
            }
        });
        Ok(())
    }

    /// Ends every process with SIGKILL, waits until they are gone; then the host refuses.
    pub(super) async fn kill(&self) -> Result<(), ClusterError> {
        if let Some(postmaster) = self.take_postmaster() {
            postmaster.kill();
            postmaster.exited().await;
        }
        self.admin.close().await;
        if !self.condition().host_down {
            self.set_host(Host::Refusing)?;
        }
        Ok(())
    }

    /// A fast shutdown (SIGINT); after `limit` the processes are killed.
    pub(super) async fn shut_down(&self, limit: Duration) -> Result<(), ClusterError> {
        let postmaster = self.condition().postmaster.clone();
        if let Some(postmaster) = postmaster {
            postmaster.signal(rustix::process::Signal::INT);
            if tokio::time::timeout(limit, postmaster.exited()).await.is_err() {
                tracing::warn!(id = self.id, ?limit, "fast shutdown too slow, killing");
            }
        }
        self.kill().await
    }

    /// The host vanishes first, so that no connection sees its processes end.
    pub(super) async fn kill_host(&self) -> Result<(), ClusterError> {
        self.condition().host_down = true;
        self.set_host(Host::Down)?;
        self.kill().await
    }

    pub(super) fn repair_host(&self) -> Result<(), ClusterError> {
        if std::mem::take(&mut self.condition().host_down) {
            self.set_host(Host::Refusing)?;
        }
        Ok(())
    }

    pub(super) fn freeze(&self) -> Result<(), ClusterError> {
        let mut condition = self.condition();
        if let Some(postmaster) = &condition.postmaster {
            postmaster.freeze()?;
            condition.frozen = true;
        }
        Ok(())
    }

    pub(super) fn thaw(&self) {
        let mut condition = self.condition();
        if let Some(postmaster) = &condition.postmaster {
            postmaster.thaw();
        }
        condition.frozen = false;
    }

    /// Re-reads the configuration files.
    pub(super) fn reload(&self) {
        if let Some(postmaster) = &self.condition().postmaster {
            postmaster.signal(rustix::process::Signal::HUP);
        }
    }

    /// The server shuts itself down, as after an error it cannot live with.
    #[cfg(test)]
    pub(super) fn end_by_itself(&self) {
        if let Some(postmaster) = &self.condition().postmaster {
            postmaster.signal(rustix::process::Signal::QUIT);
        }
    }

    /// Blocks until every process is gone.
    pub(super) fn end(&self) {
        if let Some(postmaster) = self.take_postmaster() {
            postmaster.kill_and_wait();
        }
    }

    /// Fails unless the node runs and answers.
    pub(super) fn require_running(&self) -> Result<(), ClusterError> {
        match self.state() {
            NodeState::Running => Ok(()),
            state @ (NodeState::Stopped | NodeState::Frozen | NodeState::HostDown) => {
                Err(ClusterError::NotRunning { id: self.id.clone(), state })
            }
        }
    }

    pub(super) fn timeout(&self, what: &'static str, limit: Duration) -> ClusterError {
        ClusterError::Timeout { id: self.id.clone(), what, limit, log: self.log.clone() }
    }

    async fn answering(&self, postmaster: &Postmaster) -> Result<(), ClusterError> {
        let what = "the first answer after a start";
        let attempts = async {
            while self.admin.query_one("SELECT 1").await.is_err() {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::select! {
            () = attempts => Ok(()),
            () = postmaster.exited() => Err(ClusterError::Ended {
                id: self.id.clone(), what, log: self.log.clone(),
            }),
            () = tokio::time::sleep(START_LIMIT) => Err(self.timeout(what, START_LIMIT)),
        }
    }

    /// PostgreSQL ended by itself: the kernel of a live host refuses from now on.
    fn refuse_after(&self, ended: &Arc<Postmaster>) {
        let condition = self.condition();
        let current = condition.postmaster.as_ref();
        if current.is_some_and(|current| Arc::ptr_eq(current, ended))
            && !condition.host_down
            && let Err(error) = self.set_host(Host::Refusing)
        {
            tracing::error!(id = self.id, %error, "proxies do not refuse");
        }
    }

    fn set_host(&self, host: Host) -> Result<(), ClusterError> {
        for proxy in &self.proxies {
            let action = format!("set {} to {host:?}", proxy.address());
            proxy.set_host(host).map_err(ClusterError::io(action))?;
        }
        Ok(())
    }

    fn take_postmaster(&self) -> Option<Arc<Postmaster>> {
        let mut condition = self.condition();
        condition.frozen = false;
        condition.postmaster.take()
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
