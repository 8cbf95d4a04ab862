//! What was looked at, and what was wrong.

use serde::{Deserialize, Serialize};

/// One kind of look at the restored database, in the order of [`CHECKS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It answers, with the extensions and settings that are expected.
    Open,
    /// The newest canary: how much is missing.
    Canary,
    /// The catalog fits together.
    Catalog,
    /// Every table and every B-tree is read to its last page (`verify_heapam`, `bt_index_check`).
    Pages,
    /// The tables of the manifest and their rows.
    Rows,
    /// The owner's own queries.
    Assertions,
}

/// All of them.
pub const CHECKS: [Check; 6] =
    [Check::Open, Check::Canary, Check::Catalog, Check::Pages, Check::Rows, Check::Assertions];

impl Check {
    /// Its word in evidence and notices.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Canary => "canary",
            Self::Catalog => "catalog",
            Self::Pages => "pages",
            Self::Rows => "rows",
            Self::Assertions => "assertions",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Who found it.
    pub check: Check,
    /// The relation, extension, setting or assertion.
    pub about: String,
    /// What is wrong with it.
    pub what: String,
}

/// Findings beyond this many of one run are counted, not kept: the row has a limit.
pub const FINDINGS_KEPT: usize = 50;
