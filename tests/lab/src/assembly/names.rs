//! The names of everything in the lab.

use std::time::Duration;

use steadfast_core::topology::Deployment;

use crate::rds::InstanceConfig;

/// `DBClusterIdentifier`, or `DBInstanceIdentifier` of the Multi-AZ DB instance.
pub const CLUSTER: &str = "orders";
/// `DBInstanceIdentifier`s; instance n runs in Availability Zone n.
pub const INSTANCES: [&str; 3] = ["orders-1", "orders-2", "orders-3"];
/// The hosts of the Multi-AZ DB instance, named as Steadfast names its members; host n runs in Availability Zone n.
pub const HOSTS: [&str; 2] = ["orders@eu-central-1a", "orders@eu-central-1b"];
/// Availability Zones; view n of the DNS and the proxies is what zone n sees.
pub const AZS: [&str; 3] = ["eu-central-1a", "eu-central-1b", "eu-central-1c"];
/// Region.
pub const REGION: &str = "eu-central-1";
/// Account.
pub const ACCOUNT: &str = "123456789012";
/// Database.
pub const DATABASE: &str = "bank";
/// Master user, as RDS would create it.
pub const MASTER: &str = "bank_master";
/// The application's read-write role.
pub const APPLICATION: &str = "bank_app";
/// The prober's role.
pub const PROBER_ROLE: &str = "steadfast_prober";
/// Login of the application probe.
pub const APPLICATION_PROBE_ROLE: &str = "steadfast_application_probe";
/// The drainer's role.
pub const DRAINER_ROLE: &str = "steadfast_drainer";
/// The state table.
pub const TABLE: &str = "steadfast-state";
/// Port of every database endpoint.
pub const PORT: u16 = 5432;
/// The private hosted zone of the application.
pub const ZONE: &str = "orders.internal";
/// The name that is pinned to the writer, where a lab has one.
pub const PIN: &str = "writer.orders.internal";
/// TTL of Aurora's endpoint records.
pub const DNS_TTL: Duration = Duration::from_secs(5);

/// The coordinator function.
pub const COORDINATOR: &str = "promotion-coordinator";
/// The router function.
pub const ROUTER: &str = "event-router";
/// The drainer function.
pub const DRAINER: &str = "connection-drainer";
/// Security group of the database.
pub const SECURITY_GROUP: &str = "sg-0production";
/// Security group of restored databases.
pub const ISOLATED_GROUP: &str = "sg-0verification";
/// The verifier function.
pub const VERIFIER: &str = "backup-verifier";
/// The rotator function.
pub const ROTATOR: &str = "secret-rotator";
/// The scheduler of game days.
pub const SCHEDULER: &str = "fis-scheduler";
/// The application probe.
pub const APPLICATION_PROBE: &str = "application-probe";
/// The prober's crate; its functions carry the zone as a suffix.
pub const PROBER: &str = "health-prober";

/// The prober function of a zone.
pub fn prober(az: &str) -> String {
    format!("{PROBER}-{az}")
}

/// Endpoint of one instance.
pub fn instance_endpoint(instance: &str) -> String {
    format!("{instance}.c7steadfast.{REGION}.rds.amazonaws.com")
}

/// Identifiers of the database nodes, in the order of their zones.
pub fn nodes(deployment: Deployment) -> &'static [&'static str] {
    match deployment {
        Deployment::Cluster => &INSTANCES,
        Deployment::Instance => &HOSTS,
    }
}

/// Name of one node by itself. That of a host is nobody's endpoint.
pub(super) fn node_endpoint(deployment: Deployment, node: &str) -> String {
    match deployment {
        Deployment::Cluster => instance_endpoint(node),
        Deployment::Instance => format!("{}.{REGION}.compute.internal", node.replace('@', "-")),
    }
}

/// The endpoint that follows the role: the cluster's, or the only one of a Multi-AZ DB instance.
pub fn writer_endpoint(deployment: Deployment) -> String {
    match deployment {
        Deployment::Cluster => cluster_endpoint(),
        Deployment::Instance => instance_endpoint(CLUSTER),
    }
}

/// Endpoint that follows the writer.
pub fn cluster_endpoint() -> String {
    format!("{CLUSTER}.cluster-c7steadfast.{REGION}.rds.amazonaws.com")
}

/// Endpoint of the readers.
pub fn reader_endpoint() -> String {
    format!("{CLUSTER}.cluster-ro-c7steadfast.{REGION}.rds.amazonaws.com")
}

/// The members as the control plane describes them: equal tiers, so that lag and zone decide.
pub(super) fn instances(deployment: Deployment) -> Vec<InstanceConfig> {
    let (class, shared) = match deployment {
        Deployment::Cluster => ("db.serverless", None),
        Deployment::Instance => ("db.m6g.large", Some(writer_endpoint(deployment))),
    };
    nodes(deployment)
        .iter()
        .zip(AZS)
        .map(|(node, az)| InstanceConfig {
            identifier: (*node).to_owned(),
            resource_id: format!("db-LAB7{}", node.to_uppercase()),
            az: az.to_owned(),
            promotion_tier: 1,
            class: class.to_owned(),
            address: shared.clone().unwrap_or_else(|| instance_endpoint(node)),
            port: PORT,
        })
        .collect()
}
