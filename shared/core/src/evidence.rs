//! The hash-chained record of an episode.
//!
//! Each entry carries the hash of the one before it, so that a changed, missing or reordered
//! entry shows. The hash is SHA-256 over the entry as JSON with sorted keys and without `hash`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::time::Timestamp;
use crate::topology::{ClusterId, Owner};

/// Where a chain ends: the hash and number of its last entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many entries there are.
    pub length: u64,
    /// The hash of the last one in lower-case hexadecimal; empty at the start.
    pub hash: String,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The lease was taken, and with it the episode opened.
    Opened,
    /// The lease was taken, and with it an open episode adopted.
    Adopted,
    /// A rule matched that had not matched just before.
    Decided,
    /// An action is about to be tried.
    Intended,
    /// What came of it.
    Answered,
    /// A commit proved that writes flow.
    Proved,
    /// The episode ended.
    Closed,
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The cluster.
    pub cluster: ClusterId,
    /// The epoch that identifies the episode.
    pub epoch: u64,
    /// Its number, from 1.
    pub seq: u64,
    /// When it was written, by the writer's clock.
    pub at: Timestamp,
    /// Who wrote it.
    pub by: Owner,
    /// What it is about.
    pub kind: Kind,
    /// The particulars.
    pub data: Value,
    /// The hash of the entry before; empty for the first.
    pub prev: String,
    /// The hash of this entry.
    pub hash: String,
}

/// Why a chain does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No entry at all.
    #[error("the chain is empty: an episode has at least its opening entry")]
    Empty,
    /// A number is missing, doubled or out of order.
    #[error("entry {expected} is missing: number {found} stands in its place")]
    Sequence {
        /// The number due.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The entry does not follow the one before it.
    #[error("entry {seq} does not follow entry {}: its `prev` is another hash", seq - 1)]
    Link {
        /// Which entry.
        seq: u64,
    },
    /// The entry was changed after it was written.
    #[error("entry {seq} was changed: its content does not give its hash")]
    Content {
        /// Which entry.
        seq: u64,
    },
    /// The entry is of another episode.
    #[error("entry {seq} is of another episode: {found}")]
    Episode {
        /// Which entry.
        seq: u64,
        /// The episode it names.
        found: String,
    },
}

impl Head {
    /// The next entry of this chain.
    pub fn append(
        &self,
        cluster: &ClusterId,
        epoch: u64,
        at: Timestamp,
        by: &Owner,
        kind: Kind,
        data: Value,
    ) -> (Entry, Self) {
        let mut entry = Entry {
            cluster: cluster.clone(),
            epoch,
            seq: self.length.saturating_add(1),
            at,
            by: by.clone(),
            kind,
            data,
            prev: self.hash.clone(),
            hash: String::new(),
        };
        entry.hash = entry.digest();
        let head = Self { length: entry.seq, hash: entry.hash.clone() };
        (entry, head)
    }
}

impl Entry {
    fn digest(&self) -> String {
        let mut body = serde_json::to_value(self).unwrap_or(Value::Null);
        if let Value::Object(fields) = &mut body {
            fields.remove("hash");
        }
        let mut text = String::new();
        canonical(&body, &mut text);
        hex(&Sha256::digest(text.as_bytes()))
    }
}

/// Verifies a whole chain and returns where it ends.
///
/// # Errors
///
/// The first entry that does not fit, and how.
pub fn verify(entries: &[Entry]) -> Result<Head, ChainError> {
    let first = entries.first().ok_or(ChainError::Empty)?;
    let mut head = Head::default();
    for entry in entries {
        let expected = head.length.saturating_add(1);
        if entry.seq != expected {
            return Err(ChainError::Sequence { expected, found: entry.seq });
        }
        if (&entry.cluster, entry.epoch) != (&first.cluster, first.epoch) {
            return Err(ChainError::Episode { seq: entry.seq, found: format!("{}/{}", entry.cluster, entry.epoch) });
        }
        if entry.prev != head.hash {
            return Err(ChainError::Link { seq: entry.seq });
        }
        if entry.digest() != entry.hash {
            return Err(ChainError::Content { seq: entry.seq });
        }
        head = Head { length: entry.seq, hash: entry.hash.clone() };
    }
    Ok(head)
}

/// JSON without white space and with sorted keys, whatever order the map type keeps.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chain(length: u64) -> Vec<Entry> {
        let mut head = Head::default();
        (0..length)
            .map(|number| {
                let data = json!({ "z": number, "a": { "y": "ü\"\\", "b": [1, -3.546457468265897e-11, null] } });
                let (entry, next) = head.append(
                    &ClusterId::new("orders"),
                    7,
                    Timestamp::from_millis(number),
                    &Owner::new("me"),
                    Kind::Decided,
                    data,
                );
                head = next;
                entry
            })
            .collect()
    }

    #[test]
    fn a_chain_survives_being_written_to_a_file_and_read_again() {
        let text = serde_json::to_string(&chain(5)).expect("serialises");
        let read: Vec<Entry> = serde_json::from_str(&text).expect("parses");
        assert_eq!(verify(&read).expect("verifies").length, 5);
    }

    #[test]
    fn every_kind_of_tampering_shows() {
        assert_eq!(verify(&[]), Err(ChainError::Empty));
        let mut missing = chain(4);
        missing.remove(1);
        assert_eq!(verify(&missing), Err(ChainError::Sequence { expected: 2, found: 3 }));
        let mut reordered = chain(4);
        reordered.swap(1, 2);
        assert!(matches!(verify(&reordered), Err(ChainError::Sequence { .. })));
        let mut changed = chain(4);
        changed[2].data = json!({ "z": 99 });
        assert_eq!(verify(&changed), Err(ChainError::Content { seq: 3 }));
        let mut relinked = chain(4);
        relinked[2].prev = String::new();
        assert_eq!(verify(&relinked), Err(ChainError::Link { seq: 3 }));
        let mut foreign = chain(4);
        foreign[3].epoch = 8;
        assert!(matches!(verify(&foreign), Err(ChainError::Episode { seq: 4, .. })));
        let mut beheaded = chain(4);
        beheaded.remove(0);
        assert!(verify(&beheaded).is_err());
    }
}
