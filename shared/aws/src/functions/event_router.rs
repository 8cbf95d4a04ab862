use steadfast_core::metric;
use steadfast_core::topology::Deployment;

use super::{Function, required};
use crate::grant::{Condition, Grant};
use crate::notifier::Topic;
use crate::settings::table as setting;
use crate::siblings::Sibling;
use crate::state::Table;

/// Where events become hints.
pub const EVENT_ROUTER: Function = Function {
    name: "event-router",
    description: "Turns any event into a typed hint, wakes the coordinator, tells people by severity",
    deployments: &[Deployment::Cluster, Deployment::Instance],
    when: None,
    per_zone: false,
    in_vpc: false,
    login: None,
    timeout: 30,
    memory: 256,
    retries: 2,
    event_age: 21_600,
    concurrency: 5,
    schedule: None,
    settings: &[
        required(setting::CLUSTER).when(Condition::Cluster),
        required(setting::INSTANCE).when(Condition::Instance),
        required(setting::TABLE),
        required(setting::TOPIC_ARN),
        required(setting::COORDINATOR),
    ],
    grants: &[
        Grant::table(&["event#*"], &[Table::WAS_HANDLED, Table::MARK_HANDLED]),
        Grant::named("promotion-coordinator", &[Sibling::WAKE, Sibling::WARM]),
        Grant::of(&[Topic::NOTIFY]),
    ],
    metrics: &[metric::HINTS, metric::HINTS_DROPPED],
};
