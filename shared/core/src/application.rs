//! What an application feels: a small workload of numbered transfers that goes on all the time reports what became of
//! each, and what stands in its books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What became of one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was acknowledged.
    Acknowledged,
    /// It failed, and the answer says that nothing was applied.
    Denied(String),
    /// It failed, and the answer does not say whether it was applied.
    Undecided(String),
}

/// A few seconds of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Its end; it begins where the one before ends.
    pub until: Timestamp,
    /// Transfers that were acknowledged in it.
    pub acknowledged: u64,
    /// Transfers that failed in it.
    pub errors: u64,
    /// The longest time from the beginning of a transfer to its answer, or to the end of the interval for one that still
    /// waited, in milliseconds.
    pub longest_ms: u64,
}

/// What stands in the books, held against what was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// When they were asked for: whatever was acknowledged before is in it.
    pub at: Timestamp,
    /// The fencing epoch of the writer that was asked.
    pub epoch: i64,
    /// Transfers that were acknowledged and are not there.
    pub lost: u64,
    /// Transfers that are there more than once.
    pub duplicated: u64,
    /// Transfers that were denied and are there.
    pub phantom: u64,
    /// What all accounts sum up to; anything but 0 means that a transfer was applied in part.
    pub balance: i64,
}

impl Audit {
    /// How much is wrong.
    pub fn wrong(&self) -> u64 {
        let partly = u64::from(self.balance != 0);
        self.lost.saturating_add(self.duplicated).saturating_add(self.phantom).saturating_add(partly)
    }
}

/// The report of one run, which replaces the one before. Bounded by the length of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which run: its transfers carry the same name.
    pub run: String,
    /// When it began.
    pub began: Timestamp,
    /// When it had written all that it would; None while it is at work, and for good if it died.
    pub ended: Option<Timestamp>,
    /// How many transfers were begun; they are numbered from 1.
    pub begun: u64,
    /// Transfers that were denied.
    pub denied: BTreeSet<u64>,
    /// Transfers that are under way, or undecided for good.
    pub open: BTreeSet<u64>,
    /// What was felt, the oldest first.
    pub intervals: Vec<Interval>,
    /// The latest look into the books.
    pub audit: Option<Audit>,
    /// The latest error, in words.
    pub error: Option<String>,
    /// What belongs to the interval that is not over.
    #[serde(skip)]
    current: Interval,
}

impl Report {
    /// Of a run that begins now.
    pub fn new(run: impl Into<String>, began: Timestamp) -> Self {
        Self {
            run: run.into(),
            began,
            ended: None,
            begun: 0,
            denied: BTreeSet::new(),
            open: BTreeSet::new(),
            intervals: Vec::new(),
            audit: None,
            error: None,
            current: Interval::default(),
        }
    }

    /// Begins a transfer; its number.
    pub fn begin(&mut self) -> u64 {
        self.begun = self.begun.saturating_add(1);
        self.open.insert(self.begun);
        self.begun
    }

    /// Takes down what became of a transfer.
    pub fn settle(&mut self, number: u64, took: Duration, answer: Answer) {
        self.current.longest_ms = self.current.longest_ms.max(millis(took));
        match answer {
            Answer::Acknowledged => {
                self.open.remove(&number);
                self.current.acknowledged += 1;
                return;
            }
            Answer::Denied(error) => {
                self.open.remove(&number);
                self.denied.insert(number);
                self.error = Some(error);
            }
            Answer::Undecided(error) => self.error = Some(error),
        }
        self.current.errors += 1;
    }

    /// Ends an interval, in which a transfer may have waited so long already; what was felt in it.
    pub fn close(&mut self, now: Timestamp, waiting: Duration) -> Interval {
        let mut closed = std::mem::take(&mut self.current);
        closed.until = now;
        closed.longest_ms = closed.longest_ms.max(millis(waiting));
        self.intervals.push(closed.clone());
        closed
    }

    /// Holds what stands in the books, by number and how often, against what was answered when they were asked for.
    pub fn audit(&self, at: Timestamp, epoch: i64, rows: &BTreeMap<u64, u64>, balance: i64) -> Audit {
        let acknowledged =
            (1..=self.begun).filter(|number| !self.denied.contains(number) && !self.open.contains(number));
        Audit {
            at,
            epoch,
            lost: acknowledged.filter(|number| !rows.contains_key(number)).count() as u64,
            duplicated: rows.values().map(|count| count.saturating_sub(1)).sum(),
            phantom: rows.keys().filter(|number| self.denied.contains(number)).count() as u64,
            balance,
        }
    }

