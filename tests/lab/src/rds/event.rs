//! RDS events and their EventBridge envelope.

use serde_json::{Value, json};
use steadfast_core::topology::Deployment;
use uuid::Uuid;

use super::condition::{Closure, Pause};
use super::config::PlatformConfig;
use super::xml::{iso8601, now_ms};

/// The lab's only blue/green deployment.
const DEPLOYMENT: &str = "bgd-lab7steadfast0000";

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceType {
    /// The cluster.
    Cluster,
    /// One instance.
    Instance,
    /// A blue/green deployment.
    BlueGreen,
}

impl SourceType {
    /// The spelling of EventBridge's `detail.SourceType`.
    #[must_use]
    pub fn eventbridge(self) -> &'static str {
        match self {
            Self::Cluster => "CLUSTER",
            Self::Instance => "DB_INSTANCE",
            Self::BlueGreen => "BLUE_GREEN_DEPLOYMENT",
        }
    }

    /// The spelling of `DescribeEvents`.
    #[must_use]
    pub fn api(self) -> &'static str {
        match self {
            Self::Cluster => "db-cluster",
            Self::Instance => "db-instance",
            Self::BlueGreen => "blue-green-deployment",
        }
    }

    fn detail_type(self) -> &'static str {
        match self {
            Self::Cluster => "RDS DB Cluster Event",
            Self::Instance => "RDS DB Instance Event",
            Self::BlueGreen => "RDS Blue Green Deployment Event",
        }
    }
}

/// One event as RDS emits it. A copy has the same envelope id, as a redelivery does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdsEvent {
    /// EventBridge's id of this event.
    pub envelope_id: Uuid,
    /// When it happened, Unix epoch milliseconds.
    pub at_ms: u64,
    /// `RDS-EVENT-0072` and its kin.
    pub event_id: &'static str,
    /// Event category.
    pub category: &'static str,
    /// What it is about.
    pub source_type: SourceType,
    /// Identifier of the cluster or of the instance.
    pub identifier: String,
    /// ARN of the cluster or of the instance.
    pub arn: String,
    /// The text.
    pub message: String,
    /// Account id.
    pub account: String,
    /// AWS Region.
    pub region: String,
    /// Tags of the source.
    pub tags: Vec<(String, String)>,
}

impl RdsEvent {
    /// The documented envelope (Aurora guide, "Overview of events for Aurora").
    #[must_use]
    pub fn to_eventbridge(&self) -> Value {
        let date = iso8601(self.at_ms);
        let seconds = date.split('.').next().unwrap_or(&date);
        let mut detail = json!({
            "EventCategories": [self.category],
            "SourceType": self.source_type.eventbridge(),
            "SourceArn": self.arn,
            "Date": date,
            "Message": self.message,
            "SourceIdentifier": self.identifier,
            "EventID": self.event_id,
        });
        if !self.tags.is_empty() {
            detail["Tags"] = self.tags.iter().cloned().collect();
        }
        json!({
            "version": "0",
            "id": self.envelope_id.to_string(),
            "detail-type": self.source_type.detail_type(),
            "source": "aws.rds",
            "account": self.account,
            "time": format!("{seconds}Z"),
            "region": self.region,
            "resources": [self.arn],
            "detail": detail,
        })
    }

    pub(super) fn failover_started(config: &PlatformConfig, target: &str, cross_az: bool) -> Self {
        if config.deployment == Deployment::Instance {
            return Self::multi_az(config, "RDS-EVENT-0013", "Multi-AZ instance failover started.");
        }
        let (id, scope) = if cross_az { ("RDS-EVENT-0073", "cross") } else { ("RDS-EVENT-0072", "same") };
        let message = format!("Started {scope} AZ failover to DB instance: {target}");
        Self::cluster(config, id, message)
    }

    pub(super) fn failover_completed(config: &PlatformConfig, target: &str) -> Self {
        if config.deployment == Deployment::Instance {
            return Self::multi_az(config, "RDS-EVENT-0049", "Multi-AZ instance failover completed");
        }
        let message = format!("Completed failover to DB instance: {target}");
        Self::cluster(config, "RDS-EVENT-0071", message)
    }

    /// Of a Multi-AZ DB instance: abandoned. No event says that its failover failed.
    pub(super) fn failover_failed(config: &PlatformConfig) -> Self {
        if config.deployment == Deployment::Instance {
            let message =
                "Abandoning user requested failover since a failover recently occurred on the database instance.";
            return Self::multi_az(config, "RDS-EVENT-0034", message);
        }
        let message = "Cluster failover failed, check the health of your cluster instances and try again.";
        Self::cluster(config, "RDS-EVENT-0069", message.to_owned())
    }

    pub(super) fn failover_reversed(config: &PlatformConfig, old_writer: &str) -> Self {
        if config.deployment == Deployment::Instance {
            return Self::multi_az(config, "RDS-EVENT-0065", "Recovered from partial failover.");
        }
        let message = format!("Promoting previous primary again: {old_writer}.");
        Self::cluster(config, "RDS-EVENT-0070", message)
    }

    pub(super) fn shutdown(config: &PlatformConfig, instance: &str) -> Self {
        Self::instance(config, "RDS-EVENT-0004", "DB instance shutdown", instance)
    }

    /// The role has left its old writer.
    pub(super) fn role_left(config: &PlatformConfig, old_writer: &str) -> Self {
        match config.deployment {
            Deployment::Cluster => Self::shutdown(config, old_writer),
            Deployment::Instance => Self::restarted(config, old_writer),
        }
    }

