//! Settings and clients, made once at the cold start.

use std::time::Duration;

use steadfast_aws::clients;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::postgres::Connector;
use steadfast_aws::resolver::Resolver;
use steadfast_aws::settings::{SettingError, Settings};
use steadfast_aws::state::Table;
use steadfast_core::topology::ClusterId;

/// Left of the invocation's time when the drainer stops.
pub(crate) const MARGIN: Duration = Duration::from_secs(2);

/// What an environment keeps between invocations.
pub(crate) struct Setup {
    pub(crate) cluster: ClusterId,
    pub(crate) table: Table,
    pub(crate) rds: Rds,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
    pub(crate) secret: String,
    pub(crate) database: String,
    pub(crate) roles: Vec<String>,
    pub(crate) connector: Connector,
    pub(crate) watch: Duration,
}

impl Setup {
    /// Reads the settings and makes the clients.
    pub(crate) async fn from_environment() -> Result<Self, SettingError> {
        let settings = Settings::from_environment();
        let cluster = ClusterId::new(settings.text("STEADFAST_CLUSTER", "the DB cluster identifier")?);
        let table = settings.text("STEADFAST_TABLE", "the name of the state table")?;
        let secret = settings.text("STEADFAST_SECRET_ARN", "the ARN of the drainer's database secret")?;
        let database = settings.text("STEADFAST_DATABASE", "the name of the database")?;
        let roles = settings.list("STEADFAST_READ_WRITE_ROLES", "the applications' read-write roles, with commas")?;
        let ca_file = settings.file("STEADFAST_CA_FILE", "a file with the RDS certificate authorities in PEM")?;
        let dns = settings.parsed("STEADFAST_DNS_SERVER", "an address with a port, such as 169.254.169.253:53")?;
        let watch = settings.duration("STEADFAST_EVICT_FOR", Duration::from_secs(60))?;
        let connector = Connector::new(&ca_file, Resolver::new(dns)?)?;
        let config = clients::shared().await;
        Ok(Self {
            cluster,
            table: Table::new(clients::dynamodb(&config), table),
            rds: Rds::new(clients::rds(&config)),
            secrets: clients::secretsmanager(&config),
            secret,
            database,
            roles,
            connector,
            watch,
        })
    }
}
