use steadfast_core::metric;
use steadfast_core::topology::Deployment;

use super::{Function, Schedule, optional, required};
use crate::control_plane::Rds;
use crate::data_api::DataApi;
use crate::game_day::{Changes, Experiments};
use crate::grant::{Condition, Grant};
use crate::notifier::Topic;
use crate::settings::table as setting;
use crate::state::Table;

/// Who breaks something on purpose once a week.
pub const FIS_SCHEDULER: Function = Function {
    name: "fis-scheduler",
    description: "Breaks something on purpose once a week, within bounds, and judges by numbers how it went",
    deployments: &[Deployment::Cluster, Deployment::Instance],
    when: Some(Condition::GameDays),
    per_zone: false,
    in_vpc: false,
    login: None,
    // It follows the experiment; what takes longer is gone on with by the next sweep.
    timeout: 900,
    memory: 256,
    // An experiment is never ordered by a retry.
    retries: 0,
    event_age: 300,
    // A sweep may come while the experiment is followed.
    concurrency: 2,
    schedule: Some(Schedule { expression: "rate(5 minutes)", hint: "tick" }),
    settings: &[
        required(setting::CLUSTER).when(Condition::Cluster),
        required(setting::INSTANCE).when(Condition::Instance),
        required(setting::TABLE),
        required(setting::TOPIC_ARN),
        required(setting::TEMPLATES),
        optional(setting::CLUSTER_ARN).when(Condition::DataApi),
        optional(setting::ADMIN_SECRET_ARN).when(Condition::DataApi),
        optional(setting::DATABASE).when(Condition::DataApi),
        optional(setting::APPLICATION_PROBE).when(Condition::ApplicationProbe),
        optional(setting::EXPERIMENTS),
        optional(setting::WINDOW),
        optional(setting::DAYS),
        optional(setting::FREEZES),
        optional(setting::STEADY_LAG),
        optional(setting::BACKUP_AGE),
        optional(setting::WATCH_FOR),
    ],
    grants: &[
        Grant::table(
            &["cluster#${database}", "evidence#game-day/${database}#*"],
            &[Table::LOAD, Table::VERIFICATION, Table::GAME_DAY, Table::WRITE_GAME_DAY],
        ),
        // What episodes wrote is read only.
        Grant::table(&["evidence#${database}#*"], &[Table::EVIDENCE]),
        Grant::table(&["application#${database}"], &[Table::APPLICATION]).when(Condition::ApplicationProbe),
        Grant::of(&[Rds::DESCRIBE, Changes::PENDING]),
        Grant::of(&[Experiments::LOOK, Experiments::START, Experiments::STOP]),
        Grant::of(&[DataApi::RUN]).when(Condition::DataApi),
        Grant::named("administrator", &[DataApi::SECRET]).when(Condition::DataApi),
        Grant::of(&[Topic::NOTIFY]),
    ],
    metrics: &[
        metric::GAME_DAYS,
        metric::GAME_DAYS_FAILED,
        metric::GAME_DAY_DETECTION,
        metric::GAME_DAY_OUTAGE,
        metric::GAME_DAY_LOST,
    ],
};
