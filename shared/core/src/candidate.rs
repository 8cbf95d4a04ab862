//! Who could take over, and why the others may not.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::topology::{Az, Deployment, InstanceId, Member, Topology};
use crate::witness::Outcome;

/// Why an instance may not be promoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It is the writer that failed.
    #[error("it is the writer to be replaced")]
    OldWriter,
    /// The control plane calls it the writer already: its own failover is on the way.
    #[error("the control plane calls it the writer already")]
    NamedWriter,
    /// The control plane would reject it: its status.
    #[error("its status is {0}")]
    Status(String),
    /// Fewer than a quorum of witnesses see it answer as a reader: how many do.
    #[error("it answers as a reader to {0} Availability Zones, fewer than a quorum")]
    Unseen(usize),
    /// Its last known lag in milliseconds.
    #[error("it lags by {0} ms")]
    Lagging(u64),
    /// A Multi-AZ DB instance without a standby to take over.
    #[error("there is no standby: Multi-AZ is off, or the control plane names no secondary zone")]
    NoStandby,
    /// A call of unknown fate names another target; a second one with this target could flip the roles.
    #[error("another instance is the only target that may be called")]
    OtherTarget,
}

/// A refused instance with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Which.
    pub instance: InstanceId,
    /// Why.
    pub because: Refusal,
}

/// The refused in words; None when nobody was refused.
pub fn reasons(refused: &[Refused]) -> Option<String> {
    let words: Vec<String> =
        refused.iter().map(|refused| format!("{} ({})", refused.instance, refused.because)).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// The chosen target, those that would have done, and the refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The target.
    pub chosen: Option<InstanceId>,
    /// Fit as well, in order of preference.
    pub spare: Vec<InstanceId>,
    /// Unfit.
    pub refused: Vec<Refused>,
}

impl Choice {
    /// Leaves no target but this one, if it is fit.
    pub fn keep_to(&mut self, target: &InstanceId) {
        let fit: Vec<InstanceId> = self.chosen.take().into_iter().chain(self.spare.drain(..)).collect();
        for instance in fit {
            if instance == *target {
                self.chosen = Some(instance);
            } else {
                self.refused.push(Refused { instance, because: Refusal::OtherTarget });
            }
        }
    }
}

/// Chooses the instance to promote in place of `old_writer`.
///
/// Order of preference: promotion tier, another Availability Zone than the failed writer's,
/// the writer's own class (a smaller one may not carry the load), lag, then the name.
pub fn choose(snapshot: &Snapshot, policy: &Policy, old_writer: &InstanceId) -> Choice {
    let Some(topology) = snapshot.fresh_topology(policy) else {
        return Choice::default();
    };
    let mut fit: Vec<&Member> = Vec::new();
    let mut refused = Vec::new();
    for member in &topology.members {
        match refusal(snapshot, policy, member, old_writer) {
            Some(because) => refused.push(Refused { instance: member.id.clone(), because }),
            None => fit.push(member),
        }
    }
    fit.sort_by_key(|member| preference(snapshot, policy, topology, member, old_writer));
    let mut fit = fit.into_iter().map(|member| member.id.clone());
    Choice { chosen: fit.next(), spare: fit.collect(), refused }
}

fn refusal(snapshot: &Snapshot, policy: &Policy, member: &Member, old_writer: &InstanceId) -> Option<Refusal> {
    if member.id == *old_writer {
        return Some(Refusal::OldWriter);
    }
    if member.is_writer {
        return Some(Refusal::NamedWriter);
    }
    if snapshot.deployment() == Deployment::Instance {
        return standby_refusal(member);
    }
    if !member.is_available() {
        return Some(Refusal::Status(member.status.clone()));
    }
    let seen = snapshot
        .counted_reports(policy)
        .filter_map(|report| report.sighting(&member.id))
        .filter(|sighting| sighting.outcome == Outcome::Reading)
        .count();
    if seen < policy.quorum {
        return Some(Refusal::Unseen(seen));
    }
    lag_ms(snapshot, policy, member).filter(|lag| u128::from(*lag) > policy.lag_max.as_millis()).map(Refusal::Lagging)
}

/// Nobody can see a standby, and it has no lag, since its storage is synchronous. `RebootDBInstance` takes nothing but
/// `available`, which is the status of the whole.
fn standby_refusal(standby: &Member) -> Option<Refusal> {
    if standby.az.is_none() {
        return Some(Refusal::NoStandby);
    }
    (standby.status != "available").then(|| Refusal::Status(standby.status.clone()))
}

/// The smallest lag any counted witness knows: the others merely heard later.
fn lag_ms(snapshot: &Snapshot, policy: &Policy, member: &Member) -> Option<u64> {
    snapshot.counted_reports(policy).filter_map(|report| report.sighting(&member.id)?.lag_ms).min()
}

fn preference(
    snapshot: &Snapshot,
    policy: &Policy,
    topology: &Topology,
    member: &Member,
    old_writer: &InstanceId,
) -> (u8, bool, bool, u64, Reverse<bool>, InstanceId) {
    let old = topology.member(old_writer);
    let az = |member: Option<&Member>| -> Option<Az> { member.and_then(|member| member.az.clone()) };
    let same_az = old.is_some() && az(Some(member)) == az(old);
    let other_class = old.is_some_and(|old| old.class != member.class);
    let lag = lag_ms(snapshot, policy, member);
    (member.tier, same_az, other_class, lag.unwrap_or(u64::MAX), Reverse(lag.is_some()), member.id.clone())
}
