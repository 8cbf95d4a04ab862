//! Settings and clients, made once at the cold start.

use std::cell::Cell;
use std::time::Duration;

use steadfast_aws::clients;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::coordinator::World;
use steadfast_aws::functions::PROMOTION_COORDINATOR;
use steadfast_aws::names::{self, Route53};
use steadfast_aws::notifier::Topic;
use steadfast_aws::settings::{SettingError, Settings, table as setting};
use steadfast_aws::siblings::Sibling;
use steadfast_aws::state::Table;
use steadfast_aws::watched::Watched;
use steadfast_core::policy::Policy;
use steadfast_core::ports::{ControlPlane as _, Log as _, StateTable as _};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment};

/// Left of the invocation's time when the executor stops: enough to release the lease.
pub(crate) const MARGIN: Duration = Duration::from_secs(3);
/// How long to look for a quorum. Probers that go on seeing trouble wake us again every 5 s.
pub(crate) const SUSPICION: Duration = Duration::from_secs(15);
/// How often people are told that the state table is lost.
pub(crate) const TELL_EVERY: Duration = Duration::from_secs(60);

/// What an environment keeps between invocations.
pub(crate) struct Setup {
    pub(crate) cluster: ClusterId,
    pub(crate) deployment: Deployment,
    pub(crate) policy: Policy,
    pub(crate) world: World,
    pub(crate) told_at: Cell<Timestamp>,
}

impl Setup {
    /// Reads the settings, makes the clients and opens their connections.
    pub(crate) async fn from_environment() -> Result<Self, SettingError> {
        let settings = Settings::of(&PROMOTION_COORDINATOR);
        let Watched { deployment, id: cluster } = Watched::from_settings(&settings)?;
        let table = settings.text(setting::TABLE)?;
        let topic = settings.text(setting::TOPIC_ARN)?;
        let drainer = drainer(&settings, deployment)?;
        let policy = policy(&settings, Policy::of(deployment))?;
        let stable_name = names::stable_name(&settings)?;
        let config = clients::shared().await;
        let world = World {
            table: Table::new(clients::dynamodb(&config), table),
            rds: Rds::new(clients::rds(&config), deployment),
            drainer: drainer.map(|drainer| Sibling::new(clients::lambda(&config), drainer)),
            names: Route53::new(clients::route53(&config), stable_name),
            topic: Topic::new(clients::sns(&config), topic),
        };
        warm(&world, &cluster).await;
        Ok(Self { cluster, deployment, policy, world, told_at: Cell::new(Timestamp::default()) })
    }
}

/// The drainer, without which a cluster is not watched.
fn drainer(settings: &Settings<'_>, deployment: Deployment) -> Result<Option<String>, SettingError> {
    match deployment {
        Deployment::Cluster => settings.text(setting::DRAINER).map(Some),
        Deployment::Instance => Ok(None),
    }
}

/// The thresholds that ship, but for those that are set.
fn policy(settings: &Settings<'_>, default: Policy) -> Result<Policy, SettingError> {
    Ok(Policy {
        platform_grace: settings.duration(setting::PLATFORM_GRACE, default.platform_grace)?,
        platform_deadline: settings.duration(setting::PLATFORM_DEADLINE, default.platform_deadline)?,
        promotion_deadline: settings.duration(setting::PROMOTION_DEADLINE, default.promotion_deadline)?,
        episode_deadline: settings.duration(setting::EPISODE_DEADLINE, default.episode_deadline)?,
        silent_after: settings.duration(setting::SILENT_AFTER, default.silent_after)?,
        stalled_after: settings.duration(setting::STALLED_AFTER, default.stalled_after)?,
        lag_max: settings.duration(setting::LAG_MAX, default.lag_max)?,
        ..default
    })
}

/// Opens the connections now: Lambda gives init a full core, and the first handshake is what makes
/// a cold start slow. A service that does not answer yet is met again when it is needed.
async fn warm(world: &World, cluster: &ClusterId) {
    let drainer = async {
        match &world.drainer {
            Some(drainer) => drainer.warm().await,
            None => Ok(()),
        }
    };
    let (state, topology, drainer) = tokio::join!(world.load(cluster), world.describe(cluster), drainer);
    for error in [
        state.err().map(|error| error.to_string()),
        topology.err().map(|error| error.to_string()),
        drainer.err().map(|error| error.to_string()),
    ]
    .into_iter()
    .flatten()
    {
        world.audit("not_warm", serde_json::json!({ "error": error }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_threshold_that_can_be_set_takes_effect_and_no_other() {
        type Field = fn(&mut Policy) -> &mut Duration;
        let set: [(&str, Field); 7] = [
            ("STEADFAST_PLATFORM_GRACE", |policy| &mut policy.platform_grace),
            ("STEADFAST_PLATFORM_DEADLINE", |policy| &mut policy.platform_deadline),
            ("STEADFAST_PROMOTION_DEADLINE", |policy| &mut policy.promotion_deadline),
            ("STEADFAST_EPISODE_DEADLINE", |policy| &mut policy.episode_deadline),
            ("STEADFAST_SILENT_AFTER", |policy| &mut policy.silent_after),
            ("STEADFAST_STALLED_AFTER", |policy| &mut policy.stalled_after),
            ("STEADFAST_LAG_MAX", |policy| &mut policy.lag_max),
        ];
        for (name, field) in set {
            let source = |asked: &str| (asked == name).then(|| "7700ms".to_owned());
            for ships in [Deployment::Cluster, Deployment::Instance].map(Policy::of) {
                let mut expected = ships.clone();
                *field(&mut expected) = Duration::from_millis(7_700);
                assert_eq!(policy(&Settings::from_source(&source), ships), Ok(expected), "{name}");
            }
        }
    }
}
