//! Rules about the functions: that the failure is seen, and that somebody acts.

use std::collections::BTreeSet;

use steadfast_core::rds_event;

use super::plan::Resource;
use super::{Broken, Level, Plan, Rule, each};
use crate::generate;

const FUNCTION: &str = "aws_lambda_function";
const SCHEDULE: &str = "aws_scheduler_schedule";
const PROBER: &str = "health-prober";
const COORDINATOR: &str = "promotion-coordinator";
const ROUTER: &str = "event-router";
const RULE: &str = "aws_cloudwatch_event_rule";
/// Seconds. Two invocations of a one-minute schedule must overlap.
const PROBER_TIMEOUT_MIN: f64 = 120.0;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "SF401",
        level: Level::Error,
        title: "Three probers or more watch, each in a zone of its own.",
        why: "Two zones must agree before anything is done: with two probers one that is blind stops everything.",
        remedy: "Name three zones or more in `azs`.",
        find: witnesses,
    },
    Rule {
        id: "SF402",
        level: Level::Error,
        title: "There is a coordinator and a router.",
        why: "Without them nobody decides, and nobody hears.",
        remedy: "Do not remove functions that ship.",
        find: |plan| {
            let is_watched = plan.of(FUNCTION).next().is_some();
            let missing = |kind: &&str| is_watched && named(plan, kind).next().is_none();
            let kinds = [COORDINATOR, ROUTER];
            let broken = |kind: &str| Broken { address: FUNCTION.to_owned(), says: format!("there is no {kind}") };
            kinds.iter().filter(|kind| missing(kind)).map(|kind| broken(kind)).collect()
        },
    },
    Rule {
        id: "SF403",
        level: Level::Error,
        title: "The coordinator stands outside the VPC.",
        why: "Its acting must survive a sick subnet and a sick endpoint.",
        remedy: "Leave `in_vpc` false for it.",
        find: |plan| {
            let inside = |function: &&Resource| !function.list("/vpc_config").is_empty();
            named(plan, COORDINATOR).filter(inside).map(|function| function.broken("it has a vpc_config")).collect()
        },
    },
    Rule {
        id: "SF404",
        level: Level::Error,
        title: "Invocations of a prober overlap, and a late one is dropped.",
        why: "Between two that do not overlap nobody watches; one that is tried again minutes later only disturbs.",
        remedy: "Leave the prober's timeout at 150 s and its retries at 0.",
        find: |plan| {
            let short =
                |function: &&Resource| function.number("/timeout").is_some_and(|limit| limit < PROBER_TIMEOUT_MIN);
            let short =
                named(plan, PROBER).filter(short).map(|function| function.broken("it ends before the next begins"));
            let retried = each(plan, "aws_lambda_function_event_invoke_config", |config| {
                let retries = config.number("/maximum_retry_attempts").filter(|retries| *retries > 0.0)?;
                config.text("/function_name").filter(|name| name.contains(PROBER))?;
                Some(format!("tried again {retries} times"))
            });
            short.chain(retried).collect()
        },
    },
    Rule {
        id: "SF405",
        level: Level::Error,
        title: "No function is switched off by its concurrency.",
        why: "Reserved concurrency of 0 refuses every invocation; of 1, an episode blocks its own events.",
        remedy: "Set `reserve_concurrency` to false rather than to reserve less than three.",
        find: |plan| {
            each(plan, FUNCTION, |function| {
                let reserved = function.number("/reserved_concurrent_executions")?;
                ((0.0..2.0).contains(&reserved)).then(|| format!("reserved concurrency is {reserved}"))
            })
        },
    },
    Rule {
        id: "SF406",
        level: Level::Warning,
        title: "Schedules tick.",
        why: "Nobody watches while they are off. They are, on purpose, until packages and schema are there.",
        remedy: "Apply with `schedules_enabled = true` after `infra bootstrap`.",
        find: |plan| {
            each(plan, SCHEDULE, |schedule| {
                schedule.text("/state").filter(|state| *state != "ENABLED").map(|state| format!("it is {state}"))
            })
        },
    },
    Rule {
        id: "SF407",
        level: Level::Error,
        title: "Every prober and the coordinator have a schedule of one minute.",
        why: "A prober without one never runs; without the sweep an abandoned episode stays open.",
        remedy: "Leave the schedules that ship.",
        find: unscheduled,
    },
    Rule {
        id: "SF408",
        level: Level::Error,
        title: "What fails for good is kept, of every function and rule.",
        why: "An event that is lost without a trace is never looked for.",
        remedy: "Leave `destination_config` and `dead_letter_config` as the module makes them.",
        find: |plan| {
            let invocations = each(plan, "aws_lambda_function_event_invoke_config", |config| {
                config.is_empty("/destination_config").then(|| "no destination for failures".to_owned())
            });
            let rules = each(plan, "aws_cloudwatch_event_target", |target| {
                target.is_empty("/dead_letter_config").then(|| "no dead-letter queue".to_owned())
            });
            [invocations, rules].concat()
        },
    },
    Rule {
        id: "SF409",
        level: Level::Error,
        title: "Settings of asynchronous calls are those of the alias.",
        why: "What is set for the function alone does not hold for calls of its alias.",
        remedy: "Leave `qualifier` at the alias.",
        find: |plan| {
            each(plan, "aws_lambda_function_event_invoke_config", |config| {
                config.is_empty("/qualifier").then(|| "no qualifier".to_owned())
            })
        },
    },
    Rule {
        id: "SF410",
        level: Level::Error,
        title: "Rules are enabled, and the one for RDS names every event that means something.",
        why: "RDS tells of a failover before the next sweep does.",
        remedy: "Leave the patterns that `infra generate` writes.",
        find: |plan| {
            each(plan, RULE, |rule| {
                if let Some(state) = rule.text("/state").filter(|state| *state != "ENABLED") {
                    return Some(format!("it is {state}"));
                }
                let pattern = rule.text("/event_pattern").filter(|pattern| pattern.contains("aws.rds"))?;
                let missing = rds_event::TABLE.iter().find(|(id, _)| !pattern.contains(id));
                missing.map(|(id, _)| format!("{id} is not in its pattern"))
            })
        },
    },
    Rule {
        id: "SF411",
        level: Level::Error,
        title: "A drill has a stop condition, and fails when its target is not there.",
        why: "An experiment that nothing stops is an outage.",
        remedy: "Leave the stop conditions that the module makes.",
        find: |plan| {
            each(plan, "aws_fis_experiment_template", |template| {
                let conditions = template.known("/stop_condition")?.as_array().map_or(&[][..], Vec::as_slice);
                let none = conditions.is_empty() || conditions.iter().any(|condition| condition["source"] == "none");
                let skips = template.text("/experiment_options/0/empty_target_resolution_mode") == Some("skip");
                (none || skips).then(|| if none { "nothing stops it" } else { "it passes without a target" }.to_owned())
            })
        },
    },
    Rule {
        id: "SF412",
        level: Level::Error,
        title: "Every rule that wakes the router is there, and leads to it.",
        why: "What RDS, alarms, drills and rotations tell is heard by nobody else.",
        remedy: "Leave the rules and targets that the module makes.",
        find: unheard,
    },
];

