//! The campaign in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::control::Control;
use super::fault::{Fault, Injector};
use super::truth::Truth;
use super::workload::Diary;
use crate::checker::Anomaly;
use crate::history::Told;

/// So many faults put a COMMIT in doubt for certain.
const MANY_FAULTS: u64 = 100;

/// `target/campaign/summary.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Faults of the writer that were ordered.
    pub faults_ordered: u64,
    /// Faults that were done; fewer when the campaign was interrupted or its time was over.
    pub faults: u64,
    /// Of each kind.
    pub faults_by_kind: BTreeMap<Fault, u64>,
    /// Transactions whose call said that they are applied.
    pub acknowledged: u64,
    /// COMMITs that were in doubt.
    pub in_doubt: u64,
    /// Of the transactions in doubt: decided as applied.
    pub in_doubt_applied: u64,
    /// Decided as not applied.
    pub in_doubt_not_applied: u64,
    /// Calls that ended undecided, and were asked for again at the end.
    pub undecided_calls: u64,
    /// Transactions that even then had no outcome.
    pub unresolved: u64,
    /// Decided otherwise than the database shows.
    pub resolved_wrong: u64,
    /// Transactions applied more than once.
    pub duplicated: u64,
    /// Acknowledged transactions that are not in the database.
    pub lost: u64,
    /// Transactions in the database that were told not to be applied.
    pub phantom: u64,
    /// Writes that an old writer acknowledged after another one was promoted.
    pub zombie_writes: u64,
    /// How often an old writer was awake and asked, over a connection without the client.
    pub zombies_asked: u64,
    /// How often it answered a read.
    pub zombie_reads_without_client: u64,
    /// Reads through the client outside of transactions.
    pub reads: u64,
    /// Of these, older than an acknowledgement before them.
    pub stale_reads: u64,
    /// By how much at most, in milliseconds.
    pub stalest_read_ms: u64,
    /// How often the client refused an old writer.
    pub fenced: u64,
    /// Attempts beyond the first, conflicts included.
    pub replays: u64,
    /// Calls that said that nothing was applied, by their words.
    pub not_applied: BTreeMap<String, u64>,
    /// Sum of all balances; transfers keep it at 0.
    pub money: i64,
    /// Transactions that the checker looked at.
    pub checked_transactions: u64,
    /// What it found.
    pub anomalies: Vec<Anomaly>,
    /// Longest gap between two acknowledgements of all workers around a fault: min, median and max in milliseconds.
    pub stall_ms: BTreeMap<Fault, [u64; 3]>,
    /// How long it all took, in seconds.
    pub seconds: u64,
    /// The broken client, which shows that the judges see.
    pub control: Option<Control>,
}

impl Summary {
    pub(super) fn new(
        ordered: usize,
        stalls: &[(Fault, Duration)],
        diary: &Diary,
        truth: &Truth,
        injector: &Injector<'_>,
        anomalies: Vec<Anomaly>,
        took: Duration,
    ) -> Self {
        let verdict = truth.judge(diary);
        let decided = |how: bool| diary.doubts.values().filter(|(_, decided)| *decided == Some(how)).count() as u64;
        let told = |told: Told| diary.entries.iter().filter(|entry| entry.told == told).count() as u64;
        let mut by_kind: BTreeMap<Fault, Vec<u64>> = BTreeMap::new();
        for (fault, stall) in stalls {
            by_kind.entry(*fault).or_default().push(u64::try_from(stall.as_millis()).unwrap_or(u64::MAX));
        }
        let mut not_applied = BTreeMap::new();
        for error in diary.entries.iter().filter_map(|entry| entry.error.clone()) {
            *not_applied.entry(error).or_default() += 1;
        }
        Self {
            faults_ordered: ordered as u64,
            faults: stalls.len() as u64,
            faults_by_kind: by_kind.iter().map(|(fault, times)| (*fault, times.len() as u64)).collect(),
            acknowledged: told(Told::Applied),
            in_doubt: diary.doubts.values().map(|(times, _)| times).sum(),
            in_doubt_applied: decided(true),
            in_doubt_not_applied: decided(false),
            undecided_calls: diary.undecided_at_first,
            unresolved: told(Told::Nothing),
            resolved_wrong: verdict.resolved_wrong,
            duplicated: verdict.duplicated,
            lost: verdict.lost,
            phantom: verdict.phantom,
            zombie_writes: injector.zombie_writes,
            zombies_asked: injector.zombies,
            zombie_reads_without_client: injector.zombie_reads,
            reads: diary.reads,
            stale_reads: diary.stale_reads,
            stalest_read_ms: u64::try_from(diary.stalest.as_millis()).unwrap_or(u64::MAX),
            fenced: diary.fenced,
            replays: diary.replays,
            not_applied,
            money: truth.money,
            checked_transactions: diary.entries.iter().filter(|entry| !entry.operations.is_empty()).count() as u64,
            anomalies,
            stall_ms: by_kind.into_iter().map(|(fault, times)| (fault, spread(times))).collect(),
            seconds: took.as_secs(),
            control: None,
        }
    }

    /// Whether every promise was kept by all the faults that were ordered, and the judges saw the broken client break
    /// them. Of many faults some must have hit a COMMIT, or the hardest promise was not tried.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let kept = [self.unresolved, self.resolved_wrong, self.duplicated, self.lost, self.phantom, self.zombie_writes];
        let seen = self.control.as_ref().is_none_or(Control::is_caught);
        let complete = self.faults == self.faults_ordered;
        let tried = self.faults < MANY_FAULTS || self.in_doubt > 0;
        let unbroken = kept.iter().all(|count| *count == 0) && self.money == 0 && self.anomalies.is_empty();
        unbroken && seen && complete && tried
    }
}

fn spread(mut times: Vec<u64>) -> [u64; 3] {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    [at(0), at(times.len() / 2), at(times.len().saturating_sub(1))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(ordered: u64, faults: u64, in_doubt: u64) -> Summary {
        Summary {
            faults_ordered: ordered,
            faults,
            faults_by_kind: BTreeMap::new(),
            acknowledged: 1,
            in_doubt,
            in_doubt_applied: in_doubt,
            in_doubt_not_applied: 0,
            undecided_calls: 0,
            unresolved: 0,
            resolved_wrong: 0,
            duplicated: 0,
            lost: 0,
            phantom: 0,
            zombie_writes: 0,
            zombies_asked: 0,
            zombie_reads_without_client: 0,
            reads: 0,
            stale_reads: 0,
            stalest_read_ms: 0,
            fenced: 0,
            replays: 0,
            not_applied: BTreeMap::new(),
            money: 0,
            checked_transactions: 1,
            anomalies: Vec::new(),
            stall_ms: BTreeMap::new(),
            seconds: 1,
            control: None,
        }
    }

    #[test]
    fn a_campaign_that_ended_early_or_tried_nothing_is_not_clean() {
        assert!(summary(99, 99, 0).is_clean());
        assert!(summary(100, 100, 1).is_clean());
        assert!(!summary(100, 99, 1).is_clean());
        assert!(!summary(100, 100, 0).is_clean());
        assert!(!Summary { lost: 1, ..summary(1, 1, 0) }.is_clean());
    }

    #[test]
    fn judges_that_do_not_see_the_broken_client_spoil_it() {
        let blind = Control { faults: 3, acknowledged: 9, duplicated: 0, anomalies: Vec::new() };
        assert!(!Summary { control: Some(blind), ..summary(1, 1, 0) }.is_clean());
    }
}
