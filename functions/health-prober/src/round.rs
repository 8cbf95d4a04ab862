//! One run of the prober: starts the watches, writes reports, wakes the coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::Error;
use serde::Serialize;
use serde_json::json;
use steadfast_aws::postgres::Target;
use steadfast_aws::{clock, log, secret};
use steadfast_core::hint::{Hint, Wake};
use steadfast_core::metric;
use steadfast_core::ports::StateError;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{InstanceId, Topology};
use steadfast_core::witness::WitnessReport;
use tokio::sync::mpsc::{self, Receiver};
use tokio::sync::watch::channel;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::FUNCTION;
use crate::board::Board;
use crate::setup::Setup;
use crate::watch::Shared;
use crate::whose::{Hosts, Whose};
use crate::{endpoint, watch};

/// A report is written at least this often: reports older than 5 s are no facts.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The coordinator is woken again this often while nobody commits.
const WAKE_EVERY: Duration = Duration::from_secs(5);
/// Metrics are printed this often.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// Instances come and go: the topology is read again this often.
const TOPOLOGY_EVERY: Duration = Duration::from_secs(30);
/// A first run tries this often to learn what to probe before it fails.
const BEGIN_TRIES: u32 = 10;
/// A run says nothing before it has probed every instance, or for this long.
const SILENT_START_MAX: Duration = Duration::from_secs(2);
/// The earlier run's report is continued if it is not older than a report that counts.
const EARLIER_AGE_MAX: Duration = Duration::from_secs(5);

/// What a run did.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Summary {
    reports: u64,
    wakes: u64,
    superseded: bool,
}

/// Probes until `deadline`, for the run time of the settings, or until a newer run reports.
pub(crate) async fn run(setup: Arc<Setup>, deadline: Timestamp) -> Result<Summary, Error> {
    let began = clock::now();
    let end = deadline.min(began.plus(setup.run_for));
    let (known, state) = tokio::join!(beginning(&setup), setup.table.load(&setup.cluster));
    let (topology, credentials) = known?;
    // Without its earlier report a run only starts its count of canaries and silences anew.
    let earlier = state.ok().and_then(|state| state.reports.into_iter().find(|report| report.az == setup.az));
    let canary = earlier.as_ref().map(|report| report.canary).unwrap_or_default();
    let fresh = earlier.filter(|report| began.since(report.at) <= EARLIER_AGE_MAX);
    let mut run = Run {
        board: Arc::new(Board::new(canary, fresh.map(|report| report.sightings).unwrap_or_default())),
        credentials: Arc::new(channel(credentials)),
        began,
        watches: JoinSet::new(),
        watched: BTreeMap::new(),
        summary: Summary::default(),
        setup,
    };
    run.follow(&topology);
    run.watch_endpoint(&topology);
    run.report_until(end).await;
    Ok(run.summary)
}

/// The topology and the credentials: fresh ones, else those of the run before in this environment. A
/// control plane that is ill must not take the witnesses away as well.
async fn beginning(setup: &Setup) -> Result<(Topology, secret::Credentials), Error> {
    let mut tries = 1;
    loop {
        let (topology, credentials) =
            tokio::join!(setup.rds.describe(&setup.cluster), secret::credentials(&setup.secrets, &setup.secret));
        let failure: Error = match (topology, credentials) {
            (Ok(topology), Ok(credentials)) => {
                setup.remember(&topology, &credentials);
                return Ok((topology, credentials));
            }
            (Err(error), _) => error.into(),
            (_, Err(error)) => error.into(),
        };
        if let Some(remembered) = setup.remembered() {
            return Ok(remembered);
        }
        if tries >= BEGIN_TRIES {
            return Err(failure);
        }
        tracing::warn!(error = %failure, "the run cannot begin yet");
        tries += 1;
        tokio::time::sleep(HEARTBEAT).await;
    }
}

struct Run {
    setup: Arc<Setup>,
    board: Arc<Board>,
    credentials: Arc<Shared>,
    began: Timestamp,
    /// Dropping it ends all watches.
    watches: JoinSet<()>,
    watched: BTreeMap<InstanceId, AbortHandle>,
    summary: Summary,
}

impl Run {
    fn target(&self, host: &str, port: u16) -> Target {
        Target { host: host.to_owned(), port, database: self.setup.database.clone(), application: "steadfast-prober" }
    }

    /// Watches every member, and no instance that has left. Of a Multi-AZ DB instance there is one endpoint, whoever
    /// stands behind it.
    fn follow(&mut self, topology: &Topology) {
        if let Some(hosts) = self.setup.hosts.clone() {
            return self.follow_endpoint(topology, hosts);
        }
        self.watched.retain(|instance, watch| {
            let stays = topology.member(instance).is_some();
            if !stays {
                watch.abort();
                self.board.forget(instance);
            }
            stays
        });
        for member in topology.members.iter().filter(|member| !member.endpoint.is_empty()) {
            if self.watched.contains_key(&member.id) {
                continue;
            }
            let target = self.target(&member.endpoint, topology.port);
            self.start_watch(member.id.clone(), Whose::Instance(member.id.clone()), target);
        }
    }

