//! What one witness has seen so far: findings go in, its report comes out.

use std::collections::BTreeMap;

use crate::time::Timestamp;
use crate::topology::{Az, InstanceId};
use crate::witness::{Canary, EndpointSighting, Outcome, Sighting, WitnessReport};

/// What came of one probe of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When the probe was sent.
    pub sent_at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took, in milliseconds, if it was answered.
    pub latency_ms: Option<u64>,
    /// The value of the canary commit, if one was acknowledged.
    pub committed: Option<u64>,
    /// What went wrong.
    pub detail: Option<String>,
}

/// The sum of what was probed since it was last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Findings.
    pub probes: u64,
    /// The slowest acknowledged canary commit, in milliseconds.
    pub commit_ms_max: u64,
    /// Acknowledged canary commits that a new writer did not hold.
    pub lost: u64,
}

/// The board of one witness.
#[derive(Clone, Debug, Default)]
pub struct Board {
    sightings: BTreeMap<InstanceId, Sighting>,
    /// What the run before saw last: a silence goes on over a change of runs.
    earlier: BTreeMap<InstanceId, Sighting>,
    /// When an instance answered again after none had.
    sighted_at: Timestamp,
    endpoint: EndpointSighting,
    canary: Canary,
    writer: Option<InstanceId>,
    tally: Tally,
}

impl Board {
    /// A board that continues the canary of an earlier run, and its silences.
    pub fn new(canary: Canary, earlier: Vec<Sighting>) -> Self {
        let earlier = earlier.into_iter().map(|sighting| (sighting.instance.clone(), sighting)).collect();
        Self { canary, earlier, ..Self::default() }
    }

    /// Forgets an instance that has left the cluster.
    pub fn forget(&mut self, instance: &InstanceId) {
        self.sightings.remove(instance);
    }

    /// Forgets every instance but this one. What the run before saw of others goes on for nobody.
    pub fn keep_only(&mut self, instance: &InstanceId) {
        self.sightings.retain(|seen, _| seen == instance);
        self.earlier.retain(|seen, _| seen == instance);
    }

    /// How many instances have been probed at least once.
    pub fn probed(&self) -> usize {
        self.sightings.len()
    }

    /// Writes down a finding, and says whether the outcome is another than before. An unanswered probe
    /// after an unanswered one keeps the first one's time.
    ///
    /// What this witness did not see while it saw nothing at all says nothing of any instance: when the first one
    /// answers again, the others are unknown until a probe that was sent since then says more. Else a cluster
    /// that comes back as a whole, as from a pause, would look like readers without a writer.
    pub fn record(&mut self, instance: &InstanceId, finding: Finding, now: Timestamp) -> bool {
        self.tally.probes = self.tally.probes.saturating_add(1);
        self.note_commit(instance, &finding);
        if finding.outcome.answered() && self.was_blind(instance) {
            self.see_again(now);
        }
        let before = self.sightings.get(instance).or_else(|| self.earlier.get(instance));
        let outdated = !finding.outcome.answered() && finding.sent_at < self.sighted_at;
        let outcome = if outdated { Outcome::Unknown } else { finding.outcome };
        let same = before.is_some_and(|b| b.outcome == outcome || !(b.outcome.answered() || outcome.answered()));
        let known = before.filter(|before| before.outcome != Outcome::Unknown);
        let sighting = Sighting {
            instance: instance.clone(),
            outcome,
            since: known.filter(|_| same).map_or(finding.sent_at, |before| before.since),
            committed_at: if finding.committed.is_some() { Some(now) } else { before.and_then(|b| b.committed_at) },
            latency_ms: finding.latency_ms.or_else(|| before.and_then(|b| b.latency_ms)),
            lag_ms: before.and_then(|b| b.lag_ms),
            detail: finding.detail,
        };
        let changed = self.sightings.get(instance).is_none_or(|before| before.outcome != outcome);
        self.sightings.insert(instance.clone(), sighting);
        changed
    }

