use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use steadfast_aws::functions::{self, Function};
use steadfast_aws::grant::Condition;

/// What each function is granted, by its name: exactly what the methods of the ports need that it uses.
pub(super) fn all() -> Value {
    let policies = functions::ALL.iter().map(|function| (function.name.to_owned(), json!(statements(function))));
    Value::Object(policies.collect::<Map<_, _>>())
}

/// One statement for each place, condition and set of keys.
fn statements(function: &Function) -> Vec<Value> {
    type Key<'k> = (String, Option<Condition>, &'k [&'k str]);
    let mut statements: BTreeMap<Key<'_>, BTreeSet<&str>> = BTreeMap::new();
    for grant in function.grants {
        for call in grant.calls.iter().copied().flatten() {
            let key = (call.on.target(grant.named), grant.when.or(call.when), grant.leading_keys);
            statements.entry(key).or_default().insert(call.action);
        }
    }
    let print = |((on, when, leading_keys), actions): (Key<'_>, BTreeSet<&str>)| json!({ "on": on, "actions": actions, "leading_keys": leading_keys, "when": when });
    statements.into_iter().map(print).collect()
}
