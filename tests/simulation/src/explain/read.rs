//! Finds what can be explained in a text: JSON values, and among them ours.
//!
//! Whoever copies from a terminal or a log brings along what stands around it, and loses ends. One bad place must
//! not take the good ones with it.

mod stretch;

use std::fmt;

use serde_json::{Deserializer, Value};
use steadfast_core::evidence::Entry;
use steadfast_core::hint::{self, Hint};

use stretch::Stretch;

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
    /// What was a link of a chain: why it is none.
    Damaged(String),
    /// A decision in the coordinator's log.
    Decision(Value),
    /// An event in the router's log, with what the router made of it.
    Routed(Value),
    /// Anything else is taken for an event.
    Event(Value),
    /// A line that explains nothing: which kind.
    Aside(String),
    /// A list without entries: what is missing.
    Nothing(String),
}

type Item = (Place, Result<Found, String>);

/// Everything in the text, in its order.
pub(super) fn items(text: &str) -> Vec<Item> {
    let mut reader = Reader {
        text,
        at: 0,
        ended: 0,
        line_ends: 0,
        line: 1,
        counted: 0,
        broken: false,
        stretch: None,
        found: Vec::new(),
    };
    while reader.at < text.len() {
        reader.step();
    }
    reader.complain();
    reader.found
}

/// Goes through a text from value to value.
struct Reader<'t> {
    text: &'t str,
    /// Where the unread rest begins.
    at: usize,
    /// Where the latest value that counts has ended.
    ended: usize,
    /// Where the line ends that was looked at last: a file of one long line is searched for it once.
    line_ends: usize,
    /// The line of `counted`.
    line: usize,
    counted: usize,
    /// What is read now stands in a value that has turned out to be broken.
    broken: bool,
    /// What could not be read since the last value.
    stretch: Option<Stretch>,
    found: Vec<Item>,
}

impl<'t> Reader<'t> {
    /// Reads the next value of this line, or passes the line over.
    fn step(&mut self) {
        let rest = self.rest_of_line(self.at);
        let fresh = self.text.get(..self.at).is_none_or(|before| before.is_empty() || before.ends_with('\n'));
        // Nobody indents so little within a value: another one may begin here.
        if fresh && rest.starts_with(|c: char| !c.is_whitespace() && !matches!(c, '"' | '}' | ']')) {
            self.broken = false;
        }
        match opening(rest, fresh) {
            Some(offset) => self.value(self.at + offset),
            None => {
                self.words(rest);
                self.at += rest.len() + 1;
            }
        }
    }

    fn rest_of_line(&mut self, at: usize) -> &'t str {
        if self.line_ends < at || at == 0 {
            let rest = self.text.get(at..).unwrap_or_default();
            self.line_ends = rest.find('\n').map_or(self.text.len(), |length| at + length);
        }
        self.text.get(at..self.line_ends).unwrap_or_default()
    }

    /// The text from the beginning of its line on, but for a value that stands before it.
    fn line_from(&self, at: usize) -> &'t str {
        let before = self.text.get(self.ended..at).unwrap_or_default();
        let begins = before.rfind('\n').map_or(self.ended, |end| self.ended + end + 1);
        self.text.get(begins..).unwrap_or_default()
    }

    fn line_of(&mut self, at: usize) -> usize {
        self.line += self.text.get(self.counted..at).map_or(0, |passed| passed.matches('\n').count());
        self.counted = self.counted.max(at);
        self.line
    }

    /// Reads the value that begins there. Behind an error goes on within it: what is whole in it counts.
    fn value(&mut self, begins: usize) {
        let line = self.line_of(begins);
        let text = self.text.get(begins..).unwrap_or_default();
        let mut stream = Deserializer::from_str(text).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => self.accept(line, begins, begins + stream.byte_offset(), value),
            Some(Err(error)) => {
                self.at = begins + 1;
                if text.starts_with('{') || opens_a_list(text) {
                    self.broken = true;
                    self.note(line, begins).went_wrong(line, &error);
                }
            }
            None => self.at = begins + 1,
        }
    }

    /// Takes a value for what it is, unless it is a part of something else.
    fn accept(&mut self, line: usize, begins: usize, ends: usize, value: Value) {
        self.at = ends;
        let mut taken = Vec::new();
        take(Place { line, item: None }, value, &mut taken);
        let behind = self.rest_of_line(ends).trim_start_matches(is_between);
        let alone = behind.is_empty() || behind.starts_with('{');
        if taken.iter().any(is_known) || (alone && !self.broken) {
            self.complain();
            self.found.extend(taken);
            self.ended = ends;
        } else if !self.broken {
            self.note(line, begins);
        }
    }

    /// A line, or the end of one, in which no value begins.
    fn words(&mut self, rest: &str) {
        let line = self.line_of(self.at);
        if self.broken || rest.chars().all(is_between) {
            return;
        }
        if rest.contains("RequestId:") {
            self.complain();
            return self.found.push((Place { line, item: None }, Ok(lambda())));
        }
        self.note(line, self.at);
    }

    fn note(&mut self, line: usize, at: usize) -> &mut Stretch {
        let text = if self.stretch.is_none() { self.line_from(at) } else { "" };
        let stretch = self.stretch.get_or_insert_with(|| Stretch::new(line, text));
        stretch.reaches(line);
        stretch
    }

    fn complain(&mut self) {
        if let Some(stretch) = self.stretch.take() {
            self.found.push((Place { line: stretch.line(), item: None }, Err(stretch.to_string())));
        }
    }
}

