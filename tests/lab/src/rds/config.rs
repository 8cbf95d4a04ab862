//! What the simulated account contains, and how fast its platform is.

use std::time::Duration;

use steadfast_core::topology::Deployment;

/// One cluster and its instances, or one Multi-AZ DB instance and its hosts.
#[derive(Debug, Clone)]
pub struct PlatformConfig {
    /// Which of the two.
    pub deployment: Deployment,
    /// Identifier of the cluster or of the Multi-AZ DB instance, lower case.
    pub identifier: String,
    /// Immutable resource id, `cluster-...`.
    pub resource_id: String,
    /// Account id, 12 digits.
    pub account: String,
    /// AWS Region.
    pub region: String,
    /// Engine, `aurora-postgresql`.
    pub engine: String,
    /// Engine version.
    pub engine_version: String,
    /// Name of the initial database.
    pub database: String,
    /// Name of the master user.
    pub master_username: String,
    /// Port of the cluster endpoints.
    pub port: u16,
    /// Host name of the cluster (writer) endpoint.
    pub endpoint: String,
    /// Host name of the reader endpoint.
    pub reader_endpoint: String,
    /// Route 53 zone id that RDS reports for its endpoints.
    pub hosted_zone_id: String,
    /// Security groups.
    pub security_groups: Vec<String>,
    /// Secret of the master user.
    pub secret_arn: String,
    /// Serverless v2 capacity, in ACUs.
    pub min_capacity: f64,
    /// Serverless v2 capacity, in ACUs.
    pub max_capacity: f64,
    /// Tags of the cluster and of its instances.
    pub tags: Vec<(String, String)>,
    /// The members.
    pub instances: Vec<InstanceConfig>,
    /// Delays of the platform.
    pub timing: Timing,
}

/// One member of the cluster, or one host of the Multi-AZ DB instance.
#[derive(Debug, Clone)]
pub struct InstanceConfig {
    /// Instance identifier, lower case.
    pub identifier: String,
    /// Immutable resource id, `db-...`.
    pub resource_id: String,
    /// Availability Zone.
    pub az: String,
    /// 0 to 15; the lowest is promoted first.
    pub promotion_tier: u8,
    /// Instance class, `db.serverless`.
    pub class: String,
    /// Host name of the instance endpoint.
    pub address: String,
    /// Port of the instance endpoint.
    pub port: u16,
}

/// Delays of the platform's own reactions.
#[derive(Debug, Clone)]
pub struct Timing {
    /// The platform promotes a reader by itself when the writer has been dead for this long, or
    /// restarts the writer in place when there is no reader; `None`: never. A frozen writer is
    /// not seen.
    pub native_failover: Option<Duration>,
    /// The cluster endpoint's DNS record follows the role after this.
    pub endpoint_delay: Duration,
    /// `DescribeDBClusters` shows the writer flags as they were this long ago.
    pub describe_staleness: Duration,
    /// A demoted writer with a living host comes back as a reader after this; `None`: never.
    pub demoted_rejoin: Option<Duration>,
    /// A reader whose process died comes back after this; `None`: never.
    pub reader_restart: Option<Duration>,
    /// A dead instance is shown as `available` for this long, then as `rebooting` when its host
    /// lives and as `failed` when it does not.
    pub detection_delay: Duration,
    /// Continuous backup trails the present by this: up to five minutes (Aurora guide, "Backing up").
    pub restorable_lag: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            native_failover: None,
            endpoint_delay: Duration::ZERO,
            describe_staleness: Duration::ZERO,
            demoted_rejoin: Some(Duration::from_secs(2)),
            reader_restart: None,
            detection_delay: Duration::from_secs(10),
            restorable_lag: Duration::from_secs(180),
        }
    }
}

impl PlatformConfig {
    /// ARN of the cluster.
    #[must_use]
    pub fn cluster_arn(&self) -> String {
        self.arn("cluster", &self.identifier)
    }

    /// ARN of an instance.
    #[must_use]
    pub fn instance_arn(&self, instance: &str) -> String {
        self.arn("db", instance)
    }

    fn arn(&self, kind: &str, name: &str) -> String {
        format!("arn:aws:rds:{}:{}:{kind}:{name}", self.region, self.account)
    }

    /// ARN of what there is.
    pub(super) fn own_arn(&self) -> String {
        match self.deployment {
            Deployment::Cluster => self.cluster_arn(),
            Deployment::Instance => self.instance_arn(&self.identifier),
        }
    }

    /// Whether this names the Multi-AZ DB instance.
    pub(super) fn is_multi_az_instance(&self, name: &str) -> bool {
        let named = name.eq_ignore_ascii_case(&self.identifier) || name == self.own_arn();
        self.deployment == Deployment::Instance && named
    }

    /// RDS compares identifiers without regard to case, and takes an ARN for a name.
    pub(super) fn is_cluster(&self, name: &str) -> bool {
        let named = name.eq_ignore_ascii_case(&self.identifier) || name == self.cluster_arn();
        self.deployment == Deployment::Cluster && named
    }

    pub(super) fn instance(&self, name: &str) -> Option<&InstanceConfig> {
        self.instances.iter().find(|instance| {
            name.eq_ignore_ascii_case(&instance.identifier) || name == self.instance_arn(&instance.identifier)
        })
    }

    pub(super) fn az_of(&self, instance: &str) -> Option<&str> {
        self.instance(instance).map(|found| found.az.as_str())
    }
}
