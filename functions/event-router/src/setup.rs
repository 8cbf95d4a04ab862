//! Settings and clients, made once at the cold start.

use std::time::Duration;

use steadfast_aws::clients;
use steadfast_aws::functions::EVENT_ROUTER;
use steadfast_aws::notifier::Topic;
use steadfast_aws::settings::{SettingError, Settings, table as setting};
use steadfast_aws::siblings::Sibling;
use steadfast_aws::state::Table;
use steadfast_aws::watched::Watched;
use steadfast_core::topology::{ClusterId, Deployment};

/// EventBridge retries for 24 hours; a mark is kept longer than that.
pub(crate) const REMEMBER: Duration = Duration::from_secs(2 * 24 * 3_600);

/// What an environment keeps between invocations.
pub(crate) struct Setup {
    pub(crate) cluster: ClusterId,
    pub(crate) deployment: Deployment,
    pub(crate) table: Table,
    pub(crate) coordinator: Sibling,
    pub(crate) topic: Topic,
}

impl Setup {
    /// Reads the settings and makes the clients.
    pub(crate) async fn from_environment() -> Result<Self, SettingError> {
        let settings = Settings::of(&EVENT_ROUTER);
        let Watched { deployment, id: cluster } = Watched::from_settings(&settings)?;
        let table = settings.text(setting::TABLE)?;
        let topic = settings.text(setting::TOPIC_ARN)?;
        let coordinator = settings.text(setting::COORDINATOR)?;
        let config = clients::shared().await;
        let setup = Self {
            cluster,
            deployment,
            table: Table::new(clients::dynamodb(&config), table),
            coordinator: Sibling::new(clients::lambda(&config), coordinator),
            topic: Topic::new(clients::sns(&config), topic),
        };
        if let Err(error) = setup.coordinator.warm().await {
            tracing::warn!(%error, "the coordinator cannot be reached yet");
        }
        Ok(setup)
    }
}
