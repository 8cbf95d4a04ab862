//! What the prober of one Availability Zone saw. A witness reports, it never decides.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::topology::{Az, InstanceId};

/// What came of the latest probe of one instance. Distinct names for distinct silences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is the writer, and a canary commit was acknowledged.
    Committing,
    /// It answers as a reader.
    Reading,
    /// It answers queries, but the canary commit stays open.
    Stalled,
    /// TCP connects, nothing answers: frozen, or hung.
    Silent,
    /// TCP does not connect in time: host or path gone.
    Unreachable,
    /// TCP is refused or reset: the host lives, the server does not.
    Refused,
    /// SQLSTATE 57P03: it is starting up, shutting down or recovering.
    Restarting,
    /// It says it is no reader, yet refuses writes (25006).
    ReadOnly,
    /// SQLSTATE 53300: alive, all connections taken.
    Saturated,
    /// SQLSTATE 28P01 or 28000: the prober's password is wrong, which says nothing of the server.
    BadCredentials,
    /// SQLSTATE 53100 on the canary commit.
    DiskFull,
    /// The custom SQL check did not pass although the server answers.
    CheckFailed,
    /// The instance endpoint has no address.
    Unresolved,
    /// Any other answer; `detail` holds it.
    Failed,
    /// Not probed yet.
    Unknown,
}

impl Outcome {
    /// Whether the prober got any answer from the server itself.
    pub fn answered(self) -> bool {
        match self {
            Self::Committing
            | Self::Reading
            | Self::Stalled
            | Self::Restarting
            | Self::ReadOnly
            | Self::Saturated
            | Self::BadCredentials
            | Self::DiskFull
            | Self::CheckFailed
            | Self::Failed => true,
            Self::Silent | Self::Unreachable | Self::Refused | Self::Unresolved | Self::Unknown => false,
        }
    }

    /// Whether this is what a healthy instance shows.
    pub fn healthy(self) -> bool {
        matches!(self, Self::Committing | Self::Reading)
    }
}

/// One instance as one witness saw it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Which instance.
    pub instance: InstanceId,
    /// What came of the latest probe.
    pub outcome: Outcome,
    /// Since when the outcome has been this one: for a silence, when the unanswered probe was sent.
    pub since: Timestamp,
    /// The latest acknowledged canary commit on this instance by this witness.
    pub committed_at: Option<Timestamp>,
    /// How long the latest answered probe took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Replica lag in milliseconds when the writer could last be asked.
    pub lag_ms: Option<u64>,
    /// The server's or the network's own words when the probe failed. Never a credential.
    pub detail: Option<String>,
}

/// The cluster endpoint as one witness saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSighting {
    /// The instance a fresh connection through the cluster endpoint reached.
    pub instance: Option<InstanceId>,
    /// When that was tried last.
    pub at: Timestamp,
    /// Why it failed, when it did.
    pub detail: Option<String>,
}

/// The write canary of one witness: a counter in its own row, one more at each commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// The highest value whose commit was acknowledged.
    pub acknowledged: u64,
    /// Acknowledged commits that a new writer did not hold, summed over this prober's life.
    pub lost: u64,
}

/// All that one witness saw, as it stands in the state table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessReport {
    /// The witness.
    pub az: Az,
    /// When this run of the prober began: a newer run replaces an older one.
    pub run: Timestamp,
    /// When the report was written, by the prober's clock.
    pub at: Timestamp,
    /// One sighting per instance it knows.
    pub sightings: Vec<Sighting>,
    /// The cluster endpoint.
    pub endpoint: EndpointSighting,
    /// The write canary.
    pub canary: Canary,
}

impl WitnessReport {
    /// What it saw of this instance.
    pub fn sighting(&self, instance: &InstanceId) -> Option<&Sighting> {
        self.sightings.iter().find(|sighting| sighting.instance == *instance)
    }

    /// Whether it sees nothing at all: then the fault is its own Availability Zone's.
    pub fn is_blind(&self) -> bool {
        !self.sightings.iter().any(|sighting| sighting.outcome.answered())
    }

    /// The first instance that looks wrong, when none commits: the reason to wake the coordinator.
    pub fn suspect(&self) -> Option<&InstanceId> {
        if self.sightings.iter().any(|sighting| sighting.outcome == Outcome::Committing) {
            return None;
        }
        self.sightings.iter().find(|sighting| !sighting.outcome.healthy()).map(|sighting| &sighting.instance)
    }

    /// Whether every instance looks as it should.
    pub fn all_healthy(&self) -> bool {
        self.sightings.iter().all(|sighting| sighting.outcome.healthy())
    }
}
