//! What the control plane knows. It never asks the nodes itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::beside::Beside;
use super::condition::Failovers;
use super::config::PlatformConfig;
use super::event::RdsEvent;
use super::fault::{FaultKind, Faults, Hits};
use super::log::{ApiCall, Promotion};
use super::nodes::NodeHealth;
use super::xml::now_ms;

/// A call that follows on a `FailoverDBCluster` at once still sees `available` on AWS.
const STATUS_LAG: Duration = Duration::from_millis(25);

/// How many past writers are kept for stale descriptions.
const HISTORY: usize = 32;

/// A maintenance action waiting for its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMaintenance {
    /// ARN of the cluster or instance.
    pub resource_arn: String,
    /// `system-update`, `db-upgrade` and their kin.
    pub action: String,
    /// What it is for.
    pub description: String,
}

pub(super) struct Core {
    pub(super) config: PlatformConfig,
    /// Unix epoch milliseconds.
    pub(super) created_ms: u64,
    events: UnboundedSender<RdsEvent>,
    state: Mutex<State>,
    beside: Mutex<Beside>,
}

/// Status and writer of the cluster as a description shows them.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    pub(super) status: String,
    pub(super) writer: String,
}

pub(super) struct State {
    pub(super) writer: String,
    /// The failover in progress: since when, and its place in `promotions`.
    pub(super) failover: Option<(Instant, usize)>,
    pub(super) promotions: Vec<Promotion>,
    pub(super) tiers: BTreeMap<String, u8>,
    /// Instances that restart in place now.
    pub(super) restarting: BTreeSet<String>,
    /// Instances that will come back as readers, and when.
    pub(super) rejoin_at: BTreeMap<String, Instant>,
    /// Instances whose return has been asked of the nodes.
    pub(super) rejoining: BTreeSet<String>,
    /// The health of each instance and since when it has been so.
    pub(super) health: BTreeMap<String, (NodeHealth, Instant)>,
    /// How failovers go that are accepted now.
    pub(super) failovers: Failovers,
    /// The cluster endpoint does not follow the role.
    pub(super) endpoint_kept: bool,
    /// The platform tries nothing by itself before this.
    pub(super) native_after: Option<Instant>,
    pub(super) pending_maintenance: Vec<PendingMaintenance>,
    pub(super) events: Vec<RdsEvent>,
    pub(super) calls: Vec<ApiCall>,
    forced_status: Option<String>,
    /// The status of cluster and instances while all servers are down on purpose.
    pub(super) closed: Option<&'static str>,
    faults: Faults,
    writers: VecDeque<(Instant, String)>,
    frozen: Option<Topology>,
}

