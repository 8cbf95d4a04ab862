//! Plans that are weakened on purpose, one way each: every one has to be found, by the rule that is for it.
//!
//! The plan is one of the example `complete` over what was applied, so that every value is known. `STEADFAST_PLAN` names
//! another one, such as that of today.
#![expect(clippy::expect_used, clippy::panic, reason = "a way that finds nothing to weaken fails its test")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use steadfast_infra::check::{self, Level, Plan};

fn sound() -> Value {
    let text = match std::env::var_os("STEADFAST_PLAN") {
        Some(path) => std::fs::read_to_string(path).expect("the plan that STEADFAST_PLAN names"),
        None => include_str!("plans/complete.json").to_owned(),
    };
    serde_json::from_str(&text).expect("JSON")
}

/// A way to weaken a plan, and the rule that is for it.
struct Way {
    rule: &'static str,
    what: &'static str,
    weaken: fn(&mut Value),
}

fn way(rule: &'static str, what: &'static str, weaken: fn(&mut Value)) -> Way {
    Way { rule, what, weaken }
}

fn modules<'v>(module: &'v mut Value, each: &mut dyn FnMut(&mut Vec<Value>)) {
    if let Some(resources) = module["resources"].as_array_mut() {
        each(resources);
    }
    for child in module["child_modules"].as_array_mut().into_iter().flatten() {
        modules(child, each);
    }
}

/// Sets a value in every resource of a kind that `which` picks; panics if there is none, since a way that changes
/// nothing shows nothing.
fn set(plan: &mut Value, kind: &str, which: &str, pointer: &str, value: &Value) {
    let mut changed = 0;
    modules(&mut plan["planned_values"]["root_module"], &mut |resources| {
        for resource in resources.iter_mut().filter(|one| one["type"] == kind) {
            if resource["address"].as_str().is_some_and(|address| address.contains(which)) {
                let (above, name) = pointer.rsplit_once('/').expect("a pointer");
                let parent = resource["values"].pointer_mut(above).unwrap_or_else(|| panic!("{kind} has no {above}"));
                match name.parse::<usize>() {
                    Ok(index) => parent[index] = value.clone(),
                    Err(_) => parent[name] = value.clone(),
                }
                changed += 1;
            }
        }
    });
    assert!(changed > 0, "no {kind} with {which:?}");
}

fn remove(plan: &mut Value, kind: &str, which: &str) {
    let mut removed = 0;
    modules(&mut plan["planned_values"]["root_module"], &mut |resources| {
        let before = resources.len();
        resources.retain(|one| one["type"] != kind || !one["address"].as_str().is_some_and(|at| at.contains(which)));
        removed += before - resources.len();
    });
    assert!(removed > 0, "no {kind} with {which:?}");
}

fn add(plan: &mut Value, kind: &str, values: Value) {
    let resource = json!({ "address": format!("{kind}.added"), "mode": "managed", "type": kind, "values": values });
    let root = &mut plan["planned_values"]["root_module"];
    match root["resources"].as_array_mut() {
        Some(resources) => resources.push(resource),
        None => root["resources"] = json!([resource]),
    }
}

/// Plans another class for an instance of the cluster.
fn resize(plan: &mut Value, which: &str) {
    let changes = plan["resource_changes"].as_array_mut().expect("changes");
    let is_it = |change: &&mut Value| {
        change["type"] == MEMBER && change["address"].as_str().is_some_and(|address| address.contains(which))
    };
    let member = changes.iter_mut().find(is_it).expect("the instance");
    let of = |class: &str| json!({ "cluster_identifier": "orders", "instance_class": class });
    member["change"] = json!({ "actions": ["update"], "before": of("db.serverless"), "after": of("db.r7g.large") });
}

const CLUSTER: &str = "aws_rds_cluster";
const MEMBER: &str = "aws_rds_cluster_instance";
const FUNCTION: &str = "aws_lambda_function";
const ALARM: &str = "aws_cloudwatch_metric_alarm";
const INVOKED: &str = "aws_lambda_function_event_invoke_config";
const POLICY: &str = "aws_iam_role_policy";

