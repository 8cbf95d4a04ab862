//! The checks of what coordinators do, made by somebody who sees the whole world.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use steadfast_core::diagnosis::WriterState;
use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::ports::State;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterStatus, InstanceId, Owner, Topology};
use steadfast_core::witness::{Outcome, WitnessReport};
use steadfast_scenario::Milestone;

use crate::invariant::Invariant;
use crate::kernel::Micros;
use crate::plan::When;
use crate::world::instance::Run;
use crate::world::table::is_intention;
use crate::world::{Nth, World, micros};

/// What the call may take, by the time limit of its client.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// What an invocation was told last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    pub(crate) state: Option<State>,
    pub(crate) topology: Option<Topology>,
    /// When that was asked for.
    pub(crate) asked_at: Micros,
    /// How often the state was read since.
    pub(crate) reads_since: u32,
}

/// A call that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    episode: u64,
    epoch: u64,
    target: InstanceId,
    at: Micros,
    /// Whether it was made for something that only witnesses see: the anti-flap budget tells the two kinds apart.
    gray: bool,
    /// Whether an operator ordered it: then it does not count against the budget.
    planned: bool,
    /// Whether it may have taken effect: it was not refused.
    open: bool,
    /// Whether it has taken effect.
    began: bool,
}

/// How soon a call of unknown fate may be made again at the earliest, in true time: 15 s after its intention, less
/// what may lie between the two, which is a lease but for the 6 s that must be left of it, and the wrongness of two
/// clocks.
const CALLED_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How many calls an episode may make, refused ones included.
const CALLS_MAX: usize = 6;
/// How many episodes may promote for failures of one kind within an hour; no run is longer.
const PROMOTIONS_MAX: usize = 2;

/// Whether a server stands behind the outcome, alive or not.
fn is_an_answer(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Unreachable | Outcome::Silent | Outcome::Unresolved | Outcome::Unknown)
}

/// What lies between the description and the call at most: the description's age as a fact, and what the lease had
/// over the time limit of the call.
const DESCRIBED_BEFORE: Duration = Duration::from_secs(5 + 4);

impl World {
    /// A coordinator is about to call `FailoverDBCluster`. The number of the call.
    pub(crate) fn check_call(&mut self, me: &Owner, now: Timestamp, known: &Knowledge, target: &InstanceId) -> usize {
        let call = self.plan.scenario.deployment.failover_action();
        self.note(|| format!("{me} calls {call} with {target}"));
        self.watch.calls = self.watch.calls.saturating_add(1);
        self.check_lease(me);
        let left = self.table.lease.as_ref().map_or(Duration::ZERO, |lease| lease.expires_at.since(now));
        if left < CALL_LIMIT.saturating_add(self.policy.clock_skew_max) && !self.watch.robbed.contains(me) {
            self.violate(Invariant::UnderLease, format!("{me} calls with {left:?} of its lease left"));
        }
        self.check_intention(target);
        self.check_look(me, known);
        if self.is_planned() {
            self.check_nobody_inside("is called");
        } else {
            self.check_quorum(known, target);
        }
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
        self.check_call_count(known, target)
    }

    /// The world was looked at under this lease, and the cluster described in that very look.
    fn check_look(&mut self, me: &Owner, known: &Knowledge) {
        let owner = known.state.as_ref().and_then(|state| state.lease.as_ref()).map(|lease| &lease.owner);
        if owner != Some(me) {
            self.violate(Invariant::UnderLease, format!("{me} calls after a look under the lease of {owner:?}"));
        }
        let ago = Duration::from_micros(self.agenda.now().saturating_sub(known.asked_at));
        if known.reads_since != 1 || ago > DESCRIBED_BEFORE {
            let reads = known.reads_since;
            self.violate(Invariant::OneFailover, format!("described {ago:?} and {reads} looks before the call"));
        }
    }

