//! What the Terraform module deploys, read from the same files: what is drilled is what is deployed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use steadfast_core::topology::Deployment;
use steadfast_infra::generated;

use super::error::AssemblyError;

/// One function of the file, as far as the lab has a use for it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Deployed {
    pub(super) deployments: Vec<Deployment>,
    /// The condition under which it is deployed at all: the lab has a drill for each.
    pub(super) when: Option<String>,
    pub(super) per_zone: bool,
    /// The login whose secret it reads.
    pub(super) login: Option<String>,
    /// Seconds.
    pub(super) timeout: u64,
    /// MB.
    pub(super) memory_size: u32,
    pub(super) maximum_retry_attempts: u32,
    /// Seconds.
    pub(super) maximum_event_age_in_seconds: u64,
    pub(super) reserved_concurrency: u32,
    pub(super) schedule_expression: Option<String>,
    pub(super) schedule_input: Option<Value>,
    pub(super) settings: Vec<Declared>,
}

/// A setting of a function.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) required: bool,
    /// The condition under which it is set.
    pub(super) when: Option<String>,
}

/// The functions of a deployment, by their names.
pub(super) fn functions(deployment: Deployment) -> Result<BTreeMap<String, Deployed>, AssemblyError> {
    let mut all: BTreeMap<String, Deployed> = parse("functions.json", generated::FUNCTIONS)?;
    all.retain(|_, function| function.deployments.contains(&deployment));
    Ok(all)
}

/// The pattern of one rule, for a database with this identifier.
pub(super) fn pattern(rule: &str, database: &str) -> Result<String, AssemblyError> {
    let patterns: BTreeMap<String, Value> = parse("events.json", generated::EVENTS)?;
    let pattern = patterns.get(rule).ok_or_else(|| AssemblyError::Generated {
        file: "events.json",
        cause: format!("there is no rule {rule:?} in it"),
    })?;
    Ok(filled(pattern, database))
}

/// A value with the identifier of what is watched in its places.
pub(super) fn filled(value: &Value, database: &str) -> String {
    value.to_string().replace("${database}", database)
}

fn parse<'t, T: Deserialize<'t>>(file: &'static str, text: &'t str) -> Result<T, AssemblyError> {
    serde_json::from_str(text).map_err(|error| AssemblyError::Generated { file, cause: error.to_string() })
}
