//! What is expected: the line after `expect`.

use steadfast_core::rules::{OTHERWISE, TABLE, Verdict};

use crate::error::Complaint;
use crate::line::Words;
use crate::scenario::{Expectation, Who};

type Read = fn(&mut Words<'_>) -> Result<Expectation, Complaint>;

/// The first word of an expectation and how to read the rest of it.
pub(crate) const EXPECTATIONS: &[(&str, Read)] = &[
    ("rule", |words| rule(words).map(Expectation::Rule)),
    ("no", |words| {
        words.literally(&["rule"])?;
        rule(words).map(Expectation::NoRule)
    }),
    ("calls", |words| words.bound("a number of calls").map(Expectation::Calls)),
    ("episodes", |words| words.bound("a number of episodes").map(Expectation::Episodes)),
    ("writer", |words| who(words).map(Expectation::Writer)),
    ("outage", |words| {
        words.literally(&["at", "most"])?;
        words.duration().map(Expectation::OutageAtMost)
    }),
    ("detected", |words| {
        words.literally(&["within"])?;
        words.duration().map(Expectation::DetectedWithin)
    }),
    ("lost", |words| words.bound("a number of lost writes").map(Expectation::Lost)),
    ("errors", |words| words.bound("a number of failed writes").map(Expectation::Errors)),
    ("recovered", |words| {
        words.literally(&["by"])?;
        words.named().map(Expectation::RecoveredBy)
    }),
    ("person", |words| {
        words.literally(&["called", "by", "rule"])?;
        calling_rule(words).map(Expectation::PersonCalled)
    }),
    ("sessions", |words| words.literally(&["evicted"]).map(|()| Expectation::SessionsEvicted)),
    ("nobody", |words| words.literally(&["called"]).map(|()| Expectation::NobodyCalled)),
    ("episode", |words| {
        words.choose("a state of the episode", &[("closed", false), ("open", true)]).map(Expectation::Open)
    }),
];

/// Reads an expectation.
pub(crate) fn expectation(words: &mut Words<'_>) -> Result<Expectation, Complaint> {
    let read = words.choose("an expectation", EXPECTATIONS)?;
    read(words)
}

fn who(words: &mut Words<'_>) -> Result<Who, Complaint> {
    if let Some(reader) = words.reader() {
        return reader.map(Who::Reader);
    }
    let known =
        [("same", Who::Same), ("other", Who::Other), ("reader-1", Who::Reader(1)), ("reader-2", Who::Reader(2))];
    words.choose("who writes", &known)
}

fn rule(words: &mut Words<'_>) -> Result<u16, Complaint> {
    known_rule(words, "a rule", |_| true)
}

/// A rule that calls a person; no other can be behind a call.
fn calling_rule(words: &mut Words<'_>) -> Result<u16, Complaint> {
    known_rule(words, "a rule that calls a person", |verdict| verdict == Verdict::CallHuman)
}

fn known_rule(words: &mut Words<'_>, what: &str, fits: fn(Verdict) -> bool) -> Result<u16, Complaint> {
    let known: Vec<(String, u16)> = TABLE
        .iter()
        .chain([&OTHERWISE])
        .filter(|rule| fits(rule.verdict))
        .map(|rule| (rule.id.to_string(), rule.id))
        .collect();
    let table: Vec<(&str, u16)> = known.iter().map(|(word, id)| (word.as_str(), *id)).collect();
    words.choose(what, &table)
}
