//! The pin: a stable name that leads to the proved writer, for those who use one. Never on the critical path.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decision::Decision;
use crate::mode::Mode;
use crate::rules::Verdict;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;
use crate::topology::InstanceId;

/// How long whoever asks for the name keeps an answer. Short, since the cluster endpoint's is 5 s as well.
pub const TTL: Duration = Duration::from_secs(5);

/// A call begins within this after it was written down, or is not made.
const BEGINS_WITHIN: Duration = Duration::from_secs(15);
/// After this long no call is on its way any more: its port gives it up after [`crate::ports::POINT_LIMIT`].
const ON_ITS_WAY: Duration = Duration::from_secs(30);

/// A name and the hosted zone it stands in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinName {
    /// The zone's id.
    pub zone: String,
    /// The name, without a dot at its end.
    pub name: String,
}

/// Where the name shall lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aim {
    /// The name.
    #[serde(flatten)]
    pub name: PinName,
    /// The instance that commits.
    pub writer: InstanceId,
    /// Its own endpoint.
    pub endpoint: String,
    /// The latest episode; 0 before the first. Each one that was closed is reason to set the name anew.
    pub epoch: u64,
}

/// What stands in the state table about the name. It is written before each call, and again after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// What was asked for last.
    pub aim: Aim,
    /// When.
    pub asked_at: Timestamp,
    /// Whether the name leads there for certain: it was set, and no earlier call can undo it.
    pub settled: bool,
    /// Whether people were told that it could not be set.
    pub told: bool,
    /// One more at each write: a write is valid only over the version it saw.
    pub version: u64,
}

impl Pin {
    /// Whether its call may still be made.
    pub fn may_begin(&self, now: Timestamp) -> bool {
        now.since(self.asked_at) < BEGINS_WITHIN
    }

    /// Whether its call may take effect later than one that is made now.
    pub fn may_come_late(&self, now: Timestamp) -> bool {
        !self.settled && now.since(self.asked_at) < ON_ITS_WAY
    }
}

/// What is to be asked for now. None while anything is wrong, unless armed, once the name is settled, or when the same
/// was asked for so lately that the answer is not known.
///
/// The instance whose commit makes the rule that rests is the proved writer, whoever moved the role.
pub fn due(name: &PinName, snapshot: &Snapshot, decision: &Decision, known: Option<&Pin>) -> Option<Pin> {
    if decision.verdict != Verdict::Rest || snapshot.mode != Mode::Armed {
        return None;
    }
    let (writer, _) = decision.diagnosis.committed.as_ref()?;
    let members = snapshot.topology.iter().flat_map(|seen| &seen.what.members);
    let endpoint = &members.into_iter().find(|member| member.id == *writer)?.endpoint;
    let aim = Aim {
        name: name.clone(),
        writer: writer.clone(),
        endpoint: Some(endpoint).filter(|endpoint| !endpoint.is_empty())?.clone(),
        epoch: snapshot.episode.as_ref().map_or(0, |episode| episode.epoch),
    };
    let same = known.filter(|known| known.aim == aim);
    if same.is_some_and(|known| known.settled || known.may_come_late(snapshot.now)) {
        return None;
    }
    Some(Pin {
        aim,
        asked_at: snapshot.now,
        settled: false,
        told: same.is_some_and(|known| known.told),
        version: known.map_or(0, |known| known.version).saturating_add(1),
    })
}
