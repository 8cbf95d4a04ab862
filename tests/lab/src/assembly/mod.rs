//! Puts the lab together: database, control plane, local AWS, functions, and the wires between them.

mod data_backend;
mod delivery;
mod deployed;
mod error;
mod events;
mod experiments;
mod functions;
mod hosted_zone;
pub mod names;
mod nodes;
mod queue;
mod resources;
mod vault;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use serde_json::{Value, json};
use steadfast_aws::secret::Credentials;
use steadfast_aws::state::Table;
use steadfast_core::application;
use steadfast_core::mode::Mode;
use steadfast_core::ports::State;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

pub use delivery::{Delivery, EventDelivery};
pub use error::AssemblyError;
pub(crate) use error::call;
pub use nodes::PostgresNodes;
pub use resources::{Resources, create_table, emulator_config};
pub(crate) use resources::{credentials, scram};
pub use vault::PostgresVault;

use crate::emulator::Emulator;
use crate::fis::Fis;
use crate::lambda::Lambda;
use crate::postgres::{Cluster, ClusterConfig, ClusterNames};
use crate::rds::{PlatformConfig, Rds, RdsEvent, Snapshot, Timing};
use crate::rds_data::{self, RdsData};
use crate::services::{Service, Services};

/// Any free port on the loopback address.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Generous: cold starts of everything on a loaded machine.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// The zones in the description of a Multi-AZ DB instance follow its role late: by minutes on RDS.
const OLD_ZONE_SHOWN_FOR: Duration = Duration::from_secs(10);
/// Conditions are looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// How to start a lab.
#[derive(Clone, Debug)]
pub struct LabConfig {
    /// The folder with one `NAME/bootstrap` per function, as cargo-lambda builds them.
    pub functions: PathBuf,
    /// The virtual environment with the emulator.
    pub venv: PathBuf,
    /// Where every log goes, one folder per lab.
    pub logs: PathBuf,
    /// What is watched.
    pub deployment: Deployment,
    /// When the platform fails over by itself; None: never, and then Steadfast gives it no grace.
    pub native: Option<Duration>,
    /// What the operator allows once everything is healthy.
    pub mode: Mode,
    /// Settings of the coordinator that differ from what ships.
    pub coordinator: BTreeMap<&'static str, String>,
    /// Settings of the rotator that differ from what ships.
    pub rotator: BTreeMap<&'static str, String>,
    /// By how much the latest restorable point in time trails the present; None: by as much as on AWS.
    pub restorable_lag: Option<Duration>,
    /// Whether the application probe is at work.
    pub application_probe: bool,
    /// Whether there is a private hosted zone with a name that is pinned to the writer.
    pub pin: bool,
    /// Where the Invoke API listens; port 0 for any.
    pub invoke: SocketAddr,
}

impl LabConfig {
    /// The lab of a checkout: everything below its root.
    pub fn of_checkout(root: &std::path::Path) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Self {
            functions: target.join("lambda"),
            venv: root.join(".venv"),
            logs: target.join("lab"),
            deployment: Deployment::Cluster,
            native: None,
            mode: Mode::Armed,
            coordinator: BTreeMap::new(),
            rotator: BTreeMap::new(),
            restorable_lag: None,
            application_probe: false,
            pin: false,
            invoke: ANY_PORT,
        }
    }

    /// Settings of a coordinator that a machine under load does not drive to failovers of its own: those of a test or
    /// drill are the ones that count.
    #[must_use]
    pub fn patient() -> BTreeMap<&'static str, String> {
        [("STEADFAST_SILENT_AFTER", "10s"), ("STEADFAST_STALLED_AFTER", "20s")]
            .map(|(name, value)| (name, value.to_owned()))
            .into()
    }
}

/// A running lab. Dropping it ends every process in it.
pub struct Lab {
    /// PostgreSQL, its proxies and DNS.
    pub cluster: Arc<Cluster>,
    /// The control plane.
    pub rds: Rds<PostgresNodes>,
    /// The functions.
    pub lambda: Lambda,
    /// Experiments.
    pub fis: Fis,
    /// The services that functions call, for faults.
    pub services: Services,
    /// The delivery of the platform's events, for faults.
    pub events: EventDelivery,
    /// The state table, read as the functions read it but past [`Self::services`].
    pub table: Table,
    /// ARNs and URLs in the emulator.
    pub resources: Resources,
    /// How to reach the emulator.
    pub aws: SdkConfig,
    /// What is watched.
    pub deployment: Deployment,
    /// Whether the application probe is at work.
    pub application_probe: bool,
    /// Backups, and what was restored from them.
    pub vault: PostgresVault,
    /// By secret: what it is going to hold.
    rotating: Mutex<BTreeMap<String, Credentials>>,
    emulator: Emulator,
    data: RdsData,
    wires: JoinSet<()>,
}

