use steadfast_core::metric;
use steadfast_core::topology::Deployment;

use super::{Function, optional, required};
use crate::control_plane::Rds;
use crate::data_api::DataApi;
use crate::grant::{Condition, Grant};
use crate::notifier::Topic;
use crate::secret;
use crate::settings::table as setting;
use crate::state::Table;

/// Who ends sessions and holds the gate, of a cluster.
pub const CONNECTION_DRAINER: Function = Function {
    name: "connection-drainer",
    description: "Ends sessions that stayed on the old writer, and holds the gate of a switchover",
    deployments: &[Deployment::Cluster],
    when: None,
    per_zone: false,
    in_vpc: true,
    login: Some("drainer"),
    timeout: 120,
    memory: 512,
    retries: 2,
    event_age: 21_600,
    concurrency: 3,
    schedule: None,
    settings: &[
        required(setting::CLUSTER).when(Condition::Cluster),
        required(setting::TABLE),
        required(setting::SECRET_ARN),
        required(setting::DATABASE),
        required(setting::READ_WRITE_ROLES),
        required(setting::CA_FILE),
        optional(setting::TOPIC_ARN),
        optional(setting::CLUSTER_ARN).when(Condition::DataApi),
        optional(setting::DNS_SERVER),
        optional(setting::EVICT_FOR),
        optional(setting::GATE_CLOSING),
        optional(setting::GATE_CLOSED),
        optional(setting::WARN_AFTER),
        optional(setting::CANCEL_AFTER),
        optional(setting::TERMINATE_AFTER),
    ],
    grants: &[
        Grant::table(&["cluster#${database}"], &[Table::LOAD]),
        Grant::of(&[Rds::DESCRIBE]),
        Grant::named("drainer", &[secret::CREDENTIALS]),
        Grant::of(&[Topic::NOTIFY]),
        Grant::of(&[DataApi::BEGIN, DataApi::EXECUTE, DataApi::ROLL_BACK]).when(Condition::DataApi),
    ],
    metrics: &[metric::SESSIONS_EVICTED],
};
