//! The lab's PostgreSQL cluster with the ledger's schema, an application's role, and clients for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use steadfast_client::{Config, Credentials, Endpoint, Limits};
use steadfast_lab::postgres::{Cluster, ClusterConfig, ClusterError, ClusterNames};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The instances; each fresh cluster has the first as its writer.
pub const INSTANCES: [&str; 3] = ["orders-1", "orders-2", "orders-3"];
/// The database that every server has.
pub const DATABASE: &str = "postgres";
const APPLICATION: &str = "payments";
const PASSWORD: &str = "only for the lab";
/// The clients' view of the network.
const VIEW: u8 = 0;

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The cluster did not start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A statement of the set-up failed.
    #[error("the set-up failed: {0}")]
    Sql(#[from] tokio_postgres::Error),
    /// The authority's certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] steadfast_client::CertificateError),
}

/// A running cluster. Dropping it ends every process and removes its files, its logs included.
pub struct Payments {
    /// The servers and the ways in which they fail.
    pub cluster: Arc<Cluster>,
    tls: rustls::ClientConfig,
    logs: PathBuf,
}

impl Drop for Payments {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.logs));
        }
    }
}

impl Payments {
    /// Starts a cluster, applies the schema that ships and gives the application its role and `tables`.
    ///
    /// # Errors
    ///
    /// [`SetUpError`].
    pub async fn start(tables: &str) -> Result<Self, SetUpError> {
        let logs = std::env::temp_dir().join(format!("payments-logs-{}", uuid::Uuid::new_v4().simple()));
        let cluster = Cluster::start(ClusterConfig {
            instance_ids: INSTANCES.map(str::to_owned).to_vec(),
            is_aurora: true,
            names: ClusterNames {
                instances: INSTANCES.map(instance_endpoint).to_vec(),
                writer: cluster_endpoint(),
                reader: "orders.cluster-ro-c0ffee.eu-central-1.rds.amazonaws.com".to_owned(),
            },
            log_directory: logs.clone(),
            dns_ttl: Duration::from_secs(5),
        })
        .await?;
        let admin = cluster.admin(cluster.writer()).await?;
        for script in steadfast_infra::bootstrap::SCHEMA {
            admin.batch_execute(script).await?;
        }
        admin
            .batch_execute(&format!(
                "CREATE ROLE {APPLICATION} LOGIN PASSWORD '{PASSWORD}' IN ROLE steadfast_application;
                 CREATE SCHEMA payments AUTHORIZATION {APPLICATION};
                 ALTER ROLE {APPLICATION} SET search_path = payments;
                 SET ROLE {APPLICATION}; SET search_path = payments; {tables}; RESET ROLE"
            ))
            .await?;
        let tls = steadfast_client::tls(cluster.ca_file())?;
        Ok(Self { cluster: Arc::new(cluster), tls, logs })
    }

    /// A client's configuration with all instance endpoints.
    #[must_use]
    pub fn config(&self) -> Config {
        let endpoints = INSTANCES.map(|id| Endpoint::new(instance_endpoint(id), 5432));
        self.resolved(Config::instances(endpoints, DATABASE, credentials(), self.tls.clone()))
    }

    /// A client's configuration with the cluster endpoint alone.
    #[must_use]
    pub fn cluster_config(&self) -> Config {
        let endpoint = Endpoint::new(cluster_endpoint(), 5432);
        self.resolved(Config::cluster(endpoint, DATABASE, credentials(), self.tls.clone()))
    }

    fn resolved(&self, config: Config) -> Config {
        let cluster = Arc::clone(&self.cluster);
        config.application("payments").limits(limits()).resolve(move |endpoint| {
            let cluster = Arc::clone(&cluster);
            Box::pin(async move { address(&cluster, &endpoint) })
        })
    }

    /// An ordinary connection to an instance, as an application without the client makes it.
    ///
    /// # Errors
    ///
    /// The driver's error.
    pub async fn plain(&self, id: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        self.connect(&[id]).await
    }

    /// An ordinary connection to whichever instance accepts writes.
    ///
    /// # Errors
    ///
    /// The driver's error.
    pub async fn plain_to_any(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        self.connect(&INSTANCES).await
    }

    async fn connect(&self, ids: &[&str]) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config
            .user(APPLICATION)
            .password(PASSWORD)
            .dbname(DATABASE)
            .connect_timeout(Duration::from_millis(500))
            .ssl_mode(tokio_postgres::config::SslMode::Require);
        if ids.len() > 1 {
            config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        }
        for id in ids {
            // An unknown instance has no address, and connecting to it fails.
            let address = self.cluster.proxy_address(VIEW, id).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 1)));
            config.host(instance_endpoint(id)).hostaddr(address.ip()).port(address.port());
        }
        let (client, connection) = config.connect(MakeRustlsConnect::new(self.tls.clone())).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// The application's secret, as Secrets Manager would hold it.
    #[must_use]
    pub fn secret(&self) -> String {
        serde_json::json!({ "username": APPLICATION, "password": PASSWORD }).to_string()
    }

    /// Any instance but the present writer.
    #[must_use]
    pub fn reader(&self) -> &'static str {
        let writer = self.cluster.writer();
        INSTANCES.into_iter().find(|id| *id != writer).unwrap_or("orders-1")
    }
}

/// Shorter than the defaults, as everything in the lab is.
#[must_use]
pub fn limits() -> Limits {
    Limits { commit: Duration::from_secs(5), sessions: 32, ..Limits::default() }
}

fn credentials() -> Credentials {
    Credentials { user: APPLICATION.to_owned(), password: PASSWORD.to_owned() }
}

fn instance_endpoint(id: &str) -> String {
    format!("{id}.c0ffee.eu-central-1.rds.amazonaws.com")
}

fn cluster_endpoint() -> String {
    "orders.cluster-c0ffee.eu-central-1.rds.amazonaws.com".to_owned()
}

/// As DNS would answer, the cluster endpoint's record included, without its delay.
fn address(cluster: &Cluster, endpoint: &Endpoint) -> std::io::Result<Vec<SocketAddr>> {
    let label = endpoint.host.split('.').next().unwrap_or_default();
    let instance = if endpoint.host == cluster_endpoint() { cluster.writer() } else { label };
    cluster.proxy_address(VIEW, instance).map(|address| vec![address]).map_err(std::io::Error::other)
}