fn instance(changes: Value) -> Value {
    let mut values = json!({ "multi_az": true, "storage_encrypted": true, "deletion_protection": true,
        "backup_retention_period": 7, "skip_final_snapshot": false, "manage_master_user_password": true,
        "publicly_accessible": false, "auto_minor_version_upgrade": false, "replicate_source_db": null });
    for (name, value) in changes.as_object().into_iter().flatten() {
        values[name] = value.clone();
    }
    values
}

fn policy(action: &str, resource: &str) -> Value {
    let statement = json!({ "Effect": "Allow", "Action": [action], "Resource": resource });
    json!(json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string())
}

fn open_policy(action: &str) -> Value {
    let statement = json!({ "Effect": "Allow", "Action": action, "Principal": { "AWS": "*" }, "Resource": "*" });
    json!(json!({ "Version": "2012-10-17", "Statement": statement }).to_string())
}

fn of_the_database() -> Vec<Way> {
    vec![
        way("SF101", "two instances", |plan| remove(plan, MEMBER, "three")),
        way("SF102", "two instances in one zone", |plan| {
            set(plan, MEMBER, "three", "/availability_zone", &json!("eu-central-1a"));
        }),
        way("SF103", "one failover target", |plan| {
            set(plan, MEMBER, "two", "/promotion_tier", &json!(2));
            set(plan, MEMBER, "three", "/promotion_tier", &json!(15));
        }),
        way("SF104", "capacity goes down to zero", |plan| {
            set(plan, CLUSTER, "", "/serverlessv2_scaling_configuration/0/min_capacity", &json!(0));
        }),
        way("SF105", "a smaller target", |plan| set(plan, MEMBER, "two", "/instance_class", &json!("db.t4g.medium"))),
        way("SF106", "an instance without a standby", |plan| {
            add(plan, "aws_db_instance", instance(json!({ "multi_az": false })));
        }),
        way("SF107", "storage in the open", |plan| set(plan, CLUSTER, "", "/storage_encrypted", &json!(false))),
        way("SF107", "an instance's storage in the open", |plan| {
            add(plan, "aws_db_instance", instance(json!({ "storage_encrypted": null })));
        }),
        way("SF108", "no deletion protection", |plan| set(plan, CLUSTER, "", "/deletion_protection", &json!(false))),
        way("SF109", "a day of backups", |plan| set(plan, CLUSTER, "", "/backup_retention_period", &json!(1))),
        way("SF110", "no last snapshot", |plan| set(plan, CLUSTER, "", "/skip_final_snapshot", &json!(true))),
        way("SF111", "a password of one's own", |plan| {
            set(plan, CLUSTER, "", "/manage_master_user_password", &json!(null));
        }),
        way("SF112", "commits that are not durable", |plan| {
            let parameter = json!([{ "name": "synchronous_commit", "value": "off" }]);
            set(plan, "aws_rds_cluster_parameter_group", "", "/parameter", &parameter);
        }),
        way("SF112", "connections without TLS", |plan| {
            let parameter = json!([{ "name": "rds.force_ssl", "value": "0" }]);
            set(plan, "aws_rds_cluster_parameter_group", "", "/parameter", &parameter);
        }),
        way("SF113", "upgrades by themselves", |plan| {
            set(plan, MEMBER, "one", "/auto_minor_version_upgrade", &json!(true));
        }),
        way("SF301", "a public address", |plan| set(plan, MEMBER, "one", "/publicly_accessible", &json!(true))),
        way("SF302", "open to the Internet", |plan| {
            set(plan, "aws_vpc_security_group_ingress_rule", "applications", "/cidr_ipv4", &json!("0.0.0.0/0"));
        }),
        way("SF302", "open to half the Internet", |plan| {
            set(plan, "aws_vpc_security_group_ingress_rule", "applications", "/cidr_ipv4", &json!("128.0.0.0/1"));
        }),
        way("SF302", "open to the Internet by an inline rule", |plan| {
            add(plan, "aws_security_group", json!({ "ingress": [{ "ipv6_cidr_blocks": ["::/0"] }] }));
        }),
        way("SF303", "a subnet group of two zones", |plan| {
            set(plan, "aws_db_subnet_group", "", "/subnet_ids", &json!(["subnet-1", "subnet-2"]));
        }),
        way("SF304", "a public subnet", |plan| set(plan, "aws_subnet", "", "/map_public_ip_on_launch", &json!(true))),
    ]
}

