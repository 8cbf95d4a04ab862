//! What a plan costs in a month, about.
//!
//! The prices are list prices of us-east-1 as remembered in 2026 and not read from AWS, without free tiers and
//! discounts; other Regions cost up to a third more. The load is an assumption that [`Load`] names. Check what matters
//! against the AWS Pricing Calculator.

use serde_json::Value;
use steadfast_aws::functions::APPLICATION_PROBE;

use crate::check::Plan;

/// Hours of a month.
const HOURS: f64 = 730.0;
const SECONDS: f64 = HOURS * 3_600.0;

/// What is assumed of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Aurora capacity units of each serverless instance, on average.
    pub acu: f64,
    /// GiB of data.
    pub storage_gib: f64,
    /// Input and output requests of the storage, in millions a month.
    pub million_requests: f64,
    /// GiB of logs a month, of everything.
    pub logs_gib: f64,
}

impl Default for Load {
    /// A small production database.
    fn default() -> Self {
        Self { acu: 2.0, storage_gib: 100.0, million_requests: 200.0, logs_gib: 20.0 }
    }
}

/// One line of the estimate.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What.
    pub what: &'static str,
    /// How many of it, and at which price.
    pub how: String,
    /// US dollars a month.
    pub dollars: f64,
}

/// Instance classes by price: US dollars an hour, of Aurora PostgreSQL, and of RDS for PostgreSQL with a standby.
const CLASSES: &[(&str, f64, f64)] = &[
    ("db.t4g.medium", 0.073, 0.129),
    ("db.t4g.large", 0.146, 0.258),
    ("db.m7g.large", 0.0, 0.337),
    ("db.m7g.xlarge", 0.0, 0.674),
    ("db.r6g.large", 0.26, 0.45),
    ("db.r6g.xlarge", 0.519, 0.9),
    ("db.r7g.large", 0.276, 0.479),
    ("db.r7g.xlarge", 0.553, 0.957),
    ("db.r7g.2xlarge", 1.106, 1.914),
];
const ACU_HOUR: f64 = 0.12;

/// Estimates a month. What has no price here is named in a line of its own.
pub fn estimate(plan: &Plan, load: Load) -> Vec<Line> {
    let mut lines = databases(plan, load);
    lines.extend(functions(plan));
    lines.extend(counted(plan));
    lines.push(line("log ingestion", load.logs_gib, "GiB", 0.5));
    lines.extend(state(plan));
    lines.retain(|line| line.dollars > 0.0 || line.how.contains("not priced"));
    lines
}

fn line(what: &'static str, count: f64, unit: &str, price: f64) -> Line {
    Line { what, how: format!("{count} {unit} at ${price}"), dollars: count * price }
}

fn count(plan: &Plan, kind: &str) -> f64 {
    sum(plan, kind, |_| 1.0)
}

fn sum(plan: &Plan, kind: &str, of: impl Fn(&Value) -> f64) -> f64 {
    plan.all().filter(|(found, _)| *found == kind).map(|(_, values)| of(values)).sum()
}

fn databases(plan: &Plan, load: Load) -> Vec<Line> {
    let mut lines = Vec::new();
    for (kind, values) in plan.all() {
        let is_member = kind == "aws_rds_cluster_instance";
        if !is_member && kind != "aws_db_instance" {
            continue;
        }
        let class = values["instance_class"].as_str().unwrap_or_default();
        let single = values["multi_az"] == Value::Bool(false) || !values["replicate_source_db"].is_null();
        lines.push(match CLASSES.iter().find(|(known, _, _)| *known == class) {
            _ if class == "db.serverless" => line("Aurora instance", load.acu * HOURS, "ACU hours", ACU_HOUR),
            Some((_, aurora, _)) if is_member && *aurora > 0.0 => line("Aurora instance", HOURS, "hours", *aurora),
            Some((_, _, standby)) if !is_member => {
                line("RDS instance", HOURS, "hours", if single { standby / 2.0 } else { *standby })
            }
            Some(_) | None => Line { what: "instance", how: format!("{class} is not priced here"), dollars: 0.0 },
        });
    }
    let clusters = count(plan, "aws_rds_cluster");
    lines.push(line("Aurora storage", clusters * load.storage_gib, "GiB", 0.1));
    lines.push(line("Aurora requests", clusters * (load.million_requests + transfers(plan)), "million", 0.2));
    lines.push(line(
        "RDS storage with standby",
        sum(plan, "aws_db_instance", |values| values["allocated_storage"].as_f64().unwrap_or_default()),
        "GiB",
        0.23,
    ));
    lines
}

fn is_prober(function: &Value) -> bool {
    function["function_name"].as_str().is_some_and(|name| name.contains("health-prober"))
}

fn is_application_probe(function: &Value) -> bool {
    function["function_name"].as_str().is_some_and(|name| name.contains(APPLICATION_PROBE.name))
}

