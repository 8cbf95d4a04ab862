//! The week's slot: what makes one experiment a week of any number of invocations.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::time::Timestamp;
use crate::topology::ClusterId;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// 1970-01-01 was a Thursday: the first Monday before it lies three days back.
const SINCE_MONDAY: Duration = Duration::from_secs(3 * 24 * 3_600);

/// A week by its number since that of 1970-01-01. Weeks begin on Monday, 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(u64);

impl Slot {
    /// The slot of a moment.
    pub fn of(at: Timestamp) -> Self {
        Self(at.plus(SINCE_MONDAY).since(Timestamp::default()).as_secs() / WEEK.as_secs())
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// How many weeks lie between it and an earlier one.
    pub fn weeks_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The slot so many weeks before.
    pub fn before(self, weeks: u64) -> Self {
        Self(self.0.saturating_sub(weeks))
    }

    /// When it begins.
    pub fn begins(self) -> Timestamp {
        let weeks = Duration::from_secs(WEEK.as_secs().saturating_mul(self.0));
        Timestamp::default().plus(weeks).minus(SINCE_MONDAY)
    }

    /// The idempotency token of the slot's only experiment: FIS answers a second `StartExperiment` with the first one's
    /// experiment. One that FIS ended before it broke anything is no experiment: the next attempt has another token.
    ///
    /// Source: FIS API, `StartExperiment`, `clientToken`.
    pub fn token(self, cluster: &ClusterId, attempt: u32) -> String {
        match attempt {
            0 => format!("game-day-{cluster}-{self}"),
            more => format!("game-day-{cluster}-{self}-{more}"),
        }
    }
}

/// The ISO week, such as `2026-W35`.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.begins().as_millis() / 1_000).ok();
        match seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()) {
            Some(monday) => {
                let (year, week, _) = monday.to_iso_week_date();
                write!(f, "{year:04}-W{week:02}")
            }
            None => write!(f, "week {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(text: &str) -> Slot {
        Slot::of(Timestamp::parse(text).expect("a time"))
    }

    #[test]
    fn a_slot_is_an_iso_week_from_monday_to_sunday() {
        for (at, week) in [
            ("2026-08-24T00:00:00Z", "2026-W35"),
            ("2026-08-30T23:59:59Z", "2026-W35"),
            ("2026-08-31T00:00:00Z", "2026-W36"),
            ("2027-01-01T12:00:00Z", "2026-W53"),
            ("2027-01-04T00:00:00Z", "2027-W01"),
            ("1970-01-05T00:00:00Z", "1970-W02"),
        ] {
            assert_eq!(slot(at).to_string(), week, "{at}");
        }
        assert_eq!(slot("2026-08-27T10:00:00Z").begins().rfc3339(), "2026-08-24T00:00:00.000Z");
        assert_eq!(slot("2027-01-04T00:00:00Z").weeks_since(slot("2026-12-28T00:00:00Z")), 1);
    }

    #[test]
    fn the_token_is_the_same_all_week_and_another_for_another_cluster() {
        let (monday, sunday) = (slot("2026-08-24T00:00:00Z"), slot("2026-08-30T23:00:00Z"));
        let orders = ClusterId::new("orders");
        assert_eq!(monday.token(&orders, 0), "game-day-orders-2026-W35");
        assert_eq!(monday.token(&orders, 0), sunday.token(&orders, 0));
        assert_ne!(monday.token(&orders, 0), monday.token(&orders, 1));
        assert_ne!(monday.token(&orders, 0), monday.token(&ClusterId::new("ledger"), 0));
    }
}
