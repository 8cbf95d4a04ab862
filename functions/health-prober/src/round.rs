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
use steadfast_core::ports::{CallError, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{InstanceId, Topology};
use steadfast_core::witness::WitnessReport;
use tokio::sync::watch::channel;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::FUNCTION;
use crate::board::Board;
use crate::setup::Setup;
use crate::watch::Shared;
use crate::{endpoint, watch};

/// A report is written at least this often: reports older than 5 s are no facts.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The coordinator is woken again this often while nobody commits.
const WAKE_EVERY: Duration = Duration::from_secs(5);
/// Metrics are printed this often.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// Instances come and go: the topology is read again this often.
const TOPOLOGY_EVERY: Duration = Duration::from_secs(30);
/// The control plane is asked this often at the start before the run fails.
const TOPOLOGY_TRIES: u32 = 10;

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
    let (topology, credentials, state) = tokio::try_join!(
        first_topology(&setup),
        async { secret::credentials(&setup.secrets, &setup.secret).await.map_err(Error::from) },
        async { setup.table.load(&setup.cluster).await.map_err(Error::from) },
    )?;
    let canary = state.reports.iter().find(|report| report.az == setup.az).map(|report| report.canary);
    let mut run = Run {
        board: Arc::new(Board::new(canary.unwrap_or_default())),
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

async fn first_topology(setup: &Setup) -> Result<Topology, Error> {
    let mut tries = 1;
    loop {
        match setup.rds.describe(&setup.cluster).await {
            Ok(topology) => return Ok(topology),
            Err(error @ CallError::Refused { .. }) if tries >= TOPOLOGY_TRIES => return Err(error.into()),
            Err(error) if tries >= TOPOLOGY_TRIES => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "the control plane does not describe the cluster yet"),
        }
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

    /// Watches every member, and no instance that has left.
    fn follow(&mut self, topology: &Topology) {
        self.watched.retain(|instance, watch| {
            let stays = topology.member(instance).is_some();
            if !stays {
                watch.abort();
            }
            stays
        });
        for member in topology.members.iter().filter(|member| !member.endpoint.is_empty()) {
            if self.watched.contains_key(&member.id) {
                continue;
            }
            let target = self.target(&member.endpoint, topology.port);
            let task = watch::watch(
                Arc::clone(&self.setup),
                Arc::clone(&self.board),
                member.id.clone(),
                target,
                Arc::clone(&self.credentials),
            );
            self.watched.insert(member.id.clone(), self.watches.spawn(task));
        }
    }

    fn watch_endpoint(&mut self, topology: &Topology) {
        let target = self.target(&topology.endpoint, topology.port);
        let (setup, board) = (Arc::clone(&self.setup), Arc::clone(&self.board));
        self.watches.spawn(endpoint::watch(setup, board, target, Arc::clone(&self.credentials)));
    }

    async fn report_until(&mut self, end: Timestamp) {
        let mut heartbeat = Instant::now();
        let mut measured = Instant::now();
        let mut described = Instant::now();
        let mut woken: Option<Instant> = None;
        while clock::now() < end && !self.summary.superseded {
            tokio::select! {
                () = self.board.changed() => {}
                () = sleep_until(heartbeat) => {}
            }
            heartbeat = Instant::now() + HEARTBEAT;
            let report = self.board.report(&self.setup.az, self.began, clock::now());
            let suspect = suspect(&report);
            let wake = suspect.filter(|_| woken.is_none_or(|at| at.elapsed() >= WAKE_EVERY));
            if suspect.is_none() {
                woken = None;
            } else if wake.is_some() {
                woken = Some(Instant::now());
            }
            self.publish(&report, wake).await;
            if measured.elapsed() >= MEASURE_EVERY {
                measured = Instant::now();
                self.measure(&report);
            }
            if described.elapsed() >= TOPOLOGY_EVERY {
                described = Instant::now();
                if let Ok(topology) = self.setup.rds.describe(&self.setup.cluster).await {
                    self.follow(&topology);
                }
            }
        }
    }

    /// Writes the report and wakes the coordinator at the same time: neither waits for the other.
    async fn publish(&mut self, report: &WitnessReport, suspect: Option<&InstanceId>) {
        let write = self.setup.table.report(&self.setup.cluster, report);
        let wake = async {
            let instance = suspect?.clone();
            let hint = Hint::Suspicion { az: self.setup.az.clone(), instance };
            Some(self.setup.coordinator.wake(&Wake { cluster: self.setup.cluster.clone(), hint }).await)
        };
        let (written, woken) = tokio::join!(write, wake);
        match written {
            Ok(()) => self.summary.reports = self.summary.reports.saturating_add(1),
            Err(StateError::Superseded { .. }) => self.summary.superseded = true,
            Err(error @ (StateError::Unavailable { .. } | StateError::Malformed { .. })) => {
                log::audit(FUNCTION, "state_lost", &json!({ "error": error.to_string() }));
            }
        }
        match woken {
            None => {}
            Some(Ok(())) => {
                self.summary.wakes = self.summary.wakes.saturating_add(1);
                log::audit(FUNCTION, "suspicion", &json!({ "az": self.setup.az, "sightings": report.sightings }));
            }
            Some(Err(error)) => log::audit(FUNCTION, "wake_failed", &json!({ "error": error.to_string() })),
        }
    }

    fn measure(&self, report: &WitnessReport) {
        let tally = self.board.take_tally();
        let unhealthy = report.sightings.iter().filter(|sighting| !sighting.outcome.healthy()).count();
        log::measure(
            &[("Cluster", self.setup.cluster.as_str()), ("Az", self.setup.az.as_str())],
            &[
                (metric::PROBES, tally.probes),
                (metric::CANARY_COMMIT, tally.commit_ms_max),
                (metric::CANARY_LOST, tally.lost),
                (metric::UNHEALTHY_INSTANCES, u64::try_from(unhealthy).unwrap_or(u64::MAX)),
            ],
        );
    }
}

/// The instance that looks worst, once every instance was probed and none commits.
fn suspect(report: &WitnessReport) -> Option<&InstanceId> {
    use steadfast_core::witness::Outcome;
    if report.sightings.iter().any(|sighting| sighting.outcome == Outcome::Committing) {
        return None;
    }
    report.sightings.iter().find(|sighting| !sighting.outcome.healthy()).map(|sighting| &sighting.instance)
}
