//! What happened and why, in words: evidence, events and the functions' own log lines, as anybody
//! can export them.
//!
//! Read as JSON values and lists, over any number of lines and with other text around them: evidence as the lab and
//! the state table hold it (`aws dynamodb query` included), audit lines of the functions, and events of any shape.
//! Every recorded decision is made again from its recorded facts with the rules of this build.

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
use read::{Found, Place};
use steadfast_core::evidence::Entry;

/// Why there is nothing to tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The text holds nothing at all.
    #[error("there is nothing to explain: the text is empty; give evidence, events or log lines as JSON")]
    Empty,
    /// All lists in it are empty.
    #[error("there is nothing to explain; ask for another cluster, episode or time\n{}", .0.join("\n"))]
    NoEntries(Vec<String>),
    /// Nothing in it was understood.
    #[error("nothing could be read; give evidence, events or log lines as JSON\n{}", .0.join("\n"))]
    Unread(Vec<String>),
    /// There is evidence, and something that may have been evidence.
    #[error("not all of it could be read, and a record must have no hole; mend or remove the rest\n{}", .0.join("\n"))]
    Hole(Vec<String>),
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
            Ok(Found::Event(_) | Found::Decision(_) | Found::Routed(_) | Found::Aside(_) | Found::Nothing(_)) => {}
            Ok(Found::Damaged(reason)) | Err(reason) => unread.push(format!("{place} was not read: {reason}")),
        }
    }
    let episodes = chains.into_entries();
    match (episodes.is_empty(), unread.is_empty()) {
        (false, true) => Ok(episodes),
        (false, false) => Err(ExplainError::Hole(unread)),
        (true, true) => Err(ExplainError::NoEvidence),
        (true, false) => Err(ExplainError::Unread(unread)),
    }
}

/// A text in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What there is to say, line by line.
    pub lines: Vec<String>,
    /// Whether all evidence in it can be read and verifies; also when there is none.
    pub verifies: bool,
}

/// Explains a text: events and logged decisions in their order, then each episode's evidence with whether its
/// chain verifies, then what could not be read.
///
/// # Errors
///
/// When nothing in it can be read.
pub fn explain(text: &str) -> Result<Explanation, ExplainError> {
    let items = read::items(text);
    if items.is_empty() {
        return Err(ExplainError::Empty);
    }
    let mut told = Told::default();
    for (place, found) in items {
        told.add(&place, found);
    }
    told.finish()
}

/// What is told so far.
#[derive(Debug, Default)]
struct Told {
    lines: Vec<String>,
    router: Router,
    chains: Chains,
    /// Whether something was evidence and is none any more.
    damaged: bool,
    asides: BTreeMap<String, u64>,
    nothing: Vec<String>,
    unread: Vec<String>,
}

impl Told {
    fn add(&mut self, place: &Place, found: Result<Found, String>) {
        match found {
            Ok(Found::Entry(entry)) => self.chains.add(*entry),
            Ok(Found::Damaged(reason)) => {
                self.damaged = true;
                self.unread(place, &reason);
            }
            Ok(Found::Event(payload)) => self.lines.extend(self.router.explain(place, &payload)),
            Ok(Found::Decision(data)) => self.lines.extend(decision::logged(place, &data)),
            Ok(Found::Routed(data)) => match event::logged(&data) {
                Ok(line) => self.lines.push(format!("{place}: {line}")),
                Err(reason) => self.unread(place, &reason),
            },
            Ok(Found::Aside(what)) => {
                let count = self.asides.entry(what).or_default();
                *count = count.saturating_add(1);
            }
            Ok(Found::Nothing(missing)) => self.nothing.push(format!("{place}: {missing}")),
            Err(reason) => self.unread(place, &reason),
        }
    }

    fn unread(&mut self, place: &Place, reason: &str) {
        self.unread.push(format!("{place} was not read: {reason}"));
    }

    fn finish(mut self) -> Result<Explanation, ExplainError> {
        let verifies = self.chains.verify() && !self.damaged;
        let mut lines = self.lines;
        lines.extend(self.chains.explain());
        if !self.asides.is_empty() {
            let listed: Vec<String> = self.asides.iter().map(|(what, count)| format!("{what} ({count})")).collect();
            lines.push(format!("passed over: {}", listed.join(", ")));
        }
        match (lines.is_empty(), self.unread.is_empty()) {
            (true, true) => return Err(ExplainError::NoEntries(self.nothing)),
            (true, false) => return Err(ExplainError::Unread(self.unread)),
            (false, _) => {}
        }
        lines.extend(self.nothing);
        lines.extend(self.unread);
        Ok(Explanation { lines, verifies })
    }
}
