//! Settings and clients, made once at the cold start.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use steadfast_aws::clients;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::postgres::Connector;
use steadfast_aws::resolver::Resolver;
use steadfast_aws::secret::Credentials;
use steadfast_aws::settings::{SettingError, Settings};
use steadfast_aws::siblings::Sibling;
use steadfast_aws::state::Table;
use steadfast_core::topology::{Az, ClusterId, Topology};

/// Left of the invocation's time when the prober stops.
pub(crate) const MARGIN: Duration = Duration::from_secs(2);

/// What an environment keeps between invocations.
pub(crate) struct Setup {
    pub(crate) cluster: ClusterId,
    pub(crate) az: Az,
    pub(crate) table: Table,
    pub(crate) rds: Rds,
    pub(crate) coordinator: Sibling,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
    pub(crate) secret: String,
    pub(crate) database: String,
    pub(crate) check: Option<String>,
    pub(crate) connector: Connector,
    pub(crate) run_for: Duration,
    remembered: Mutex<Option<(Topology, Credentials)>>,
}

impl Setup {
    /// Reads the settings, makes the clients and opens their connections.
    pub(crate) async fn from_environment() -> Result<Self, SettingError> {
        let settings = Settings::from_environment();
        let cluster = ClusterId::new(settings.text("STEADFAST_CLUSTER", "the DB cluster identifier")?);
        let az = Az::new(settings.text("STEADFAST_AZ", "the Availability Zone of this prober's subnet")?);
        let table = settings.text("STEADFAST_TABLE", "the name of the state table")?;
        let coordinator =
            settings.text("STEADFAST_COORDINATOR", "the name or ARN of the promotion-coordinator function")?;
        let secret = settings.text("STEADFAST_SECRET_ARN", "the ARN of the prober's database secret")?;
        let database = settings.text("STEADFAST_DATABASE", "the name of the database")?;
        let ca_file = settings.file("STEADFAST_CA_FILE", "a file with the RDS certificate authorities in PEM")?;
        let dns = settings.parsed("STEADFAST_DNS_SERVER", "an address with a port, such as 169.254.169.253:53")?;
        let run_for = settings.duration("STEADFAST_RUN_FOR", Duration::from_secs(130))?;
        let connector = Connector::new(&ca_file, Resolver::new(dns)?)?;
        let config = clients::shared().await;
        let setup = Self {
            cluster,
            az,
            table: Table::new(clients::dynamodb(&config), table),
            rds: Rds::new(clients::rds(&config)),
            coordinator: Sibling::new(clients::lambda(&config), coordinator),
            secrets: clients::secretsmanager(&config),
            secret,
            database,
            check: settings.optional("STEADFAST_CHECK_SQL"),
            connector,
            run_for,
            remembered: Mutex::new(None),
        };
        if let Err(error) = setup.coordinator.warm().await {
            tracing::warn!(%error, "the coordinator cannot be reached yet");
        }
        Ok(setup)
    }

    /// Keeps what a run began with for the next one in this environment.
    pub(crate) fn remember(&self, topology: &Topology, credentials: &Credentials) {
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = Some((topology.clone(), credentials.clone()));
    }

    /// What the run before began with.
    pub(crate) fn remembered(&self) -> Option<(Topology, Credentials)> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
