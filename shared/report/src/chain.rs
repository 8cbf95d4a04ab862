//! Whether the evidence of an episode verifies.

use serde::Serialize;
use steadfast_core::evidence::{self, Entry, Head};

/// The result of verifying a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// Whether every entry follows from the one before it, and the last is the one that the state table names.
    pub verified: bool,
    /// How many entries there are.
    pub entries: u64,
    /// The hash of the last one.
    pub hash: String,
    /// Whether the hash that the state table holds was at hand to compare with.
    pub compared: bool,
    /// Why it does not verify.
    pub because: Option<String>,
}

impl Chain {
    /// Verifies these entries, and that they end where the episode says.
    pub(crate) fn of(entries: &[Entry], stored: Option<&Head>) -> Self {
        let last = entries.last();
        let head = evidence::verify(entries);
        let because = match (&head, stored) {
            (Err(error), _) => Some(error.to_string()),
            (Ok(head), Some(stored)) if head != stored => {
                Some(format!("the episode names entry {} with hash {} as its last", stored.length, stored.hash))
            }
            (Ok(_), _) => None,
        };
        Self {
            verified: because.is_none(),
            entries: entries.len() as u64,
            hash: last.map(|entry| entry.hash.clone()).unwrap_or_default(),
            compared: stored.is_some(),
            because,
        }
    }
}
