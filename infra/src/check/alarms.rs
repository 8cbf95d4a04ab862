//! Rules about alarms: that people are called.

use serde_json::{Value, json};
use steadfast_aws::functions;
use steadfast_core::metric::{self, Metric};

use super::functions::{named, zone_of};
use super::plan::Resource;
use super::{Broken, Level, Plan, Rule, each};
use crate::generate;

const ALARM: &str = "aws_cloudwatch_metric_alarm";
const COMPOSITE: &str = "aws_cloudwatch_composite_alarm";
/// Composite alarms, by the end of their names.
const TOGETHER: &[&str] = &["needs-a-person", "nobody-watches", "writer-does-not-commit"];
/// What decides when an alarm goes off.
const DECIDES: &[&str] = &[
    "metric_name",
    "statistic",
    "period",
    "evaluation_periods",
    "datapoints_to_alarm",
    "comparison_operator",
    "threshold",
    "treat_missing_data",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "SF501",
        level: Level::Error,
        title: "Every alarm calls somebody.",
        why: "An alarm without an action goes off unseen.",
        remedy: "Leave `alarm_actions` as the module makes them.",
        find: |plan| {
            let mute = |alarm: &Resource| {
                let off = alarm.known("/actions_enabled").is_some_and(|on| *on == Value::Bool(false));
                if off {
                    return Some("its actions are off".to_owned());
                }
                alarm.is_empty("/alarm_actions").then(|| "it has no action".to_owned())
            };
            [each(plan, ALARM, mute), each(plan, COMPOSITE, mute)].concat()
        },
    },
    Rule {
        id: "SF502",
        level: Level::Error,
        title: "Each prober has a dead man's alarm, to which silence is the trouble.",
        why: "A prober that does not run sends nothing: an alarm that takes silence for health never goes off.",
        remedy: "Leave `treat_missing_data` of the alarms on the metric Probes at `breaching`.",
        find: dead_men,
    },
    Rule {
        id: "SF503",
        level: Level::Error,
        title: "The alarms that protect are there, as they ship.",
        why: "Lost commits, calls for a person and defects have to be known at once: an alarm that is missing, or whose \
              threshold nothing crosses, is silent.",
        remedy: "Leave the alarms that `infra generate` writes. Thresholds are for those on load alone.",
        find: protective,
    },
    Rule {
        id: "SF504",
        level: Level::Warning,
        title: "Somebody is subscribed to the topics.",
        why: "A topic without a subscriber tells nobody.",
        remedy: "Name a channel in `notification_channels`, or subscribe to the topics elsewhere.",
        find: |plan| {
            let nobody = plan.of("aws_sns_topic_subscription").next().is_none();
            plan.of("aws_sns_topic").filter(|_| nobody).map(|topic| topic.broken("nobody is subscribed")).collect()
        },
    },
    Rule {
        id: "SF505",
        level: Level::Error,
        title: "Alarms on our metrics have the dimensions that are emitted.",
        why: "An alarm with other dimensions watches a metric that does not exist.",
        remedy: "Leave the alarms that `infra generate` writes.",
        find: |plan| each(plan, ALARM, other_dimensions),
    },
    Rule {
        id: "SF506",
        level: Level::Error,
        title: "What more than one zone sees, and what needs a person, is told as one.",
        why: "One zone that sees trouble is no fact; without these alarms nobody hears when it is one.",
        remedy: "Leave the composite alarms that the module makes.",
        find: |plan| {
            let is_watched = plan.of("aws_lambda_function").next().is_some();
            let missing = |name: &&&str| is_watched && !plan.of(COMPOSITE).any(|alarm| rings(alarm, name));
            let broken = |name: &&str| Broken { address: COMPOSITE.to_owned(), says: format!("no alarm {name}") };
            TOGETHER.iter().filter(missing).map(broken).collect()
        },
    },
];

fn on_metric<'p>(plan: &'p Plan, name: &'p str) -> impl Iterator<Item = &'p Resource> {
    plan.of(ALARM).filter(move |alarm| alarm.text("/metric_name") == Some(name))
}

/// The alarms of the generated table that are missing, or go off when others do. Further alarms of one's own may be
/// as they like.
fn protective(plan: &Plan) -> Vec<Broken> {
    if plan.of("aws_lambda_function").next().is_none() {
        return Vec::new();
    }
    let table = generate::alarms();
    let rows = table.as_object().into_iter().flatten();
    let protect = rows.filter(|(key, row)| row["adjustable"] != true && is_there(plan, key, row));
    protect.flat_map(|(key, row)| lacking(plan, key, row)).collect()
}

