//! Rules about alarms: that people are called.

use steadfast_core::metric::{self, Metric};

use super::plan::Resource;
use super::{Broken, Level, Plan, Rule, each};

const ALARM: &str = "aws_cloudwatch_metric_alarm";
const COMPOSITE: &str = "aws_cloudwatch_composite_alarm";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "SF501",
        level: Level::Error,
        title: "Every alarm calls somebody.",
        why: "An alarm without an action goes off unseen.",
        remedy: "Leave `alarm_actions` as the module makes them.",
        find: |plan| {
            let mute = |alarm: &Resource| {
                let off = alarm.known("/actions_enabled").is_some_and(|on| *on == serde_json::Value::Bool(false));
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
        title: "Lost commits, calls for a person and defects have an alarm.",
        why: "They are what somebody has to know at once.",
        remedy: "Leave the alarms that `infra generate` writes.",
        find: |plan| {
            let is_watched = plan.of("aws_lambda_function").next().is_some();
            let wanted = [metric::CANARY_LOST.name, metric::HUMAN_CALLS.name, metric::CANARY_COMMIT.name, "Defects"];
            let missing = |name: &&str| is_watched && on_metric(plan, name).next().is_none();
            let broken = |name: &str| Broken { address: ALARM.to_owned(), says: format!("no alarm on {name}") };
            wanted.iter().filter(|name| missing(name)).map(|name| broken(name)).collect()
        },
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
];

fn on_metric<'p>(plan: &'p Plan, name: &'p str) -> impl Iterator<Item = &'p Resource> {
    plan.of(ALARM).filter(move |alarm| alarm.text("/metric_name") == Some(name))
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