    /// Whether this instance and all others have been probed in vain.
    fn was_blind(&self, instance: &InstanceId) -> bool {
        self.sightings.contains_key(instance) && !self.sightings.values().any(|seen| seen.outcome.answered())
    }

    fn see_again(&mut self, now: Timestamp) {
        self.sighted_at = now;
        for sighting in self.sightings.values_mut() {
            sighting.outcome = Outcome::Unknown;
            sighting.since = now;
        }
    }

    /// Writes down what a connection through the cluster endpoint reached, and says whether that is
    /// another instance than before.
    pub fn record_endpoint(&mut self, sighting: EndpointSighting) -> bool {
        let moved = self.endpoint.instance != sighting.instance;
        self.endpoint = sighting;
        moved
    }

    /// Writes down a reader's lag as the writer tells it.
    pub fn record_lag(&mut self, instance: &InstanceId, lag_ms: u64) {
        if let Some(sighting) = self.sightings.get_mut(instance) {
            sighting.lag_ms = Some(lag_ms);
        }
    }

    /// Whether no instance commits, as far as this witness sees.
    pub fn is_suspicious(&self) -> bool {
        !self.sightings.values().any(|sighting| sighting.outcome == Outcome::Committing)
    }

    /// The report as of now.
    pub fn report(&self, az: &Az, run: Timestamp, now: Timestamp) -> WitnessReport {
        WitnessReport {
            az: az.clone(),
            run,
            at: now,
            sightings: self.sightings.values().cloned().collect(),
            endpoint: self.endpoint.clone(),
            canary: self.canary,
        }
    }