    /// Whether nobody writes this report any more: the run has ended, or is past the longest that one can be.
    pub fn is_left(&self, now: Timestamp, run_at_most: Duration) -> bool {
        self.ended.is_some() || now.since(self.began) > run_at_most
    }

    /// Whether the books were asked for under an older epoch: another writer may lack what that one held.
    pub fn is_audited_before(&self, epoch: i64) -> bool {
        self.audit.is_none_or(|audit| audit.epoch < epoch)
    }

    /// Whether the books were not asked for since something was answered.
    pub fn is_unaudited(&self) -> bool {
        let last = self.intervals.iter().rev().find(|interval| interval.acknowledged > 0 || interval.errors > 0);
        last.is_some_and(|last| self.audit.is_none_or(|audit| audit.at < last.until))
    }
}

/// What was felt in a stretch of time, over all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Felt {
    /// Transfers that were acknowledged.
    pub acknowledged: u64,
    /// Transfers that failed.
    pub errors: u64,
    /// The longest time that one waited, in milliseconds.
    pub longest_ms: u64,
    /// How long ago one was acknowledged when this was asked for, in milliseconds.
    pub silent_ms: u64,
    /// What is wrong in the books: the sums over all runs, and the latest balance. None while those of a run were not
    /// looked into since.
    pub audit: Option<Audit>,
}

/// What was felt from `from` until `now`; None when nobody reported.
pub fn felt(reports: &[Report], from: Timestamp, now: Timestamp) -> Option<Felt> {
    let concerned: Vec<&Report> = reports.iter().filter(|report| since(report, from).next().is_some()).collect();
    if concerned.is_empty() {
        return None;
    }
    let last = last_acknowledged(reports).unwrap_or(from);
    let silent_ms = millis(now.since(last));
    let mut felt = Felt { silent_ms, audit: audited(&concerned, from), ..Felt::default() };
    for interval in concerned.iter().flat_map(|report| since(report, from)) {
        felt.acknowledged += interval.acknowledged;
        felt.errors += interval.errors;
        felt.longest_ms = felt.longest_ms.max(interval.longest_ms);
    }
    Some(felt)
}

/// How much is wrong in the books of all runs that were looked into; None when none was.
pub fn wrong(reports: &[Report]) -> Option<u64> {
    let audits = reports.iter().filter_map(|report| report.audit);
    audits.map(|audit| audit.wrong()).reduce(u64::saturating_add)
}

/// When a transfer was acknowledged last, to the length of an interval.
pub fn last_acknowledged(reports: &[Report]) -> Option<Timestamp> {
    let intervals = reports.iter().flat_map(|report| &report.intervals);
    intervals.filter(|interval| interval.acknowledged > 0).map(|interval| interval.until).max()
}

fn since(report: &Report, from: Timestamp) -> impl Iterator<Item = &Interval> {
    report.intervals.iter().filter(move |interval| interval.until > from)
}

fn audited(reports: &[&Report], from: Timestamp) -> Option<Audit> {
    let audits: Vec<Audit> = reports
        .iter()
        .map(|report| report.audit.filter(|audit| audit.at > from && !report.is_unaudited()))
        .collect::<Option<_>>()?;
    let latest = audits.iter().max_by_key(|audit| audit.at)?;
    Some(Audit {
        at: latest.at,
        epoch: latest.epoch,
        balance: latest.balance,
        lost: audits.iter().map(|audit| audit.lost).sum(),
        duplicated: audits.iter().map(|audit| audit.duplicated).sum(),
        phantom: audits.iter().map(|audit| audit.phantom).sum(),
    })
}