/// The functions of one kind: their names are INSTALLATION-KIND, and a zone where there is one in each.
pub(super) fn named<'p>(plan: &'p Plan, kind: &'p str) -> impl Iterator<Item = &'p Resource> {
    let is_it = move |function: &&Resource| {
        function.text("/function_name").is_some_and(|name| name.ends_with(kind) || name.contains(&format!("{kind}-")))
    };
    plan.of(FUNCTION).filter(is_it)
}

/// The zone of a prober: its setting, or before that is known the end of its name.
pub(super) fn zone_of(function: &Resource) -> Option<&str> {
    let of_name = || function.text("/function_name")?.rsplit_once(&format!("{PROBER}-")).map(|(_, zone)| zone);
    function.text("/environment/0/variables/STEADFAST_AZ").or_else(of_name)
}

fn witnesses(plan: &Plan) -> Vec<Broken> {
    let zones: BTreeSet<&str> = named(plan, PROBER).filter_map(zone_of).collect();
    let probers = named(plan, PROBER).count();
    if plan.of(FUNCTION).next().is_none() || (zones.len() >= 3 && zones.len() == probers) {
        return Vec::new();
    }
    let says = format!("{probers} probers in {} zones", zones.len());
    vec![Broken { address: format!("{FUNCTION} ({PROBER})"), says }]
}

fn unheard(plan: &Plan) -> Vec<Broken> {
    if plan.of(FUNCTION).next().is_none() {
        return Vec::new();
    }
    let patterns = generate::events();
    let silent = |kind: &String| {
        let named = |rule: &&Resource| rule.text("/name").is_some_and(|name| name.ends_with(&format!("-{kind}")));
        let Some(rule) = plan.of(RULE).find(named) else {
            return Some(Broken { address: format!("{RULE} ({kind})"), says: "it is not there".to_owned() });
        };
        let to_router = |target: &Resource| {
            target.known("/rule").is_none_or(|of| of.as_str() == rule.text("/name"))
                && target.text("/arn").is_none_or(|arn| arn.contains(ROUTER))
        };
        (!plan.of("aws_cloudwatch_event_target").any(to_router)).then(|| rule.broken("it leads to no router"))
    };
    patterns.as_object().into_iter().flat_map(|patterns| patterns.keys()).filter_map(silent).collect()
}

fn unscheduled(plan: &Plan) -> Vec<Broken> {
    let every_minute = |schedule: &&Resource| schedule.text("/schedule_expression") == Some("rate(1 minute)");
    let ticking: Vec<&str> =
        plan.of(SCHEDULE).filter(every_minute).filter_map(|schedule| schedule.text("/name")).collect();
    let needs = named(plan, PROBER).chain(named(plan, COORDINATOR));
    needs
        .filter(|function| {
            let name = function.text("/function_name").unwrap_or_default();
            !ticking.iter().any(|schedule| name.ends_with(schedule))
        })
        .map(|function| function.broken("no schedule of one minute is named like it"))
        .collect()
}