    /// What was probed since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Counts acknowledged commits that a new writer does not hold: its counter continues from the
    /// last value it knows, so a gap to the last acknowledged one is exactly what was lost.
    fn note_commit(&mut self, instance: &InstanceId, finding: &Finding) {
        let Some(value) = finding.committed else {
            return;
        };
        let took = finding.latency_ms.unwrap_or(0);
        self.tally.commit_ms_max = self.tally.commit_ms_max.max(took);
        let expected = self.canary.acknowledged.saturating_add(1);
        if self.writer.as_ref() != Some(instance) && value < expected {
            let lost = expected.saturating_sub(value);
            self.canary.lost = self.canary.lost.saturating_add(lost);
            self.tally.lost = self.tally.lost.saturating_add(lost);
        }
        self.writer = Some(instance.clone());
        self.canary.acknowledged = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(at: u64, outcome: Outcome, committed: Option<u64>) -> Finding {
        Finding { sent_at: Timestamp::from_millis(at), outcome, latency_ms: Some(1), committed, detail: None }
    }

    fn board_with(findings: &[(&str, u64, Outcome, Option<u64>)]) -> WitnessReport {
        let mut board = Board::default();
        for (instance, at, outcome, committed) in findings {
            let now = Timestamp::from_millis(at + 5);
            board.record(&InstanceId::new(*instance), finding(*at, *outcome, *committed), now);
        }
        board.report(&Az::new("a"), Timestamp::default(), Timestamp::from_millis(99))
    }

    #[test]
    fn who_saw_nothing_at_all_says_nothing_of_the_writer_until_it_has_looked_again() {
        let (writer, reader) = (InstanceId::new("orders-1"), InstanceId::new("orders-2"));
        let mut board = Board::default();
        let mut record = |instance: &InstanceId, sent: u64, outcome: Outcome, now: u64| {
            board.record(instance, finding(sent, outcome, None), Timestamp::from_millis(now));
            let report = board.report(&Az::new("az-a"), Timestamp::default(), Timestamp::from_millis(now));
            report.sighting(&writer).map(|seen| (seen.outcome, seen.since.as_millis()))
        };
        record(&reader, 1_000, Outcome::Silent, 1_250);
        assert_eq!(record(&writer, 1_000, Outcome::Silent, 1_250), Some((Outcome::Silent, 1_000)));
        assert_eq!(record(&reader, 16_000, Outcome::Reading, 16_010), Some((Outcome::Unknown, 16_010)));
        // This probe was sent while nothing answered.
        assert_eq!(record(&writer, 15_900, Outcome::Unreachable, 16_150).map(|seen| seen.0), Some(Outcome::Unknown));
        assert_eq!(record(&writer, 16_200, Outcome::Silent, 16_450), Some((Outcome::Silent, 16_200)));
        // From then on a silence lasts, whatever the readers do.
        record(&reader, 16_400, Outcome::Reading, 16_410);
        assert_eq!(record(&writer, 16_500, Outcome::Silent, 16_750), Some((Outcome::Silent, 16_200)));
    }

    #[test]
    fn a_new_run_that_meets_the_dead_writer_first_is_not_blind() {
        let (writer, reader) = (InstanceId::new("orders-1"), InstanceId::new("orders-2"));
        let mut board = Board::default();
        board.record(&writer, finding(1_000, Outcome::Refused, None), Timestamp::from_millis(1_001));
        board.record(&reader, finding(1_000, Outcome::Reading, None), Timestamp::from_millis(1_002));
        let report = board.report(&Az::new("az-a"), Timestamp::default(), Timestamp::from_millis(1_002));
        assert_eq!(report.sighting(&writer).map(|seen| seen.outcome), Some(Outcome::Refused));
    }

    #[test]
    fn a_silence_dates_from_the_first_unanswered_probe() {
        let report = board_with(&[
            ("i1", 10, Outcome::Committing, Some(1)),
            ("i1", 20, Outcome::Silent, None),
            ("i1", 30, Outcome::Unreachable, None),
            ("i1", 40, Outcome::Refused, None),
        ]);
        assert_eq!(report.sightings[0].since, Timestamp::from_millis(20));
        assert_eq!(report.sightings[0].committed_at, Some(Timestamp::from_millis(15)));
    }

    #[test]
    fn acknowledged_commits_that_a_new_writer_lacks_are_counted() {
        let kept = board_with(&[("i1", 1, Outcome::Committing, Some(41)), ("i2", 2, Outcome::Committing, Some(42))]);
        assert_eq!(kept.canary, Canary { acknowledged: 42, lost: 0 });
        let lost = board_with(&[("i1", 1, Outcome::Committing, Some(41)), ("i2", 2, Outcome::Committing, Some(40))]);
        assert_eq!(lost.canary, Canary { acknowledged: 40, lost: 2 });
        let in_doubt =
            board_with(&[("i1", 1, Outcome::Committing, Some(41)), ("i2", 2, Outcome::Committing, Some(43))]);
        assert_eq!(in_doubt.canary, Canary { acknowledged: 43, lost: 0 });
    }

    #[test]
    fn a_commit_on_a_host_that_is_seen_no_more_hides_nothing() {
        let (a, b) = (InstanceId::new("orders@a"), InstanceId::new("orders@b"));
        let mut board = Board::default();
        board.record(&a, finding(1, Outcome::Committing, Some(1)), Timestamp::from_millis(2));
        board.keep_only(&b);
        assert!(board.record(&b, finding(3, Outcome::Refused, None), Timestamp::from_millis(4)), "another host");
        assert!(board.is_suspicious());
        let report = board.report(&Az::new("a"), Timestamp::default(), Timestamp::from_millis(5));
        assert_eq!((report.sighting(&a), report.sighting(&b).map(|seen| seen.outcome)), (None, Some(Outcome::Refused)));
    }

    #[test]
    fn a_witness_without_a_committing_instance_is_suspicious() {
        let mut board = Board::default();
        assert!(board.is_suspicious());
        board.record(&InstanceId::new("i1"), finding(1, Outcome::Committing, Some(1)), Timestamp::from_millis(2));
        assert!(!board.is_suspicious());
        board.record(&InstanceId::new("i1"), finding(3, Outcome::Refused, None), Timestamp::from_millis(4));
        assert!(board.is_suspicious());
    }
}
