//! A session of the application that knows nothing of the gate, and does not end its transaction.

use steadfast_aws::resolver::Resolver;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::assembly::{AssemblyError, Lab, credentials, names};

/// What it calls itself.
const NAME: &str = "nightly-batch";

/// It stays until it is dropped, or until somebody ends it.
pub struct Lingerer {
    session: Client,
    connection: JoinHandle<Result<(), Error>>,
}

impl Lingerer {
    /// Connects to an instance, writes in a transaction, and stays in it.
    ///
    /// # Errors
    ///
    /// When the application's secret cannot be read, or the instance does not let it in.
    pub async fn begin(lab: &Lab, instance: &str) -> Result<Self, AssemblyError> {
        let credentials = credentials(&lab.aws, &lab.resources.application_secret_arn).await?;
        let host = names::instance_endpoint(instance);
        let resolver = Resolver::new(Some(lab.cluster.resolver_address(0)))?;
        let addresses = resolver.addresses(&host).await;
        let addresses = addresses.map_err(|cause| AssemblyError::Call { action: "a DNS query", cause })?;
        let mut config = Config::new();
        config.user(&credentials.username).password(&credentials.password).dbname(names::DATABASE);
        config.application_name(NAME).port(names::PORT).ssl_mode(SslMode::Require).host(host);
        if let Some(address) = addresses.first() {
            config.hostaddr(*address);
        }
        let tls = MakeRustlsConnect::new(steadfast_aws::postgres::tls_config(lab.cluster.ca_file())?);
        let (session, connection) = config.connect(tls).await?;
        let lingerer = Self { connection: tokio::spawn(connection), session };
        // It has an id, so it counts as one that writes.
        lingerer.session.batch_execute("BEGIN; SELECT pg_catalog.pg_current_xact_id()").await?;
        Ok(lingerer)
    }
}

impl Drop for Lingerer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
