//! The application of the drills: a bank whose clients transfer money over ordinary connections.
//!
//! Every transfer has a unique key. What was acknowledged, what failed and what stayed in doubt is
//! recorded; nothing is ever retried blindly. Afterwards the database is asked what really happened.

mod audit;
mod client;
mod lingerer;
mod schema;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast_aws::resolver::Resolver;
use steadfast_aws::secret::Credentials;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::Deployment;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_postgres_rustls::MakeRustlsConnect;

pub use audit::{Audit, audit};
pub use client::{Fate, Transfer};
pub use lingerer::Lingerer;
pub use schema::{ACCOUNTS, create};

use crate::assembly::{AssemblyError, Lab, names};

/// How a client finds the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// All instance endpoints in one connection string with `target_session_attrs=read-write`.
    Instances,
    /// The cluster endpoint by DNS, or the only one of a Multi-AZ DB instance.
    ClusterEndpoint,
    /// The instance endpoint of the writer of the start, whatever role it has, as a pool that never asks.
    Pinned,
}

/// Which clients there are.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One client per route.
    pub routes: Vec<Route>,
    /// Whether the clients take the gate's lock with their first statement, and make a transfer again that
    /// has failed for certain.
    pub gated: bool,
    /// Between two transfers of one client: bounds the load.
    pub think: Duration,
    /// How long a client keeps a session before it opens another one, with the secret read anew, as a pool does;
    /// None: as long as it works.
    pub session_lasts: Option<Duration>,
}

impl Default for Plan {
    fn default() -> Self {
        let routes = [[Route::Instances; 4].as_slice(), [Route::ClusterEndpoint; 2].as_slice()].concat();
        Self { routes, gated: false, think: Duration::from_millis(15), session_lasts: None }
    }
}

/// What one client did.
#[derive(Clone, Debug)]
pub struct Diary {
    /// Its number.
    pub client: usize,
    /// How it finds the writer.
    pub route: Route,
    /// Its transfers in order.
    pub transfers: Vec<Transfer>,
    /// Connection attempts that failed.
    pub refused_connections: u64,
    /// Of these, for the user or the password.
    pub authentication_failures: u64,
    /// Sessions that were ended by somebody while they were on a reader.
    pub evicted: u64,
}

/// What the clients share.
struct Shared {
    tls: MakeRustlsConnect,
    resolver: Resolver,
    aws: aws_config::SdkConfig,
    secret_arn: String,
    /// Read anew when the password is refused: it may have been rotated.
    credentials: Mutex<Credentials>,
    acknowledged: Vec<std::sync::atomic::AtomicU64>,
    gated: bool,
    session_lasts: Option<Duration>,
    deployment: Deployment,
    stop: AtomicBool,
}

/// Clients at work. Dropping it ends them where they are.
pub struct Workload {
    shared: Arc<Shared>,
    clients: JoinSet<Diary>,
}

impl Workload {
    /// Starts the clients; `run` makes their keys unique.
    ///
    /// # Errors
    ///
    /// When the application's secret or the certificate authority cannot be read.
    pub async fn start(lab: &Lab, plan: &Plan, run: &str) -> Result<Self, AssemblyError> {
        let shared = Arc::new(Shared {
            tls: MakeRustlsConnect::new(steadfast_aws::postgres::tls_config(lab.cluster.ca_file())?),
            resolver: Resolver::new(Some(lab.cluster.resolver_address(0)))?,
            aws: lab.aws.clone(),
            secret_arn: lab.resources.application_secret_arn.clone(),
            credentials: Mutex::new(
                crate::assembly::credentials(&lab.aws, &lab.resources.application_secret_arn).await?,
            ),
            acknowledged: plan.routes.iter().map(|_| 0.into()).collect(),
            gated: plan.gated,
            session_lasts: plan.session_lasts,
            deployment: lab.deployment,
            stop: AtomicBool::new(false),
        });
        let mut clients = JoinSet::new();
        for (number, route) in plan.routes.iter().enumerate() {
            let client = client::Client::new(Arc::clone(&shared), number, *route, run, plan.think);
            clients.spawn(client.work());
        }
        Ok(Self { shared, clients })
    }

    /// When each client's latest transfer was acknowledged.
    pub fn acknowledged(&self) -> Vec<Timestamp> {
        self.shared.acknowledged.iter().map(|at| Timestamp::from_millis(at.load(Ordering::Relaxed))).collect()
    }

    /// Lets every client finish what it is doing, and returns what they did.
    pub async fn stop(mut self) -> Vec<Diary> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut diaries = Vec::new();
        while let Some(ended) = self.clients.join_next().await {
            match ended {
                Ok(diary) => diaries.push(diary),
                Err(error) => tracing::error!(%error, "a client of the workload is lost with its diary"),
            }
        }
        diaries.sort_by_key(|diary| diary.client);
        diaries
    }
}

/// The hosts of a route, in the order of the instances.
fn hosts(route: Route, deployment: Deployment) -> Vec<String> {
    match route {
        Route::Instances => names::INSTANCES.map(names::instance_endpoint).into(),
        Route::ClusterEndpoint => vec![names::writer_endpoint(deployment)],
        // Every fresh lab has its first instance as the writer.
        Route::Pinned => names::INSTANCES.first().map(|id| names::instance_endpoint(id)).into_iter().collect(),
    }
}
