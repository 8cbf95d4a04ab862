//! What became of a key.

/// A protected transaction that is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// This call applied it, perhaps found out after a COMMIT in doubt.
    Applied {
        /// What the closure returned.
        value: T,
        /// How many attempts it took.
        attempts: u32,
    },
    /// The key had been applied before this call. Nothing was done.
    AlreadyApplied {
        /// What was recorded then.
        value: T,
    },
}

impl<T> Outcome<T> {
    /// What the closure returned, now or then.
    pub fn into_value(self) -> T {
        match self {
            Self::Applied { value, .. } | Self::AlreadyApplied { value } => value,
        }
    }
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is applied, and stays so.
    Applied,
    /// It was given up: it is not applied and never will be.
    Abandoned,
    /// Nothing is decided: an attempt may still be under way. [`crate::Client::abandon`] decides.
    Open,
}

/// What the ledger answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Applied(Option<Vec<u8>>),
    GivenUp,
    Nothing,
}

/// What may be done when a transaction is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// It is made again, and what the closure saw before it must see again; otherwise the first error comes back.
    #[default]
    Verified,
    /// It is made again, whatever it sees: for closures that let nothing out but what they return.
    Afresh,
    /// It is not made again. The first error comes back, and then nothing was applied for certain.
    Never,
}

/// Isolation levels of PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// The server's default.
    #[default]
    Default,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ; conflicts are replayed.
    RepeatableRead,
    /// SERIALIZABLE; conflicts are replayed.
    Serializable,
}

impl Isolation {
    /// Begins, and says within the transaction that it began.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Default => "BEGIN READ WRITE; SET LOCAL steadfast.block = '1'",
            Self::ReadCommitted => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL steadfast.block = '1'",
            Self::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; SET LOCAL steadfast.block = '1'",
            Self::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE; SET LOCAL steadfast.block = '1'",
        }
    }
}

/// How a transaction is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What may be done when it is lost.
    pub replay: Replay,
    /// Its isolation level.
    pub isolation: Isolation,
    /// Another deadline than [`crate::Limits::call`].
    pub within: Option<std::time::Duration>,
}
