use steadfast_core::metric;
use steadfast_core::topology::Deployment;

use super::{Function, Schedule, optional, required};
use crate::control_plane::Rds;
use crate::grant::{Condition, Grant};
use crate::notifier::Topic;
use crate::rotation::Secrets;
use crate::secret;
use crate::settings::table as setting;
use crate::state::Table;

/// Whom Secrets Manager calls to rotate.
pub const SECRET_ROTATOR: Function = Function {
    name: "secret-rotator",
    description: "Rotates passwords between two users in turns, never one that is in use and never in an episode",
    deployments: &[Deployment::Cluster, Deployment::Instance],
    when: Some(Condition::Rotation),
    per_zone: false,
    in_vpc: true,
    login: None,
    timeout: 60,
    memory: 256,
    // The next sweep does what this one could not.
    retries: 0,
    event_age: 300,
    concurrency: 3,
    schedule: Some(Schedule { expression: "rate(5 minutes)", hint: "tick" }),
    settings: &[
        required(setting::CLUSTER).when(Condition::Cluster),
        required(setting::INSTANCE).when(Condition::Instance),
        required(setting::TABLE),
        required(setting::TOPIC_ARN),
        required(setting::ADMIN_SECRET_ARN),
        required(setting::DATABASE),
        required(setting::CA_FILE),
        optional(setting::DNS_SERVER),
        optional(setting::DRAIN_AFTER),
        optional(setting::ABANDON_AFTER),
    ],
    grants: &[
        Grant::table(
            &["cluster#${database}", "evidence#rotation/${database}#*"],
            &[Table::LOAD, Table::ANNOUNCE_ROTATION, Table::WRITE_ROTATION],
        ),
        Grant::of(&[Rds::DESCRIBE]),
        Grant::of(&[Secrets::READ, Secrets::CREATE_PENDING, Secrets::MOVE_LABELS]),
        Grant::named("administrator", &[secret::CREDENTIALS]),
        Grant::of(&[Topic::NOTIFY]),
    ],
    metrics: &[metric::ROTATIONS, metric::ROTATION_FAILURES],
};
