//! What this witness has seen so far, shared by the tasks that look.

use std::sync::Mutex;

use steadfast_core::board::{self, Finding, Tally};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Az, InstanceId};
use steadfast_core::witness::{Canary, EndpointSighting, Sighting, WitnessReport};
use tokio::sync::Notify;

/// The shared board.
#[derive(Default)]
pub(crate) struct Board {
    seen: Mutex<board::Board>,
    changed: Notify,
    alarm: Notify,
}

impl Board {
    /// A board that continues the canary of an earlier run, and its silences.
    pub(crate) fn new(canary: Canary, earlier: Vec<Sighting>) -> Self {
        Self { seen: Mutex::new(board::Board::new(canary, earlier)), ..Self::default() }
    }

    /// Forgets an instance that has left the cluster.
    pub(crate) fn forget(&self, instance: &InstanceId) {
        self.with(|seen| seen.forget(instance));
    }

    /// How many instances have been probed at least once.
    pub(crate) fn probed(&self) -> usize {
        self.with(|seen| seen.probed())
    }

    /// Writes down a finding, and wakes whoever waits for a change.
    pub(crate) fn record(&self, instance: &InstanceId, finding: Finding, now: Timestamp) {
        if self.with(|seen| seen.record(instance, finding, now)) {
            self.changed.notify_one();
            self.alarm.notify_waiters();
        }
    }

    /// The same, and forgets every other instance: nothing but this one can be seen any more.
    pub(crate) fn record_alone(&self, instance: &InstanceId, finding: Finding, now: Timestamp) {
        self.with(|seen| seen.keep_only(instance));
        self.record(instance, finding, now);
    }

    /// Writes down what a connection through the cluster endpoint reached.
    pub(crate) fn record_endpoint(&self, sighting: EndpointSighting) {
        if self.with(|seen| seen.record_endpoint(sighting)) {
            self.changed.notify_one();
        }
    }

    /// Writes down a reader's lag as the writer tells it.
    pub(crate) fn record_lag(&self, instance: &InstanceId, lag_ms: u64) {
        self.with(|seen| seen.record_lag(instance, lag_ms));
    }

    /// Whether no instance commits, as far as this witness sees.
    pub(crate) fn is_suspicious(&self) -> bool {
        self.with(|seen| seen.is_suspicious())
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
        self.with(|seen| seen.report(az, run, now))
    }

    /// What was probed since the last call.
    pub(crate) fn take_tally(&self) -> Tally {
        self.with(board::Board::take_tally)
    }

    fn with<T>(&self, work: impl FnOnce(&mut board::Board) -> T) -> T {
        // A poisoned lock holds sightings all the same.
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut seen)
    }
}
