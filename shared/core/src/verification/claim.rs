//! Who looks at a restored database now.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::finding::Check;
use crate::time::Timestamp;
use crate::topology::Owner;

/// How long a claim holds that nobody renews. Shorter than the minute between two ticks: the tick after a death goes on.
pub const CLAIM: Duration = Duration::from_secs(20);
/// After how long it is renewed: a few renewals may fail before it lapses.
pub const RENEWED_AFTER: Duration = Duration::from_secs(5);

/// Somebody looks at something long: whoever else is ticked leaves it alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who.
    pub by: Owner,
    /// Until when, unless it is renewed.
    pub until: Timestamp,
}

impl Claim {
    /// One that is made or renewed now.
    pub fn new(by: &Owner, now: Timestamp) -> Self {
        Self { by: by.clone(), until: now.plus(CLAIM) }
    }

    /// Whether it still holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl Check {
    /// Whether a look may outlast the minute between two ticks. What is short may as well be done twice.
    pub fn is_long(self) -> bool {
        match self {
            Self::Open | Self::Canary => false,
            Self::Catalog | Self::Pages | Self::Rows | Self::Assertions => true,
        }
    }
}