fn millis(by: Duration) -> u64 {
    u64::try_from(by.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const SHORT: Duration = Duration::from_millis(4);

    fn at(seconds: u64) -> Timestamp {
        BEGAN.plus(Duration::from_secs(seconds))
    }

    /// Transfers 1 and 2 are acknowledged, 3 is denied, 4 is undecided, 5 is under way.
    fn run() -> Report {
        let mut report = Report::new("first", BEGAN);
        let answers = [
            Answer::Acknowledged,
            Answer::Acknowledged,
            Answer::Denied("no".to_owned()),
            Answer::Undecided("who knows".to_owned()),
        ];
        for answer in answers {
            let number = report.begin();
            report.settle(number, SHORT, answer);
        }
        report.begin();
        report.close(at(5), Duration::ZERO);
        report
    }

    fn rows(there: &[(u64, u64)]) -> BTreeMap<u64, u64> {
        there.iter().copied().collect()
    }

    #[test]
    fn the_books_are_held_against_every_answer() {
        let audit = |there: &[(u64, u64)], balance| run().audit(at(5), 7, &rows(there), balance);
        let right = Audit { at: at(5), epoch: 7, ..Audit::default() };
        // What nobody has answered yet may be there or not.
        for there in [vec![(1, 1), (2, 1)], vec![(1, 1), (2, 1), (4, 1), (5, 1)]] {
            assert_eq!(audit(&there, 0), right);
        }
        assert_eq!(audit(&[(1, 1)], 0), Audit { lost: 1, ..right });
        assert_eq!(audit(&[(1, 1), (2, 3)], 0), Audit { duplicated: 2, ..right });
        assert_eq!(audit(&[(1, 1), (2, 1), (3, 1)], 0), Audit { phantom: 1, ..right });
        assert_eq!(audit(&[(1, 1), (2, 1)], -7).wrong(), 1);
        assert_eq!(audit(&[], 1).wrong(), 3);
    }

    #[test]
    fn what_still_waits_is_felt_before_it_is_answered() {
        let mut report = run();
        assert_eq!(report.close(at(10), Duration::from_secs(6)).longest_ms, 6_000);
        report.settle(5, Duration::from_secs(7), Answer::Acknowledged);
        report.close(at(15), Duration::ZERO);
        let felt = felt(&[report], at(5), at(17)).expect("it reported");
        assert_eq!((felt.acknowledged, felt.errors, felt.longest_ms, felt.silent_ms), (1, 0, 7_000, 2_000));
    }

    #[test]
    fn books_of_a_run_that_nobody_looked_into_since_tell_nothing() {
        let looked = |at: Timestamp| Report { audit: Some(Audit { at, lost: 1, ..Audit::default() }), ..run() };
        let of = |reports: &[Report]| felt(reports, at(3), at(20)).and_then(|felt| felt.audit).map(|audit| audit.lost);
        assert_eq!(of(&[looked(at(6))]), Some(1));
        assert_eq!(of(&[looked(at(6)), looked(at(5))]), Some(2));
        assert_eq!(of(&[looked(at(6)), looked(at(2))]), None);
        assert_eq!(of(&[looked(at(6)), run()]), None);
        assert_eq!(felt(&[run()], at(5), at(20)), None, "it was over before");
    }

    #[test]
    fn a_run_is_unaudited_until_its_last_answer_was_looked_for() {
        let mut report = run();
        assert!(report.is_unaudited());
        report.audit = Some(Audit { at: at(5), ..Audit::default() });
        report.close(at(10), Duration::from_secs(5));
        assert!(!report.is_unaudited(), "nothing was answered since");
        report.settle(5, SHORT, Answer::Acknowledged);
        report.close(at(15), Duration::ZERO);
        assert!(report.is_unaudited());
        assert_eq!(last_acknowledged(std::slice::from_ref(&report)), Some(at(15)));
        assert_eq!(
            felt(&[report], at(3), at(20)).and_then(|felt| felt.audit),
            None,
            "the latest answer is not looked for"
        );
    }

    #[test]
    fn a_run_is_left_when_it_has_ended_or_must_have() {
        let limit = Duration::from_secs(480);
        assert!(!run().is_left(at(480), limit) && run().is_left(at(481), limit));
        assert!(Report { ended: Some(at(9)), ..run() }.is_left(at(10), limit));
        let looked = Report { audit: Some(Audit { epoch: 7, ..Audit::default() }), ..run() };
        assert!(run().is_audited_before(7) && looked.is_audited_before(8) && !looked.is_audited_before(7));
    }

    #[test]
    fn what_is_wrong_anywhere_counts() {
        let looked = |lost| Report { audit: Some(Audit { lost, ..Audit::default() }), ..run() };
        assert_eq!(wrong(&[run()]), None);
        assert_eq!(wrong(&[run(), looked(0)]), Some(0));
        assert_eq!(wrong(&[looked(2), looked(0)]), Some(2));
    }
}
