//! How far a look has come that takes longer than an invocation.

use serde::{Deserialize, Serialize};

/// How far the next check has come. Kept in the run, so that a database of any size is looked through in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What is done: of relations the object id of the last one, of the manifest's tables and queries their number.
    #[serde(default)]
    pub after: u32,
    /// How far the one that follows has come, if it is begun.
    #[serde(default)]
    pub part: Option<Part>,
}

/// A part of a relation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Whose: an object id, or a number in the manifest.
    pub of: u32,
    /// The first block that is not read yet.
    pub block: u32,
    /// The rows that were counted in the blocks before.
    #[serde(default)]
    pub rows: u64,
}

impl Place {
    /// All up to `after` is done, and nothing further is begun.
    pub fn behind(after: u32) -> Self {
        Self { after, part: None }
    }

    /// How far `of` has come, unless another one was begun.
    pub fn part_of(self, of: u32) -> Option<Part> {
        self.part.filter(|part| part.of == of)
    }

    /// The same, with a part of what follows done.
    pub fn with(self, part: Part) -> Self {
        Self { part: Some(part), ..self }
    }
}
