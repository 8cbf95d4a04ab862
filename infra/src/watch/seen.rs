//! What one look has shown.

use steadfast_aws::state::ModeSet;
use steadfast_core::application::Felt;
use steadfast_core::diagnosis::{Diagnosis, diagnose};
use steadfast_core::episode::Episode;
use steadfast_core::evidence::Entry;
use steadfast_core::game_day::plan::Record;
use steadfast_core::policy::Policy;
use steadfast_core::ports::State;
use steadfast_core::snapshot::{self, Snapshot};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment, Owner, Topology};
use steadfast_core::verification::Run;

/// One look at the installation. What could not be read is an error in words.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was.
    pub at: Timestamp,
    /// The cluster.
    pub id: ClusterId,
    /// Which kind it is.
    pub deployment: Deployment,
    /// The state table.
    pub state: Result<State, String>,
    /// The control plane.
    pub topology: Result<Topology, String>,
    /// Who set the mode.
    pub mode_set: Option<ModeSet>,
    /// The evidence of the latest episode.
    pub evidence: Vec<Entry>,
    /// The latest game day, with the weeks before it.
    pub game_day: Option<Record>,
    /// What the application probe felt in the last minute; None where it reports nothing.
    pub application: Option<Felt>,
    /// The latest verification of a backup.
    pub backup: Option<Run>,
}

impl Seen {
    /// What witnesses and control plane mean together, by the rules of this build. None without a state.
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        let state = self.state.as_ref().ok()?;
        let topology = self.topology.as_ref().ok().cloned();
        let snapshot = Snapshot {
            now: self.at,
            me: Owner::new("console"),
            cluster: self.id.clone(),
            mode: state.mode,
            lease: state.lease.clone(),
            topology: topology.map(|what| snapshot::Seen { at: self.at, what }),
            reports: state.reports.clone(),
            episode: state.episode.clone(),
            rotations: state.rotations.clone(),
        };
        Some(diagnose(&snapshot, &Policy::of(self.deployment)))
    }

    /// The latest episode.
    pub fn episode(&self) -> Option<&Episode> {
        self.state.as_ref().ok()?.episode.as_ref()
    }
}

/// The step that an episode is at, in words.
pub(crate) fn step(episode: &Episode) -> &'static str {
    if episode.closed.is_some() {
        "closed"
    } else if episode.proved_at.is_some() && !episode.evicted {
        "proved by a commit; eviction is next"
    } else if episode.proved_at.is_some() {
        "proved by a commit; about to be closed"
    } else if episode.promotion.as_ref().is_some_and(|promotion| promotion.refused.is_some()) {
        "the call was refused"
    } else if episode.promotion.is_some() {
        "the call was made or is being made; a commit must prove it"
    } else if episode.plan.is_some() {
        "a switchover was ordered; the gate is next"
    } else {
        "open; nothing was called"
    }
}
