//! What the preflight asks. Whatever does not answer is None, and None is a reason against it.

use steadfast_core::application::{last_acknowledged, wrong};
use steadfast_core::game_day::conduct::Before;
use steadfast_core::game_day::preflight::Facts;
use steadfast_core::ports::State;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{InstanceId, Member, Topology};
use steadfast_core::verification::Run;

use super::Scheduler;
use crate::clock;

/// A report that is older says nothing of now, in milliseconds: the policy's `report_age_max`.
const REPORT_AGE_MAX_MS: u128 = 5_000;

impl Scheduler {
    pub(super) async fn facts(&self) -> (Facts, Before) {
        let (state, topology, backup, application, alarms, lever) = tokio::join!(
            self.table.load(&self.cluster),
            self.rds.describe(&self.cluster),
            self.table.verification(&self.cluster),
            self.reports(clock::now()),
            self.experiments.stop_alarms(),
            self.experiments.lever_engaged(),
        );
        let (state, topology) = (state.ok(), topology.ok());
        let members: &[Member] = topology.as_ref().map(|topology| topology.members.as_slice()).unwrap_or_default();
        let ids: Vec<InstanceId> = members.iter().map(|member| member.id.clone()).collect();
        let changes = self.changes.pending(&self.cluster, &ids).await;
        let unfit = members.iter().filter(|member| !member.is_available());
        let facts = Facts {
            mode: state.as_ref().map(|state| state.mode),
            open_episode: state.as_ref().map(|state| state.episode.as_ref().is_some_and(|e| e.is_open())),
            status: topology.as_ref().map(|topology| topology.status.clone()),
            unfit: unfit.map(|member| format!("{} ({})", member.id, member.status)).collect(),
            instances: members.len(),
            healthy_witnesses: state.as_ref().map_or(0, |state| healthy(state, clock::now())),
            lag_ms: state.as_ref().and_then(lag),
            changes,
            backup_verified: backup.ok().flatten().as_ref().and_then(Run::last_verified),
            stop_alarms: alarms,
            lever_engaged: lever,
            application_acknowledged: application.as_deref().ok().and_then(last_acknowledged),
            application_wrong: application.as_deref().ok().and_then(wrong),
        };
        let before = Before {
            epoch: state.as_ref().map_or(0, latest_epoch),
            writer: topology.as_ref().and_then(Topology::writer).map(|it| it.id.to_string()).unwrap_or_default(),
            canary_lost: state.as_ref().map_or(0, canary_lost),
        };
        (facts, before)
    }
}

/// Witnesses that report freshly that every instance is as it should be.
fn healthy(state: &State, now: Timestamp) -> usize {
    let fresh = state.reports.iter().filter(|report| now.since(report.at).as_millis() <= REPORT_AGE_MAX_MS);
    fresh.filter(|report| !report.sightings.is_empty() && report.all_healthy()).count()
}

/// The largest lag that any witness knows.
fn lag(state: &State) -> Option<u64> {
    state.reports.iter().flat_map(|report| &report.sightings).filter_map(|sighting| sighting.lag_ms).max()
}

/// Acknowledged canary commits that a new writer did not hold, over all witnesses.
pub(super) fn canary_lost(state: &State) -> u64 {
    state.reports.iter().map(|report| report.canary.lost).sum()
}

/// The highest epoch that was ever used.
pub(super) fn latest_epoch(state: &State) -> u64 {
    let lease = state.lease.as_ref().map_or(0, |lease| lease.epoch);
    state.episode.as_ref().map_or(lease, |episode| episode.epoch.max(lease))
}
