//! Rules about what a plan is going to do.

use std::collections::BTreeMap;

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

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "SF701",
        level: Level::Error,
        title: "A plan destroys and replaces nothing that holds data.",
        why: "A replaced cluster is an empty one, and a replaced instance is an outage.",
        remedy: "Find the argument that forces the replacement (`terraform plan` marks it), and take it back.",
        find: |plan: &Plan| {
            let is_loss = |change: &&Change| change.destroys && LASTING.contains(&change.kind.as_str());
            let lost = |change: &Change| broken(change, "the plan destroys or replaces it".to_owned());
            plan.changes.iter().filter(is_loss).map(lost).collect()
        },
    },
    Rule {
        id: "SF702",
        level: Level::Error,
        title: "A plan changes the class of one instance of a cluster at a time.",
        why: "Another class restarts the instance, and Terraform changes all of them at once: nobody is left to take over.",
        remedy: "Name `instance_class` for one reader after the other, an apply each; then fail over, and change the last.",
        find: classes_at_once,
    },
];

fn broken(change: &Change, says: String) -> Broken {
    Broken { address: change.address.clone(), says }
}

fn classes_at_once(plan: &Plan) -> Vec<Broken> {
    let is_changed = |change: &&Change| {
        change.kind == "aws_rds_cluster_instance" && change.updates && class(&change.before) != class(&change.after)
    };
    let mut clusters: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in plan.changes.iter().filter(is_changed) {
        let cluster = change.before["cluster_identifier"].as_str().unwrap_or_default();
        clusters.entry(cluster).or_default().push(change);
    }
    let at_once = clusters.values().filter(|members| members.len() > 1);
    at_once
        .flat_map(|members| members.iter().map(move |change| broken(change, new_class(change, members.len()))))
        .collect()
}

fn class(values: &serde_json::Value) -> &str {
    values["instance_class"].as_str().unwrap_or_default()
}

fn new_class(change: &Change, of: usize) -> String {
    format!("{} becomes {}, of {of} instances at once", class(&change.before), class(&change.after))
}
