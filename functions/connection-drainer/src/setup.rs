//! Settings and clients, made once at the cold start.

use std::ops::RangeInclusive;
use std::time::Duration;

use steadfast_aws::clients;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::data_api::DataApi;
use steadfast_aws::functions::CONNECTION_DRAINER;
use steadfast_aws::notifier::Topic;
use steadfast_aws::postgres::Connector;
use steadfast_aws::resolver::Resolver;
use steadfast_aws::settings::{Setting, SettingError, Settings, table as setting};
use steadfast_aws::state::Table;
use steadfast_core::gate::Limits;
use steadfast_core::policy::Policy;
use steadfast_core::ports::CALL_LIMIT;
use steadfast_core::rotation::alternate::with_alternates;
use steadfast_core::topology::{ClusterId, Deployment};

/// Left of the invocation's time when the drainer stops.
pub(crate) const MARGIN: Duration = Duration::from_secs(2);

/// What closing the gate may be set to take. The server takes a limit of 0 ms for none at all.
const CLOSING: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(5);

/// The longest that the gate may be set to stay closed.
const CLOSED_MAX: Duration = Duration::from_secs(60);

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
    /// None to tell nobody what a failover leaves behind.
    pub(crate) topic: Option<Topic>,
    /// None where no Data API serves: then no gate can be held.
    pub(crate) data: Option<DataApi>,
    pub(crate) gate: Limits,
}

impl Setup {
    /// Reads the settings and makes the clients.
    pub(crate) async fn from_environment() -> Result<Self, SettingError> {
        let settings = Settings::of(&CONNECTION_DRAINER);
        let cluster =
            ClusterId::new(settings.text(Setting { wanted: "the DB cluster identifier", ..setting::CLUSTER })?);
        let table = settings.text(setting::TABLE)?;
        let secret = settings.text(setting::SECRET_ARN)?;
        let database = settings.text(setting::DATABASE)?;
        let roles = settings.list(setting::READ_WRITE_ROLES)?;
        let ca_file = settings.file(setting::CA_FILE)?;
        let dns = settings.parsed(setting::DNS_SERVER)?;
        let watch = settings.duration(setting::EVICT_FOR, Duration::from_secs(60))?;
        let cluster_arn = settings.optional(setting::CLUSTER_ARN)?;
        let topic = settings.optional(setting::TOPIC_ARN)?;
        let gate = gate(&settings)?;
        let connector = Connector::new(&ca_file, Resolver::new(dns)?)?;
        let config = clients::shared().await;
        let data =
            cluster_arn.map(|arn| DataApi::new(clients::rds_data(&config), arn, secret.clone(), database.clone()));
        Ok(Self {
            cluster,
            table: Table::new(clients::dynamodb(&config), table),
            rds: Rds::new(clients::rds(&config), Deployment::Cluster),
            secrets: clients::secretsmanager(&config),
            secret,
            database,
            // A rotation gives each role a second user.
            roles: with_alternates(&roles),
            connector,
            watch,
            topic: topic.map(|arn| Topic::new(clients::sns(&config), arn)),
            data,
            gate,
        })
    }
}

/// The limits of the gate that ship, but for those that are set.
fn gate(settings: &Settings<'_>) -> Result<Limits, SettingError> {
    let default = Limits::default();
    let gate = Limits {
        closing: settings.duration(setting::GATE_CLOSING, default.closing)?,
        closed: settings.duration(setting::GATE_CLOSED, default.closed)?,
        warn_after: settings.duration(setting::WARN_AFTER, default.warn_after)?,
        cancel_after: or_never(settings, setting::CANCEL_AFTER, default.cancel_after)?,
        terminate_after: or_never(settings, setting::TERMINATE_AFTER, default.terminate_after)?,
    };
    if !CLOSING.contains(&gate.closing) {
        let wanted = "100ms to 5s: the coordinator waits no longer, and protected transactions wait as long";
        return Err(unfit(setting::GATE_CLOSING, gate.closing, wanted));
    }
    let needed = gate.closing.saturating_add(CALL_LIMIT).saturating_add(Policy::default().clock_skew_max);
    if gate.closed <= needed || gate.closed > CLOSED_MAX {
        let wanted = "more than STEADFAST_GATE_CLOSING and 6s for the call together, and at most 60s";
        return Err(unfit(setting::GATE_CLOSED, gate.closed, wanted));
    }
    Ok(gate)
}

fn unfit(setting: Setting, value: Duration, wanted: &'static str) -> SettingError {
    Setting { wanted, ..setting }.malformed(format!("{value:?}"))
}

/// A duration, or `never`.
fn or_never(
    settings: &Settings<'_>,
    setting: Setting,
    default: Option<Duration>,
) -> Result<Option<Duration>, SettingError> {
    match (settings.optional(setting)?.as_deref(), default) {
        (Some("never"), _) | (None, None) => Ok(None),
        (Some(_), _) | (None, Some(_)) => settings.duration(setting, default.unwrap_or_default()).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Limits, SettingError> {
        gate(&Settings::from_source(&|asked: &str| (asked == name).then(|| value.to_owned())))
    }

    #[test]
    fn each_limit_of_the_gate_can_be_set() {
        let default = Limits::default();
        let (four, forty) = (Duration::from_secs(4), Duration::from_secs(40));
        assert_eq!(with("NONE", ""), Ok(default.clone()));
        assert_eq!(with("STEADFAST_GATE_CLOSING", "4s"), Ok(Limits { closing: four, ..default.clone() }));
        assert_eq!(with("STEADFAST_GATE_CLOSED", "40s"), Ok(Limits { closed: forty, ..default.clone() }));
        assert_eq!(with("STEADFAST_WARN_AFTER", "4s"), Ok(Limits { warn_after: four, ..default.clone() }));
        assert_eq!(with("STEADFAST_CANCEL_AFTER", "4s"), Ok(Limits { cancel_after: Some(four), ..default.clone() }));
        assert_eq!(with("STEADFAST_TERMINATE_AFTER", "never"), Ok(Limits { terminate_after: None, ..default }));
    }

    #[test]
    fn a_gate_without_a_limit_of_the_servers_is_refused() {
        for unlimited in ["0s", "900us"] {
            assert!(with("STEADFAST_GATE_CLOSING", unlimited).is_err(), "closing {unlimited}");
            assert!(with("STEADFAST_GATE_CLOSED", unlimited).is_err(), "closed {unlimited}");
        }
    }

    #[test]
    fn a_gate_that_cannot_cover_the_call_or_stays_closed_for_long_is_refused() {
        assert!(with("STEADFAST_GATE_CLOSED", "9s").is_err(), "3 s, the call's 5 s and 1 s of skew: never called");
        assert!(with("STEADFAST_GATE_CLOSED", "9001ms").is_ok());
        assert!(with("STEADFAST_GATE_CLOSED", "60s").is_ok());
        assert!(with("STEADFAST_GATE_CLOSED", "61s").is_err());
    }

    #[test]
    fn a_gate_that_closes_for_longer_than_anybody_waits_is_refused() {
        assert!(with("STEADFAST_GATE_CLOSING", "6s").is_err());
        assert!(with("STEADFAST_CANCEL_AFTER", "soon").is_err());
    }
}
