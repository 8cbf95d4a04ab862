//! Rules about policies: nobody may do more than he does.

use serde_json::Value;

use super::plan::Resource;
use super::{Broken, Level, Plan, Rule, each};

/// Actions without a narrower resource, by the Service Authorization Reference: reading lists of EC2, CloudWatch and
/// RDS, and what Lambda and FIS do with interfaces and log deliveries before these have a name.
const WITHOUT_RESOURCE: &[&str] = &[
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeManagedPrefixLists",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ec2:UnassignPrivateIpAddresses",
    "cloudwatch:DescribeAlarms",
    "logs:CreateLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:PutResourcePolicy",
    "rds:DescribeBlueGreenDeployments",
    "rds:DescribeDBClusters",
    "rds:DescribeDBInstances",
    "rds:DescribePendingMaintenanceActions",
    "secretsmanager:GetRandomPassword",
    "tag:GetResources",
];
/// Where policies stand, beside inline ones of a role.
const POLICIES: &[&str] =
    &["aws_iam_role_policy", "aws_iam_policy", "aws_iam_role", "aws_iam_user_policy", "aws_iam_group_policy"];
/// Where policies that AWS keeps are attached.
const ATTACHMENTS: &[&str] = &[
    "aws_iam_role_policy_attachment",
    "aws_iam_policy_attachment",
    "aws_iam_role_policy_attachments_exclusive",
    "aws_iam_role",
    "aws_iam_user_policy_attachment",
    "aws_iam_group_policy_attachment",
];
/// Calls that move the writer's role.
const MOVES_THE_WRITER: [&str; 2] = ["rds:FailoverDBCluster", "rds:RebootDBInstance"];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "SF601",
        level: Level::Error,
        title: "No policy grants an action by a wildcard.",
        why: "What is not called need not be granted, and whoever takes over the function has it.",
        remedy: "Name the actions that the code calls.",
        find: |plan| {
            of_statements(plan, |statement| {
                if statement.get("NotAction").is_some() {
                    return Some("grants everything but its NotAction".to_owned());
                }
                let wild = |action: &&str| action.contains(['*', '?']);
                texts(&statement["Action"]).into_iter().find(wild).map(|action| format!("grants {action}"))
            })
        },
    },
    Rule {
        id: "SF602",
        level: Level::Error,
        title: "No policy grants an action on everything that can be granted on something.",
        why: "Another team's cluster is not ours to fail over.",
        remedy: "Name the resource.",
        find: |plan| {
            of_statements(plan, |statement| {
                let everything = match statement.get("NotResource") {
                    Some(_) => "everything but its NotResource",
                    None => texts(&statement["Resource"]).into_iter().find(|resource| is_everything(resource))?,
                };
                let wide = texts(&statement["Action"]).into_iter().find(|action| !WITHOUT_RESOURCE.contains(action))?;
                Some(format!("grants {wide} on {everything}"))
            })
        },
    },
    Rule {
        id: "SF603",
        level: Level::Error,
        title: "Only the coordinator and a drill may move the writer.",
        why: "Two who may call for a failover can call at once, and the second call moves the role back.",
        remedy: "Take the action from every other role.",
        find: |plan| {
            let is_meant = |address: &str| address.contains("promotion-coordinator") || address.contains("drills");
            let moves = |statement: &Value| {
                texts(&statement["Action"])
                    .into_iter()
                    .find(|action| MOVES_THE_WRITER.iter().any(|moves| moves.eq_ignore_ascii_case(action)))
                    .map(|action| format!("grants {action}"))
            };
            of_statements(plan, moves).into_iter().filter(|broken| !is_meant(&broken.address)).collect()
        },
    },
    Rule {
        id: "SF604",
        level: Level::Error,
        title: "A role trusts a service, and not everybody.",
        why: "A role that everybody may assume is a grant to everybody.",
        remedy: "Name the service in the trust policy.",
        find: |plan| each(plan, "aws_iam_role", |role| open_statement(role, "/assume_role_policy")),
    },
    Rule {
        id: "SF605",
        level: Level::Error,
        title: "No key, topic or queue may be used by everybody.",
        why: "Whoever publishes to the topic tells people what to do at night.",
        remedy: "Name a principal, or a condition such as aws:SourceArn.",
        find: |plan| {
            let kinds = ["aws_kms_key", "aws_sns_topic_policy", "aws_sqs_queue_policy"];
            let open = |resource: &Resource| open_statement(resource, "/policy");
            kinds.iter().flat_map(|kind| each(plan, kind, open)).collect()
        },
    },
    Rule {
        id: "SF606",
        level: Level::Error,
        title: "A policy that AWS keeps grants no administration.",
        why: "AdministratorAccess and its like make every other rule here void.",
        remedy: "Attach nothing but service roles.",
        find: |plan| {
            let wide = |arn: &&str| {
                ["FullAccess", "AdministratorAccess", "PowerUserAccess"].iter().any(|end| arn.ends_with(end))
            };
            let attaches =
                |resource: &Resource| attached(resource).into_iter().find(wide).map(|arn| format!("attaches {arn}"));
            ATTACHMENTS.iter().flat_map(|kind| each(plan, kind, attaches)).collect()
        },
    },
];

