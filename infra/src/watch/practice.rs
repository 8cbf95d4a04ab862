//! What is practised: game days and opened backups, in a few words each.

use std::time::Duration;

use steadfast_core::application::Felt;
use steadfast_core::game_day::plan::Record;
use steadfast_core::game_day::week::Week;
use steadfast_core::time::Timestamp;
use steadfast_core::verification::Run;

/// As many weeks as fit in a line.
const WEEKS: usize = 8;

/// One thing that was practised.
pub(crate) struct Practised {
    /// When.
    pub(crate) at: Timestamp,
    /// What came of it, in one word.
    pub(crate) word: String,
    /// The same in a sentence.
    pub(crate) says: String,
    pub(crate) is_good: bool,
}

pub(crate) fn of_game_day(record: &Record) -> Practised {
    Practised {
        at: record.at,
        word: record.verdict.clone(),
        says: format!("{}, {}", record.experiment, record.says),
        is_good: matches!(record.verdict.as_str(), "passed" | "running" | "intended"),
    }
}

/// The latest weeks, the newest last: detection and the longest time without a commit, or how else a week ended.
pub(crate) fn trend(record: &Record) -> String {
    let weeks = record.weeks.all();
    let told = |week: &Week| {
        let lost = week.lost.filter(|lost| *lost > 0).map(|lost| format!(", {lost} LOST")).unwrap_or_default();
        match week.outage_ms {
            Some(outage) => {
                let waited = week.application.as_ref().map(|felt| format!("/{}", seconds(Some(felt.longest_ms))));
                let waited = waited.unwrap_or_default();
                format!("{}/{}{waited}{lost}", seconds(week.detected_ms), seconds(Some(outage)))
            }
            None => week.end.to_string(),
        }
    };
    let latest: Vec<String> = weeks.iter().skip(weeks.len().saturating_sub(WEEKS)).map(told).collect();
    let felt = if weeks.iter().any(|week| week.application.is_some()) { "/longest transfer" } else { "" };
    format!("{} (detected/without a commit{felt}, s)", latest.join("  "))
}

/// What applications feel, in a few words.
pub(crate) fn of_application(felt: &Felt) -> String {
    let books = match felt.audit.map(|audit| audit.wrong()) {
        Some(0) => "books right".to_owned(),
        Some(wrong) => format!("{wrong} WRONG IN ITS BOOKS"),
        None => "books not read since".to_owned(),
    };
    format!("{} transfers, {} failed, longest wait {} ms, {books}", felt.acknowledged, felt.errors, felt.longest_ms)
}

fn seconds(millis: Option<u64>) -> String {
    millis.map_or_else(|| "-".to_owned(), |ms| format!("{:.1}", Duration::from_millis(ms).as_secs_f64()))
}

pub(crate) fn of_backup(run: &Run) -> Practised {
    let shown = |what: &str, of: Option<Duration>| of.map(|of| format!("achieved {what} {} s", of.as_secs()));
    let times = [shown("RPO", run.achieved_rpo()), shown("RTO", run.achieved_rto())];
    let times = times.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let findings = run.findings.first().map(|finding| finding.what.clone());
    let (word, says) = if !run.recorded {
        ("in progress", times)
    } else if run.is_verified() {
        ("verified", times)
    } else {
        ("FAILED", run.failed.clone().or(findings).unwrap_or_default())
    };
    Practised { at: run.began_at, word: word.to_owned(), says, is_good: !run.recorded || run.is_verified() }
}
