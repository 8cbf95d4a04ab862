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
use steadfast_aws::watched::Watched;
use steadfast_core::topology::{Az, ClusterId, Deployment, Topology};

use crate::whose::Hosts;

/// Left of the invocation's time when the prober stops.
pub(crate) const MARGIN: Duration = Duration::from_secs(2);

/// What an environment keeps between invocations.
pub(crate) struct Setup {
    pub(crate) cluster: ClusterId,
    /// Of a Multi-AZ DB instance.
    pub(crate) hosts: Option<Hosts>,
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
        let Watched { deployment, id: cluster } = Watched::from_settings(&settings)?;
        let hosts = hosts(&settings, deployment, &cluster)?;
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
            hosts,
            az,
            table: Table::new(clients::dynamodb(&config), table),
            rds: Rds::new(clients::rds(&config), deployment),
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

/// How the hosts of a Multi-AZ DB instance are told apart.
fn hosts(settings: &Settings<'_>, deployment: Deployment, instance: &ClusterId) -> Result<Option<Hosts>, SettingError> {
    const NAME: &str = "STEADFAST_SUBNETS";
    const WANTED: &str = "the database's subnets by zone, such as eu-central-1a=10.0.1.0/24,eu-central-1b=10.0.2.0/24, \
        none of them in two zones";
    match deployment {
        Deployment::Cluster => Ok(None),
        Deployment::Instance => {
            let subnets = settings.parsed(NAME, WANTED)?;
            let subnets = subnets.ok_or(SettingError::Missing { name: NAME, wanted: WANTED })?;
            Ok(Some(Hosts { instance: instance.clone(), subnets }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_not_watched_without_the_subnets_of_its_hosts() {
        let read = |value: &'static str, deployment| {
            let source = move |asked: &str| (asked == "STEADFAST_SUBNETS").then(|| value.to_owned());
            hosts(&Settings::from_source(&source), deployment, &ClusterId::new("orders"))
        };
        assert!(read("az-a=10.0.1.0/24", Deployment::Instance).is_ok_and(|hosts| hosts.is_some()));
        assert!(read("", Deployment::Cluster).is_ok_and(|hosts| hosts.is_none()));
        for (value, says) in
            [("", "setting STEADFAST_SUBNETS is missing"), ("az-a", "setting STEADFAST_SUBNETS is malformed")]
        {
            let error = read(value, Deployment::Instance).expect_err("refused").to_string();
            assert!(error.starts_with(says) && error.contains("eu-central-1a=10.0.1.0/24"), "{error}");
        }
    }
}
