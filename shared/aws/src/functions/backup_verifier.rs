use steadfast_core::metric;
use steadfast_core::topology::Deployment;

use super::{Function, Schedule, optional, required};
use crate::grant::{Condition, Grant};
use crate::notifier::Topic;
use crate::secret;
use crate::settings::table as setting;
use crate::state::Table;
use crate::verification::Verifier;

/// Who restores backups and opens them.
pub const BACKUP_VERIFIER: Function = Function {
    name: "backup-verifier",
    description: "Restores a backup beside production, looks through it, tells the verdict, deletes what it made",
    deployments: &[Deployment::Cluster, Deployment::Instance],
    when: Some(Condition::Verification),
    per_zone: false,
    in_vpc: true,
    login: None,
    // The most that Lambda gives: an index is compared with its table as a whole, or not at all.
    timeout: 900,
    memory: 512,
    // It is ticked again within the minute, and repeats an order itself.
    retries: 0,
    event_age: 60,
    // A tick may come while the one before still reads pages.
    concurrency: 6,
    schedule: Some(Schedule { expression: "rate(1 minute)", hint: "tick" }),
    settings: &[
        required(setting::CLUSTER).when(Condition::Cluster),
        required(setting::INSTANCE).when(Condition::Instance),
        required(setting::TABLE),
        required(setting::TOPIC_ARN),
        required(setting::DATABASE),
        required(setting::CA_FILE),
        required(setting::VERIFY_SUBNET_GROUP),
        required(setting::VERIFY_SECURITY_GROUPS),
        optional(setting::VERIFY_CLASS),
        optional(setting::DNS_SERVER),
    ],
    grants: &[
        Grant::table(
            &["cluster#${database}", "evidence#verification/${database}#*"],
            &[Table::VERIFICATION, Table::WRITE_VERIFICATION],
        ),
        Grant::of(&[Verifier::LOOK, Verifier::RESTORE, Verifier::DELETE]),
        Grant::named("restored", &[secret::CREDENTIALS]),
        Grant::of(&[Topic::NOTIFY]),
    ],
    metrics: &[metric::BACKUP_VERIFIED, metric::BACKUP_AGE, metric::RESTORE],
};
