//! Why the last step was not taken.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How long the database may refuse us before the backup counts as one that cannot be opened. RDS shows an instance as
/// available, and the secret of its new master password as active, some minutes before the password is in force.
pub const REFUSAL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Why a look saw nothing. No secret is in the words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// Trying again may help, until the run's limit.
    #[error("{0}")]
    Later(String),
    /// The database answers that it lets nobody in as us: there is none by the name, or the password is another.
    /// Trying again helps only as long as RDS is still about to change that.
    #[error("{0}")]
    Refused(String),
}

/// The last refusal of a run. A step that is taken ends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What was said.
    pub what: String,
    /// Whether the database said it of itself: [`Unseen::Refused`].
    pub by_database: bool,
    /// When it was said for the first time, without anything else in between.
    pub since: Timestamp,
    /// When it was said for the last time.
    pub last: Timestamp,
}

impl Refusal {
    /// The refusal after `before`.
    pub fn after(before: Option<&Self>, error: &Unseen, now: Timestamp) -> Self {
        let by_database = matches!(error, Unseen::Refused(_));
        let same = before.filter(|before| before.by_database == by_database);
        Self { what: error.to_string(), by_database, since: same.map_or(now, |before| before.since), last: now }
    }

    /// Whether it is the answer, and trying again is over.
    pub fn is_final(&self) -> bool {
        self.by_database && self.last.since(self.since) >= REFUSAL_LIMIT
    }
}
