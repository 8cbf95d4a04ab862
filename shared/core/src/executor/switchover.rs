//! Carries out an operator's switchover: opens its episode, has the gate closed before the call, and opened again.

use serde_json::json;

use super::{Executor, Outcome, PAUSE_IDLE, Patience};
use crate::decision::{self, Decision};
use crate::diagnosis::WriterState;
use crate::episode::Episode;
use crate::evidence::Kind;
use crate::gate::Phase;
use crate::lease::Lease;
use crate::ports::{CallError, StateError, Under, World};
use crate::snapshot::Snapshot;
use crate::switchover::{self, NotReady, Ordered, Plan, Quiesced};
use crate::time::Timestamp;
use crate::topology::InstanceId;
use crate::{metric, notice};

impl<W: World> Executor<'_, W> {
    /// Carries out what an operator ordered, from preflight to proof; or says why not, with nothing done.
    ///
    /// Cancelling it anywhere leaves the lease to run out, the gate to open by itself, and the episode to the next
    /// coordinator, who calls it off unless the call was made.
    ///
    /// # Errors
    ///
    /// When the state table is lost. Then nothing more is done to the cluster.
    pub async fn switch_over(
        mut self,
        order: &Ordered,
        patience: Patience,
    ) -> Result<Result<Outcome, NotReady>, StateError> {
        let began = self.world.now();
        loop {
            let snapshot = self.look().await?;
            let decision = decision::decide(&snapshot, self.policy);
            self.log_decision(&decision);
            match switchover::preflight(&snapshot, &decision, order, self.policy) {
                Ok(target) => match self.open_planned(&snapshot, &decision, order, target).await {
                    Ok(()) => return self.run(patience).await.map(Ok),
                    Err(StateError::Superseded { .. }) if !self.is_too_late(began, patience) => {
                        self.describe_now = true
                    }
                    Err(StateError::Superseded { .. }) => return Ok(Err(NotReady::Lease)),
                    Err(error) => return Err(error),
                },
                Err(because) if !because.passes() => return Ok(Err(because)),
                Err(because) if self.is_too_late(began, patience) => return Ok(Err(because)),
                Err(_) => {}
            }
            self.world.pause(PAUSE_IDLE).await;
        }
    }

    fn is_too_late(&self, began: Timestamp, patience: Patience) -> bool {
        self.world.now().since(began) >= patience.suspicion
    }

    /// Takes the lease and opens the planned episode.
    async fn open_planned(
        &mut self,
        snapshot: &Snapshot,
        decision: &Decision,
        order: &Ordered,
        target: InstanceId,
    ) -> Result<(), StateError> {
        let previous = snapshot.episode.as_ref();
        let seen = snapshot.lease.as_ref();
        let taken = Lease::taken(seen, previous.map_or(0, Episode::epoch_used), &self.me, snapshot.now, self.policy);
        let (Some(next), Some(writer)) = (taken, decision.diagnosis.presumed.clone()) else {
            return Err(StateError::Superseded { table: "the lease".to_owned() });
        };
        self.describe_now = true;
        let (cluster, now, policy) = (&self.cluster, snapshot.now, self.policy);
        let opened = Episode::open(cluster, next.epoch, &decision.diagnosis, writer, previous, now, policy);
        let plan = Plan::new(order, target, now);
        let episode = Episode { plan: Some(plan), failed_since: now, gone_since: None, ..opened };
        let facts = json!({ "old_writer": episode.old_writer, "plan": episode.plan, "mode": snapshot.mode,
            "policy": self.policy, "topology": snapshot.topology });
        self.untold = Some(notice::ordered(&episode));
        let under = Under::Changing { seen, next: &next };
        self.write(under, episode, previous.map(|p| p.version), decision, &[(Kind::Opened, facts)]).await?;
        self.world.measure(&self.cluster, &[(metric::SWITCHOVERS, 1)]);
        Ok(())
    }

    /// Has the gate closed. The plan is marked first: a gate is asked for once, so that a block is never prolonged.
    pub(super) async fn quiesce(
        &mut self,
        snapshot: &Snapshot,
        decision: &Decision,
        writer: &InstanceId,
    ) -> Result<(), StateError> {
        let Some((lease, open)) = self.owned(snapshot) else {
            return Ok(());
        };
        if self.is_short(lease) {
            return self.renew(lease).await;
        }
        let asked = with_plan(open.clone(), |plan| plan.asked = true);
        let intended = json!({ "action": "quiesce", "writer": writer });
        let seen = Some(open.version);
        let records = [(Kind::Intended, intended)];
        let episode = self.write_returning(Under::Armed(lease), asked, seen, decision, &records).await?;
        if self.is_short(lease) {
            // The write took too long: whoever holds the lease by now may have gone on.
            let withheld = json!({ "action": "quiesce", "result": "withheld, never ordered" });
            let seen = Some(episode.version);
            let late = "the state table was too slow to close the gate under the lease".to_owned();
            let episode = with_plan(episode, |plan| plan.called_off = Some(late));
            return self.write(Under::Held(lease), episode, seen, decision, &[(Kind::Answered, withheld)]).await;
        }
        let answer = self.world.quiesce(&self.cluster, episode.epoch, writer).await;
        let result = match &answer {
            Ok(quiesced) => json!({ "action": "quiesce", "result": quiesced }),
            Err(error) => json!({ "action": "quiesce", "result": error.to_string() }),
        };
        let seen = Some(episode.version);
        let episode = with_plan(episode, |plan| take_gate(plan, answer));
        // The call follows in the look that describes the cluster anew.
        self.describe_now = true;
        self.write(Under::Held(lease), episode, seen, decision, &[(Kind::Answered, result)]).await
    }

    /// Has the gate opened. It would open by itself, so one try is enough.
    pub(super) async fn resume(
        &mut self,
        snapshot: &Snapshot,
        decision: &Decision,
        hold: &str,
    ) -> Result<(), StateError> {
        let Some((lease, open)) = self.owned(snapshot) else {
            return Ok(());
        };
        let resumed = with_plan(open.clone(), |plan| {
            plan.resumed = true;
            plan.gate = Phase::Open;
        });
        if self.is_short(lease) {
            return self.renew(lease).await;
        }
        let seen = Some(open.version);
        let records = [(Kind::Intended, json!({ "action": "resume" }))];
        let episode = self.write_returning(Under::Held(lease), resumed, seen, decision, &records).await?;
        let result = match self.world.resume(&self.cluster, episode.epoch, hold).await {
            Ok(()) => json!({ "action": "resume", "result": "the gate is open" }),
            Err(error) => json!({ "action": "resume", "result": error.to_string() }),
        };
        let seen = Some(episode.version);
        self.write(Under::Held(lease), episode, seen, decision, &[(Kind::Answered, result)]).await
    }

    /// Whether a planned call that is made now arrives while nobody can be inside, which keeps invariant 13.
    pub(super) fn is_gate_long_enough(&self, episode: &Episode) -> bool {
        let plan = episode.plan.as_ref().filter(|_| episode.cause == WriterState::Committing);
        plan.is_none_or(|plan| plan.covers_call(self.world.now(), self.policy))
    }
}

fn with_plan(mut episode: Episode, change: impl FnOnce(&mut Plan)) -> Episode {
    if let Some(plan) = &mut episode.plan {
        change(plan);
    }
    episode
}

/// What the drainer answered. No answer counts as an open gate, since then nothing is called.
fn take_gate(plan: &mut Plan, answer: Result<Quiesced, CallError>) {
    match answer {
        Ok(quiesced) => {
            plan.gate = quiesced.gate;
            plan.hold = quiesced.hold;
            plan.called_off = quiesced.because;
        }
        Err(error) => plan.called_off = Some(error.to_string()),
    }
}
