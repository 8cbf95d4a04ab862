use serde_json::{Map, Value, json};
use steadfast_aws::functions::{self, Declared, Function};

use super::DATABASE;

/// Every function with its limits and settings, by name.
pub(super) fn all() -> Value {
    Value::Object(
        functions::ALL.iter().map(|function| (function.name.to_owned(), one(function))).collect::<Map<_, _>>(),
    )
}

fn one(function: &Function) -> Value {
    json!({
        "description": function.description,
        "deployments": function.deployments,
        "when": function.when,
        "per_zone": function.per_zone,
        "in_vpc": function.in_vpc,
        "login": function.login,
        "timeout": function.timeout,
        "memory_size": function.memory,
        "maximum_retry_attempts": function.retries,
        "maximum_event_age_in_seconds": function.event_age,
        "reserved_concurrency": function.concurrency,
        "schedule_expression": function.schedule.map(|schedule| schedule.expression),
        "schedule_input": function.schedule.map(|schedule| json!({ "hint": schedule.hint, "cluster": DATABASE })),
        "services": function.services(),
        "settings": function.settings.iter().map(setting).collect::<Vec<_>>(),
    })
}

fn setting(declared: &Declared) -> Value {
    json!({ "name": declared.setting.name, "required": declared.required, "when": declared.when })
}
