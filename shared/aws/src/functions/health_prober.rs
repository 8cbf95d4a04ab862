use steadfast_core::metric;
use steadfast_core::topology::Deployment;

use super::{Function, Schedule, optional, required};
use crate::control_plane::Rds;
use crate::grant::{Condition, Grant};
use crate::secret;
use crate::settings::table as setting;
use crate::siblings::Sibling;
use crate::state::Table;

/// One witness for each Availability Zone.
pub const HEALTH_PROBER: Function = Function {
    name: "health-prober",
    description: "One witness: probes every instance from its Availability Zone and reports what it saw",
    deployments: &[Deployment::Cluster, Deployment::Instance],
    when: None,
    per_zone: true,
    in_vpc: true,
    login: Some("prober"),
    timeout: 150,
    memory: 256,
    // It is called again within the minute: a retry minutes later would only disturb.
    retries: 0,
    event_age: 60,
    concurrency: 3,
    schedule: Some(Schedule { expression: "rate(1 minute)", hint: "tick" }),
    settings: &[
        required(setting::CLUSTER).when(Condition::Cluster),
        required(setting::INSTANCE).when(Condition::Instance),
        required(setting::SUBNETS).when(Condition::Instance),
        required(setting::AZ),
        required(setting::TABLE),
        required(setting::COORDINATOR),
        required(setting::SECRET_ARN),
        required(setting::DATABASE),
        required(setting::CA_FILE),
        optional(setting::DNS_SERVER),
        optional(setting::CHECK_SQL),
        optional(setting::RUN_FOR),
    ],
    grants: &[
        Grant::table(&["cluster#${database}"], &[Table::LOAD, Table::REPORT]),
        Grant::of(&[Rds::DESCRIBE]),
        Grant::named("promotion-coordinator", &[Sibling::WAKE, Sibling::WARM]),
        Grant::named("prober", &[secret::CREDENTIALS]),
    ],
    metrics: &[metric::PROBES, metric::CANARY_COMMIT, metric::CANARY_LOST, metric::UNHEALTHY_INSTANCES],
};
