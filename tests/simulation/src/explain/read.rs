//! Finds what can be explained in a text: JSON values, and among them ours.

use std::fmt;

use serde_json::{Deserializer, Value};
use steadfast_core::evidence::Entry;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    item: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        self.item.map_or(Ok(()), |item| write!(f, ", item {item}"))
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// A link of an episode's chain.
    Entry(Box<Entry>),
    /// A decision in the coordinator's log.
    Decision(Value),
    /// An event in the router's log, with what the router made of it.
    Routed(Value),
    /// Anything else is taken for an event.
    Event(Value),
    /// A line that explains nothing: which kind.
    Aside(String),
}

type Item = (Place, Result<Found, String>);

/// JSON, or what a line is when it holds none.
type Raw = Result<Value, Result<Found, String>>;

/// Everything in the text, in its order.
pub(super) fn items(text: &str) -> Vec<Item> {
    let values = whole(text).unwrap_or_else(|| by_line(text));
    let mut found = Vec::new();
    for (line, value) in values {
        let place = Place { line, item: None };
        match value {
            Ok(value) => take(place, value, &mut found),
            Err(reason) => found.push((place, reason)),
        }
    }
    found
}

/// One value or several, over any number of lines. None when that is not all there is.
fn whole(text: &str) -> Option<Vec<(usize, Raw)>> {
    let mut values = Vec::new();
    let mut stream = Deserializer::from_str(text).into_iter::<Value>();
    let (mut line, mut counted) = (1, 0);
    loop {
        let ended = stream.byte_offset();
        let begins = text.get(ended..)?.find(|c: char| !c.is_whitespace()).map_or(text.len(), |blank| ended + blank);
        line += text.get(counted..begins)?.matches('\n').count();
        counted = begins;
        match stream.next() {
            Some(Ok(value)) => values.push((line, Ok(value))),
            Some(Err(_)) => return None,
            None => return Some(values),
        }
    }
}

/// One value a line, behind whatever a log puts before it.
fn by_line(text: &str) -> Vec<(usize, Raw)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(before, line)| (before + 1, in_line(line.trim()))).collect()
}

fn in_line(line: &str) -> Raw {
    if line.starts_with('[')
        && let Ok(list) = serde_json::from_str(line)
    {
        return Ok(list);
    }
    match line.find('{').and_then(|at| line.get(at..)) {
        // Also an item of a list of which other lines are broken.
        Some(json) => serde_json::from_str(json)
            .or_else(|error| serde_json::from_str(json.trim_end_matches([',', ']'])).map_err(|_| error))
            .map_err(|error| Err(format!("no JSON: {error}"))),
        None if line.contains("RequestId:") => Err(Ok(Found::Aside("lines of Lambda".to_owned()))),
        None => Err(Err("there is no JSON in it".to_owned())),
    }
}

/// Takes a value apart that holds several.
fn take(place: Place, value: Value, found: &mut Vec<Item>) {
    let several = match value {
        Value::Array(items) => items,
        // `aws dynamodb query`.
        Value::Object(ref fields) if fields.get("Items").is_some_and(Value::is_array) => list(value, "Items"),
        // `aws logs filter-log-events`.
        Value::Object(ref fields) if fields.get("events").is_some_and(Value::is_array) => list(value, "events"),
        one @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            return found.push((place, classify(one)));
        }
    };
    for (before, item) in several.into_iter().enumerate() {
        found.push((Place { item: Some(before + 1), ..place }, classify(item)));
    }
}

fn list(mut value: Value, name: &str) -> Vec<Value> {
    match value.get_mut(name).map(Value::take) {
        Some(Value::Array(items)) => items,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) | None => {
            Vec::new()
        }
    }
}

fn classify(value: Value) -> Result<Found, String> {
    let Value::Object(fields) = &value else {
        return Err(format!("no object: {}", super::words::shown(&value.to_string())));
    };
    let has = |name: &str| fields.contains_key(name);
    if has("seq") && has("prev") && has("hash") {
        return entry(value);
    }
    if let Some(body) = value.pointer("/body/S").and_then(Value::as_str) {
        return stored(&value, body);
    }
    if let Some(what) = fields.get("audit").and_then(Value::as_str) {
        let data = fields.get("data").cloned().unwrap_or_default();
        return match what {
            "evidence" => entry(data),
            "decision" => Ok(Found::Decision(data)),
            "hint" => Ok(Found::Routed(data)),
            other => Ok(Found::Aside(format!("audit lines about {}", super::words::shown(other)))),
        };
    }
    if let Some(message) = fields.get("message").and_then(Value::as_str).filter(|_| has("timestamp")) {
        return match in_line(message.trim()) {
            Ok(inside) => classify(inside),
            Err(found) => found,
        };
    }
    match fields.get("type").and_then(Value::as_str) {
        Some(kind) if kind.starts_with("platform.") => Ok(Found::Aside("lines of Lambda".to_owned())),
        _ if has("_aws") => Ok(Found::Aside("metrics".to_owned())),
        _ if has("level") && has("fields") => Ok(Found::Aside("other log lines".to_owned())),
        _ => Ok(Found::Event(value)),
    }
}

fn entry(value: Value) -> Result<Found, String> {
    let read = serde_json::from_value(value).map(|entry| Found::Entry(Box::new(entry)));
    read.map_err(|error| format!("no evidence entry: {error}"))
}

/// An item of the state table: evidence, or something else about a cluster.
fn stored(item: &Value, body: &str) -> Result<Found, String> {
    let key = item.pointer("/pk/S").and_then(Value::as_str).unwrap_or_default();
    if !key.starts_with("evidence#") {
        let kind = item.pointer("/sk/S").and_then(Value::as_str).unwrap_or("without a key");
        return Ok(Found::Aside(format!("items {}", super::words::shown(kind))));
    }
    entry(serde_json::from_str(body).map_err(|error| format!("its body is no JSON: {error}"))?)
}
