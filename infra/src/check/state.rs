//! Rules about what Steadfast itself must not lose: state, secrets, keys.

use super::plan::Resource;
use super::{Level, Rule, each};

const TABLE: &str = "aws_dynamodb_table";
const KEY: &str = "aws_kms_key";
/// Days. A mistaken deletion is noticed within a week.
const RECOVERY_DAYS_MIN: f64 = 7.0;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "SF201",
        level: Level::Error,
        title: "The state table is protected from deletion.",
        why: "Lease, mode and evidence are in it: without it nothing is done to the cluster.",
        remedy: "Set `deletion_protection` to true.",
        find: |plan| each(plan, TABLE, |table| off(table, "/deletion_protection_enabled")),
    },
    Rule {
        id: "SF202",
        level: Level::Error,
        title: "The state table can be brought back to any point in time.",
        why: "Evidence of past episodes is nowhere else.",
        remedy: "Leave `point_in_time_recovery` on.",
        find: |plan| each(plan, TABLE, |table| off(table, "/point_in_time_recovery/0/enabled")),
    },
    Rule {
        id: "SF203",
        level: Level::Error,
        title: "The state table is encrypted with a key of the account's own.",
        why: "Whoever reads it knows when the cluster is weakest.",
        remedy: "Leave `server_side_encryption` on.",
        find: |plan| each(plan, TABLE, |table| off(table, "/server_side_encryption/0/enabled")),
    },
    Rule {
        id: "SF204",
        level: Level::Error,
        title: "Keys are rotated.",
        why: "A key that leaked once would open everything for ever.",
        remedy: "Leave `enable_key_rotation` true.",
        find: |plan| each(plan, KEY, |key| off(key, "/enable_key_rotation")),
    },
    Rule {
        id: "SF205",
        level: Level::Error,
        title: "A deleted key can be brought back for a week or more.",
        why: "With its key, a database and all its snapshots are lost.",
        remedy: "Set `kms_deletion_window_in_days` to 7 or more, better 30.",
        find: |plan| each(plan, KEY, |key| short(key, "/deletion_window_in_days")),
    },
    Rule {
        id: "SF206",
        level: Level::Error,
        title: "A deleted secret can be brought back for a week or more.",
        why: "Without their logins the probers see nothing, and nothing fails over.",
        remedy: "Set `secret_recovery_window_in_days` to 7 or more.",
        find: |plan| each(plan, "aws_secretsmanager_secret", |secret| short(secret, "/recovery_window_in_days")),
    },
    Rule {
        id: "SF207",
        level: Level::Error,
        title: "Secrets, topics and queues are encrypted, topics with a key of the account's own.",
        why: "CloudWatch cannot publish to a topic with the key that AWS manages: alarms would be lost in silence.",
        remedy: "Leave `create_operations_kms_key` true, or set `operations_kms_key_arn`.",
        find: |plan| {
            let topics = each(plan, "aws_sns_topic", |topic| {
                let managed = topic.text("/kms_master_key_id").is_some_and(|key| key.ends_with("alias/aws/sns"));
                (managed || topic.is_empty("/kms_master_key_id")).then(|| "no key of the account's own".to_owned())
            });
            let queues = each(plan, "aws_sqs_queue", |queue| {
                let plain = queue.is_empty("/kms_master_key_id") && queue.is_off("/sqs_managed_sse_enabled");
                plain.then(|| "the queue is not encrypted".to_owned())
            });
            [topics, queues].concat()
        },
    },
    Rule {
        id: "SF208",
        level: Level::Error,
        title: "Logs are kept for a month or more.",
        why: "What happened in an episode is asked weeks later.",
        remedy: "Set `cloudwatch_log_group_retention_in_days` to 30 or more.",
        find: |plan| {
            each(plan, "aws_cloudwatch_log_group", |group| {
                // 0 is for ever.
                let days = group.number("/retention_in_days").filter(|days| *days > 0.0 && *days < 30.0)?;
                Some(format!("kept for {days} days"))
            })
        },
    },
];

fn off(resource: &Resource, pointer: &str) -> Option<String> {
    resource.is_off(pointer).then(|| format!("{} is off", pointer.trim_start_matches('/').replace("/0/", ".")))
}

fn short(resource: &Resource, pointer: &str) -> Option<String> {
    let days = resource.number(pointer).filter(|days| *days < RECOVERY_DAYS_MIN)?;
    Some(format!("{} is {days}", pointer.trim_start_matches('/')))
}
