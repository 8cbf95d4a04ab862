//! Rules about what a plan is going to do.

use super::plan::Change;
use super::{Broken, Level, Plan, Rule};

/// What holds data, and what leads to it.
const LASTING: &[&str] = &[
    "aws_rds_cluster",
    "aws_rds_cluster_instance",
    "aws_db_instance",
    "aws_dynamodb_table",
    "aws_kms_key",
    "aws_secretsmanager_secret",
    "aws_backup_vault",
];

pub(super) const RULES: &[Rule] = &[Rule {
    id: "SF701",
    level: Level::Error,
    title: "A plan destroys and replaces nothing that holds data.",
    why: "A replaced cluster is an empty one, and a replaced instance is an outage.",
    remedy: "Find the argument that forces the replacement (`terraform plan` marks it), and take it back.",
    find: |plan: &Plan| {
        let is_loss = |change: &&Change| change.destroys && LASTING.contains(&change.kind.as_str());
        let broken = |change: &Change| Broken {
            address: change.address.clone(),
            says: "the plan destroys or replaces it".to_owned(),
        };
        plan.changes.iter().filter(is_loss).map(broken).collect()
    },
}];
