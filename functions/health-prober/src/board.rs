//! What this witness has seen so far, shared by the tasks that look.

use std::collections::BTreeMap;
use std::sync::Mutex;

use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Az, InstanceId};
use steadfast_core::witness::{Canary, EndpointSighting, Outcome, Sighting, WitnessReport};
use tokio::sync::Notify;

/// What came of one probe of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// When the probe was sent.
    pub(crate) sent_at: Timestamp,
    /// What came of it.
    pub(crate) outcome: Outcome,
    /// How long it took, in milliseconds, if it was answered.
    pub(crate) latency_ms: Option<u64>,
    /// The value of the canary commit, if one was acknowledged.
    pub(crate) committed: Option<u64>,
    /// What went wrong.
    pub(crate) detail: Option<String>,
}

/// The sum of what was probed since it was last taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) probes: u64,
    pub(crate) commit_ms_max: u64,
    pub(crate) lost: u64,
}

#[derive(Default)]
struct State {
    sightings: BTreeMap<InstanceId, Sighting>,
    /// What the run before saw last: a silence goes on over a change of runs.
    earlier: BTreeMap<InstanceId, Sighting>,
    endpoint: EndpointSighting,
    canary: Canary,
    writer: Option<InstanceId>,
    tally: Tally,
}

/// The shared board.
#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: Notify,
    alarm: Notify,
}

impl Board {
    /// A board that continues the canary of an earlier run, and its silences.
    pub(crate) fn new(canary: Canary, earlier: Vec<Sighting>) -> Self {
        let earlier = earlier.into_iter().map(|sighting| (sighting.instance.clone(), sighting)).collect();
        Self { state: Mutex::new(State { canary, earlier, ..State::default() }), ..Self::default() }
    }

    /// Forgets an instance that has left the cluster.
    pub(crate) fn forget(&self, instance: &InstanceId) {
        self.with(|state| {
            state.sightings.remove(instance);
        });
    }

    /// How many instances have been probed at least once.
    pub(crate) fn probed(&self) -> usize {
        self.with(|state| state.sightings.len())
    }

    /// Writes down a finding. An unanswered probe after an unanswered one keeps the first one's time.
    pub(crate) fn record(&self, instance: &InstanceId, finding: Finding, now: Timestamp) {
        let changed = self.with(|state| {
            state.tally.probes = state.tally.probes.saturating_add(1);
            state.note_commit(instance, &finding);
            let before = state.sightings.get(instance).or_else(|| state.earlier.get(instance));
            let outcome = finding.outcome;
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
            let changed = state.sightings.get(instance).is_none_or(|before| before.outcome != outcome);
            state.sightings.insert(instance.clone(), sighting);
            changed
        });
        if changed {
            self.changed.notify_one();
            self.alarm.notify_waiters();
        }
    }

    /// Writes down what a connection through the cluster endpoint reached.
    pub(crate) fn record_endpoint(&self, sighting: EndpointSighting) {
        let moved = self.with(|state| {
            let moved = state.endpoint.instance != sighting.instance;
            state.endpoint = sighting;
            moved
        });
        if moved {
            self.changed.notify_one();
        }
    }

    /// Writes down a reader's lag as the writer tells it.
    pub(crate) fn record_lag(&self, instance: &InstanceId, lag_ms: u64) {
        self.with(|state| {
            if let Some(sighting) = state.sightings.get_mut(instance) {
                sighting.lag_ms = Some(lag_ms);
            }
        });
    }

    /// Whether no instance commits, as far as this witness sees.
    pub(crate) fn is_suspicious(&self) -> bool {
        self.with(|state| !state.sightings.values().any(|sighting| sighting.outcome == Outcome::Committing))
    }

    /// Returns when an outcome has changed since the last call. Safe to cancel.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns at the next change of any outcome, for every waiting task. Safe to cancel.
    pub(crate) async fn alarm(&self) {
        self.alarm.notified().await;
    }

    /// The report as of now.
    pub(crate) fn report(&self, az: &Az, run: Timestamp, now: Timestamp) -> WitnessReport {
        self.with(|state| WitnessReport {
            az: az.clone(),
            run,
            at: now,
            sightings: state.sightings.values().cloned().collect(),
            endpoint: state.endpoint.clone(),
            canary: state.canary,
        })
    }

    /// What was probed since the last call.
    pub(crate) fn take_tally(&self) -> Tally {
        self.with(|state| std::mem::take(&mut state.tally))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // A poisoned lock holds sightings all the same.
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut state)
    }
}

impl State {
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
        let board = Board::default();
        for (instance, at, outcome, committed) in findings {
            let now = Timestamp::from_millis(at + 5);
            board.record(&InstanceId::new(*instance), finding(*at, *outcome, *committed), now);
        }
        board.report(&Az::new("a"), Timestamp::default(), Timestamp::from_millis(99))
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
    fn a_witness_without_a_committing_instance_is_suspicious() {
        let board = Board::default();
        assert!(board.is_suspicious());
        board.record(&InstanceId::new("i1"), finding(1, Outcome::Committing, Some(1)), Timestamp::from_millis(2));
        assert!(!board.is_suspicious());
        board.record(&InstanceId::new("i1"), finding(3, Outcome::Refused, None), Timestamp::from_millis(4));
        assert!(board.is_suspicious());
    }
}
