//! One failover from first suspicion to proof, identified by (cluster, epoch).

use serde::{Deserialize, Serialize};

use crate::diagnosis::{Diagnosis, WriterState};
use crate::evidence::Head;
use crate::policy::Policy;
use crate::switchover::Plan;
use crate::time::Timestamp;
use crate::topology::{ClusterId, InstanceId};

/// The intention to promote, written before the call is made. At most one per epoch of the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The explicit target of the call.
    pub target: InstanceId,
    /// When the intention was written.
    pub at: Timestamp,
    /// The epoch of the lease it was written under.
    pub epoch: u64,
    /// Why the control plane refused the call, if it did: then nothing has happened.
    #[serde(default)]
    pub refused: Option<String>,
    /// Whether the refusal was for a reason that passes: throttling, or the state of the cluster or the target.
    #[serde(default)]
    pub passing: bool,
    /// Which call of the episode this is, from 1.
    #[serde(default)]
    pub number: u8,
    /// The target of an earlier call whose fate is unknown: whatever became of the calls since, it may have taken
    /// effect, and a call with another target would flip the roles.
    #[serde(default)]
    pub bound: Option<InstanceId>,
}

impl Promotion {
    /// The only target that another call of the episode may name; None while every call was refused.
    pub fn only_target(&self) -> Option<&InstanceId> {
        self.bound.as_ref().or_else(|| self.refused.is_none().then_some(&self.target))
    }
}

/// What would have been called while Steadfast was in shadow mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadowed {
    /// The instance that would have been promoted.
    pub target: InstanceId,
    /// When it would have been called first.
    pub at: Timestamp,
    /// The state of the writer then.
    pub cause: WriterState,
}

/// A promotion of an earlier episode, for the anti-flap budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastPromotion {
    /// When it was intended.
    pub at: Timestamp,
    /// What had failed.
    pub cause: WriterState,
}

/// An order to switch over that an earlier episode took. Lambda may bring it again hours later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastOrder {
    /// The invocation that brought it.
    pub request: String,
    /// The epoch of the episode that took it.
    pub epoch: u64,
}

/// How many orders are remembered: more than a person gives while Lambda may still bring one again.
const ORDERS_KEPT: usize = 32;

/// Who brought the writes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveredBy {
    /// Our own call.
    Steadfast,
    /// The platform, or an operator: another instance took over without a call of ours.
    Platform,
    /// The old writer came back by itself.
    Itself,
}

/// How an episode ended: always with a commit that proved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// When.
    pub at: Timestamp,
    /// The instance whose commit proved it.
    pub writer: InstanceId,
    /// Who brought it back.
    pub by: RecoveredBy,
}

/// The stored state of one episode. The latest one stays in the state table after it closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// The cluster.
    pub cluster: ClusterId,
    /// The epoch of the lease it was opened under.
    pub epoch: u64,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When a quorum of witnesses had first seen the failure, by their clocks.
    pub failed_since: Timestamp,
    /// Since when the writer has been gone without a break: the platform's grace counts from here.
    #[serde(default)]
    pub gone_since: Option<Timestamp>,
    /// The writer that failed.
    pub old_writer: InstanceId,
    /// What had failed when it was opened, and then when a promotion was intended.
    pub cause: WriterState,
    /// The switchover that an operator ordered, if that is what opened it.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// The latest promotion, once intended.
    pub promotion: Option<Promotion>,
    /// What would have been called if Steadfast were armed; the first such call.
    #[serde(default)]
    pub shadowed: Option<Shadowed>,
    /// When a commit first proved that writes flow again.
    pub proved_at: Option<Timestamp>,
    /// Whether the drainer was told to evict sessions from the old writer.
    pub evicted: bool,
    /// The rules for which a human was called.
    #[serde(default)]
    pub human_called: Vec<u16>,
    /// The rule whose decision was recorded last, so that a repeated one is not recorded again.
    pub rule: u16,
    /// How it ended.
    pub closed: Option<Closed>,
    /// Our promotions in earlier episodes, within the anti-flap window.
    pub past: Vec<PastPromotion>,
    /// The orders that earlier episodes took.
    #[serde(default)]
    pub past_orders: Vec<PastOrder>,
    /// The last link of its evidence chain.
    pub evidence: Head,
    /// One more at each write: a write is valid only over the version it saw.
    pub version: u64,
}

