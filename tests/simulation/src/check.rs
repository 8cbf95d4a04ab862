//! The checks of what coordinators do, made by somebody who sees the whole world.

use std::time::Duration;

use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::ports::State;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterStatus, InstanceId, Owner, Topology};
use steadfast_core::witness::Outcome;
use steadfast_scenario::Milestone;

use crate::invariant::Invariant;
use crate::kernel::Micros;
use crate::plan::When;
use crate::world::table::is_intention;
use crate::world::{World, micros};

/// What the call may take, by the time limit of its client.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// What an invocation was told last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    pub(crate) state: Option<State>,
    pub(crate) topology: Option<Topology>,
}

impl World {
    /// A coordinator is about to call `FailoverDBCluster`.
    pub(crate) fn check_call(&mut self, me: &Owner, now: Timestamp, known: &Knowledge, target: &InstanceId) {
        self.note(|| format!("{me} calls FailoverDBCluster with {target}"));
        self.watch.calls = self.watch.calls.saturating_add(1);
        self.check_lease(me);
        let left = self.table.lease.as_ref().map_or(Duration::ZERO, |lease| lease.expires_at.since(now));
        if left < CALL_LIMIT.saturating_add(self.policy.clock_skew_max) && !self.watch.lease_deleted {
            self.violate(Invariant::UnderLease, format!("{me} calls with {left:?} of its lease left"));
        }
        self.check_intention(target);
        self.check_quorum(known);
        self.check_hands(known);
        let shown = known.topology.as_ref();
        let old = self.table.episode.as_ref().map(|episode| episode.old_writer.clone());
        let idle = shown.is_some_and(|seen| seen.status == ClusterStatus::Available);
        let same = shown.and_then(Topology::writer).map(|member| member.id.clone()) == old;
        if !idle || !same {
            self.violate(
                Invariant::OneFailover,
                "called although the control plane showed a failover or another writer",
            );
        }
        self.check_call_count(target);
    }

    /// One call per epoch of the lease; a second one in an episode names the same target, unless the first was
    /// refused.
    fn check_call_count(&mut self, target: &InstanceId) {
        let Some((episode, promotion)) =
            self.table.episode.as_ref().and_then(|episode| Some((episode.epoch, episode.promotion.clone()?)))
        else {
            return;
        };
        if !self.watch.called_epochs.insert(promotion.epoch) {
            self.violate(Invariant::OneCall, format!("a second call in epoch {}", promotion.epoch));
        }
        let before = self.watch.open_calls.insert(episode, target.clone());
        if before.is_some_and(|before| before != *target) {
            self.violate(Invariant::OneCall, format!("a second call in episode {episode}, with another target"));
        }
    }

    /// The control plane has refused: nothing came of the call.
    pub(crate) fn call_refused(&mut self) {
        if let Some(episode) = &self.table.episode {
            self.watch.open_calls.remove(&episode.epoch);
        }
    }

    /// Who renews or gives back a lease must be its owner; who takes one gives it a higher epoch.
    pub(crate) fn check_lease_write(&mut self, me: &Owner, seen: Option<&Lease>, next: &Lease) {
        let foreign = seen.is_some_and(|seen| seen.owner != *me && seen.epoch == next.epoch);
        let lower = seen.is_some_and(|seen| next.epoch < seen.epoch);
        if foreign || lower {
            self.violate(Invariant::UnderLease, format!("{me} writes {next:?} over {seen:?}"));
        }
    }

    /// The call arrives at the control plane.
    pub(crate) fn check_arrival(&mut self, me: &Owner, known: &Knowledge, target: &InstanceId) {
        self.check_lease(me);
        self.reach(Milestone::Called);
        let old = known.state.as_ref().and_then(|state| state.episode.as_ref()).map(|episode| &episode.old_writer);
        let replaced = old.is_some_and(|old| self.nth(old) != Some(self.platform.writer));
        if replaced && self.nth(target) != Some(self.platform.writer) && self.platform.in_flight.is_none() {
            self.watch.flips = self.watch.flips.saturating_add(1);
            self.note(|| "the platform had finished a failover of its own meanwhile".to_owned());
        }
    }

