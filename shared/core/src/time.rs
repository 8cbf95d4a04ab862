//! Points in time as the state table stores them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;

/// Milliseconds since the Unix epoch, by the clock of whoever wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Reads what AWS writes: RFC 3339, and the `+0000` without a colon of CloudWatch alarms.
    pub fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Iso8601::DEFAULT).ok()?;
        u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }

    /// RFC 3339 in UTC with milliseconds, for people. Beyond the year 9999, bare milliseconds.
    pub fn rfc3339(self) -> String {
        let seconds = i64::try_from(self.0 / 1_000).ok();
        let Some(at) = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()) else {
            return format!("{} ms after 1970", self.0);
        };
        let (date, time) = (at.date(), at.time());
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
            self.0 % 1_000
        )
    }

    /// How long ago `earlier` was; zero when it lies in the future (clock skew).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The instant `by` later, saturating at the end of time.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The instant `by` earlier, saturating at the Unix epoch.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_in_which_aws_writes_a_time_is_read() {
        let expected = Some(Timestamp::from_millis(1_538_828_773_882));
        for text in ["2018-10-06T12:26:13.882Z", "2018-10-06T12:26:13.882+0000", "2018-10-06T14:26:13.882+02:00"] {
            assert_eq!(Timestamp::parse(text), expected, "{text}");
        }
        for text in ["", "yesterday", "1538828773", "1900-01-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_told_to_people_and_read_again() {
        let at = Timestamp::from_millis(1_538_828_773_082);
        assert_eq!(at.rfc3339(), "2018-10-06T12:26:13.082Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).rfc3339(), "18446744073709551615 ms after 1970");
    }

    #[test]
    fn a_time_in_the_future_is_not_long_ago() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(now.since(now.plus(Duration::from_secs(5))), Duration::ZERO);
        assert_eq!(now.since(now.minus(Duration::from_millis(250))), Duration::from_millis(250));
        assert_eq!(now.minus(Duration::MAX), Timestamp::default());
        assert_eq!(now.plus(Duration::MAX).as_millis(), u64::MAX);
    }
}