fn of_state_and_keys() -> Vec<Way> {
    const TABLE: &str = "aws_dynamodb_table";
    vec![
        way("SF201", "a table that may be deleted", |plan| {
            set(plan, TABLE, "", "/deletion_protection_enabled", &json!(false));
        }),
        way("SF202", "a table that cannot be brought back", |plan| {
            set(plan, TABLE, "", "/point_in_time_recovery/0/enabled", &json!(false));
        }),
        way("SF203", "a table with a key of everybody's", |plan| {
            set(plan, TABLE, "", "/server_side_encryption", &json!([]));
        }),
        way("SF204", "keys for ever", |plan| set(plan, "aws_kms_key", "", "/enable_key_rotation", &json!(false))),
        way("SF206", "secrets that are gone at once", |plan| {
            set(plan, "aws_secretsmanager_secret", "", "/recovery_window_in_days", &json!(0));
        }),
        way("SF205", "keys that are gone tomorrow", |plan| {
            set(plan, "aws_kms_key", "", "/deletion_window_in_days", &json!(1));
        }),
        way("SF207", "a topic with AWS's own key", |plan| {
            set(plan, "aws_sns_topic", "critical", "/kms_master_key_id", &json!("alias/aws/sns"));
        }),
        way("SF207", "a queue in the open", |plan| {
            set(plan, "aws_sqs_queue", "", "/sqs_managed_sse_enabled", &json!(false));
            set(plan, "aws_sqs_queue", "", "/kms_master_key_id", &json!(null));
        }),
        way("SF208", "logs of a day", |plan| {
            set(plan, "aws_cloudwatch_log_group", "", "/retention_in_days", &json!(1));
        }),
    ]
}

fn of_functions() -> Vec<Way> {
    vec![
        way("SF401", "two probers", |plan| remove(plan, FUNCTION, "health-prober-eu-central-1c")),
        way("SF402", "no coordinator", |plan| remove(plan, FUNCTION, "promotion-coordinator")),
        way("SF403", "a coordinator in the VPC", |plan| {
            set(plan, FUNCTION, "promotion-coordinator", "/vpc_config", &json!([{ "subnet_ids": ["subnet-1"] }]));
        }),
        way("SF404", "a minute nobody watches", |plan| set(plan, FUNCTION, "health-prober", "/timeout", &json!(30))),
        way("SF404", "probers that are tried again", |plan| {
            set(plan, INVOKED, "health-prober", "/maximum_retry_attempts", &json!(2));
        }),
        way("SF405", "a router that is switched off", |plan| {
            set(plan, FUNCTION, "event-router", "/reserved_concurrent_executions", &json!(0));
        }),
        way("SF406", "schedules that do not tick", |plan| {
            set(plan, "aws_scheduler_schedule", "", "/state", &json!("DISABLED"));
        }),
        way("SF407", "no sweep", |plan| remove(plan, "aws_scheduler_schedule", "promotion-coordinator")),
        way("SF407", "a prober once an hour", |plan| {
            set(plan, "aws_scheduler_schedule", "eu-central-1a", "/schedule_expression", &json!("rate(1 hour)"));
        }),
        way("SF408", "events that vanish", |plan| {
            set(plan, "aws_cloudwatch_event_target", "", "/dead_letter_config", &json!([]));
        }),
        way("SF409", "settings that hold for nobody", |plan| set(plan, INVOKED, "", "/qualifier", &json!(null))),
        way("SF410", "a rule that is off", |plan| {
            set(plan, "aws_cloudwatch_event_rule", "rds", "/state", &json!("DISABLED"));
        }),
        way("SF410", "a failover that is not heard of", |plan| {
            let pattern = json!({ "source": ["aws.rds"], "detail": { "EventID": ["RDS-EVENT-0071"] } }).to_string();
            set(plan, "aws_cloudwatch_event_rule", "rds", "/event_pattern", &json!(pattern));
        }),
        way("SF412", "failovers that nobody hears of", |plan| remove(plan, "aws_cloudwatch_event_rule", "rds")),
        way("SF412", "alarms that lead nowhere", |plan| remove(plan, "aws_cloudwatch_event_target", "alarm")),
        way("SF412", "rotations that somebody else is told", |plan| {
            let arn = json!("arn:aws:lambda:eu-central-1:123456789012:function:elsewhere");
            set(plan, "aws_cloudwatch_event_target", "rotation", "/arn", &arn);
        }),
        way("SF411", "a drill that nothing stops", |plan| {
            set(plan, "aws_fis_experiment_template", "failover", "/stop_condition", &json!([{ "source": "none" }]));
        }),
    ]
}