impl Lab {
    /// Starts everything and waits until every prober reports a healthy cluster.
    ///
    /// # Errors
    ///
    /// The first part that did not start, with its remedy. What had started is ended.
    pub async fn start(config: &LabConfig) -> Result<Self, AssemblyError> {
        let (emulator, cluster) = tokio::join!(
            async { Emulator::start(&config.venv, &config.logs).await.map_err(AssemblyError::from) },
            async { Cluster::start(cluster_config(config)).await.map_err(AssemblyError::from) },
        );
        let (emulator, cluster) = (emulator?, Arc::new(cluster?));
        let aws = resources::emulator_config(&emulator.endpoint()).await;
        let mut resources = Resources::create(&aws, config).await?;
        if config.pin {
            resources.zone = Some(hosted_zone::create(&aws).await?);
        }
        let lambda = Lambda::start(config.invoke, &config.logs, functions::settings()).await?;
        let nodes = Arc::new(PostgresNodes::new(Arc::clone(&cluster), config.deployment)?);
        let (events_out, events_in) = mpsc::unbounded_channel();
        let platform = platform_config(config, &resources);
        let cluster_arn = platform.cluster_arn();
        let rds = Rds::start(ANY_PORT, platform, nodes, events_out).await?;
        let vault = PostgresVault::new(&cluster, &aws, config.logs.clone());
        rds.offer(Arc::new(vault.clone()));
        let backend = data_backend::LabBackend::new(Arc::clone(&cluster), &aws, cluster_arn.clone())?;
        let data = rds_data::serve(ANY_PORT, backend, rds_data::Settings::default()).await?;
        resources::create_master(&cluster, &aws, &resources).await?;
        resources::bootstrap(&cluster, config.deployment, &aws, &resources, data.address(), &cluster_arn).await?;
        let table = Table::new(aws_sdk_dynamodb::Client::new(&aws), names::TABLE.to_owned());
        let services = Services::start(emulator.address(), lambda.address()).await?;
        let fis = experiments::start(&cluster, config.deployment, rds.address(), &aws).await?;
        let (events, rotating, wires) = (EventDelivery::default(), Mutex::default(), JoinSet::new());
        let (deployment, application_probe) = (config.deployment, config.application_probe);
        let mut lab = Self {
            cluster,
            rds,
            lambda,
            fis,
            services,
            events,
            table,
            resources,
            aws,
            deployment,
            application_probe,
            vault,
            rotating,
            emulator,
            data,
            wires,
        };
        lab.create_functions(config).await?;
        lab.wire(events_in);
        lab.set_mode(config.mode, "the lab is ready for a drill").await?;
        lab.first_ticks().await?;
        lab.until_healthy().await?;
        Ok(lab)
    }

    /// The cluster's identifier.
    pub fn cluster_id(&self) -> ClusterId {
        ClusterId::new(names::CLUSTER)
    }

    /// Orders the coordinator to change the mode, as an operator does.
    ///
    /// # Errors
    ///
    /// When the coordinator fails.
    pub async fn set_mode(&self, mode: Mode, reason: &str) -> Result<(), AssemblyError> {
        let order = json!({ "cluster": names::CLUSTER, "hint": "operator", "order": "set_mode", "mode": mode,
            "reason": reason });
        self.invoke(names::COORDINATOR, &order).await.map(|_| ())
    }

    /// Gives the role of a secret a new password in the database. The secret keeps the old one, which is refused
    /// from now on; sessions that are open live on.
    ///
    /// # Errors
    ///
    /// When the writer or Secrets Manager does not answer.
    pub async fn begin_rotation(&self, secret_arn: &str) -> Result<(), AssemblyError> {
        let renewed = resources::renew(&self.cluster, &self.aws, secret_arn).await?;
        self.rotating.lock().await.insert(secret_arn.to_owned(), renewed);
        Ok(())
    }

    /// Ends [`Self::begin_rotation`]: the secret holds the new password.
    ///
    /// # Errors
    ///
    /// When Secrets Manager does not answer.
    pub async fn end_rotation(&self, secret_arn: &str) -> Result<(), AssemblyError> {
        match self.rotating.lock().await.remove(secret_arn) {
            Some(renewed) => resources::store(&self.aws, secret_arn, &renewed).await,
            None => Ok(()),
        }
    }

    /// Takes a snapshot, which RDS shows from now on.
    ///
    /// # Errors
    ///
    /// When the writer cannot be copied.
    pub async fn take_snapshot(&self, id: &str) -> Result<Snapshot, AssemblyError> {
        let version = engine(self.deployment).1.to_owned();
        let snapshot = Snapshot { engine_version: version, ..self.vault.take(id).await? };
        self.rds.show_snapshot(snapshot.clone());
        Ok(snapshot)
    }

