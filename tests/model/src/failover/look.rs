//! A coordinator's look, judged by the core itself: `decide` and `step::next` over a real snapshot.

use std::cell::RefCell;
use std::collections::HashMap;

use steadfast_core::decision;
use steadfast_core::diagnosis::WriterState;
use steadfast_core::episode::{self, Closed, RecoveredBy};
use steadfast_core::evidence::Head;
use steadfast_core::lease::LeaseState;
use steadfast_core::mode::Mode;
use steadfast_core::policy::Policy;
use steadfast_core::ports::CallError;
use steadfast_core::rules::{OTHERWISE, TABLE, Verdict};
use steadfast_core::snapshot::{Seen, Snapshot};
use steadfast_core::step::{self, Action, Progress};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, InstanceId, Owner};

use super::cluster::{CLUSTER, Described, INSTANCES, Reported, failed_ticks_ago, failure};
use super::stored::{Episode, Instance, Lease, Promotion, Who};
use crate::scale::{NOW, Scale, Ticks, moment};

/// All that a decision is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The limits.
    pub scale: Scale,
    /// The place of the coordinator that asks.
    pub me: u8,
    /// How far its clock is ahead of the true time.
    pub clock: Ticks,
    /// The mode as it was loaded.
    pub mode: Mode,
    /// The lease as it was loaded.
    pub lease: Option<Lease>,
    /// The episode as it was loaded.
    pub episode: Option<Episode>,
    /// The latest description of the cluster.
    pub described: Option<Described>,
    /// The reports as they were loaded.
    pub reported: Reported,
}

/// What the step table asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// Nothing but time.
    Wait,
    /// Take the lease; open or adopt the episode.
    TakeLease,
    /// Promote this one.
    Promote(Instance),
    /// Record the proof.
    RecordProof,
    /// Have the drainer evict.
    Evict,
    /// Close, since this one commits.
    Close(Instance),
    /// Call a person.
    CallHuman,
}

/// The core's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The rule that matched.
    pub rule: u16,
    /// What it ordered.
    pub verdict: Verdict,
    /// What the lease means to who asked.
    pub lease: LeaseState,
    /// What is to be done.
    pub next: Next,
    /// The instance in question.
    pub presumed: Option<Instance>,
    /// Since when a new episode would have it that the writer is gone.
    pub gone_if_new: Option<Ticks>,
    /// The same for the open episode.
    pub gone_since: Option<Ticks>,
}

thread_local! {
    /// The core is pure: the same question has the same answer, and most are asked thousands of times.
    static ANSWERS: RefCell<HashMap<Question, Answer>> = RefCell::new(HashMap::new());
}

impl Question {
    /// Asks the core.
    pub fn answer(&self) -> Answer {
        let known = ANSWERS.with_borrow(|answers| answers.get(self).copied());
        known.unwrap_or_else(|| {
            let answer = self.ask();
            ANSWERS.with_borrow_mut(|answers| answers.insert(*self, answer));
            answer
        })
    }

    fn ask(&self) -> Answer {
        let policy = self.scale.policy();
        let snapshot = self.snapshot();
        let decision = decision::decide(&snapshot, &policy);
        let next = match step::next(&snapshot, &decision) {
            Some((_, Progress::Ready(action))) => next(&action),
            Some((_, Progress::Blocked | Progress::Done)) | None => Next::Wait,
        };
        let gone = |before: Option<Timestamp>| {
            episode::gone_since(before, &decision.diagnosis, snapshot.now)
                .map(|since| failed_ticks_ago(since, NOW, &self.scale))
        };
        Answer {
            rule: decision.rule,
            verdict: decision.verdict,
            lease: decision.facts.lease,
            next,
            presumed: decision.diagnosis.presumed.as_ref().map(place),
            gone_if_new: gone(None),
            gone_since: gone(snapshot.open_episode().and_then(|open| open.gone_since)),
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            now: self.now(),
            me: owner(Who::Runs(self.me)),
            cluster: ClusterId::new(CLUSTER),
            mode: self.mode,
            lease: self.lease.as_ref().map(real_lease),
            topology: self.described.map(|seen| Seen { at: moment(NOW, seen.at), what: seen.topology() }),
            reports: self.reported.reports(NOW),
            episode: self.episode.as_ref().map(real_episode),
            rotations: Vec::new(),
        }
    }

    fn now(&self) -> Timestamp {
        moment(NOW, self.clock)
    }
}

fn next(action: &Action) -> Next {
    match action {
        Action::TakeLease => Next::TakeLease,
        Action::Promote { target } => Next::Promote(place(target)),
        Action::RecordProof { .. } => Next::RecordProof,
        Action::Evict { .. } => Next::Evict,
        Action::Close { writer } => Next::Close(place(writer)),
        Action::CallHuman => Next::CallHuman,
        // No switchover is planned here; its protocol is the other model.
        Action::Quiesce { .. } | Action::Resume { .. } => Next::Wait,
    }
}

/// A set with only this rule in it: one bit for each rule that calls a person.
pub fn told_bit(rule: u16) -> u32 {
    let calling = TABLE.iter().chain([&OTHERWISE]).filter(|rule| rule.verdict == Verdict::CallHuman);
    calling.zip(0..).find(|(known, _)| known.id == rule).map_or(0, |(_, bit)| 1 << bit)
}