impl Core {
    pub(super) fn new(config: PlatformConfig, writer: String, events: UnboundedSender<RdsEvent>) -> Self {
        let tiers = config.instances.iter();
        let tiers = tiers.map(|member| (member.identifier.clone(), member.promotion_tier));
        let state = State {
            failover: None,
            promotions: Vec::new(),
            tiers: tiers.collect(),
            restarting: BTreeSet::new(),
            rejoin_at: BTreeMap::new(),
            rejoining: BTreeSet::new(),
            health: BTreeMap::new(),
            failovers: Failovers::default(),
            endpoint_kept: false,
            native_after: None,
            pending_maintenance: Vec::new(),
            events: Vec::new(),
            calls: Vec::new(),
            forced_status: None,
            closed: None,
            faults: Faults::default(),
            writers: VecDeque::from([(Instant::now(), writer.clone())]),
            frozen: None,
            writer,
        };
        Self { config, created_ms: now_ms(), events, state: Mutex::new(state), beside: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never held together with [`Self::state`].
    pub(super) fn beside(&self) -> MutexGuard<'_, Beside> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest point in time that can be restored: continuous backup trails the present.
    pub(super) fn restorable_ms(&self) -> u64 {
        let lag = u64::try_from(self.config.timing.restorable_lag.as_millis()).unwrap_or(u64::MAX);
        now_ms().saturating_sub(lag).max(self.created_ms)
    }

    /// Records an event and hands it out; nobody listening is fine.
    pub(super) fn emit(&self, event: impl Into<Option<RdsEvent>>) {
        let Some(event) = event.into() else {
            return;
        };
        let mut state = self.state();
        state.events.push(event.clone());
        if self.events.send(event).is_err() {
            tracing::debug!("an RDS event had no listener");
        }
    }

    pub(super) fn emit_all(&self, events: Vec<RdsEvent>) {
        events.into_iter().for_each(|event| self.emit(event));
    }

    /// `stale`: as it was when the stale-topology fault was set.
    pub(super) fn topology(&self, stale: bool) -> Topology {
        let state = self.state();
        match &state.frozen {
            Some(frozen) if stale => frozen.clone(),
            Some(_) | None => state.topology(self.config.timing.describe_staleness),
        }
    }

    pub(super) fn set_fault(&self, action: &str, kind: FaultKind, times: Option<u32>) {
        let mut state = self.state();
        if kind == FaultKind::StaleTopology {
            let now = state.topology(self.config.timing.describe_staleness);
            state.frozen = Some(now);
        }
        state.faults.set(action, kind, times);
    }

    pub(super) fn clear_faults(&self) {
        self.state().faults.clear();
    }

    pub(super) fn clear_fault(&self, action: &str, kind: FaultKind) {
        self.state().faults.clear_one(action, kind);
    }

    pub(super) fn take_faults(&self, action: &str) -> Hits {
        self.state().faults.take(action)
    }

    pub(super) fn force_status(&self, status: &str) {
        self.state().forced_status = (status != "available").then(|| status.to_owned());
    }

    pub(super) fn instance_status(&self, instance: &str) -> &'static str {
        self.state().instance_status(instance, self.config.timing.detection_delay)
    }
}

impl State {
    /// The status that the operator or the running failover gives the cluster.
    pub(super) fn status(&self) -> &str {
        if let Some(closed) = self.closed {
            return closed;
        }
        match (&self.failover, &self.forced_status) {
            (Some((since, _)), _) if since.elapsed() >= STATUS_LAG => "failing-over",
            (Some(_) | None, Some(forced)) => forced,
            (Some(_) | None, None) => "available",
        }
    }

    pub(super) fn instance_status(&self, instance: &str, detection: Duration) -> &'static str {
        if let Some(closed) = self.closed {
            return closed;
        }
        let dead = self.dead_for(instance);
        let seen = dead.filter(|(_, lasted)| *lasted >= detection);
        match seen {
            Some((NodeHealth::HostDown, _)) => "failed",
            Some(_) => "rebooting",
            None if self.is_restarting(instance) => "rebooting",
            None => "available",
        }
    }

    /// Whether the platform has stopped this instance and will bring it back.
    pub(super) fn is_restarting(&self, instance: &str) -> bool {
        self.restarting.contains(instance) || self.rejoin_at.contains_key(instance)
    }

    /// A dead instance, and for how long it has been so. Frozen ones look alive.
    pub(super) fn dead_for(&self, instance: &str) -> Option<(NodeHealth, Duration)> {
        let (health, since) = self.health.get(instance)?;
        is_dead(*health).then(|| (*health, since.elapsed()))
    }

    /// Dying in stages (the process, then its host) counts from the first.
    pub(super) fn saw(&mut self, instance: &str, health: NodeHealth) {
        let known = self.health.get(instance);
        let since = known
            .filter(|(before, _)| is_dead(*before) == is_dead(health))
            .map_or_else(Instant::now, |(_, since)| *since);
        self.health.insert(instance.to_owned(), (health, since));
    }

    pub(super) fn set_writer(&mut self, writer: &str) {
        self.writer = writer.to_owned();
        self.writers.push_back((Instant::now(), writer.to_owned()));
        while self.writers.len() > HISTORY {
            self.writers.pop_front();
        }
    }

    fn topology(&self, staleness: Duration) -> Topology {
        let shown = self.writers.iter().rev();
        let shown = shown
            .map(|(at, writer)| (at.elapsed() >= staleness, writer))
            .find_map(|(old_enough, writer)| old_enough.then_some(writer));
        let oldest = self.writers.front().map(|(_, writer)| writer);
        Topology { status: self.status().to_owned(), writer: shown.or(oldest).unwrap_or(&self.writer).clone() }
    }
}

/// A frozen instance looks alive to the platform.
fn is_dead(health: NodeHealth) -> bool {
    match health {
        NodeHealth::Running | NodeHealth::Frozen => false,
        NodeHealth::Down | NodeHealth::HostDown => true,
    }
}