    fn follow_endpoint(&mut self, topology: &Topology, hosts: Hosts) {
        let watched = InstanceId::new(hosts.instance.as_str());
        // While it is being created it has neither a writer nor an endpoint.
        let Some(writer) = topology.writer().filter(|_| !self.watched.contains_key(&watched)) else {
            return;
        };
        if !topology.endpoint.is_empty() {
            let target = self.target(&topology.endpoint, topology.port);
            self.start_watch(watched, Whose::Host { hosts, last: writer.id.clone() }, target);
        }
    }

    fn start_watch(&mut self, watched: InstanceId, whose: Whose, target: Target) {
        let (setup, board) = (Arc::clone(&self.setup), Arc::clone(&self.board));
        let task = watch::watch(setup, board, whose, target, Arc::clone(&self.credentials));
        self.watched.insert(watched, self.watches.spawn(task));
    }

    fn watch_endpoint(&mut self, topology: &Topology) {
        let target = self.target(&topology.endpoint, topology.port);
        let (setup, board) = (Arc::clone(&self.setup), Arc::clone(&self.board));
        self.watches.spawn(endpoint::watch(setup, board, target, Arc::clone(&self.credentials)));
    }

    async fn report_until(&mut self, end: Timestamp) {
        let mut heartbeat = Instant::now();
        let mut measured = Instant::now();
        let mut reported = self.began;
        let mut woken: Option<Instant> = None;
        let mut topologies = self.watch_topology();
        while clock::now() < end && !self.summary.superseded {
            tokio::select! {
                () = self.board.changed() => {}
                () = sleep_until(heartbeat) => {}
                Some(topology) = topologies.recv() => self.follow(&topology),
            }
            heartbeat = Instant::now() + HEARTBEAT;
            // Each report is newer than the one before, also by a clock that was set back: the table refuses others.
            let now = clock::now().max(reported.plus(Duration::from_millis(1)));
            if self.board.probed() < self.watched.len() && now.since(self.began) < SILENT_START_MAX {
                continue;
            }
            reported = now;
            let report = self.board.report(&self.setup.az, self.began, now);
            match report.suspect() {
                None => woken = None,
                Some(instance) if woken.is_none_or(|at| at.elapsed() >= WAKE_EVERY) => {
                    woken = Some(Instant::now());
                    self.wake(instance.clone(), &report);
                }
                Some(_) => {}
            }
            self.publish(&report).await;
            if measured.elapsed() >= MEASURE_EVERY {
                measured = Instant::now();
                self.measure(&report);
            }
        }
    }

    /// Describes the cluster now and then; a slow control plane holds up no report.
    fn watch_topology(&mut self) -> Receiver<Topology> {
        let (found, topologies) = mpsc::channel(1);
        let setup = Arc::clone(&self.setup);
        self.watches.spawn(async move {
            loop {
                tokio::time::sleep(TOPOLOGY_EVERY).await;
                match setup.rds.describe(&setup.cluster).await {
                    Ok(topology) => {
                        if found.send(topology).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::warn!(%error, "the control plane does not describe the cluster"),
                }
            }
        });
        topologies
    }

    /// Wakes the coordinator beside everything else: the report does not wait for it.
    fn wake(&mut self, instance: InstanceId, report: &WitnessReport) {
        self.summary.wakes = self.summary.wakes.saturating_add(1);
        log::audit(FUNCTION, "suspicion", &json!({ "az": self.setup.az, "sightings": report.sightings }));
        let setup = Arc::clone(&self.setup);
        self.watches.spawn(async move {
            let hint = Hint::Suspicion { az: setup.az.clone(), instance };
            let wake = Wake { cluster: setup.cluster.clone(), hint };
            if let Err(error) = setup.coordinator.wake(&wake).await {
                log::audit(FUNCTION, "wake_failed", &json!({ "error": error.to_string() }));
            }
        });
    }

    async fn publish(&mut self, report: &WitnessReport) {
        match self.setup.table.report(&self.setup.cluster, report).await {
            Ok(()) => self.summary.reports = self.summary.reports.saturating_add(1),
            Err(StateError::Superseded { .. }) => self.summary.superseded = true,
            Err(error @ (StateError::Unavailable { .. } | StateError::Malformed { .. })) => {
                log::audit(FUNCTION, "state_lost", &json!({ "error": error.to_string() }));
            }
        }
    }

    fn measure(&self, report: &WitnessReport) {
        let tally = self.board.take_tally();
        let unhealthy = report.sightings.iter().filter(|sighting| !sighting.outcome.healthy()).count();
        log::measure(
            &[(metric::CLUSTER, self.setup.cluster.as_str()), (metric::AZ, self.setup.az.as_str())],
            &[
                (metric::PROBES, tally.probes),
                (metric::CANARY_COMMIT, tally.commit_ms_max),
                (metric::CANARY_LOST, tally.lost),
                (metric::UNHEALTHY_INSTANCES, u64::try_from(unhealthy).unwrap_or(u64::MAX)),
            ],
        );
    }
}
