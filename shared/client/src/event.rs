//! What a client tells while it works.

use std::time::Duration;

use crate::key::Key;

/// Something happened to the writer, or to a call. Listeners are called on the task that saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An instance proved by a commit that it is the writer.
    WriterProved {
        /// Its name for itself.
        node: String,
        /// The fencing epoch.
        epoch: i64,
        /// How long there was none.
        after: Duration,
    },
    /// The writer did not prove itself in time, or its connection ended: calls are held from now on.
    WriterLost {
        /// What was seen.
        cause: String,
    },
    /// An instance of a lower epoch than one seen before was refused: an old writer.
    Fenced {
        /// Its name for itself.
        node: String,
        /// Its epoch.
        epoch: i64,
        /// The highest one seen.
        seen: i64,
    },
    /// A call waits for a writer.
    Held {
        /// How many do now.
        calls: usize,
    },
    /// A call was turned away, since too many wait already.
    TurnedAway {
        /// How many wait.
        calls: usize,
    },
    /// A transaction ended before its COMMIT was sent, and is made again.
    Replayed {
        /// Its key.
        key: Key,
        /// Why.
        cause: String,
    },
    /// A COMMIT was sent and not answered for certain.
    InDoubt {
        /// Its key.
        key: Key,
        /// Why.
        cause: String,
    },
    /// What was in doubt is decided.
    Decided {
        /// Its key.
        key: Key,
        /// Whether the COMMIT in doubt had taken effect.
        applied: bool,
    },
}

impl Event {
    pub(crate) fn trace(&self) {
        match self {
            Self::WriterProved { node, epoch, after } => {
                tracing::info!(node, epoch, ?after, "the writer proved itself")
            }
            Self::WriterLost { cause } => tracing::warn!(cause, "there is no proved writer; calls are held"),
            Self::Fenced { node, epoch, seen } => tracing::warn!(node, epoch, seen, "an old writer is refused"),
            Self::Held { calls } => tracing::debug!(calls, "a call is held"),
            Self::TurnedAway { calls } => tracing::warn!(calls, "a call is turned away: too many are held"),
            Self::Replayed { key, cause } => tracing::info!(%key, cause, "a transaction is made again"),
            Self::InDoubt { key, cause } => tracing::warn!(%key, cause, "a commit is in doubt"),
            Self::Decided { key, applied } => tracing::info!(%key, applied, "what was in doubt is decided"),
        }
    }
}