/// One text, or the texts of a list.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// Whether an ARN names nothing narrower than a service: `*`, or one whose resource is a mere wildcard.
fn is_everything(resource: &str) -> bool {
    let part = resource.splitn(6, ':').last().unwrap_or_default();
    !part.is_empty() && part.chars().all(|letter| matches!(letter, '*' | '?'))
}

/// The policies of a resource, of a role the inline ones; none while they are not known.
fn policies(resource: &Resource) -> Vec<&str> {
    let inline = resource.list("/inline_policy").iter().filter_map(|policy| policy["policy"].as_str());
    resource.text("/policy").into_iter().chain(inline).collect()
}

/// The ARNs of policies that AWS keeps, of a resource that attaches some.
fn attached(resource: &Resource) -> Vec<&str> {
    let listed = [resource.list("/managed_policy_arns"), resource.list("/policy_arns")];
    let listed = listed.into_iter().flatten().filter_map(Value::as_str);
    resource.text("/policy_arn").into_iter().chain(listed).collect()
}

/// The statements of a policy that allow something.
fn allowing(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let listed = &policy["Statement"];
    let statements = listed.as_array().cloned().unwrap_or_else(|| vec![listed.clone()]);
    statements.into_iter().filter(|statement| statement["Effect"] == "Allow").collect()
}

fn of_statements(plan: &Plan, wrong: impl Fn(&Value) -> Option<String>) -> Vec<Broken> {
    let found = |resource: &Resource| policies(resource).into_iter().flat_map(allowing).find_map(|one| wrong(&one));
    POLICIES.iter().flat_map(|kind| each(plan, kind, found)).collect()
}

fn open_statement(resource: &Resource, pointer: &str) -> Option<String> {
    let everybody = |statement: &Value| {
        let principal = &statement["Principal"];
        let named = principal.as_object().map(|kinds| kinds.values().flat_map(texts).any(|name| name == "*"));
        let is_open = principal == "*" || named == Some(true) || statement.get("NotPrincipal").is_some();
        is_open && statement.get("Condition").is_none()
    };
    let statements = resource.text(pointer).map(allowing).unwrap_or_default();
    statements.iter().any(everybody).then(|| "allows everybody, without a condition".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_without_a_resource_is_everything() {
        for wide in ["*", "arn:aws:dynamodb:*:*:*", "arn:aws:s3:::*", "arn:aws:rds:*"] {
            assert!(is_everything(wide), "{wide}");
        }
        for narrow in ["arn:aws:rds:eu-central-1:1:db:*", "arn:aws:logs:eu-central-1:1:log-group:a:*", "arn:a", ""] {
            assert!(!is_everything(narrow), "{narrow}");
        }
    }
}
