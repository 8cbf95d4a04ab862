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

/// Why there is nothing to tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The text holds nothing at all.
    #[error("there is nothing to explain: the text is empty; give evidence, events or log lines as JSON")]
    Empty,
    /// Nothing in it was understood.
    #[error("nothing could be read; give evidence, events or log lines as JSON\n{}", .0.join("\n"))]
    Unread(Vec<String>),
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
