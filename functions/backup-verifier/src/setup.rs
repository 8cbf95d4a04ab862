//! Settings and clients, made once at the cold start.

use std::time::Duration;

use steadfast_aws::clients;
use steadfast_aws::functions::BACKUP_VERIFIER;
use steadfast_aws::notifier::Topic;
use steadfast_aws::postgres::Connector;
use steadfast_aws::resolver::Resolver;
use steadfast_aws::settings::{SettingError, Settings, table as setting};
use steadfast_aws::state::Table;
use steadfast_aws::verification::{Isolation, Verifier};
use steadfast_aws::watched::Watched;
use steadfast_core::topology::Deployment;

/// Left of the invocation's time when a look is cut off: what it saw has yet to be written down.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);

/// What an environment keeps between invocations.
pub(crate) struct Setup {
    pub(crate) verifier: Verifier,
}

impl Setup {
    /// Reads the settings and makes the clients.
    pub(crate) async fn from_environment() -> Result<Self, SettingError> {
        let settings = Settings::of(&BACKUP_VERIFIER);
        let Watched { deployment, id: database } = Watched::from_settings(&settings)?;
        let table = settings.text(setting::TABLE)?;
        let topic = settings.text(setting::TOPIC_ARN)?;
        let name = settings.text(setting::DATABASE)?;
        let ca_file = settings.file(setting::CA_FILE)?;
        let dns = settings.parsed(setting::DNS_SERVER)?;
        let isolation = isolation(&settings, deployment)?;
        let connector = Connector::new(&ca_file, Resolver::new(dns)?)?;
        let config = clients::shared().await;
        let verifier = Verifier {
            database,
            deployment,
            table: Table::new(clients::dynamodb(&config), table),
            rds: clients::rds(&config),
            secrets: clients::secretsmanager(&config),
            connector,
            topic: Topic::new(clients::sns(&config), topic),
            name,
            isolation,
        };
        Ok(Self { verifier })
    }
}

fn isolation(settings: &Settings<'_>, deployment: Deployment) -> Result<Isolation, SettingError> {
    let subnet_group = settings.text(setting::VERIFY_SUBNET_GROUP)?;
    let security_groups = settings.list(setting::VERIFY_SECURITY_GROUPS)?;
    let default = match deployment {
        Deployment::Cluster => "db.serverless",
        Deployment::Instance => "db.t4g.medium",
    };
    let class = settings.optional(setting::VERIFY_CLASS)?.unwrap_or_else(|| default.to_owned());
    Ok(Isolation { subnet_group, security_groups, class })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_database_is_put_where_the_settings_say_and_nowhere_by_default() {
        let read = |set: &'static [(&str, &str)]| {
            let source =
                |asked: &str| set.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
            isolation(&Settings::from_source(&source), Deployment::Cluster).map_err(|error| error.to_string())
        };
        let group = ("STEADFAST_VERIFY_SUBNET_GROUP", "isolated");
        assert!(read(&[]).expect_err("nowhere").starts_with("setting STEADFAST_VERIFY_SUBNET_GROUP is missing"));
        const ALONE: &[(&str, &str)] = &[("STEADFAST_VERIFY_SUBNET_GROUP", "isolated")];
        assert!(read(ALONE).expect_err("open").starts_with("setting STEADFAST_VERIFY_SECURITY_GROUPS is missing"));
        const BOTH: &[(&str, &str)] =
            &[("STEADFAST_VERIFY_SUBNET_GROUP", "isolated"), ("STEADFAST_VERIFY_SECURITY_GROUPS", "sg-1, sg-2")];
        let isolation = read(BOTH).expect("both");
        assert_eq!((isolation.subnet_group.as_str(), isolation.class.as_str()), (group.1, "db.serverless"));
        assert_eq!(isolation.security_groups, ["sg-1", "sg-2"]);
    }
}
