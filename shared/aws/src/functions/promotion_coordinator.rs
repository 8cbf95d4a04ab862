use steadfast_core::metric;
use steadfast_core::topology::Deployment;

use super::{Function, Schedule, optional, required};
use crate::control_plane::Rds;
use crate::grant::{Condition, Grant};
use crate::names::Route53;
use crate::notifier::Topic;
use crate::settings::table as setting;
use crate::siblings::Sibling;
use crate::state::Table;

/// The only one that acts on the database.
pub const PROMOTION_COORDINATOR: Function = Function {
    name: "promotion-coordinator",
    description: "Takes the lease, decides, fails over once, proves it with a commit, records, tells",
    deployments: &[Deployment::Cluster, Deployment::Instance],
    when: None,
    per_zone: false,
    in_vpc: false,
    login: None,
    timeout: 300,
    memory: 512,
    retries: 2,
    event_age: 21_600,
    concurrency: 5,
    schedule: Some(Schedule { expression: "rate(1 minute)", hint: "tick" }),
    settings: &[
        required(setting::CLUSTER).when(Condition::Cluster),
        required(setting::INSTANCE).when(Condition::Instance),
        required(setting::TABLE),
        required(setting::TOPIC_ARN),
        required(setting::DRAINER).when(Condition::Cluster),
        optional(setting::PLATFORM_GRACE),
        optional(setting::PLATFORM_DEADLINE),
        optional(setting::PROMOTION_DEADLINE),
        optional(setting::EPISODE_DEADLINE),
        optional(setting::SILENT_AFTER),
        optional(setting::STALLED_AFTER),
        optional(setting::LAG_MAX),
        optional(setting::PIN_NAME).when(Condition::Pin),
        optional(setting::PIN_ZONE).when(Condition::Pin),
    ],
    grants: &[
        Grant::table(
            &["cluster#${database}", "evidence#${database}#*"],
            &[Table::LOAD, Table::WRITE_LEASE, Table::COMMIT, Table::WRITE_PIN, Table::SET_MODE],
        ),
        Grant::of(&[Rds::DESCRIBE, Rds::FAIL_OVER]),
        Grant::named("connection-drainer", &[Sibling::WAKE, Sibling::ASK, Sibling::WARM]).when(Condition::Cluster),
        Grant::of(&[Topic::NOTIFY]),
        Grant::of(&[Route53::POINT]).when(Condition::Pin),
    ],
    metrics: &[
        metric::EPISODES_OPENED,
        metric::SWITCHOVERS,
        metric::DETECTION,
        metric::RECOVERY,
        metric::PROMOTION_CALLS,
        metric::HUMAN_CALLS,
        metric::PIN_FAILURES,
    ],
};