    /// A former writer is back. Nobody is told of the standby of a Multi-AZ DB instance.
    pub(super) fn rejoined(config: &PlatformConfig, instance: &str) -> Option<Self> {
        (config.deployment == Deployment::Cluster).then(|| Self::restarted(config, instance))
    }

    pub(super) fn restarted(config: &PlatformConfig, instance: &str) -> Self {
        Self::instance(config, "RDS-EVENT-0006", "DB instance restarted", instance)
    }

    /// Of clusters alone.
    pub(super) fn topology_updated(config: &PlatformConfig, instance: &str) -> Option<Self> {
        if config.deployment == Deployment::Instance {
            return None;
        }
        let message = "Cluster topology is updated.";
        let mut event = Self::instance(config, "RDS-EVENT-0385", message, instance);
        event.category = "notification";
        Some(event)
    }

    pub(super) fn pause(config: &PlatformConfig, instance: &str, pause: Pause) -> Self {
        let (id, message) = match pause {
            Pause::Initiated => ("RDS-EVENT-0370", "Initiated pause for the DB instance."),
            Pause::Paused => ("RDS-EVENT-0372", "Successfully paused the DB instance."),
            Pause::ResumeInitiated => ("RDS-EVENT-0373", "Initiated resume for the DB instance."),
            Pause::Resumed => ("RDS-EVENT-0374", "Successfully resumed the DB instance."),
        };
        let event = Self::instance(config, id, message, instance);
        Self { category: "notification, serverless", ..event }
    }

    pub(super) fn closed(config: &PlatformConfig, closure: Closure) -> Vec<Self> {
        match closure {
            Closure::Stopped => {
                vec![Self {
                    category: "notification",
                    ..Self::cluster(config, "RDS-EVENT-0150", "DB cluster stopped.".to_owned())
                }]
            }
            Closure::KeyLost => Self::of_key(config, "RDS-EVENT-0419", "availability", |instance| {
                format!(
                    "Amazon RDS has been unable to access the KMS encryption key for database instance {instance}. \
                     This database will be placed into an inaccessible state. Please refer to the troubleshooting \
                     section in the Amazon RDS documentation for further details."
                )
            }),
        }
    }

    pub(super) fn reopened(config: &PlatformConfig, closure: Closure) -> Vec<Self> {
        match closure {
            Closure::Stopped => {
                vec![Self {
                    category: "notification",
                    ..Self::cluster(config, "RDS-EVENT-0151", "DB cluster started.".to_owned())
                }]
            }
            Closure::KeyLost => Self::of_key(config, "RDS-EVENT-0420", "failure", |instance| {
                format!(
                    "Amazon RDS can now successfully access the KMS encryption key for database instance {instance}."
                )
            }),
        }
    }

    fn of_key(
        config: &PlatformConfig,
        event_id: &'static str,
        category: &'static str,
        message: impl Fn(&str) -> String,
    ) -> Vec<Self> {
        let event = |name: &str| Self { category, ..Self::instance(config, event_id, &message(name), name) };
        config.instances.iter().map(|member| event(&member.identifier)).collect()
    }

    pub(super) fn switchover_started(config: &PlatformConfig) -> Self {
        let (blue, green) = (&config.identifier, green(config));
        Self::deployment(config, "RDS-EVENT-0259", format!("Switchover from DB cluster {blue} to {green} started."))
    }

    pub(super) fn switchover_completed(config: &PlatformConfig) -> Self {
        let (blue, green) = (&config.identifier, green(config));
        let message = format!(
            "Switchover from DB cluster {blue} to {green} completed. Renamed {blue} to {blue}-old1 and {green} to {blue}."
        );
        Self::deployment(config, "RDS-EVENT-0260", message)
    }

    fn deployment(config: &PlatformConfig, event_id: &'static str, message: String) -> Self {
        Self {
            category: "notification",
            source_type: SourceType::BlueGreen,
            identifier: DEPLOYMENT.to_owned(),
            arn: format!("arn:aws:rds:{}:{}:deployment:{DEPLOYMENT}", config.region, config.account),
            ..Self::cluster(config, event_id, message)
        }
    }

    fn cluster(config: &PlatformConfig, event_id: &'static str, message: String) -> Self {
        Self {
            envelope_id: Uuid::new_v4(),
            at_ms: now_ms(),
            event_id,
            category: "failover",
            source_type: SourceType::Cluster,
            identifier: config.identifier.clone(),
            arn: config.cluster_arn(),
            message,
            account: config.account.clone(),
            region: config.region.clone(),
            tags: config.tags.clone(),
        }
    }

    fn multi_az(config: &PlatformConfig, event_id: &'static str, message: &str) -> Self {
        Self { category: "failover", ..Self::instance(config, event_id, message, &config.identifier) }
    }

    /// The hosts of a Multi-AZ DB instance have no events of their own.
    fn instance(config: &PlatformConfig, event_id: &'static str, message: &str, instance: &str) -> Self {
        let instance = match config.deployment {
            Deployment::Cluster => instance,
            Deployment::Instance => &config.identifier,
        };
        Self {
            category: "availability",
            source_type: SourceType::Instance,
            identifier: instance.to_owned(),
            arn: config.instance_arn(instance),
            ..Self::cluster(config, event_id, message.to_owned())
        }
    }
}

/// The cluster of the green environment, named as RDS names it.
fn green(config: &PlatformConfig) -> String {
    format!("{}-green-lab7ab", config.identifier)
}
