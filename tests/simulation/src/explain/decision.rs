//! A recorded decision, and what today's rules make of the same facts.

use serde::de::DeserializeOwned;
use serde_json::Value;
use steadfast_core::candidate::Refused;
use steadfast_core::decision::matching;
use steadfast_core::diagnosis::Vote;
use steadfast_core::facts::Facts;
use steadfast_core::rules::Rule;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::InstanceId;

use super::read::Place;
use super::words::{field, name, shown};

/// A decision in the log: it stands outside any chain.
pub(super) fn logged(place: &Place, data: &Value) -> Vec<String> {
    let mut lines = vec![format!("{place}: decided {}", rule(data))];
    lines.extend(reasons(data, None).into_iter().map(|line| format!("    {line}")));
    lines
}

/// Number, verdict and sentence.
pub(super) fn rule(data: &Value) -> String {
    let part = |pointer| field(data, pointer).unwrap_or_else(|| "?".to_owned());
    format!("rule {} {}: {}", part("/rule"), part("/verdict"), part("/says"))
}

/// What it was made from, and what would be decided today. `at` is when it was made.
pub(super) fn reasons(data: &Value, at: Option<Timestamp>) -> Vec<String> {
    let writer = field(data, "/diagnosis/presumed").unwrap_or_else(|| "nobody".to_owned());
    let state = field(data, "/diagnosis/writer").unwrap_or_else(|| "?".to_owned());
    let mut lines = vec![format!("writer {writer} is {state}; {}", votes(data, at))];
    if let Some(about) = candidates(data) {
        lines.push(about);
    }
    lines.push(today(data));
    lines
}

fn part<T: DeserializeOwned>(data: &Value, pointer: &str) -> Result<T, serde_json::Error> {
    T::deserialize(data.pointer(pointer).unwrap_or(&Value::Null))
}

fn votes(data: &Value, at: Option<Timestamp>) -> String {
    match part::<Vec<Vote>>(data, "/diagnosis/votes") {
        Ok(votes) if votes.is_empty() => "no votes".to_owned(),
        Ok(votes) => {
            let said: Vec<String> = votes.iter().map(|vote| said(vote, at)).collect();
            format!("votes: {}", said.join(", "))
        }
        Err(error) => format!("its votes are written differently: {error}"),
    }
}

fn said(vote: &Vote, at: Option<Timestamp>) -> String {
    let since = at.map(|at| format!(" for {:.3} s", at.since(vote.since).as_secs_f64())).unwrap_or_default();
    let ignored = vote.ignored.map(|why| format!(" (not counted: {})", name(&why))).unwrap_or_default();
    format!("{} {}{since}{ignored}", shown(vote.az.as_str()), name(&vote.outcome))
}

/// The target and the others, where anybody was in question.
fn candidates(data: &Value) -> Option<String> {
    let target = field(data, "/target");
    let spare: Vec<InstanceId> = part(data, "/spare").unwrap_or_default();
    let refused: Vec<Refused> = part(data, "/refused").unwrap_or_default();
    if target.is_none() && refused.is_empty() {
        return None;
    }
    let refused: Vec<String> = refused
        .iter()
        .map(|refused| format!("{} ({})", shown(refused.instance.as_str()), name(&refused.because)))
        .collect();
    let mut text = format!("target {}", target.as_deref().unwrap_or("none"));
    for spare in spare {
        text.push_str(&format!(", or {}", shown(spare.as_str())));
    }
    if !refused.is_empty() {
        text.push_str(&format!("; refused: {}", refused.join(", ")));
    }
    Some(text)
}

/// Decides again from the recorded facts.
fn today(data: &Value) -> String {
    let facts: Facts = match part(data, "/facts") {
        Ok(facts) => facts,
        Err(error) => return format!("today's rules cannot judge it: its facts are written differently: {error}"),
    };
    let rule = matching(&facts);
    if agrees(rule, data) {
        "today's rules decide the same".to_owned()
    } else {
        format!("TODAY'S RULES DIFFER: rule {} {}: {}", rule.id, name(&rule.verdict), rule.says)
    }
}

fn agrees(rule: &Rule, data: &Value) -> bool {
    data.pointer("/rule").and_then(Value::as_u64) == Some(rule.id.into())
        && data.pointer("/verdict").and_then(Value::as_str) == Some(&name(&rule.verdict))
}