    /// One call per epoch of the lease; a second one in an episode names the same target, unless every call before
    /// it was refused.
    fn check_call_count(&mut self, known: &Knowledge, target: &InstanceId) -> usize {
        let lease = known.state.as_ref().and_then(|state| state.lease.as_ref());
        let open = known.state.as_ref().and_then(|state| state.episode.as_ref());
        let (looked_under, episode) = (lease.map(|lease| lease.epoch), open.map_or(0, |episode| episode.epoch));
        let intended = self.table.episode.as_ref().and_then(|episode| episode.promotion.as_ref());
        let intended_under = intended.map(|promotion| promotion.epoch);
        if looked_under != intended_under {
            let what =
                format!("looked under epoch {looked_under:?}, and called for an intention of {intended_under:?}");
            self.violate(Invariant::UnderLease, what);
        }
        let epoch = intended_under.unwrap_or_default();
        let earlier = self.watch.called.iter().filter(|call| call.episode == episode);
        let other = earlier.clone().find(|call| call.open && call.target != *target).map(|call| call.target.clone());
        let (made, last) = (earlier.clone().count(), earlier.clone().next_back().cloned());
        let planned = self.is_planned();
        let gray = self.table.episode.as_ref().is_some_and(|episode| !episode.cause.is_gone());
        let promoted = self
            .watch
            .called
            .iter()
            .filter(|call| !planned && !call.planned && call.episode != episode && call.gray == gray);
        let promoted: BTreeSet<u64> = promoted.map(|call| call.episode).collect();
        let now = self.agenda.now();
        self.count_if(made > 0, "repeated call");
        if made >= CALLS_MAX || promoted.len() >= PROMOTIONS_MAX {
            let what = format!("{made} calls in this episode, and promotions in {promoted:?} before it");
            self.violate(Invariant::OneCall, what);
        }
        let waited = last.filter(|last| last.open).map(|last| Duration::from_micros(now.saturating_sub(last.at)));
        if waited.is_some() && self.is_multi_az() {
            self.violate(Invariant::OneCall, "a second reboot with failover, and the first may have taken effect");
        }
        if waited.is_some_and(|waited| waited < CALLED_AGAIN_AFTER) {
            self.violate(Invariant::OneCall, format!("called again after {waited:?}, and the first may yet arrive"));
        }
        if self.watch.called.iter().any(|call| call.epoch == epoch) {
            self.violate(Invariant::OneCall, format!("a second call in epoch {epoch}"));
        }
        if let Some(other) = other {
            let what =
                format!("a call to {target} in episode {episode}, in which one to {other} may have taken effect");
            self.violate(Invariant::OneCall, what);
        }
        let target = target.clone();
        self.watch.called.push(Called { episode, epoch, target, at: now, gray, planned, open: true, began: false });
        self.watch.called.len().saturating_sub(1)
    }

    /// The control plane has refused: nothing came of this call.
    pub(crate) fn call_refused(&mut self, call: usize) {
        if let Some(call) = self.watch.called.get_mut(call) {
            call.open = false;
        }
    }

    /// The control plane has begun what this call asks for.
    pub(crate) fn call_begins(&mut self, call: usize) {
        let Some(called) = self.watch.called.get_mut(call) else {
            return;
        };
        called.began = true;
        let Called { episode, target, .. } = called.clone();
        if self.watch.called.iter().any(|other| other.episode == episode && other.began && other.target != target) {
            self.violate(Invariant::OneCall, format!("two calls of episode {episode} with different targets began"));
        }
    }

    /// Whether a call of this episode may have made this instance the writer.
    pub(crate) fn may_have_promoted(&self, episode: u64, writer: &str) -> bool {
        self.watch.called.iter().any(|call| call.episode == episode && call.open && call.target.as_str() == writer)
    }