/// Where a value may begin in what is left of a line, behind whatever a log puts before it.
fn opening(rest: &str, fresh: bool) -> Option<usize> {
    let head = rest.find(|c: char| !is_between(c) || c == '[').filter(|_| fresh);
    rest.char_indices().map(|(at, _)| at).find(|at| {
        let from = rest.get(*at..).unwrap_or_default();
        from.starts_with('{') || (from.starts_with('[') && (head == Some(*at) || opens_a_list(from)))
    })
}

/// Of objects, unlike `[INFO]`.
fn opens_a_list(text: &str) -> bool {
    let inside = text.strip_prefix('[').map(str::trim_start);
    inside.is_some_and(|inside| inside.is_empty() || inside.starts_with(['{', '[']))
}

/// Stands between values, or is left of what held them.
fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '[' | ']' | '}' | '\u{feff}')
}

/// Whether it is certain what this is, also where it was torn out of its place.
fn is_known((_, found): &Item) -> bool {
    match found {
        Ok(Found::Event(event)) => hint::events(event).iter().any(|event| {
            !matches!(&event.hint, Hint::Unknown { source, detail_type } if source.is_empty() && detail_type.is_empty())
        }),
        Ok(Found::Nothing(_)) => false,
        Ok(Found::Entry(_) | Found::Damaged(_) | Found::Decision(_) | Found::Routed(_) | Found::Aside(_)) | Err(_) => true,
    }
}

fn lambda() -> Found {
    Found::Aside("lines of Lambda".to_owned())
}

/// The message of a log event: an object behind whatever stands before it.
fn message(text: &str) -> Result<Found, String> {
    match text.find('{').and_then(|at| text.get(at..)) {
        Some(json) => classify(serde_json::from_str(json).map_err(|error| format!("no JSON: {error}"))?),
        None if text.contains("RequestId:") => Ok(lambda()),
        None => Err("there is no JSON in it".to_owned()),
    }
}

/// Takes a value apart that holds several.
fn take(place: Place, mut value: Value, found: &mut Vec<Item>) {
    if let Some(missing) = empty(&value) {
        return found.push((place, Ok(Found::Nothing(missing))));
    }
    if let Some(several) = several(&mut value) {
        for (before, item) in several.into_iter().enumerate() {
            found.push((Place { item: Some(before + 1), ..place }, classify(item)));
        }
        return;
    }
    // `aws dynamodb get-item`.
    let one = value.get_mut("Item").filter(|item| item.is_object()).map(Value::take);
    found.push((place, classify(one.unwrap_or(value))));
}

/// What is not there in a list that holds nothing.
fn empty(value: &Value) -> Option<String> {
    if value.as_array().is_some_and(Vec::is_empty) {
        return Some("the list has no entries".to_owned());
    }
    // Of `aws dynamodb query`, `aws logs filter-log-events`, `aws rds describe-events`, and a queue or a topic.
    let names = [("Items", "items"), ("events", "log lines"), ("Events", "events"), ("Records", "events")];
    let is_empty = |name: &str| value.get(name).and_then(Value::as_array).is_some_and(Vec::is_empty);
    let (name, what) = names.into_iter().find(|(name, _)| is_empty(name))?;
    Some(format!("there are no {what}: the list `{name}` has no entries"))
}

fn several(value: &mut Value) -> Option<Vec<Value>> {
    let name = ["Items", "events"].into_iter().find(|name| value.get(name).is_some_and(Value::is_array));
    let list = match name {
        Some(name) => value.get_mut(name)?,
        None => value,
    };
    list.as_array_mut().map(std::mem::take)
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
    if let Some(text) = fields.get("message").and_then(Value::as_str).filter(|_| has("timestamp")) {
        return message(text);
    }
    match fields.get("type").and_then(Value::as_str) {
        Some(kind) if kind.starts_with("platform.") => Ok(lambda()),
        _ if has("_aws") => Ok(Found::Aside("metrics".to_owned())),
        _ if has("level") && has("fields") => Ok(Found::Aside("other log lines".to_owned())),
        _ => Ok(Found::Event(value)),
    }
}

fn entry(value: Value) -> Result<Found, String> {
    let read = serde_json::from_value(value).map(|entry| Found::Entry(Box::new(entry)));
    Ok(read.unwrap_or_else(|error| Found::Damaged(format!("an evidence entry that is damaged: {error}"))))
}

/// An item of the state table: evidence, or something else about a cluster.
fn stored(item: &Value, body: &str) -> Result<Found, String> {
    let key = item.pointer("/pk/S").and_then(Value::as_str).unwrap_or_default();
    if !key.starts_with("evidence#") {
        let kind = item.pointer("/sk/S").and_then(Value::as_str).unwrap_or("without a key");
        return Ok(Found::Aside(format!("items {}", super::words::shown(kind))));
    }
    match serde_json::from_str(body) {
        Ok(value) => entry(value),
        Err(error) => Ok(Found::Damaged(format!("an evidence entry whose body is no JSON: {error}"))),
    }
}