impl Episode {
    /// A new episode after `previous`, for a writer that `diagnosis` says has failed.
    pub fn open(
        cluster: &ClusterId,
        epoch: u64,
        diagnosis: &Diagnosis,
        old_writer: InstanceId,
        previous: Option<&Self>,
        now: Timestamp,
        policy: &Policy,
    ) -> Self {
        Self {
            cluster: cluster.clone(),
            epoch,
            opened_at: now,
            failed_since: diagnosis.since.unwrap_or(now),
            gone_since: gone_since(None, diagnosis, now),
            old_writer,
            cause: diagnosis.writer,
            plan: None,
            promotion: None,
            shadowed: None,
            proved_at: None,
            evicted: false,
            human_called: Vec::new(),
            rule: 0,
            closed: None,
            past: previous.map(|episode| episode.past_promotions(now, policy)).unwrap_or_default(),
            past_orders: previous.map(Self::orders_taken).unwrap_or_default(),
            evidence: Head::default(),
            version: previous.map_or(0, |episode| episode.version),
        }
    }

    /// Whether somebody still has to bring it to its end.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Our promotions that count against the budget at `now`, this episode's included.
    pub fn past_promotions(&self, now: Timestamp, policy: &Policy) -> Vec<PastPromotion> {
        let own = self.promotion.iter().map(|promotion| PastPromotion { at: promotion.at, cause: self.cause });
        let mut past: Vec<_> = self.past.iter().cloned().chain(own).collect();
        past.retain(|promotion| now.since(promotion.at) < policy.budget_window);
        past
    }

    /// The latest orders that were taken, this episode's included.
    pub fn orders_taken(&self) -> Vec<PastOrder> {
        let own = self.plan.iter().map(|plan| PastOrder { request: plan.request.clone(), epoch: self.epoch });
        let all: Vec<_> = self.past_orders.iter().cloned().chain(own).collect();
        let forgotten = all.len().saturating_sub(ORDERS_KEPT);
        all.into_iter().skip(forgotten).collect()
    }

    /// The highest epoch that the episode knows of: the lease may have been deleted since.
    pub fn epoch_used(&self) -> u64 {
        self.promotion.as_ref().map_or(0, |promotion| promotion.epoch).max(self.epoch)
    }

    /// The promotion of `target` under the lease of this epoch: the next call of the episode.
    pub fn next_promotion(&self, target: InstanceId, epoch: u64, now: Timestamp) -> Promotion {
        let number = self.promotion.as_ref().map_or(0, |before| before.number).saturating_add(1);
        let bound = self.promotion.as_ref().and_then(Promotion::only_target).cloned();
        Promotion { target, at: now, epoch, refused: None, passing: false, number, bound }
    }

    /// Who brought the writes back, given the instance that commits now.
    pub fn recovered_by(&self, writer: &InstanceId) -> RecoveredBy {
        match &self.promotion {
            Some(promotion) if promotion.only_target() == Some(writer) => RecoveredBy::Steadfast,
            Some(_) | None if *writer == self.old_writer => RecoveredBy::Itself,
            Some(_) | None => RecoveredBy::Platform,
        }
    }
}

/// Since when the writer has been gone, given what was known and what is seen now. A commit ends
/// it; a state that says neither keeps it.
pub fn gone_since(before: Option<Timestamp>, diagnosis: &Diagnosis, now: Timestamp) -> Option<Timestamp> {
    if diagnosis.writer.is_gone() {
        before.or(diagnosis.since).or(Some(now))
    } else if diagnosis.writer == WriterState::Committing {
        None
    } else {
        before
    }
}
