//! Whether Steadfast may act, as an operator chose it.

use serde::{Deserialize, Serialize};

/// What a fresh installation may do, and what an operator made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Decides and records, acts on nothing. The default of a fresh installation.
    #[default]
    Shadow,
    /// Decides and acts.
    Armed,
    /// Neither decides nor acts.
    Paused,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Shadow, Self::Armed, Self::Paused];

    /// The word for it in state and payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Armed => "armed",
            Self::Paused => "paused",
        }
    }
}