/// Probers run all the time; two overlap for their last seconds. Of the application probe two are at work at any time.
/// The others run for seconds a minute at most.
fn functions(plan: &Plan) -> Vec<Line> {
    let gib_seconds = |values: &Value| {
        let gib = values["memory_size"].as_f64().unwrap_or_default() / 1_024.0;
        let seconds = match (is_prober(values), is_application_probe(values)) {
            (true, _) => SECONDS * 1.2,
            (false, true) => SECONDS * 2.2,
            (false, false) => HOURS * 60.0 * 2.0,
        };
        gib * seconds
    };
    let used = sum(plan, "aws_lambda_function", gib_seconds).round();
    let invocations = sum(plan, "aws_scheduler_schedule", |_| HOURS * 60.0) / 1e6;
    vec![
        line("functions", used, "GiB seconds (arm64)", 0.000_013_333_4),
        line("invocations", invocations, "million", 1.2),
    ]
}

/// What costs the same whatever the load.
fn counted(plan: &Plan) -> Vec<Line> {
    let zones = |values: &Value| values["subnet_ids"].as_array().map_or(3.0, |subnets| subnets.len() as f64);
    let endpoint =
        |values: &Value| if values["vpc_endpoint_type"] == "Interface" { zones(values) * HOURS } else { 0.0 };
    let health = |values: &Value| if values["type"] == "CALCULATED" { 0.5 } else { 1.0 };
    // Ours have one name for each zone, or one; with fifteen metrics they are about so many.
    let metrics = count(plan, "aws_lambda_function").min(1.0) * 22.0 + application_probes(plan) * 4.0;
    vec![
        line("interface endpoints", sum(plan, "aws_vpc_endpoint", endpoint), "zone hours", 0.01),
        line("keys", count(plan, "aws_kms_key"), "", 1.0),
        line("secrets", count(plan, "aws_secretsmanager_secret") + count(plan, "aws_rds_cluster"), "", 0.4),
        line("alarms", count(plan, "aws_cloudwatch_metric_alarm"), "", 0.1),
        line("composite alarms", count(plan, "aws_cloudwatch_composite_alarm"), "", 0.5),
        line("metrics of our own", metrics, "", 0.3),
        line("dashboards", count(plan, "aws_cloudwatch_dashboard"), "", 3.0),
        line("hosted zones", count(plan, "aws_route53_zone"), "", 0.5),
        line("health checks", sum(plan, "aws_route53_health_check", health), "", 0.5),
    ]
}

/// Each prober writes its report once a second; the coordinator reads every minute. The reports of the application probe
/// grow by 71 bytes every five seconds, to 2.3 KiB: two write units on average.
fn state(plan: &Plan) -> Vec<Line> {
    let reports = sum(plan, "aws_lambda_function", |values| if is_prober(values) { SECONDS / 1e6 } else { 0.0 });
    let felt = application_probes(plan) * SECONDS * 2.2 / 5.0 * 2.0 / 1e6;
    // With point-in-time recovery and less than a GiB stored, writes are all that counts.
    vec![line("state table writes", reports + felt, "million", 0.625)]
}

/// Four transfers a second write about ten blocks each, ledger, indexes and their end after two days included.
fn transfers(plan: &Plan) -> f64 {
    application_probes(plan) * SECONDS * 4.4 * 10.0 / 1e6
}

fn application_probes(plan: &Plan) -> f64 {
    sum(plan, "aws_lambda_function", |values| if is_application_probe(values) { 1.0 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(resources: &[(&str, Value)]) -> Plan {
        let resources: Vec<Value> = resources
            .iter()
            .map(|(kind, values)| json!({ "address": kind, "mode": "managed", "type": kind, "values": values }))
            .collect();
        let json = json!({ "format_version": "1.0", "values": { "root_module": { "resources": resources } } });
        Plan::read(&json).expect("a state")
    }

    fn total(lines: &[Line]) -> f64 {
        lines.iter().map(|line| line.dollars).sum()
    }

    #[test]
    fn one_more_instance_costs_more_and_a_larger_load_too() {
        let instance = ("aws_rds_cluster_instance", json!({ "instance_class": "db.serverless" }));
        let one = plan(std::slice::from_ref(&instance));
        let two = plan(&[instance.clone(), instance]);
        let load = Load::default();
        let difference = total(&estimate(&two, load)) - total(&estimate(&one, load));
        assert!((difference - load.acu * HOURS * ACU_HOUR).abs() < 0.001, "{difference}");
        assert!(total(&estimate(&one, Load { acu: 8.0, ..load })) > total(&estimate(&one, load)));
    }

    #[test]
    fn what_has_no_price_is_said() {
        let lines =
            estimate(&plan(&[("aws_db_instance", json!({ "instance_class": "db.x99.large" }))]), Load::default());
        assert!(lines.iter().any(|line| line.how.contains("db.x99.large is not priced")), "{lines:?}");
    }
}