fn lacking(plan: &Plan, key: &str, row: &Value) -> Vec<Broken> {
    let shipped: Vec<&Resource> = plan.of(ALARM).filter(|alarm| is_as_shipped(alarm, row)).collect();
    let broken = |of: &str| Broken { address: format!("{ALARM} ({key}{of})"), says: "none is as it ships".to_owned() };
    let Some((dimension, subjects)) = subjects(plan, row) else {
        return if shipped.is_empty() { vec![broken("")] } else { Vec::new() };
    };
    let at = format!("/dimensions/{dimension}");
    let is_missing = |subject: &&str| !shipped.iter().any(|alarm| alarm.text(&at) == Some(*subject));
    subjects.into_iter().filter(is_missing).map(|subject| broken(&format!("-{subject}"))).collect()
}

/// Whether an installation has this alarm. What no function tells is asked of the alarm itself.
fn is_there(plan: &Plan, key: &str, row: &Value) -> bool {
    if row["when"].is_null() {
        return true;
    }
    let of_function = functions::ALL.iter().find(|function| json!(function.when) == row["when"]);
    of_function.map_or_else(
        || plan.of(ALARM).any(|alarm| alarm.text("/alarm_name").is_some_and(|name| name.contains(&format!("-{key}")))),
        |function| named(plan, function.name).next().is_some(),
    )
}

/// The zones or functions of which each has this alarm, by the dimension that tells them apart.
fn subjects<'p>(plan: &'p Plan, row: &Value) -> Option<(&'static str, Vec<&'p str>)> {
    let name = |function: &'p Resource| function.text("/function_name");
    match row["per"].as_str()? {
        "zone" => Some((metric::AZ, named(plan, functions::HEALTH_PROBER.name).filter_map(zone_of).collect())),
        _ => {
            let shipped = functions::ALL.iter().flat_map(|function| named(plan, function.name));
            Some(("FunctionName", shipped.filter_map(name).collect()))
        }
    }
}

fn is_as_shipped(alarm: &Resource, row: &Value) -> bool {
    // The installation's name stands in the namespace of what is counted in its logs.
    let namespace = row["namespace"].as_str().unwrap_or_default();
    let in_namespace = alarm.text("/namespace").is_some_and(|found| match namespace.split_once("${") {
        Some((start, _)) => found.starts_with(start),
        None => found == namespace,
    });
    let same = |name: &&str| {
        let wanted = &row[*name];
        let found = alarm.known(&format!("/{name}"));
        found.is_none_or(|found| found == wanted || (found.is_number() && found.as_f64() == wanted.as_f64()))
    };
    in_namespace && DECIDES.iter().all(same)
}

/// Whether it is the composite alarm of that name, and something sets it off.
fn rings(alarm: &Resource, name: &str) -> bool {
    alarm.text("/alarm_name").is_some_and(|found| found.ends_with(name))
        && alarm.text("/alarm_rule").is_none_or(|rule| rule.contains("ALARM("))
}

fn dead_men(plan: &Plan) -> Vec<Broken> {
    let tolerant = |alarm: &&Resource| alarm.text("/treat_missing_data") != Some("breaching");
    let mut found: Vec<Broken> = on_metric(plan, metric::PROBES.name)
        .filter(tolerant)
        .map(|alarm| alarm.broken("silence does not set it off"))
        .collect();
    let is_prober =
        |function: &&Resource| function.text("/function_name").is_some_and(|name| name.contains("health-prober"));
    let probers = plan.of("aws_lambda_function").filter(is_prober).count();
    let alarms = on_metric(plan, metric::PROBES.name).count();
    if alarms < probers {
        let says = format!("{alarms} alarms for {probers} probers");
        found.push(Broken { address: format!("{ALARM} ({})", metric::PROBES.name), says });
    }
    found
}

fn other_dimensions(alarm: &Resource) -> Option<String> {
    alarm.text("/namespace").filter(|namespace| *namespace == metric::NAMESPACE)?;
    let name = alarm.text("/metric_name")?;
    let Some(Metric { dimensions, .. }) = metric::ALL.iter().find(|metric| metric.name == name) else {
        return Some(format!("nothing emits {name}"));
    };
    let set = alarm.known("/dimensions")?.as_object()?;
    let same = set.len() == dimensions.len() && dimensions.iter().all(|name| set.contains_key(*name));
    (!same).then(|| format!("{name} is emitted by {}", dimensions.join(" and ")))
}
