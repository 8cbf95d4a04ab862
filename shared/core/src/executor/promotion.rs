//! Makes the one call that cannot be taken back: its intention first, and the call only while the world as it is
//! still leads to it.

use serde_json::json;

use super::{Description, Executor, PAUSE_IDLE};
use crate::decision::{self, Decision};
use crate::episode::{Episode, Promotion};
use crate::evidence::Kind;
use crate::lease::{Lease, LeaseState};
use crate::metric;
use crate::ports::{CALL_LIMIT, CallError, StateError, Under, World};
use crate::rules::Verdict;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;
use crate::topology::InstanceId;

/// An intention of ours whose call has yet to be made, and the call of the episode before it.
pub(super) struct Uncalled {
    intended: Promotion,
    before: Option<Promotion>,
}

impl<W: World> Executor<'_, W> {
    /// The intention of the one call that cannot be taken back. It is written first, under the lease,
    /// and stays the only one of its epoch whatever becomes of the call.
    pub(super) async fn promote(
        &mut self,
        snapshot: &Snapshot,
        decision: &Decision,
        target: InstanceId,
    ) -> Result<(), StateError> {
        let Some((lease, open)) = self.owned(snapshot) else {
            return Ok(());
        };
        if !self.has_described_anew().await {
            return Ok(());
        }
        self.intend(lease, open.clone(), decision, target).await
    }

    /// Writes the intention over `before`, the episode without it, and makes the call.
    async fn intend(
        &mut self,
        lease: &Lease,
        before: Episode,
        decision: &Decision,
        target: InstanceId,
    ) -> Result<(), StateError> {
        let promotion = before.next_promotion(target.clone(), lease.epoch, self.world.now());
        let intended = json!({ "action": self.call_name(), "target": target, "spare": decision.spare,
            "refused": decision.refused });
        // Should the answer to this write be lost, the next look tells whether it took effect.
        self.uncalled = Some(Uncalled { intended: promotion.clone(), before: before.promotion.clone() });
        let seen = Some(before.version);
        let episode = Episode { promotion: Some(promotion), cause: decision.diagnosis.writer, ..before };
        let records = [(Kind::Intended, intended)];
        let episode = self.write_returning(Under::Armed(lease), episode, seen, decision, &records).await?;
        self.fail_over(lease, episode, decision, &target).await
    }

    /// Whether the cluster was described in this look; otherwise the next look does it.
    async fn has_described_anew(&mut self) -> bool {
        if self.description == Description::Failed {
            self.world.pause(PAUSE_IDLE).await;
        }
        self.describe_now = self.description != Description::Anew;
        !self.describe_now
    }

    /// The call that moves the role of what is watched, by the name it has in the API.
    fn call_name(&self) -> &'static str {
        self.deployment().failover_action()
    }

    /// Our own intention that stands in the table without its call, since the answer to the write was
    /// lost or came too late. Nobody else can have called: the intention names our epoch.
    pub(super) fn due_call(&self, snapshot: &Snapshot, decision: &Decision) -> Option<InstanceId> {
        let standing = snapshot.open_episode()?.promotion.as_ref()?;
        let ours = decision.facts.lease == LeaseState::Ours
            && self.uncalled.as_ref().is_some_and(|uncalled| uncalled.intended == *standing);
        ours.then(|| standing.target.clone())
    }

    /// Makes the call that is due, if the world as it is now would still lead to it; otherwise takes the
    /// intention back, which is safe because nothing was called. The intention is written anew first: the
    /// old one may name an epoch that has ended, and its age must not count as time given to the call.
    pub(super) async fn call_fail_over(
        &mut self,
        snapshot: &Snapshot,
        decision: &Decision,
        target: InstanceId,
    ) -> Result<(), StateError> {
        let Some((lease, open)) = self.owned(snapshot) else {
            return Ok(());
        };
        let before = self.uncalled.as_ref().and_then(|uncalled| uncalled.before.clone());
        let without = Episode { promotion: before, ..open.clone() };
        let again = decision::decide(&Snapshot { episode: Some(without.clone()), ..snapshot.clone() }, self.policy);
        let calls = matches!(again.verdict, Verdict::FailOver | Verdict::SwitchOver);
        if calls && again.target.as_ref() == Some(&target) {
            if !self.has_described_anew().await {
                return self.renew(lease).await;
            }
            return self.intend(lease, without, &again, target).await;
        }
        self.uncalled = None;
        let withheld = json!({ "action": self.call_name(), "result": "withheld, never called", "rule": again.rule });
        self.write(Under::Held(lease), without, Some(open.version), decision, &[(Kind::Answered, withheld)]).await
    }

    async fn fail_over(
        &mut self,
        lease: &Lease,
        episode: Episode,
        decision: &Decision,
        target: &InstanceId,
    ) -> Result<(), StateError> {
        if self.is_short(lease) || !self.is_gate_long_enough(&episode) {
            // The write took too long: look again with a renewed lease before anything is called.
            return self.renew(lease).await;
        }
        self.uncalled = None;
        let mut episode = episode;
        let sent = self.world.now();
        let answer = self.world.fail_over(&self.cluster, target).await;
        if matches!(answer, Err(CallError::Unanswered { .. })) {
            self.wait_out_call(sent).await;
        }
        let result = match &answer {
            Ok(()) => json!({ "action": self.call_name(), "result": "accepted" }),
            Err(error) => json!({ "action": self.call_name(), "result": error.to_string() }),
        };
        if let (Err(error @ CallError::Refused { .. }), Some(promotion)) = (&answer, &mut episode.promotion) {
            promotion.refused = Some(error.to_string());
            promotion.passing = error.passes();
        }
        self.world.audit("answered", result.clone());
        self.world.measure(&self.cluster, &[(metric::PROMOTION_CALLS, 1)]);
        let seen = Some(episode.version);
        self.write(Under::Held(lease), episode, seen, decision, &[(Kind::Answered, result)]).await
    }

    /// A call without an answer may be on its way for as long as a call takes at most. Nothing is concluded
    /// before that: an episode that closed over it could see a second failover begin.
    async fn wait_out_call(&self, sent: Timestamp) {
        let left = CALL_LIMIT.saturating_sub(self.world.now().since(sent));
        if !left.is_zero() {
            self.world.pause(left).await;
        }
    }
}
