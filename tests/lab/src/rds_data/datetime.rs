//! PostgreSQL's binary dates and times as `YYYY-MM-DD HH:MM:SS[.FFFFFF]`; zones are UTC.

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;
/// Days from 0000-03-01 to 2000-01-01 in the proleptic Gregorian calendar.
const EPOCH_SHIFT: i64 = 730_425;

/// `days` counts from 2000-01-01.
pub(super) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        _ => {
            let (date, suffix) = civil(i64::from(days));
            format!("{date}{suffix}")
        }
    }
}

/// `microseconds` counts from midnight.
pub(super) fn time(microseconds: i64) -> String {
    let fraction = microseconds.rem_euclid(1_000_000);
    let seconds = microseconds.div_euclid(1_000_000);
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    text
}

/// `microseconds` counts from 2000-01-01 00:00:00 (UTC for a timestamp with time zone).
pub(super) fn timestamp(microseconds: i64) -> String {
    match microseconds {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        _ => {
            let (date, suffix) = civil(microseconds.div_euclid(MICROSECONDS_PER_DAY));
            let time = time(microseconds.rem_euclid(MICROSECONDS_PER_DAY));
            format!("{date} {time}{suffix}")
        }
    }
}

/// Date text and, for years before 1, the suffix ` BC`. Years start in March here, so that a leap
/// day is the last day of its year.
fn civil(days: i64) -> (String, &'static str) {
    let shifted = days + EPOCH_SHIFT;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    if year > 0 {
        (format!("{year:04}-{month:02}-{day:02}"), "")
    } else {
        (format!("{:04}-{month:02}-{day:02}", 1 - year), " BC")
    }
}
