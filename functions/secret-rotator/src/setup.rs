//! Settings and clients, made once at the cold start.

use std::time::Duration;

use serde_json::json;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::functions::SECRET_ROTATOR;
use steadfast_aws::notifier::Topic;
use steadfast_aws::postgres::Connector;
use steadfast_aws::resolver::Resolver;
use steadfast_aws::rotation::{FUNCTION, Rotator, Secrets};
use steadfast_aws::settings::{SettingError, Settings, table as setting};
use steadfast_aws::state::Table;
use steadfast_aws::watched::Watched;
use steadfast_aws::{clients, log};
use steadfast_core::notice::Notice;
use steadfast_core::rotation::sweep::Patience;

/// Left of the invocation's time when a step stops waiting.
pub(crate) const MARGIN: Duration = Duration::from_secs(3);
/// How long a step waits for what passes. Secrets Manager tries again later.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// What an environment keeps between invocations.
pub(crate) struct Setup {
    pub(crate) rotator: Rotator,
    pub(crate) patience: Patience,
    topic: Topic,
}

impl Setup {
    /// Reads the settings and makes the clients.
    pub(crate) async fn from_environment() -> Result<Self, SettingError> {
        let settings = Settings::of(&SECRET_ROTATOR);
        let Watched { deployment, id: cluster } = Watched::from_settings(&settings)?;
        let table = settings.text(setting::TABLE)?;
        let topic = settings.text(setting::TOPIC_ARN)?;
        let admin_secret = settings.text(setting::ADMIN_SECRET_ARN)?;
        let database = settings.text(setting::DATABASE)?;
        let ca_file = settings.file(setting::CA_FILE)?;
        let dns = settings.parsed(setting::DNS_SERVER)?;
        let default = Patience::default();
        let patience = Patience {
            grace: settings.duration(setting::DRAIN_AFTER, default.grace)?,
            abandon_after: settings.duration(setting::ABANDON_AFTER, default.abandon_after)?,
        };
        let connector = Connector::new(&ca_file, Resolver::new(dns)?)?;
        let config = clients::shared().await;
        let rotator = Rotator {
            cluster,
            table: Table::new(clients::dynamodb(&config), table),
            rds: Rds::new(clients::rds(&config), deployment),
            secrets: Secrets::new(clients::secretsmanager(&config)),
            connector,
            admin_secret,
            database,
        };
        Ok(Self { rotator, patience, topic: Topic::new(clients::sns(&config), topic) })
    }

    /// Tells people; a notice that does not get through is in the log.
    pub(crate) async fn tell(&self, notice: &Notice) {
        if let Err(error) = self.topic.notify(notice).await {
            log::audit(FUNCTION, "notice_failed", &json!({ "error": error.to_string() }));
        }
    }
}