/// The rules in such a set.
fn told_rules(told: u32) -> Vec<u16> {
    TABLE.iter().chain([&OTHERWISE]).map(|rule| rule.id).filter(|id| told_bit(*id) & told != 0).collect()
}

/// The place of an instance.
pub fn place(instance: &InstanceId) -> Instance {
    INSTANCES.iter().zip(0..).find(|(id, _)| **id == instance.as_str()).map_or(Instance::MAX, |(_, place)| place)
}

/// The instance in a place.
pub fn instance(place: Instance) -> InstanceId {
    InstanceId::new(INSTANCES.get(usize::from(place)).copied().unwrap_or("nobody"))
}

fn owner(who: Who) -> Owner {
    match who {
        Who::Runs(place) => Owner::new(place.to_string()),
        Who::Gone => Owner::new("gone"),
    }
}

fn real_lease(lease: &Lease) -> steadfast_core::lease::Lease {
    steadfast_core::lease::Lease {
        owner: owner(lease.owner),
        epoch: lease.epoch.into(),
        expires_at: lease.ends.map_or(Timestamp::default(), |ends| moment(NOW, ends)),
    }
}

/// The lease that the core made, for the coordinator in this place.
fn lease_of(me: u8, lease: &steadfast_core::lease::Lease) -> Lease {
    let ends = lease.expires_at.since(NOW).as_secs();
    Lease {
        owner: Who::Runs(me),
        epoch: u8::try_from(lease.epoch).unwrap_or(u8::MAX),
        ends: Ticks::try_from(ends).ok(),
    }
}

fn real_episode(episode: &Episode) -> steadfast_core::episode::Episode {
    let long_ago = NOW.minus(std::time::Duration::from_secs(1_000));
    steadfast_core::episode::Episode {
        cluster: ClusterId::new(CLUSTER),
        epoch: episode.epoch.into(),
        opened_at: NOW,
        failed_since: long_ago,
        gone_since: episode.gone_since.map(|since| failure(NOW, since)),
        old_writer: instance(episode.old_writer),
        cause: WriterState::Dead,
        plan: None,
        promotion: episode.promotion.as_ref().map(real_promotion),
        shadowed: None,
        proved_at: episode.proved.then_some(NOW),
        evicted: episode.evicted,
        human_called: told_rules(episode.told),
        rule: episode.rule,
        closed: episode.closed.map(|writer| Closed { at: NOW, writer: instance(writer), by: RecoveredBy::Platform }),
        past: Vec::new(),
        past_orders: Vec::new(),
        evidence: Head::default(),
        version: 1,
    }
}

fn real_promotion(promotion: &Promotion) -> steadfast_core::episode::Promotion {
    steadfast_core::episode::Promotion {
        target: instance(promotion.target),
        at: moment(NOW, promotion.at),
        epoch: promotion.epoch.into(),
        refused: promotion.refused.then(|| "refused".to_owned()),
        passing: promotion.passing,
        number: promotion.number,
        bound: promotion.bound.map(instance),
    }
}

/// The next promotion of an episode, by the core.
pub fn next_promotion(open: &Episode, target: Instance, epoch: u8, clock: Ticks) -> Promotion {
    let next = real_episode(open).next_promotion(instance(target), epoch.into(), moment(NOW, clock));
    Promotion {
        target: place(&next.target),
        epoch,
        at: clock,
        refused: next.refused.is_some(),
        passing: next.passing,
        number: next.number,
        bound: next.bound.as_ref().map(place),
    }
}

/// The highest epoch that an episode knows of, by the core.
pub fn epoch_used(episode: &Episode) -> u64 {
    real_episode(episode).epoch_used()
}

/// Whether a refusal with this code passes by itself, by the core.
pub fn passes(code: &str) -> bool {
    let (code, message) = (code.to_owned(), String::new());
    CallError::Refused { action: "FailoverDBCluster", code, message }.passes()
}

/// What a lease means to the coordinator in place `me` whose clock is `clock` ahead, by the core.
pub fn lease_state(lease: Option<&Lease>, me: u8, clock: Ticks, policy: &Policy) -> LeaseState {
    let now = moment(NOW, clock);
    steadfast_core::lease::Lease::state(lease.map(real_lease).as_ref(), &owner(Who::Runs(me)), now, policy)
}

/// The lease that the coordinator in place `me` may try to write over `current`, by the core.
pub fn taken(current: Option<&Lease>, epoch_used: u64, me: u8, clock: Ticks, policy: &Policy) -> Option<Lease> {
    let current = current.map(real_lease);
    let me_by_name = owner(Who::Runs(me));
    let now = moment(NOW, clock);
    steadfast_core::lease::Lease::taken(current.as_ref(), epoch_used, &me_by_name, now, policy)
        .map(|lease| lease_of(me, &lease))
}

/// The same lease with a later end, by the core.
pub fn renewed(lease: &Lease, me: u8, clock: Ticks, policy: &Policy) -> Option<Lease> {
    let now = moment(NOW, clock);
    real_lease(lease).renewed(&owner(Who::Runs(me)), now, policy).map(|lease| lease_of(me, &lease))
}

/// The lease given back, by the core.
pub fn released(lease: &Lease) -> Lease {
    let released = real_lease(lease).released();
    let ends = (released.expires_at != Timestamp::default()).then_some(0);
    Lease { owner: lease.owner, epoch: lease.epoch, ends }
}