    /// Deletes a snapshot.
    pub async fn delete_snapshot(&self, id: &str) {
        self.rds.hide_snapshot(id);
        self.vault.forget(id).await;
    }

    /// Invokes a function and waits for its answer.
    ///
    /// # Errors
    ///
    /// When it answers with a function error.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Result<Value, AssemblyError> {
        let answer = self.lambda.invoke(function, payload.to_string().into_bytes()).await?;
        let text = String::from_utf8_lossy(&answer.payload).into_owned();
        if answer.function_error.is_some() {
            return Err(AssemblyError::Function { function: function.to_owned(), answer: text });
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// What stands in the state table.
    ///
    /// # Errors
    ///
    /// When the table does not answer.
    pub async fn state(&self) -> Result<State, AssemblyError> {
        self.table.load(&self.cluster_id()).await.map_err(AssemblyError::from)
    }

    /// Waits until all three probers report, freshly, that every instance is as it should be and that
    /// the cluster endpoint leads to the writer.
    ///
    /// # Errors
    ///
    /// [`AssemblyError::NotReady`] with the last reports.
    pub async fn until_healthy(&self) -> Result<(), AssemblyError> {
        let began = Instant::now();
        let asked = steadfast_aws::clock::now();
        // Of a Multi-AZ DB instance only the writer is seen.
        let seen = match self.deployment {
            Deployment::Cluster => names::INSTANCES.len(),
            Deployment::Instance => 1,
        };
        loop {
            let state = self.state().await?;
            let healthy = state.reports.iter().filter(|report| {
                report.at > asked
                    && report.all_healthy()
                    && report.sightings.len() == seen
                    && report.endpoint.instance.as_ref().is_some_and(|id| id.as_str() == self.cluster.writer())
            });
            if healthy.count() == names::AZS.len() {
                return Ok(());
            }
            if began.elapsed() > READY_LIMIT {
                let reports = state.reports.iter().map(|report| format!("{report:?}")).collect::<Vec<_>>();
                return Err(AssemblyError::NotReady { limit: READY_LIMIT, seen: reports.join("\n") });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the application probe has had a transfer acknowledged and its books read.
    ///
    /// # Errors
    ///
    /// [`AssemblyError::NotReady`] with the last reports.
    pub async fn until_transferring(&self) -> Result<(), AssemblyError> {
        let (began, asked) = (Instant::now(), steadfast_aws::clock::now());
        loop {
            let reports = self.table.application(&self.cluster_id(), asked.minus(READY_LIMIT)).await?;
            let is_at_work = |at: &Timestamp| *at > asked;
            let audited = reports.iter().filter_map(|report| report.audit).any(|audit| is_at_work(&audit.at));
            if audited && application::last_acknowledged(&reports).as_ref().is_some_and(is_at_work) {
                return Ok(());
            }
            if began.elapsed() > READY_LIMIT {
                return Err(AssemblyError::NotReady { limit: READY_LIMIT, seen: format!("{reports:?}") });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The emulator, for faults.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// Where the RDS Data API listens.
    pub fn data_address(&self) -> SocketAddr {
        self.data.address()
    }

    /// What an operator's programs need in their environment: where AWS is, and what this installation is called.
    pub fn operator_environment(&self) -> Vec<(&'static str, String)> {
        let watched = match self.deployment {
            Deployment::Cluster => "STEADFAST_CLUSTER",
            Deployment::Instance => "STEADFAST_INSTANCE",
        };
        vec![
            ("AWS_ENDPOINT_URL", self.emulator.endpoint()),
            ("AWS_ENDPOINT_URL_RDS", format!("http://{}", self.rds.address())),
            ("AWS_ENDPOINT_URL_LAMBDA", format!("http://{}", self.lambda.address())),
            ("AWS_REGION", names::REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", names::ACCOUNT.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "lab".to_owned()),
            (watched, names::CLUSTER.to_owned()),
            ("STEADFAST_TABLE", names::TABLE.to_owned()),
            ("STEADFAST_COORDINATOR", names::COORDINATOR.to_owned()),
        ]
    }

    /// Ends everything and waits until it has ended.
    pub async fn shutdown(mut self) {
        self.wires.shutdown().await;
        self.lambda.shutdown().await;
        self.services.shutdown().await;
        self.fis.shutdown().await;
        self.rds.shutdown().await;
        self.vault.end().await;
        self.data.shutdown().await;
        if let Err(error) = self.emulator.shutdown().await {
            tracing::warn!(%error, "the emulator did not end by itself");
        }
        if let Some(cluster) = Arc::into_inner(self.cluster) {
            cluster.shutdown();
        }
    }

    async fn create_functions(&mut self, config: &LabConfig) -> Result<(), AssemblyError> {
        let (failures, mut failed) = mpsc::unbounded_channel();
        let endpoints = functions::Endpoints {
            emulator: self.emulator.endpoint(),
            rds: self.rds.address(),
            data: self.data.address(),
            fis: self.fis.address(),
            cluster_arn: platform_config(config, &self.resources).cluster_arn(),
            state_table: self.services.endpoint(Service::StateTable),
            notifier: self.services.endpoint(Service::Notifier),
            invocations: self.services.endpoint(Service::Invocations),
            names: self.services.endpoint(Service::Names),
        };
        for spec in functions::specs(config, &self.cluster, &self.resources, &endpoints, &failures)? {
            self.lambda.create_function(spec).await?;
        }
        let sqs = aws_sdk_sqs::Client::new(&self.aws);
        let url = self.resources.failures_url.clone();
        self.wires.spawn(async move {
            while let Some(record) = failed.recv().await {
                let sent = sqs.send_message().queue_url(&url).message_body(record.to_string()).send().await;
                if let Err(error) = sent {
                    tracing::warn!(%error, "a failed invocation did not reach its queue");
                }
            }
        });
        Ok(())
    }

    fn wire(&mut self, events: mpsc::UnboundedReceiver<RdsEvent>) {
        let rule = events::Rule::new(&self.aws);
        let (due_out, due_in) = mpsc::unbounded_channel();
        self.wires.spawn(delivery::deliver(events, self.events.clone(), due_out));
        self.wires.spawn(events::hand_over(rule, due_in, self.lambda.clone()));
        if let Some(zone) = self.resources.zone.clone() {
            self.wires.spawn(hosted_zone::propagate(self.aws.clone(), zone, Arc::clone(&self.cluster)));
        }
        let sqs = aws_sdk_sqs::Client::new(&self.aws);
        self.wires.spawn(queue::dispatch(sqs, self.resources.ticks_url.clone(), self.lambda.clone()));
    }

    /// A schedule's first tick may be a minute away; a deployment sends the first one itself.
    async fn first_ticks(&self) -> Result<(), AssemblyError> {
        for tick in functions::scheduled(self.deployment, self.application_probe)? {
            self.lambda.invoke_async(&tick.function, tick.payload.into_bytes()).await?;
        }
        Ok(())
    }
}

fn cluster_config(config: &LabConfig) -> ClusterConfig {
    let nodes = names::nodes(config.deployment);
    ClusterConfig {
        instance_ids: nodes.iter().map(|node| (*node).to_owned()).collect(),
        is_aurora: config.deployment == Deployment::Cluster,
        names: ClusterNames {
            instances: nodes.iter().map(|node| names::node_endpoint(config.deployment, node)).collect(),
            writer: names::writer_endpoint(config.deployment),
            reader: names::reader_endpoint(),
        },
        log_directory: config.logs.clone(),
        dns_ttl: names::DNS_TTL,
    }
}

/// Engine, its version, and how late the description of a writer is.
fn engine(deployment: Deployment) -> (&'static str, &'static str, Duration) {
    match deployment {
        Deployment::Cluster => ("aurora-postgresql", "15.10", Duration::ZERO),
        Deployment::Instance => ("postgres", "16.10", OLD_ZONE_SHOWN_FOR),
    }
}

fn platform_config(config: &LabConfig, resources: &Resources) -> PlatformConfig {
    let (engine, engine_version, describe_staleness) = engine(config.deployment);
    PlatformConfig {
        deployment: config.deployment,
        identifier: names::CLUSTER.to_owned(),
        resource_id: "cluster-LAB7STEADFAST".to_owned(),
        account: names::ACCOUNT.to_owned(),
        region: names::REGION.to_owned(),
        engine: engine.to_owned(),
        engine_version: engine_version.to_owned(),
        database: names::DATABASE.to_owned(),
        master_username: names::MASTER.to_owned(),
        port: names::PORT,
        endpoint: names::writer_endpoint(config.deployment),
        reader_endpoint: names::reader_endpoint(),
        hosted_zone_id: "Z1RLNUO7B9Q6NB".to_owned(),
        security_groups: vec![names::SECURITY_GROUP.to_owned()],
        secret_arn: resources.master_secret_arn.clone(),
        min_capacity: 0.5,
        max_capacity: 4.0,
        tags: vec![("Name".to_owned(), names::CLUSTER.to_owned())],
        instances: names::instances(config.deployment),
        timing: Timing {
            native_failover: config.native,
            describe_staleness,
            restorable_lag: config.restorable_lag.unwrap_or(Timing::default().restorable_lag),
            ..Timing::default()
        },
    }
}
