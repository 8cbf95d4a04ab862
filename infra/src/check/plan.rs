//! What `terraform show -json` says of a plan or of a state.
//!
//! Source: Terraform "JSON Output Format", version 1 of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Broken;

/// The resources as they are going to be, or are, and what is going to change.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    resources: Vec<Resource>,
    /// What is going to happen to each resource; none in a state.
    pub(super) changes: Vec<Change>,
}

/// One resource.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) address: String,
    kind: String,
    values: Value,
    unknown: Value,
}

/// What is going to happen to one resource.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) address: String,
    pub(super) kind: String,
    pub(super) destroys: bool,
    pub(super) updates: bool,
    /// Its values now; null if it is not there.
    pub(super) before: Value,
    /// Its values afterwards as far as they are known; null if it is destroyed.
    pub(super) after: Value,
}

/// Why a plan cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It is no JSON.
    #[error("this is no JSON: {0}; give the output of `terraform show -json PLAN`")]
    NoJson(String),
    /// It is JSON of something else.
    #[error("there are neither planned_values nor values in it; give the output of `terraform show -json PLAN`")]
    NoPlan,
    /// A version that nobody here knows.
    #[error("its format_version is {0:?}, and only 1.x is known here")]
    UnknownVersion(String),
}

impl Plan {
    /// Reads a plan or a state.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let json: Value = serde_json::from_str(text).map_err(|error| PlanError::NoJson(error.to_string()))?;
        Self::read(&json)
    }

    /// Reads a plan or a state.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn read(json: &Value) -> Result<Self, PlanError> {
        let version = json["format_version"].as_str().unwrap_or_default();
        let values = json.get("planned_values").or_else(|| json.get("values")).ok_or(PlanError::NoPlan)?;
        if !version.starts_with("1.") {
            return Err(PlanError::UnknownVersion(version.to_owned()));
        }
        let listed = list(&json["resource_changes"]);
        let unknown: BTreeMap<&str, &Value> = listed
            .iter()
            .filter_map(|change| Some((change["address"].as_str()?, &change["change"]["after_unknown"])))
            .collect();
        let mut resources = Vec::new();
        collect(&values["root_module"], &unknown, &mut resources);
        Ok(Self { resources, changes: listed.iter().filter_map(change).collect() })
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    pub(super) fn of<'p>(&'p self, kind: &'p str) -> impl Iterator<Item = &'p Resource> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }

    /// What is going to be destroyed: address, kind, and values as they are.
    pub(crate) fn destroyed(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let gone = self.changes.iter().filter(|change| change.destroys);
        gone.map(|change| (change.address.as_str(), change.kind.as_str(), &change.before))
    }

    /// Everything, by kind and values.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.resources.iter().map(|resource| (resource.kind.as_str(), &resource.values))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn collect(module: &Value, unknown: &BTreeMap<&str, &Value>, resources: &mut Vec<Resource>) {
    for resource in list(&module["resources"]).iter().filter(|resource| resource["mode"] == "managed") {
        let address = resource["address"].as_str().unwrap_or_default();
        resources.push(Resource {
            address: address.to_owned(),
            kind: resource["type"].as_str().unwrap_or_default().to_owned(),
            values: resource["values"].clone(),
            unknown: unknown.get(address).map_or(Value::Null, |unknown| (*unknown).clone()),
        });
    }
    for child in list(&module["child_modules"]) {
        collect(child, unknown, resources);
    }
}

fn change(listed: &Value) -> Option<Change> {
    let does = |wanted: &str| list(&listed["change"]["actions"]).iter().any(|action| action == wanted);
    Some(Change {
        address: listed["address"].as_str()?.to_owned(),
        kind: listed["type"].as_str()?.to_owned(),
        destroys: does("delete"),
        updates: does("update"),
        before: listed["change"]["before"].clone(),
        after: listed["change"]["after"].clone(),
    })
}

impl Resource {
    pub(super) fn broken(&self, says: impl Into<String>) -> Broken {
        Broken { address: self.address.clone(), says: says.into() }
    }

    /// The value at a JSON pointer, null where there is none; None if it is known only after the apply.
    pub(super) fn known(&self, pointer: &str) -> Option<&Value> {
        const NULL: &Value = &Value::Null;
        let mut unknown = &self.unknown;
        for step in pointer.split('/').skip(1) {
            if *unknown == Value::Bool(true) {
                return None;
            }
            unknown = match step.parse::<usize>() {
                Ok(index) => &unknown[index],
                Err(_) => &unknown[step],
            };
        }
        if *unknown == Value::Bool(true) { None } else { Some(self.values.pointer(pointer).unwrap_or(NULL)) }
    }

    /// The text there, if it is known and one.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.known(pointer)?.as_str()
    }

    /// The list there, empty if it is none or not known.
    pub(super) fn list(&self, pointer: &str) -> &[Value] {
        self.known(pointer).map_or(&[], list)
    }

    /// Whether it is known there and not `true`.
    pub(super) fn is_off(&self, pointer: &str) -> bool {
        self.known(pointer).is_some_and(|value| *value != Value::Bool(true))
    }

    /// Whether it is known there and `true`.
    pub(super) fn is_on(&self, pointer: &str) -> bool {
        self.known(pointer).is_some_and(|value| *value == Value::Bool(true))
    }

    /// Whether it is known that nothing stands there: null, an empty text or an empty list.
    pub(super) fn is_empty(&self, pointer: &str) -> bool {
        self.known(pointer).is_some_and(|value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(_) | Value::Bool(_) | Value::Number(_) => false,
        })
    }

    /// The number there, if it is known and one.
    pub(super) fn number(&self, pointer: &str) -> Option<f64> {
        self.known(pointer)?.as_f64()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_only_after_the_apply_is_neither_on_nor_off() {
        let plan = json!({
            "format_version": "1.2",
            "planned_values": { "root_module": { "child_modules": [{ "resources": [
                { "address": "a.b", "mode": "managed", "type": "a", "values": { "on": true, "list": [{ "x": 1 }] } },
            ] }] } },
            "resource_changes": [{ "address": "a.b", "type": "a", "change": { "actions": ["create"],
                "after_unknown": { "later": true, "list": [{ "y": true }] } } }],
        });
        let plan = Plan::read(&plan).expect("a plan");
        let resource = plan.of("a").next().expect("one");
        assert!(resource.is_on("/on") && resource.is_off("/missing") && resource.is_empty("/missing"));
        assert!(!resource.is_on("/later") && !resource.is_off("/later") && !resource.is_empty("/later"));
        assert_eq!((resource.number("/list/0/x"), resource.known("/list/0/y")), (Some(1.0), None));
    }

    #[test]
    fn what_is_no_plan_is_refused_with_what_to_give() {
        assert!(matches!(Plan::parse("no"), Err(PlanError::NoJson(_))));
        assert_eq!(Plan::parse("{}").err(), Some(PlanError::NoPlan));
        let newer = Plan::parse(r#"{"format_version":"2.0","values":{}}"#);
        assert_eq!(newer.err(), Some(PlanError::UnknownVersion("2.0".to_owned())));
    }
}
