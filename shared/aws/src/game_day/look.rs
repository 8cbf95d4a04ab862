//! What the preflight asks. Whatever does not answer is None, and None is a reason against it.

use serde::Deserialize;
use steadfast_core::game_day::conduct::Before;
use steadfast_core::game_day::preflight::{Alarm, Facts};
use steadfast_core::ports::State;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Member, Topology};

use super::World;
use crate::clock;

/// The only safety lever of an account and Region.
///
/// Source: FIS API, `GetSafetyLever`.
const LEVER: &str = "default";
/// A report that is older says nothing of now, in milliseconds: the policy's `report_age_max`.
const REPORT_AGE_MAX_MS: u128 = 5_000;
/// The kind of a stop condition, and the action that asserts the state of alarms.
///
/// Source: FIS actions reference.
const ALARM: &str = "aws:cloudwatch:alarm";
const ASSERTS: &str = "aws:cloudwatch:assert-alarm-state";
/// The record of the latest verified backup in the state table.
const BACKUP: &str = "backup";

#[derive(Deserialize)]
struct Backup {
    at: Timestamp,
    verdict: String,
}

impl World {
    pub(super) async fn facts(&self) -> (Facts, Before) {
        let (state, topology, changes, backup, alarms, lever) = tokio::join!(
            self.table.load(&self.cluster),
            self.rds.describe(&self.cluster),
            self.changes(),
            self.table.record::<Backup>(&self.cluster, BACKUP),
            self.alarms(),
            self.lever_engaged(),
        );
        let (state, topology) = (state.ok(), topology.ok());
        let members: &[Member] = topology.as_ref().map(|topology| topology.members.as_slice()).unwrap_or_default();
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
            backup_verified: backup.ok().flatten().filter(|it| it.verdict == "verified").map(|it| it.at),
            alarms,
            lever_engaged: lever,
        };
        let before = Before {
            epoch: state.as_ref().map_or(0, latest_epoch),
            writer: topology.as_ref().and_then(Topology::writer).map(|it| it.id.to_string()).unwrap_or_default(),
            canary_lost: state.as_ref().map_or(0, canary_lost),
        };
        (facts, before)
    }

    /// Pending maintenance and blue/green deployments of the cluster and of its instances.
    async fn changes(&self) -> Option<Vec<String>> {
        let (maintenance, deployments) = tokio::join!(
            self.rds_api.describe_pending_maintenance_actions().send(),
            self.rds_api.describe_blue_green_deployments().send(),
        );
        let name = self.cluster.as_str();
        let mut found = Vec::new();
        for resource in maintenance.ok()?.pending_maintenance_actions.unwrap_or_default() {
            let arn = resource.resource_identifier.unwrap_or_default();
            let of_ours = arn.rsplit(':').next().is_some_and(|id| id == name || id.starts_with(&format!("{name}-")));
            let actions = resource.pending_maintenance_action_details.unwrap_or_default();
            found.extend(actions.into_iter().filter(|_| of_ours).filter_map(|action| action.action));
        }
        for deployment in deployments.ok()?.blue_green_deployments.unwrap_or_default() {
            let source = deployment.source.unwrap_or_default();
            if source.rsplit(':').next() == Some(name) {
                found.push(deployment.blue_green_deployment_name.unwrap_or_default());
            }
        }
        Some(found)
    }

    /// The alarms that stop the experiments. FIS itself reads them: an experiment whose first action asserts that they
    /// are OK breaks nothing otherwise, and one without that action is not known to be guarded.
    async fn alarms(&self) -> Option<Vec<(String, Alarm)>> {
        let mut found = Vec::new();
        for template in self.templates.values() {
            let answer = self.fis.get_experiment_template().id(template).send().await.ok()?;
            let template = answer.experiment_template?;
            let actions = template.actions.unwrap_or_default();
            let asserts = actions.values().any(|action| action.action_id.as_deref() == Some(ASSERTS));
            let state = if asserts { Alarm::Ok } else { Alarm::Unknown };
            let conditions = template.stop_conditions.unwrap_or_default();
            let alarms = conditions.into_iter().filter(|condition| condition.source.as_deref() == Some(ALARM));
            found.extend(alarms.filter_map(|condition| condition.value).map(|arn| (arn, state)));
        }
        Some(found)
    }

    async fn lever_engaged(&self) -> Option<bool> {
        let lever = self.fis.get_safety_lever().id(LEVER).send().await.ok()?.safety_lever?;
        // One that is just being engaged, or in a state that this build does not know, is no green light.
        Some(lever.state?.status?.as_str() != "disengaged")
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