fn of_people() -> Vec<Way> {
    vec![
        way("SF501", "an alarm without an action", |plan| {
            set(plan, ALARM, "person-called", "/alarm_actions", &json!([]));
        }),
        way("SF501", "alarms that are switched off", |plan| {
            set(plan, "aws_cloudwatch_composite_alarm", "", "/actions_enabled", &json!(false));
        }),
        way("SF502", "a dead man who is well", |plan| {
            set(plan, ALARM, "prober-silent", "/treat_missing_data", &json!("notBreaching"));
        }),
        way("SF502", "a prober without a dead man's alarm", |plan| remove(plan, ALARM, "prober-silent-eu-central-1b")),
        way("SF503", "lost commits without an alarm", |plan| remove(plan, ALARM, "canary-lost")),
        way("SF503", "an outage that no alarm can show", |plan| {
            set(plan, ALARM, "no-commit", "/threshold", &json!(0));
        }),
        way("SF503", "calls for a person that nobody counts up to", |plan| {
            set(plan, ALARM, "person-called", "/threshold", &json!(1e9));
        }),
        way("SF503", "defects that have to last a day", |plan| {
            set(plan, ALARM, "defect", "/evaluation_periods", &json!(1440));
        }),
        way("SF503", "a function whose errors nobody sees", |plan| {
            remove(plan, ALARM, "function-errors-event-router");
        }),
        way("SF506", "nobody is called", |plan| {
            remove(plan, "aws_cloudwatch_composite_alarm", "needs-a-person");
        }),
        way("SF506", "an outage that never is one", |plan| {
            set(plan, "aws_cloudwatch_composite_alarm", "writer-does-not-commit", "/alarm_rule", &json!("FALSE"));
        }),
        way("SF504", "nobody is told", |plan| remove(plan, "aws_sns_topic_subscription", "")),
        way("SF505", "an alarm on what nobody emits", |plan| {
            set(plan, ALARM, "canary-lost", "/dimensions", &json!({ "Cluster": "orders" }));
        }),
    ]
}

fn of_access() -> Vec<Way> {
    vec![
        way("SF601", "a wildcard action", |plan| {
            set(plan, POLICY, "event-router", "/policy", &policy("dynamodb:*", "arn:a"))
        }),
        way("SF602", "an action on everything", |plan| {
            set(plan, POLICY, "event-router", "/policy", &policy("dynamodb:PutItem", "*"));
        }),
        way("SF601", "everything but one action", |plan| {
            let statement = json!({ "Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:a" });
            let policy = json!(json!({ "Version": "2012-10-17", "Statement": statement }).to_string());
            set(plan, POLICY, "event-router", "/policy", &policy);
        }),
        way("SF601", "a wildcard action in an inline policy", |plan| {
            let inline = json!([{ "name": "more", "policy": policy("rds:*", "arn:a") }]);
            set(plan, "aws_iam_role", "event-router", "/inline_policy", &inline);
        }),
        way("SF602", "an action on all of a service", |plan| {
            set(plan, POLICY, "event-router", "/policy", &policy("dynamodb:PutItem", "arn:aws:dynamodb:*:*:*"));
        }),
        way("SF603", "a drainer that may fail over", |plan| {
            set(plan, POLICY, "connection-drainer", "/policy", &policy("rds:FailoverDBCluster", "arn:a"));
        }),
        way("SF604", "a role for everybody", |plan| {
            set(plan, "aws_iam_role", "drills", "/assume_role_policy", &open_policy("sts:AssumeRole"));
        }),
        way("SF605", "a key for everybody", |plan| {
            set(plan, "aws_kms_key", "database", "/policy", &open_policy("kms:Decrypt"));
        }),
        way("SF605", "a topic for everybody but one", |plan| {
            let statement = json!({ "Effect": "Allow", "NotPrincipal": { "AWS": "1" }, "Action": "sns:Publish" });
            let policy = json!(json!({ "Version": "2012-10-17", "Statement": statement }).to_string());
            set(plan, "aws_sns_topic_policy", "critical", "/policy", &policy);
        }),
        way("SF606", "an administrator by an argument of the role", |plan| {
            let arns = json!(["arn:aws:iam::aws:policy/PowerUserAccess"]);
            set(plan, "aws_iam_role", "drills", "/managed_policy_arns", &arns);
        }),
        way("SF606", "administrators in a list", |plan| {
            let arn = json!("arn:aws:iam::aws:policy/IAMFullAccess");
            add(plan, "aws_iam_policy_attachment", json!({ "policy_arn": arn }));
        }),
        way("SF606", "an administrator", |plan| {
            let arn = json!("arn:aws:iam::aws:policy/AdministratorAccess");
            add(plan, "aws_iam_role_policy_attachment", json!({ "policy_arn": arn }));
        }),
    ]
}

