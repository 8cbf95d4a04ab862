//! All facts looked at now, frozen. The only input of the decision.

use serde::{Deserialize, Serialize};

use crate::episode::Episode;
use crate::lease::Lease;
use crate::mode::Mode;
use crate::policy::Policy;
use crate::rotation::Rotation;
use crate::time::Timestamp;
use crate::topology::{ClusterId, Deployment, InstanceId, Owner, Topology};
use crate::witness::{Outcome, WitnessReport};

/// Something seen at a known time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen<T> {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: T,
}

/// What one coordinator knows at `now`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The only clock of the decision.
    pub now: Timestamp,
    /// Who looks.
    pub me: Owner,
    /// Which cluster.
    pub cluster: ClusterId,
    /// What the operator allows.
    pub mode: Mode,
    /// The lease as stored.
    pub lease: Option<Lease>,
    /// The latest description of the cluster; None when the control plane did not answer.
    pub topology: Option<Seen<Topology>>,
    /// The latest report of each witness, at most one per Availability Zone.
    pub reports: Vec<WitnessReport>,
    /// The latest episode, open or closed.
    pub episode: Option<Episode>,
    /// The latest rotation of each secret.
    #[serde(default)]
    pub rotations: Vec<Rotation>,
}

impl Snapshot {
    /// The episode that still has to be brought to its end.
    pub fn open_episode(&self) -> Option<&Episode> {
        self.episode.as_ref().filter(|episode| episode.is_open())
    }

    /// A rotation that is about to change something: nobody moves the writer role on purpose meanwhile.
    pub fn rotating(&self, policy: &Policy) -> Option<&Rotation> {
        self.rotations.iter().find(|rotation| rotation.is_in_progress(self.now, policy.clock_skew_max))
    }

    /// What is watched. Unlike the rest of a description, this does not grow old.
    pub fn deployment(&self) -> Deployment {
        self.topology.as_ref().map_or(Deployment::default(), |seen| seen.what.deployment)
    }

    /// The description of the cluster, while it is young enough to be a fact.
    pub fn fresh_topology(&self, policy: &Policy) -> Option<&Topology> {
        self.topology.as_ref().filter(|seen| self.now.since(seen.at) <= policy.topology_age_max).map(|seen| &seen.what)
    }

    /// The instance whose health is in question: an open episode's old writer, else the one that the control plane
    /// calls writer, unless we know better from the episode before. While the control plane is mute it is the
    /// instance that committed last: a person must hear of its failure all the same.
    pub fn presumed_writer(&self, policy: &Policy) -> Option<InstanceId> {
        if let Some(open) = self.open_episode() {
            return Some(open.old_writer.clone());
        }
        let named = match self.fresh_topology(policy) {
            Some(topology) => topology.writer().map(|writer| writer.id.clone()),
            None => self.last_committer(policy),
        };
        match self.replaced_lately(policy) {
            Some((old, new)) if named.as_ref() == Some(old) && !self.writes_again(old, policy) => Some(new.clone()),
            Some(_) | None => named,
        }
    }

    /// The writer that the latest episode replaced, and the one that was proved, while the control
    /// plane may still name the old one.
    fn replaced_lately(&self, policy: &Policy) -> Option<(&InstanceId, &InstanceId)> {
        let episode = self.episode.as_ref()?;
        let closed = episode.closed.as_ref()?;
        let lately = self.now.since(closed.at) < policy.topology_lag_max;
        (lately && closed.writer != episode.old_writer).then_some((&episode.old_writer, &closed.writer))
    }

    /// Whether the role has moved back since the latest episode ended: the latest commit that anybody counted knows
    /// of was acknowledged there, and not before that end by any clock.
    fn writes_again(&self, instance: &InstanceId, policy: &Policy) -> bool {
        let Some(closed) = self.episode.as_ref().and_then(|episode| episode.closed.as_ref()) else {
            return false;
        };
        let latest = latest_commit(self.counted_reports(policy));
        latest.is_some_and(|(at, by)| by == instance && at > closed.at.plus(policy.clock_skew_max))
    }

    /// Also by the word of witnesses that see nothing now.
    fn last_committer(&self, policy: &Policy) -> Option<InstanceId> {
        let fresh = self.reports.iter().filter(|report| self.is_fresh(report, policy));
        latest_commit(fresh).map(|(_, by)| by.clone())
    }

    /// Whether a report is young enough to count; one from the future is by a clock that is wrong.
    pub fn is_fresh(&self, report: &WitnessReport, policy: &Policy) -> bool {
        self.now.since(report.at) <= policy.report_age_max && report.at <= self.now.plus(policy.clock_skew_max)
    }

    /// Reports young enough to count, of witnesses that are not blind themselves.
    pub fn counted_reports<'a>(&'a self, policy: &'a Policy) -> impl Iterator<Item = &'a WitnessReport> {
        self.reports.iter().filter(|report| self.is_fresh(report, policy) && !self.is_blind(report))
    }

    /// Whether what a witness does not see is its own fault. Of a Multi-AZ DB instance there is only one host to
    /// be seen: whoever reaches nothing there shows what a dead writer looks like, unless it has not even an address
    /// to try.
    pub fn is_blind(&self, report: &WitnessReport) -> bool {
        match self.deployment() {
            Deployment::Cluster => report.is_blind(),
            Deployment::Instance => report.sightings.iter().all(|seen| seen.outcome == Outcome::Unresolved),
        }
    }
}

fn latest_commit<'r>(reports: impl Iterator<Item = &'r WitnessReport>) -> Option<(Timestamp, &'r InstanceId)> {
    let sightings = reports.flat_map(|report| &report.sightings);
    sightings.filter_map(|sighting| Some((sighting.committed_at?, &sighting.instance))).max_by_key(|(at, _)| *at)
}
