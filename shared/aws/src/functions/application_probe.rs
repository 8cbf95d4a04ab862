use steadfast_core::metric;
use steadfast_core::topology::Deployment;

use super::{Function, Schedule, optional, required};
use crate::grant::{Condition, Grant};
use crate::secret;
use crate::settings::table as setting;
use crate::state::Table;

/// An application of our own, so that what applications feel is measured.
pub const APPLICATION_PROBE: Function = Function {
    name: "application-probe",
    description: "Transfers money between accounts of its own through the protected client, and reports what it felt",
    deployments: &[Deployment::Cluster, Deployment::Instance],
    when: Some(Condition::ApplicationProbe),
    per_zone: false,
    in_vpc: true,
    login: Some("application_probe"),
    // It begins transfers for 130 s, and the last one may wait for 310 s.
    timeout: 480,
    memory: 256,
    // It is called again within the minute.
    retries: 0,
    event_age: 60,
    concurrency: 8,
    schedule: Some(Schedule { expression: "rate(1 minute)", hint: "tick" }),
    settings: &[
        required(setting::CLUSTER).when(Condition::Cluster),
        required(setting::INSTANCE).when(Condition::Instance),
        required(setting::TABLE),
        required(setting::SECRET_ARN),
        required(setting::ENDPOINT),
        required(setting::DATABASE),
        required(setting::CA_FILE),
        optional(setting::DNS_SERVER),
        optional(setting::RUN_FOR),
    ],
    grants: &[
        Grant::table(&["application#${database}"], &[Table::APPLICATION, Table::REPORT_APPLICATION]),
        Grant::named("application_probe", &[secret::CREDENTIALS]),
    ],
    metrics: &[
        metric::APPLICATION_TRANSFERS,
        metric::APPLICATION_ERRORS,
        metric::APPLICATION_WAIT,
        metric::APPLICATION_WRONG,
    ],
};
