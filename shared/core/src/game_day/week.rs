//! What became of each week, and when people must hear of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::slot::Slot;
use crate::application::Felt;
use crate::notice::{Notice, Severity};
use crate::time::Timestamp;
use crate::topology::ClusterId;

/// As many weeks are remembered.
const WEEKS_KEPT: usize = 53;

/// How a week ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The hypothesis held.
    Passed,
    /// It did not.
    Failed,
    /// A stop condition, a person or Steadfast ended the experiment.
    Stopped,
    /// Nothing was broken: there were reasons.
    Skipped,
    /// Nobody looked.
    Missed,
}

impl End {
    /// All ends.
    pub const ALL: [Self; 5] = [Self::Passed, Self::Failed, Self::Stopped, Self::Skipped, Self::Missed];

    /// Whether something was broken: the slot's budget of one is spent.
    pub fn is_spent(self) -> bool {
        matches!(self, Self::Passed | Self::Failed | Self::Stopped)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
        })
    }
}

/// A week that is over, or as good as over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Week {
    /// Which.
    pub slot: Slot,
    /// What was broken or was to be.
    pub experiment: String,
    /// How it ended.
    pub end: End,
    /// When that was known.
    pub at: Timestamp,
    /// In words.
    pub says: String,
    /// From the fault to the opening of the episode, in milliseconds.
    #[serde(default)]
    pub detected_ms: Option<u64>,
    /// The longest time without a commit, in milliseconds.
    #[serde(default)]
    pub outage_ms: Option<u64>,
    /// Acknowledged writes that were lost: the achieved recovery point in writes.
    #[serde(default)]
    pub lost: Option<u64>,
    /// What the application probe felt; None without one.
    #[serde(default)]
    pub application: Option<Felt>,
}

/// All weeks that are remembered, the oldest first, one for each slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weeks(Vec<Week>);

impl Weeks {
    /// The weeks.
    pub fn all(&self) -> &[Week] {
        &self.0
    }

    /// Puts a week in place of what was known of its slot.
    pub fn put(&mut self, week: Week) {
        self.0.retain(|known| known.slot != week.slot);
        let place = self.0.partition_point(|known| known.slot < week.slot);
        self.0.insert(place, week);
        let forgotten = self.0.len().saturating_sub(WEEKS_KEPT);
        self.0.drain(..forgotten);
    }

    /// How many of the latest weeks, up to this slot, did not end well one after another.
    pub fn without_success(&self) -> usize {
        self.0.iter().rev().take_while(|week| week.end != End::Passed).count()
    }
}

/// What people are told of the latest week. A good one is for the record; a skipped one is a warning, and from the
/// second week without success on a person is called, as for every failure.
pub fn notice(cluster: &ClusterId, week: &Week, weeks: &Weeks) -> Notice {
    let barren = weeks.without_success();
    let severity = match week.end {
        End::Passed => Severity::Info,
        End::Failed | End::Stopped => Severity::Critical,
        End::Skipped | End::Missed if barren > 1 => Severity::Critical,
        End::Skipped | End::Missed => Severity::Warning,
    };
    let left = match week.end {
        End::Passed => "Nothing is left to do.".to_owned(),
        End::Failed => {
            "The installation does not do what it promises: look at the report before anything else fails.".to_owned()
        }
        End::Stopped => "See which alarm fired and why; a stopped experiment cannot undo a failover.".to_owned(),
        End::Skipped => "Remove the reasons and order it again this week, or it counts as skipped.".to_owned(),
        End::Missed => "See whether the schedule is enabled and the function runs.".to_owned(),
    };
    let streak = if barren > 1 { format!(" It is week {barren} in a row without a success.") } else { String::new() };
    Notice {
        severity,
        subject: format!("{cluster}: game day {} {}", week.slot, week.end),
        body: format!(
            "Game day {} of cluster {cluster}, experiment {}: {}. {}.{streak} {left}",
            week.slot, week.experiment, week.end, week.says
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(number: u64, end: End) -> Week {
        let at = Timestamp::from_millis(number * 7 * 24 * 3_600_000);
        Week {
            slot: Slot::of(at),
            experiment: "failover".to_owned(),
            end,
            at,
            says: "as planned".to_owned(),
            detected_ms: None,
            outage_ms: None,
            lost: None,
            application: None,
        }
    }

    fn told(ends: &[End]) -> Notice {
        let mut weeks = Weeks::default();
        for (number, end) in (100..).zip(ends) {
            weeks.put(week(number, *end));
        }
        let last = weeks.all().last().cloned().expect("a week");
        notice(&ClusterId::new("orders"), &last, &weeks)
    }

    #[test]
    fn a_failure_calls_a_person_at_once_and_a_skip_in_the_second_week() {
        assert_eq!(told(&[End::Passed]).severity, Severity::Info);
        assert_eq!(told(&[End::Failed]).severity, Severity::Critical);
        assert_eq!(told(&[End::Stopped]).severity, Severity::Critical);
        for end in [End::Skipped, End::Missed] {
            assert_eq!(told(&[End::Passed, end]).severity, Severity::Warning);
            assert_eq!(told(&[End::Passed, End::Skipped, end]).severity, Severity::Critical);
            assert_eq!(told(&[End::Failed, end]).severity, Severity::Critical);
        }
        assert!(told(&[End::Skipped, End::Missed, End::Skipped]).body.contains("week 3 in a row without a success"));
    }

    #[test]
    fn a_slot_has_one_week_and_a_year_is_remembered() {
        let mut weeks = Weeks::default();
        for number in 100..200 {
            weeks.put(week(number, End::Skipped));
            weeks.put(week(number, End::Passed));
        }
        assert_eq!(weeks.all().len(), WEEKS_KEPT);
        assert!(weeks.all().windows(2).all(|pair| pair[0].slot < pair[1].slot));
        assert_eq!(weeks.without_success(), 0);
    }
}