    /// Nobody takes a lease that its owner may still believe in: clocks are wrong by half the bound at most.
    pub(crate) fn check_takeover(&mut self, next: &Lease) {
        let now = self.clock(0);
        let taken = self.table.lease.as_ref().filter(|held| held.owner != next.owner && held.expires_at > now).cloned();
        if let Some(taken) = taken {
            self.violate(Invariant::UnderLease, format!("{} takes {taken:?} at {now:?}", next.owner));
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

    /// Whether the promotion that stands is a switchover that an operator ordered.
    pub(crate) fn is_planned(&self) -> bool {
        let latest = self.table.episode.as_ref();
        latest.is_some_and(|episode| episode.plan.is_some() && episode.cause == WriterState::Committing)
    }

    /// A planned promotion cuts nobody off: nobody is inside, and nobody could have entered. Transactions are short
    /// in this world, so that one would seldom be caught inside.
    fn check_nobody_inside(&mut self, when: &str) {
        let writer = self.platform.writer;
        let inside = self.inside(writer);
        let old = self.table.episode.as_ref().map(|episode| episode.old_writer.clone());
        if old.is_some_and(|old| self.nth(&old) == Some(writer)) && self.is_gate_let_go(writer) {
            self.violate(Invariant::NobodyInside, format!("the gate is open when a switchover {when}"));
        }
        if inside > 0 {
            let what = format!("{inside} protected transactions are inside when a switchover {when}");
            self.violate(Invariant::NobodyInside, what);
        }
    }

    /// A coordinator has the gate closed: by order, under its lease, and with its intention written.
    pub(crate) fn check_quiesce(&mut self, me: &Owner, known: &Knowledge, epoch: u64, writer: &InstanceId) {
        self.check_hands(known);
        self.check_lease(me);
        let intention = self.last_intention(epoch, "quiesce", "writer", writer.as_str());
        if !intention.is_some_and(|intention| self.watch.carried_out.insert(intention)) {
            self.violate(Invariant::EvidenceFirst, "a gate is closed and no evidence says so");
        }
    }

    /// The call arrives at the control plane.
    pub(crate) fn check_arrival(&mut self, me: &Owner, known: &Knowledge, target: &InstanceId) {
        self.check_lease(me);
        if self.is_planned() && self.nth(target) != Some(self.platform.writer) {
            self.check_nobody_inside("arrives");
        }
        self.reach(Milestone::Called);
        let resuming = self.instances.get(self.platform.writer).is_some_and(|writer| writer.run == Run::Resuming);
        self.count_if(resuming, "call while the writer resumes");
        let old = known.state.as_ref().and_then(|state| state.episode.as_ref()).map(|episode| &episode.old_writer);
        let replaced = old.is_some_and(|old| self.nth(old) != Some(self.platform.writer));
        // A reboot with failover moves the role back whatever its caller had in mind.
        let back = self.is_multi_az() || self.nth(target) != Some(self.platform.writer);
        if replaced && back && self.platform.in_flight.is_none() {
            self.watch.flips = self.watch.flips.saturating_add(1);
            self.note(|| "the platform had finished a failover of its own meanwhile".to_owned());
        }
    }

    fn check_lease(&mut self, me: &Owner) {
        // Whoever deletes a living owner's lease by hand takes this promise upon himself.
        let holder = self.table.lease.as_ref().map(|lease| lease.owner.clone());
        if holder.as_ref() != Some(me) && !self.watch.robbed.contains(me) {
            self.violate(Invariant::UnderLease, format!("{me} acts while {holder:?} holds the lease"));
        }
    }

    fn check_intention(&mut self, target: &InstanceId) {
        let call = self.plan.scenario.deployment.failover_action();
        let epoch = self.table.episode.as_ref().map_or(0, |episode| episode.epoch);
        let intention = self.last_intention(epoch, call, "target", target.as_str());
        let stands = self.table.episode.as_ref().and_then(|episode| episode.promotion.as_ref());
        let same = stands.is_some_and(|promotion| promotion.target == *target);
        // Each call has an intention of its own.
        if !same || !intention.is_some_and(|intention| self.watch.carried_out.insert(intention)) {
            self.violate(Invariant::EvidenceFirst, format!("{target} is promoted and no evidence says so"));
        }
    }

    /// The latest entry of this episode that intends this action, if it is for this instance.
    fn last_intention(&self, epoch: u64, action: &str, key: &str, instance: &str) -> Option<(u64, u64)> {
        let mut entries = self.table.evidence.range((epoch, 0)..=(epoch, u64::MAX)).rev();
        let (number, entry) = entries.find(|(_, entry)| is_intention(entry, action))?;
        (entry.data.get(key).and_then(|name| name.as_str()) == Some(instance)).then_some(*number)
    }

    /// Counts by itself who says that the old writer does not serve, and that the target does.
    fn check_quorum(&mut self, known: &Knowledge, target: &InstanceId) {
        let Some(state) = &known.state else {
            return self.violate(Invariant::Quorum, "called without having read any report");
        };
        let Some(episode) = &state.episode else {
            return self.violate(Invariant::Quorum, "called without an episode");
        };
        let oldest =
            self.clock(0).minus(self.policy.report_age_max).minus(self.policy.clock_skew_max.saturating_mul(2));
        // Between reading and calling lies the write of the intention, and the lease bounds what it may take.
        let oldest = oldest.minus(Duration::from_secs(4));
        // Who sees no server at all says nothing of one. A Multi-AZ instance has no other that could show it.
        let alone = self.is_multi_az();
        let sees = |report: &WitnessReport| alone || report.sightings.iter().any(|seen| is_an_answer(seen.outcome));
        let against = state.reports.iter().filter(|report| {
            report.at >= oldest
                && sees(report)
                && report.sighting(&episode.old_writer).is_some_and(|sighting| {
                    !matches!(sighting.outcome, Outcome::Committing | Outcome::Reading | Outcome::Unknown)
                })
        });
        let count = against.count();
        let serves = state.reports.iter().filter(|report| {
            let seen = report.sighting(target);
            report.at >= oldest && seen.is_some_and(|sighting| sighting.outcome == Outcome::Reading)
        });
        let serving = serves.count();
        if serving < 2 && !self.is_multi_az() {
            self.violate(Invariant::Quorum, format!("{target} is called on the word of {serving} witnesses"));
        }
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
    pub(crate) fn check_eviction(&mut self, me: &Owner, known: &Knowledge, epoch: u64, demoted: &InstanceId) {
        self.check_hands(known);
        self.check_lease(me);
        let intention = self.last_intention(epoch, "evict", "demoted", demoted.as_str());
        if !intention.is_some_and(|intention| self.watch.carried_out.insert(intention)) {
            self.violate(Invariant::EvidenceFirst, "an eviction is ordered and no evidence says so");
        }
    }

    /// A coordinator has the gate opened. That harms nobody, so that it needs no lease; but it is written down.
    pub(crate) fn check_resume(&mut self, me: &Owner, epoch: u64) {
        self.check_own_intention(me, epoch..=epoch, "resume", "a gate is opened and no evidence says so");
    }

    /// A coordinator calls a person.
    pub(crate) fn check_message(&mut self, me: &Owner) {
        self.check_own_intention(me, 0..=u64::MAX, "call_human", "a person is called and no evidence says so");
    }

    /// The latest intention of this coordinator for this action stands there and was not carried out yet.
    fn check_own_intention(&mut self, me: &Owner, epochs: RangeInclusive<u64>, action: &str, otherwise: &str) {
        let mut entries = self.table.evidence.range((*epochs.start(), 0)..=(*epochs.end(), u64::MAX)).rev();
        let latest =
            entries.find(|(_, entry)| entry.by == *me && is_intention(entry, action)).map(|(number, _)| *number);
        if !latest.is_some_and(|intention| self.watch.carried_out.insert(intention)) {
            self.violate(Invariant::EvidenceFirst, otherwise);
        }
    }

    /// A drainer has ended this many sessions on an instance.
    pub(crate) fn check_evicted(&mut self, nth: Nth, ended: u64) {
        if self.is_true_writer(nth) {
            self.violate(Invariant::ReadersAlone, format!("{ended} sessions end on the writer, instance {}", nth + 1));
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
            self.watch.people.extend(called.last().and_then(|rule| u16::try_from(*rule).ok()));
        }
    }

    /// What the plan says about the port call that is being made.
    pub(crate) fn crash_is_due(&mut self) -> Option<When> {
        self.watch.port_calls = self.watch.port_calls.saturating_add(1);
        let planned = self.plan.crash.filter(|crash| crash.call == self.watch.port_calls).map(|crash| crash.when);
        let chance = self.plan.noise.kills;
        if let Some(when) = planned {
            self.count(|| format!("crash {when:?}"));
            let call = self.watch.port_calls;
            self.note(|| format!("port call {call} is disturbed: {}", when.as_str()));
        }
        planned.or_else(|| {
            if !self.dice.happens(chance) {
                return None;
            }
            let any = [When::Before, When::After];
            let choice = if self.dice.happens(700) { &any[..] } else { &When::ALL };
            let when = self.dice.one_of(choice).copied();
            self.count(|| format!("by chance {}", when.map_or_else(String::new, |when| format!("{when:?}"))));
            when
        })
    }

    /// How long the invocation stands still now.
    pub(crate) fn any_stall(&mut self) -> Micros {
        let max = micros(self.plan.noise.stall_max);
        if max > 0 && self.dice.happens(20) { self.dice.between(0, max) } else { 0 }
    }
}
