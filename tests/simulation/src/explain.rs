//! What happened and why, in words: evidence, events and the functions' own log lines, as anybody
//! can export them.
//!
//! Read as one JSON value, as a list, or line by line: evidence as the lab and the state table hold
//! it (`aws dynamodb query` included), audit lines of the functions, and events of any shape. Every
//! recorded decision is made again from its recorded facts with the rules of this build.

mod chain;
mod decision;
mod event;
mod read;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use chain::Chains;
use event::Router;
use read::Found;
use steadfast_core::evidence::Entry;

/// Why there is nothing to tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The text holds nothing at all.
    #[error("there is nothing to explain: the text is empty; give evidence, events or log lines as JSON")]
    Empty,
    /// Nothing in it was understood.
    #[error("nothing could be read; give evidence, events or log lines as JSON\n{}", .0.join("\n"))]
    Unread(Vec<String>),
    /// There is no evidence in it.
    #[error("there is no evidence in it; give the entries of an episode, as the state table or the log holds them")]
    NoEvidence,
}

/// The evidence in a text, the entries of each episode in their order; all else is passed over.
///
/// # Errors
///
/// When there is none, or an entry cannot be read: a record with a hole must not look whole.
pub fn evidence(text: &str) -> Result<Vec<Vec<Entry>>, ExplainError> {
    let mut chains = Chains::default();
    let mut unread = Vec::new();
    for (place, found) in read::items(text) {
        match found {
            Ok(Found::Entry(entry)) => chains.add(*entry),
            Ok(Found::Event(_) | Found::Decision(_) | Found::Routed(_) | Found::Aside(_)) => {}
            Err(reason) => unread.push(format!("{place} was not read: {reason}")),
        }
    }
    if !unread.is_empty() {
        return Err(ExplainError::Unread(unread));
    }
    let episodes = chains.into_entries();
    if episodes.is_empty() { Err(ExplainError::NoEvidence) } else { Ok(episodes) }
}

/// Explains a text, line by line: events and logged decisions in their order, then each episode's
/// evidence with whether its chain verifies, then what could not be read.
///
/// # Errors
///
/// When nothing in it can be read.
pub fn explain(text: &str) -> Result<Vec<String>, ExplainError> {
    let mut told = Vec::new();
    let mut router = Router::default();
    let mut chains = Chains::default();
    let mut asides: BTreeMap<String, u64> = BTreeMap::new();
    let mut unread = Vec::new();
    let items = read::items(text);
    if items.is_empty() {
        return Err(ExplainError::Empty);
    }
    for (place, found) in items {
        match found {
            Ok(Found::Entry(entry)) => chains.add(*entry),
            Ok(Found::Event(payload)) => told.extend(router.explain(&place, &payload)),
            Ok(Found::Decision(data)) => told.extend(decision::logged(&place, &data)),
            Ok(Found::Routed(data)) => match event::logged(&data) {
                Ok(line) => told.push(format!("{place}: {line}")),
                Err(reason) => unread.push(format!("{place} was not read: {reason}")),
            },
            Ok(Found::Aside(what)) => {
                let count = asides.entry(what).or_default();
                *count = count.saturating_add(1);
            }
            Err(reason) => unread.push(format!("{place} was not read: {reason}")),
        }
    }
    told.extend(chains.explain());
    if !asides.is_empty() {
        let listed: Vec<String> = asides.iter().map(|(what, count)| format!("{what} ({count})")).collect();
        told.push(format!("passed over: {}", listed.join(", ")));
    }
    if told.is_empty() {
        return Err(ExplainError::Unread(unread));
    }
    told.extend(unread);
    Ok(told)
}