fn of_changes() -> Vec<Way> {
    vec![
        way("SF701", "a cluster that is replaced", |plan| {
            let changes = plan["resource_changes"].as_array_mut().expect("changes");
            let cluster = changes.iter_mut().find(|change| change["type"] == CLUSTER).expect("the cluster");
            cluster["change"]["actions"] = json!(["delete", "create"]);
        }),
        way("SF702", "two instances that restart at once", |plan| {
            resize(plan, "one");
            resize(plan, "two");
        }),
    ]
}

fn ways() -> Vec<Way> {
    [of_the_database(), of_state_and_keys(), of_functions(), of_people(), of_access(), of_changes()]
        .into_iter()
        .flatten()
        .collect()
}

fn rules_broken(plan: &Value) -> BTreeSet<&'static str> {
    check::findings(&Plan::read(plan).expect("a plan")).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn what_ships_breaks_no_rule() {
    let findings = check::findings(&Plan::read(&sound()).expect("a plan"));
    assert!(findings.iter().all(|finding| finding.level == Level::Warning), "{findings:#?}");
}

#[test]
fn every_way_to_weaken_it_is_found() {
    let sound = sound();
    let before = rules_broken(&sound);
    let mut missed = Vec::new();
    let ways = ways();
    for way in &ways {
        let mut plan = sound.clone();
        (way.weaken)(&mut plan);
        if before.contains(way.rule) || !rules_broken(&plan).contains(way.rule) {
            missed.push(format!("{}: {}", way.rule, way.what));
        }
    }
    println!("weakened: found {} of {}", ways.len() - missed.len(), ways.len());
    assert!(missed.is_empty(), "{missed:#?}");
}

/// What `terraform show -json` says after an apply of a plan.
fn state_of(plan: &Value) -> Value {
    json!({ "format_version": "1.0", "values": plan["planned_values"] })
}

/// Makes a value one that is known only after the apply, as in a plan that makes what it names.
fn hide(plan: &mut Value, kind: &str, name: &str) {
    set(plan, kind, "", &format!("/{name}"), &json!(null));
    let changes = plan["resource_changes"].as_array_mut().expect("changes");
    for change in changes.iter_mut().filter(|change| change["type"] == kind) {
        change["change"] = json!({ "actions": ["create"], "after_unknown": { name: true } });
    }
}

#[test]
fn what_a_plan_does_not_know_yet_is_found_in_the_state() {
    let sound = sound();
    assert_eq!(rules_broken(&state_of(&sound)), rules_broken(&sound));
    let mut weak = sound;
    set(&mut weak, POLICY, "event-router", "/policy", &policy("dynamodb:*", "arn:a"));
    let mut being_made = weak.clone();
    hide(&mut being_made, POLICY, "policy");
    assert!(!rules_broken(&being_made).contains("SF601"));
    assert!(rules_broken(&state_of(&weak)).contains("SF601"));
}

#[test]
fn one_instance_after_the_other_may_change_its_class() {
    let mut plan = sound();
    resize(&mut plan, "two");
    set(&mut plan, MEMBER, "two", "/instance_class", &json!("db.r7g.large"));
    let findings = check::findings(&Plan::read(&plan).expect("a plan"));
    assert!(findings.iter().any(|finding| finding.rule == "SF105"));
    assert!(findings.iter().all(|finding| finding.level == Level::Warning), "{findings:#?}");
}

#[test]
fn every_rule_is_tried() {
    let tried: BTreeSet<&str> = ways().iter().map(|way| way.rule).collect();
    let rules: BTreeSet<&str> = check::rules().iter().map(|rule| rule.id).collect();
    assert_eq!(tried, rules);
}
