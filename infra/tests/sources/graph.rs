use std::collections::{BTreeMap, BTreeSet};

use super::read::{Body, Called, Sources};

/// What can be reached from the sources of a function.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// IAM actions.
    pub(crate) actions: BTreeSet<String>,
    /// Constants in capitals, with the module in front of them.
    pub(crate) constants: BTreeSet<(String, String)>,
    /// Calls with the name of a port's method, of whose receiver nothing is known.
    pub(crate) unresolved: BTreeSet<String>,
}

/// What receivers are not ports though one of their methods has the name of a port's: PostgreSQL's, requests,
/// and the core's executor.
const STRANGERS: &[(&str, &str)] = &[
    ("client", "execute"),
    ("client", "query"),
    ("executor", "run"),
    ("plain", "query"),
    ("request", "cluster"),
    ("transaction", "commit"),
    ("transaction", "execute"),
    ("transaction", "query"),
    ("tx", "execute"),
];

/// Follows every call of a function's sources into the ports. Whoever has a type that implements a trait of the core
/// hands it to the core, which calls all that it implements.
pub(crate) fn reached(function: &Sources, ports: &Sources) -> Reached {
    let mut types = ports.types.clone();
    for (name, of) in &function.types {
        types.entry(name.clone()).or_default().extend(of.iter().cloned());
    }
    let acting = acting(ports, &types);
    let mut reached = Reached::default();
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut due: Vec<usize> = Vec::new();
    for body in &function.bodies {
        take(body, &mut reached, true);
        due.extend(next(body, ports, &types));
        for call in &body.calls {
            if let Some(call) = is_unresolved(call, &types, ports, &acting) {
                reached.unresolved.insert(format!("{}::{}: {call}", body.module, body.name));
            }
        }
    }
    let has = |owner: &String| function.types.values().any(|of| of.contains(owner));
    due.extend(positions(ports, |body| body.of_trait && body.owner.as_ref().is_some_and(has)));
    while let Some(at) = due.pop() {
        if seen.insert(at) {
            let body = &ports.bodies[at];
            take(body, &mut reached, body.module != "log");
            due.extend(next(body, ports, &types));
        }
    }
    reached
}

fn take(body: &Body, reached: &mut Reached, with_constants: bool) {
    reached.actions.extend(body.operations.iter().flat_map(|(service, operation)| actions(service, operation)));
    if with_constants {
        reached.constants.extend(body.constants.iter().cloned());
    }
}

fn positions(sources: &Sources, wanted: impl Fn(&Body) -> bool) -> Vec<usize> {
    (0..).zip(&sources.bodies).filter(|(_, body)| wanted(body)).map(|(at, _)| at).collect()
}

type Types = BTreeMap<String, BTreeSet<String>>;

/// Where a body's calls lead to among the ports.
fn next(body: &Body, ports: &Sources, types: &Types) -> Vec<usize> {
    body.calls.iter().flat_map(|call| resolve(call, body.owner.as_deref(), ports, types)).collect()
}

fn resolve(call: &Called, owner: Option<&str>, ports: &Sources, types: &Types) -> Vec<usize> {
    match call {
        Called::Method(Some(receiver), name) if receiver == "self" => {
            positions(ports, |body| body.name == *name && owner.is_some() && body.owner.as_deref() == owner)
        }
        Called::Method(Some(receiver), name) => match types.get(receiver) {
            Some(of) => positions(ports, |body| {
                body.name == *name && body.owner.as_ref().is_some_and(|owner| of.contains(owner))
            }),
            None => Vec::new(),
        },
        Called::Method(None, _) => Vec::new(),
        Called::Path(qualifier, name) => positions(ports, |body| {
            body.name == *name
                && match (qualifier, &body.owner) {
                    (Some(qualifier), Some(owner)) => {
                        qualifier == owner || (qualifier == "Self" && Some(owner.as_str()) == owner_of(owner, body))
                    }
                    (Some(qualifier), None) => *qualifier == body.module,
                    (None, None) => true,
                    (None, Some(_)) => false,
                }
        }),
    }
}

fn owner_of<'o>(owner: &'o str, body: &Body) -> Option<&'o str> {
    (body.owner.as_deref() == Some(owner)).then_some(owner)
}

/// Names of the ports' methods that call AWS, by themselves or through others.
fn acting(ports: &Sources, types: &Types) -> BTreeSet<String> {
    let mut acting: BTreeSet<usize> = positions(ports, |body| !body.operations.is_empty()).into_iter().collect();
    loop {
        let more = positions(ports, |body| next(body, ports, types).iter().any(|at| acting.contains(at)));
        let before = acting.len();
        acting.extend(more);
        if acting.len() == before {
            break;
        }
    }
    let methods = acting.into_iter().map(|at| &ports.bodies[at]).filter(|body| body.owner.is_some() && !body.of_trait);
    methods.map(|body| body.name.clone()).collect()
}

fn is_unresolved(call: &Called, types: &Types, ports: &Sources, acting: &BTreeSet<String>) -> Option<String> {
    let Called::Method(receiver, name) = call else {
        return None;
    };
    if !acting.contains(name) {
        return None;
    }
    let shown = receiver.clone().unwrap_or_else(|| "?".to_owned());
    let is_stranger = STRANGERS.contains(&(shown.as_str(), name.as_str()));
    let is_port = !resolve(call, None, ports, types).is_empty();
    // Of a type that has such a name and is no port: the function's own.
    let is_own = receiver.as_deref() == Some("self") || types.contains_key(&shown);
    (!is_stranger && !is_port && !is_own).then(|| format!("{shown}.{name}()"))
}

/// The IAM actions that an operation of the SDK needs: its own name, but for a few.
///
/// Source: Service Authorization Reference.
fn actions(service: &str, operation: &str) -> Vec<String> {
    let prefix = match service {
        "rdsdata" => "rds-data",
        "eventbridge" => "events",
        "cloudwatch" => "cloudwatch",
        other => other,
    };
    match (prefix, operation) {
        // Each item of a transaction is granted as a call of its own; all of ours have a put among them.
        ("dynamodb", "transact_write_items") => vec!["dynamodb:PutItem".to_owned()],
        ("dynamodb", "condition_check") => vec!["dynamodb:ConditionCheckItem".to_owned()],
        // The Data API reads the secret for whoever calls it.
        ("rds-data", "begin_transaction" | "execute_statement") => {
            vec![format!("{prefix}:{}", camel(operation)), "secretsmanager:GetSecretValue".to_owned()]
        }
        // It is tagged as it starts.
        ("fis", "start_experiment") => vec!["fis:StartExperiment".to_owned(), "fis:TagResource".to_owned()],
        ("lambda", "invoke") => vec!["lambda:InvokeFunction".to_owned()],
        _ => vec![format!("{prefix}:{}", camel(operation))],
    }
}

fn camel(operation: &str) -> String {
    let word = |word: &str| match word {
        "db" => "DB".to_owned(),
        word => word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect(),
    };
    operation.split('_').map(word).collect()
}