    fn check_lease(&mut self, me: &Owner) {
        // Whoever deletes a living owner's lease by hand takes this promise upon himself.
        let holder = self.table.lease.as_ref().map(|lease| lease.owner.clone());
        if holder.as_ref() != Some(me) && !self.watch.lease_deleted {
            self.violate(Invariant::UnderLease, format!("{me} acts while {holder:?} holds the lease"));
        }
    }

    fn check_intention(&mut self, target: &InstanceId) {
        let intended = self.table.episode.as_ref().is_some_and(|episode| {
            let entries = self.table.evidence.range((episode.epoch, 0)..=(episode.epoch, u64::MAX));
            let written = entries.map(|(_, entry)| entry).any(|entry| {
                is_intention(entry, "FailoverDBCluster")
                    && entry.data.get("target").and_then(|name| name.as_str()) == Some(target.as_str())
            });
            written && episode.promotion.as_ref().is_some_and(|promotion| promotion.target == *target)
        });
        if !intended {
            self.violate(Invariant::EvidenceFirst, format!("{target} is promoted and no evidence says so"));
        }
    }

    /// Counts by itself who says that the old writer does not serve.
    fn check_quorum(&mut self, known: &Knowledge) {
        let Some(state) = &known.state else {
            return self.violate(Invariant::Quorum, "called without having read any report");
        };
        let Some(episode) = &state.episode else {
            return self.violate(Invariant::Quorum, "called without an episode");
        };
        let oldest =
            self.clock(0).minus(self.policy.report_age_max).minus(self.policy.clock_skew_max.saturating_mul(2));
        // Between reading and calling lies the write of the intention.
        let oldest = oldest.minus(Duration::from_secs(10));
        let against = state.reports.iter().filter(|report| {
            report.at >= oldest
                && report.sighting(&episode.old_writer).is_some_and(|sighting| {
                    !matches!(sighting.outcome, Outcome::Committing | Outcome::Reading | Outcome::Unknown)
                })
        });
        let count = against.count();
        if count < 2 {
            self.violate(Invariant::Quorum, format!("called on the word of {count} witnesses"));
        }
    }

    fn check_hands(&mut self, known: &Knowledge) {
        let mode = known.state.as_ref().map(|state| state.mode);
        if mode != Some(Mode::Armed) {
            self.violate(Invariant::HandsOff, format!("acts in mode {mode:?}"));
        }
    }

    /// A coordinator asks the drainer to evict.
    pub(crate) fn check_eviction(&mut self, known: &Knowledge, epoch: u64) {
        self.check_hands(known);
        let mut entries = self.table.evidence.range((epoch, 0)..=(epoch, u64::MAX)).map(|(_, entry)| entry);
        if !entries.any(|entry| is_intention(entry, "evict")) {
            self.violate(Invariant::EvidenceFirst, "an eviction is ordered and no evidence says so");
        }
    }

    /// A message reaches people.
    pub(crate) fn people_are_told(&mut self, critical: bool) {
        if critical {
            let called: Vec<u64> = self
                .table
                .evidence
                .values()
                .filter(|entry| is_intention(entry, "call_human"))
                .filter_map(|entry| entry.data.get("rule")?.as_u64())
                .collect();
            if called.is_empty() {
                self.violate(Invariant::EvidenceFirst, "a person is called and no evidence says so");
            }
            self.watch.people.extend(called.last().and_then(|rule| u16::try_from(*rule).ok()));
        }
    }

    /// What the plan says about the port call that is being made.
    pub(crate) fn crash_is_due(&mut self) -> Option<When> {
        self.watch.port_calls = self.watch.port_calls.saturating_add(1);
        let planned = self.plan.crash.filter(|crash| crash.call == self.watch.port_calls).map(|crash| crash.when);
        let chance = self.plan.noise.kills;
        planned.or_else(|| {
            self.dice.happens(chance).then(|| if self.dice.happens(500) { When::Before } else { When::After })
        })
    }

    /// How long the invocation stands still now.
    pub(crate) fn any_stall(&mut self) -> Micros {
        let max = micros(self.plan.noise.stall_max);
        if max > 0 && self.dice.happens(20) { self.dice.between(0, max) } else { 0 }
    }
}
