//! Settings and clients, made once at the cold start.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use steadfast_aws::clients;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::functions::HEALTH_PROBER;
use steadfast_aws::postgres::Connector;
use steadfast_aws::resolver::Resolver;
use steadfast_aws::secret::Credentials;
use steadfast_aws::settings::{SettingError, Settings, table as setting};
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
        let settings = Settings::of(&HEALTH_PROBER);
        let Watched { deployment, id: cluster } = Watched::from_settings(&settings)?;
        let hosts = hosts(&settings, deployment, &cluster)?;
        let az = Az::new(settings.text(setting::AZ)?);
        let table = settings.text(setting::TABLE)?;
        let coordinator = settings.text(setting::COORDINATOR)?;
        let secret = settings.text(setting::SECRET_ARN)?;
        let database = settings.text(setting::DATABASE)?;
        let ca_file = settings.file(setting::CA_FILE)?;
        let dns = settings.parsed(setting::DNS_SERVER)?;
        let run_for = settings.duration(setting::RUN_FOR, Duration::from_secs(130))?;
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
            check: settings.optional(setting::CHECK_SQL)?,
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
    match deployment {
        Deployment::Cluster => Ok(None),
        Deployment::Instance => {
            let subnets = settings.parsed(setting::SUBNETS)?;
            let subnets = subnets.ok_or(setting::SUBNETS.missing())?;
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
