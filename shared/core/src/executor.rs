//! Brings an episode to its end: look, decide, step, act, prove, record; then look again.
//!
//! Every effect is preceded by a transaction that writes its evidence under the lease. Whoever
//! dies between any two lines leaves a state from which the next one goes on.

mod pin;
mod promotion;
mod switchover;

use std::time::Duration;

use serde_json::json;

use crate::decision::{self, Decision};
use crate::diagnosis::WriterState;
use crate::episode::{self, Closed, Episode, Shadowed};
use crate::evidence::{Entry, Kind};
use crate::lease::{Lease, LeaseState};
use crate::metric;
use crate::notice::{self, Notice};
use crate::pin::Pin;
use crate::policy::Policy;
use crate::ports::{CALL_LIMIT, State, StateError, Under, World};
use crate::rules::{OTHERWISE, Verdict};
use crate::snapshot::{Seen, Snapshot};
use crate::step::{self, Action, Progress};
use crate::time::Timestamp;
use crate::topology::{ClusterId, Deployment, InstanceId, Owner, Topology};
use promotion::Uncalled;

/// How long one invocation stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// When the invocation must have ended.
    pub until: Timestamp,
    /// How long to look for a quorum before leaving the rest to the next hint.
    pub suspicion: Duration,
}

/// Pause between looks while an episode of ours is open: a proof is seen this late at most.
const PAUSE_OPEN: Duration = Duration::from_millis(40);
/// Pause between looks while nothing can be done but wait for others.
const PAUSE_IDLE: Duration = Duration::from_millis(250);
/// The owner of an episode describes the cluster this often while waiting: RDS throttles faster callers.
const DESCRIBE_EVERY: Duration = Duration::from_secs(1);
/// Whoever stands by describes it only before it grows too old to be a fact.
const DESCRIBE_EVERY_STANDING_BY: Duration = Duration::from_secs(4);
/// Between two tries to reach a person.
const PAUSE_UNHEARD: Duration = Duration::from_secs(1);
/// A lease with less than this left is renewed: more than one call to the control plane takes.
const RENEW_BELOW: Duration = Duration::from_secs(7);
/// The state table is tried this often before it counts as lost.
const STATE_TRIES: u32 = 3;

/// Why the executor stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The rule that decided last.
    pub rule: u16,
    /// What it ordered.
    pub verdict: Verdict,
    /// Its sentence.
    pub says: String,
}

/// One coordinator at work on one cluster.
pub struct Executor<'w, W> {
    world: &'w W,
    policy: &'w Policy,
    cluster: ClusterId,
    me: Owner,
    topology: Option<Seen<Topology>>,
    pin: Option<Pin>,
    describe_now: bool,
    description: Description,
    logged_rule: Option<u16>,
    untold: Option<Notice>,
    standing_by: Option<StandBy>,
    uncalled: Option<Uncalled>,
    state_failures: u32,
}

/// How the present look came by its description of the cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Description {
    /// Asked for, and answered.
    Anew,
    /// Asked for, and not answered: what is known is older.
    Failed,
    /// Young enough to be a fact, and not asked for.
    Earlier,
}

/// Another coordinator's lease as we first saw it, and when: whether its owner lives shows in it.
struct StandBy {
    since: Timestamp,
    lease: Lease,
}

impl<'w, W: World> Executor<'w, W> {
    /// A coordinator that calls itself `me`, a name nobody else uses.
    pub fn new(world: &'w W, policy: &'w Policy, cluster: ClusterId, me: Owner) -> Self {
        Self {
            world,
            policy,
            cluster,
            me,
            topology: None,
            pin: None,
            describe_now: true,
            description: Description::Earlier,
            logged_rule: None,
            untold: None,
            standing_by: None,
            uncalled: None,
            state_failures: 0,
        }
    }

    /// Runs until nothing is left to do, nothing may be done, or time is up.
    ///
    /// Cancelling it anywhere leaves the lease to run out and the episode to the next coordinator.
    ///
    /// # Errors
    ///
    /// When the state table is lost. Then nothing more is done to the cluster.
    pub async fn run(mut self, patience: Patience) -> Result<Outcome, StateError> {
        let began = self.world.now();
        loop {
            let snapshot = self.look().await?;
            let decision = decision::decide(&snapshot, self.policy);
            self.log_decision(&decision);
            if self.waits_for_a_person(&snapshot, &decision) {
                let Decision { rule, verdict, says, .. } = decision;
                return Ok(Outcome { rule, verdict, says });
            }
            let acted = match (self.due_call(&snapshot, &decision), step::next(&snapshot, &decision)) {
                (Some(target), _) => self.call_fail_over(&snapshot, &decision, target).await,
                (None, Some((_, Progress::Ready(action)))) => self.act(&snapshot, &decision, action).await,
                (None, Some((_, Progress::Blocked | Progress::Done)) | None) => self.wait(&snapshot, &decision).await,
            };
            if let Err(error) = self.take_note(acted).await {
                self.leave().await;
                return Err(error);
            }
            if self.is_over(&snapshot, &decision, began, patience) {
                self.leave().await;
                self.pin(&snapshot, &decision, patience).await;
                let Decision { rule, verdict, says, .. } = decision;
                return Ok(Outcome { rule, verdict, says });
            }
        }
    }

    /// Whether all that owning the open episode would bring is a call that a person has had already.
    fn waits_for_a_person(&self, snapshot: &Snapshot, decision: &Decision) -> bool {
        let (Verdict::TakeLease, Some(open)) = (decision.verdict, snapshot.open_episode()) else {
            return false;
        };
        let mut owned = snapshot.clone();
        owned.lease = Lease::taken(snapshot.lease.as_ref(), open.epoch_used(), &self.me, snapshot.now, self.policy);
        let then = decision::decide(&owned, self.policy);
        then.verdict == Verdict::CallHuman && open.human_called.contains(&then.rule)
    }

    /// A write that lost a race, or whose fate is unknown, is looked at again: the next look shows
    /// what stands there. Only a state table that goes on failing ends the run.
    async fn take_note(&mut self, acted: Result<(), StateError>) -> Result<(), StateError> {
        match acted {
            Ok(()) => {
                self.state_failures = 0;
                return Ok(());
            }
            Err(StateError::Superseded { .. }) => self.describe_now = true,
            Err(error @ StateError::Unavailable { .. }) if self.state_failures + 1 < STATE_TRIES => {
                self.world.audit("state_unavailable", json!({ "error": error.to_string() }));
                self.state_failures += 1;
            }
            Err(error @ (StateError::Unavailable { .. } | StateError::Malformed { .. })) => return Err(error),
        }
        self.world.pause(PAUSE_OPEN).await;
        Ok(())
    }

    async fn look(&mut self) -> Result<Snapshot, StateError> {
        let now = self.world.now();
        let pace = if self.standing_by.is_some() { DESCRIBE_EVERY_STANDING_BY } else { DESCRIBE_EVERY };
        let due = self.topology.as_ref().is_none_or(|seen| now.since(seen.at) >= pace);
        self.description = Description::Earlier;
        if self.describe_now || due {
            match self.world.describe(&self.cluster).await {
                Ok(what) => {
                    self.topology = Some(Seen { at: now, what });
                    self.description = Description::Anew;
                }
                Err(error) => {
                    self.world.audit("describe_failed", json!({ "error": error.to_string() }));
                    self.description = Description::Failed;
                }
            }
            self.describe_now = false;
        }
        let State { mode, lease, episode, reports, pin, rotations } = self.load().await?;
        self.pin = pin;
        Ok(Snapshot {
            now: self.world.now(),
            me: self.me.clone(),
            cluster: self.cluster.clone(),
            mode,
            lease,
            topology: self.topology.clone(),
            reports,
            episode,
            rotations,
        })
    }

    async fn load(&self) -> Result<State, StateError> {
        let mut tries = 1;
        loop {
            match self.world.load(&self.cluster).await {
                Err(StateError::Unavailable { .. }) if tries < STATE_TRIES => tries += 1,
                answer => return answer,
            }
            self.world.pause(PAUSE_IDLE).await;
        }
    }

    fn log_decision(&mut self, decision: &Decision) {
        if decision.rule == OTHERWISE.id {
            self.world.error("no_rule", json!(decision));
        }
        if self.logged_rule.replace(decision.rule) != Some(decision.rule) {
            self.world.audit("decision", json!(decision));
        }
    }

    async fn act(&mut self, snapshot: &Snapshot, decision: &Decision, action: Action) -> Result<(), StateError> {
        match action {
            Action::TakeLease => self.take_lease(snapshot, decision).await,
            Action::Quiesce { writer } => self.quiesce(snapshot, decision, &writer).await,
            Action::Resume { hold } => self.resume(snapshot, decision, &hold).await,
            Action::Promote { target } => self.promote(snapshot, decision, target).await,
            Action::RecordProof { writer } => self.record_proof(snapshot, decision, &writer).await,
            Action::Evict { demoted } => self.evict(snapshot, decision, demoted).await,
            Action::Close { writer } => self.close(snapshot, decision, writer).await,
            Action::CallHuman => self.call_human(snapshot, decision).await,
        }
    }

    /// The lease and the open episode. The step table asks for nothing that needs them while we have none.
    fn owned<'s>(&self, snapshot: &'s Snapshot) -> Option<(&'s Lease, &'s Episode)> {
        let owned = snapshot.lease.as_ref().zip(snapshot.open_episode());
        if owned.is_none() {
            self.world.error("not_owned", json!({ "cluster": self.cluster, "lease": snapshot.lease }));
        }
        owned
    }

    async fn take_lease(&mut self, snapshot: &Snapshot, decision: &Decision) -> Result<(), StateError> {
        self.describe_now = true;
        let seen = snapshot.lease.as_ref();
        let epoch_used = snapshot.episode.as_ref().map_or(0, Episode::epoch_used);
        let Some(next) = Lease::taken(seen, epoch_used, &self.me, snapshot.now, self.policy) else {
            self.world.pause(PAUSE_IDLE).await;
            return Ok(());
        };
        let under = Under::Changing { seen, next: &next };
        if let Some(open) = snapshot.open_episode() {
            let facts = json!({ "lease_epoch": next.epoch, "owner": self.me });
            return self.write(under, open.clone(), Some(open.version), decision, &[(Kind::Adopted, facts)]).await;
        }
        let Some(old_writer) = decision.diagnosis.presumed.clone() else {
            self.world.error("no_presumed_writer", json!({ "rule": decision.rule }));
            return Ok(());
        };
        let previous = snapshot.episode.as_ref();
        let episode = Episode::open(
            &self.cluster,
            next.epoch,
            &decision.diagnosis,
            old_writer,
            previous,
            snapshot.now,
            self.policy,
        );
        let facts = json!({
            "old_writer": episode.old_writer, "cause": episode.cause, "failed_since": episode.failed_since,
            "mode": snapshot.mode, "policy": self.policy, "topology": snapshot.topology,
        });
        self.untold = Some(notice::opened(&episode, decision));
        let detection = snapshot.now.since(episode.failed_since);
        self.write(under, episode, previous.map(|p| p.version), decision, &[(Kind::Opened, facts)]).await?;
        self.world.measure(&self.cluster, &[(metric::EPISODES_OPENED, 1), (metric::DETECTION, millis(detection))]);
        Ok(())
    }

    fn deployment(&self) -> Deployment {
        self.topology.as_ref().map_or(Deployment::default(), |seen| seen.what.deployment)
    }

    async fn record_proof(
        &self,
        snapshot: &Snapshot,
        decision: &Decision,
        writer: &InstanceId,
    ) -> Result<(), StateError> {
        let Some((lease, open)) = self.owned(snapshot) else {
            return Ok(());
        };
        let proved_at = decision.diagnosis.committed.as_ref().map_or(snapshot.now, |(_, at)| *at);
        let mut episode = open.clone();
        episode.proved_at = Some(proved_at);
        let canaries: Vec<_> = snapshot
            .counted_reports(self.policy)
            .map(|report| json!({ "az": report.az, "canary": report.canary, "cluster_endpoint": report.endpoint }))
            .collect();
        let proof = json!({ "writer": writer, "committed_at": proved_at, "by": open.recovered_by(writer),
            "witnesses": canaries });
        self.write(Under::Held(lease), episode, Some(open.version), decision, &[(Kind::Proved, proof)]).await?;
        if open.cause != WriterState::Committing {
            let recovery = proved_at.since(open.failed_since);
            self.world.measure(&self.cluster, &[(metric::RECOVERY, millis(recovery))]);
        }
        Ok(())
    }

    async fn evict(&self, snapshot: &Snapshot, decision: &Decision, demoted: InstanceId) -> Result<(), StateError> {
        let Some((lease, open)) = self.owned(snapshot) else {
            return Ok(());
        };
        if self.is_short(lease) {
            return self.renew(lease).await;
        }
        let mut episode = open.clone();
        episode.evicted = true;
        let intended = json!({ "action": "evict", "demoted": demoted });
        let seen = Some(open.version);
        let episode =
            self.write_returning(Under::Armed(lease), episode, seen, decision, &[(Kind::Intended, intended)]).await?;
        if self.is_short(lease) {
            // The write took too long: whoever holds the lease by now may have gone on.
            let withheld = json!({ "action": "evict", "result": "withheld, never ordered" });
            let seen = Some(episode.version);
            let episode = Episode { evicted: false, ..episode };
            return self.write(Under::Held(lease), episode, seen, decision, &[(Kind::Answered, withheld)]).await;
        }
        let result = match self.world.evict(&self.cluster, episode.epoch, &demoted).await {
            Ok(()) => json!({ "action": "evict", "result": "drainer asked" }),
            Err(error) => json!({ "action": "evict", "result": error.to_string() }),
        };
        let seen = Some(episode.version);
        self.write(Under::Held(lease), episode, seen, decision, &[(Kind::Answered, result)]).await
    }

    async fn close(&mut self, snapshot: &Snapshot, decision: &Decision, writer: InstanceId) -> Result<(), StateError> {
        let Some((lease, open)) = self.owned(snapshot) else {
            return Ok(());
        };
        let by = open.recovered_by(&writer);
        let mut episode = open.clone();
        episode.closed = Some(Closed { at: snapshot.now, writer: writer.clone(), by });
        let released = lease.released();
        let under = Under::Changing { seen: Some(lease), next: &released };
        let facts = json!({ "writer": writer, "by": by, "promotion": open.promotion, "shadowed": open.shadowed });
        let seen = Some(open.version);
        let episode = self.write_returning(under, episode, seen, decision, &[(Kind::Closed, facts)]).await?;
        self.tell_untold().await;
        self.tell(&notice::closed(&episode, &writer, self.deployment(), snapshot.now)).await;
        Ok(())
    }

    async fn call_human(&mut self, snapshot: &Snapshot, decision: &Decision) -> Result<(), StateError> {
        let Some((lease, open)) = self.owned(snapshot) else {
            return Ok(());
        };
        let intended = json!({ "action": "call_human", "rule": decision.rule });
        let seen = Some(open.version);
        let records = [(Kind::Intended, intended)];
        let mut episode = self.write_returning(Under::Held(lease), open.clone(), seen, decision, &records).await?;
        self.untold = None;
        self.world.measure(&self.cluster, &[(metric::HUMAN_CALLS, 1)]);
        // Only who was reached counts as called: a message too many is better than none.
        let notice = notice::human_needed(&episode, decision);
        let result = match self.world.notify(&notice).await {
            Ok(()) => {
                episode.human_called.push(decision.rule);
                json!({ "action": "call_human", "result": "accepted" })
            }
            Err(error) => {
                self.world.pause(PAUSE_UNHEARD).await;
                json!({ "action": "call_human", "result": error.to_string() })
            }
        };
        let seen = Some(episode.version);
        self.write(Under::Held(lease), episode, seen, decision, &[(Kind::Answered, result)]).await
    }

    /// Nothing to do now: keep the record and the lease up to date, tell what is due, let time pass.
    async fn wait(&mut self, snapshot: &Snapshot, decision: &Decision) -> Result<(), StateError> {
        if decision.facts.lease == LeaseState::Ours {
            if let (Some(lease), Some(open)) = (&snapshot.lease, snapshot.open_episode()) {
                let gone_since = episode::gone_since(open.gone_since, &decision.diagnosis, snapshot.now);
                let shadowed = open.shadowed.clone().or_else(|| would_call(snapshot, decision));
                if open.rule != decision.rule || open.gone_since != gone_since || open.shadowed != shadowed {
                    let episode = Episode { gone_since, shadowed, ..open.clone() };
                    self.write(Under::Held(lease), episode, Some(open.version), decision, &[]).await?;
                }
            }
            if let Some(lease) = &snapshot.lease {
                self.renew(lease).await?;
            }
            self.tell_untold().await;
        }
        self.tell_standing_by(snapshot, decision).await;
        let open = snapshot.open_episode().is_some() && decision.facts.lease == LeaseState::Ours;
        self.world.pause(if open { PAUSE_OPEN } else { PAUSE_IDLE }).await;
        Ok(())
    }

    /// Nothing is done under somebody else's lease. A lease that nobody renews for longer than it lasts
    /// has an owner that is gone: a person should know.
    async fn tell_standing_by(&mut self, snapshot: &Snapshot, decision: &Decision) {
        let (Verdict::StandBy, Some(lease)) = (decision.verdict, &snapshot.lease) else {
            self.standing_by = None;
            return;
        };
        let first = self.standing_by.get_or_insert_with(|| StandBy { since: snapshot.now, lease: lease.clone() });
        let failed = !matches!(decision.facts.writer, WriterState::Committing | WriterState::Unknown);
        if failed && first.lease == *lease && snapshot.now.since(first.since) >= self.stand_by_limit() {
            self.tell(&notice::standing_by(&self.cluster, lease, decision)).await;
        }
    }

    /// By then a living owner has renewed its lease several times, and a dead one's has run out.
    fn stand_by_limit(&self) -> Duration {
        self.policy.lease_ttl.saturating_add(self.policy.clock_skew_max.saturating_mul(2))
    }

    /// Whether less is left of the lease than a call to the outside may take.
    fn is_short(&self, lease: &Lease) -> bool {
        lease.expires_at.since(self.world.now()) < CALL_LIMIT.saturating_add(self.policy.clock_skew_max)
    }

    /// Renews a lease that runs short. One that ran out is left alone: the next look shows whose it is.
    async fn renew(&self, lease: &Lease) -> Result<(), StateError> {
        let now = self.world.now();
        if lease.expires_at.since(now) >= RENEW_BELOW {
            return Ok(());
        }
        match lease.renewed(&self.me, now, self.policy) {
            Some(next) => self.world.write_lease(&self.cluster, Some(lease), &next).await,
            None => Ok(()),
        }
    }

    async fn write(
        &self,
        under: Under<'_>,
        episode: Episode,
        seen_version: Option<u64>,
        decision: &Decision,
        records: &[(Kind, serde_json::Value)],
    ) -> Result<(), StateError> {
        self.write_returning(under, episode, seen_version, decision, records).await.map(|_| ())
    }

    /// Writes the episode with its evidence: the decision if it is a new one, then `records`.
    async fn write_returning(
        &self,
        under: Under<'_>,
        mut episode: Episode,
        seen_version: Option<u64>,
        decision: &Decision,
        records: &[(Kind, serde_json::Value)],
    ) -> Result<Episode, StateError> {
        let mut entries: Vec<Entry> = Vec::new();
        let opening = records.iter().filter(|(kind, _)| matches!(kind, Kind::Opened | Kind::Adopted));
        for (kind, data) in opening {
            entries.push(self.link(&mut episode, *kind, data.clone()));
        }
        if episode.rule != decision.rule {
            episode.rule = decision.rule;
            entries.push(self.link(&mut episode, Kind::Decided, json!(decision)));
        }
        for (kind, data) in records.iter().filter(|(kind, _)| !matches!(kind, Kind::Opened | Kind::Adopted)) {
            entries.push(self.link(&mut episode, *kind, data.clone()));
        }
        episode.version = episode.version.saturating_add(1);
        self.world.commit(under, &episode, seen_version, &entries).await?;
        for entry in &entries {
            self.world.audit("evidence", json!(entry));
        }
        Ok(episode)
    }

    fn link(&self, episode: &mut Episode, kind: Kind, data: serde_json::Value) -> Entry {
        let (entry, head) =
            episode.evidence.append(&self.cluster, episode.epoch, self.world.now(), &self.me, kind, data);
        episode.evidence = head;
        entry
    }

    async fn tell_untold(&mut self) {
        if let Some(notice) = self.untold.take() {
            self.tell(&notice).await;
        }
    }

    /// A message that does not get through is logged: it must not hold up the failover.
    async fn tell(&self, notice: &Notice) {
        self.has_told(notice).await;
    }

    async fn has_told(&self, notice: &Notice) -> bool {
        let told = self.world.notify(notice).await;
        if let Err(error) = &told {
            self.world.audit("notice_failed", json!({ "subject": notice.subject, "error": error.to_string() }));
        }
        told.is_ok()
    }

    fn is_over(&self, snapshot: &Snapshot, decision: &Decision, began: Timestamp, patience: Patience) -> bool {
        let now = self.world.now();
        if now >= patience.until {
            return true;
        }
        let episode_open = snapshot.open_episode().is_some();
        match decision.verdict {
            Verdict::Rest | Verdict::Hold => true,
            Verdict::LookAgain => !episode_open && now.since(began) >= patience.suspicion,
            // Probers wake another one while the trouble lasts; this one has seen that the owner lives, or
            // has told that it does not.
            Verdict::StandBy => self.standing_by.as_ref().is_some_and(|first| {
                snapshot.lease.as_ref() != Some(&first.lease)
                    || snapshot.now.since(first.since) >= self.stand_by_limit()
            }),
            Verdict::CallHuman => {
                snapshot.open_episode().is_some_and(|episode| episode.human_called.contains(&decision.rule))
            }
            Verdict::TakeLease
            | Verdict::AwaitPlatform
            | Verdict::Observe
            | Verdict::FailOver
            | Verdict::SwitchOver
            | Verdict::WouldFailOver
            | Verdict::Recovered => false,
        }
    }

    /// Gives the lease back, so that the next coordinator need not wait until it has run out.
    async fn leave(&self) {
        let Ok(State { lease: Some(lease), .. }) = self.world.load(&self.cluster).await else {
            return;
        };
        if lease.owner == self.me
            && let Err(error) = self.world.write_lease(&self.cluster, Some(&lease), &lease.released()).await
        {
            self.world.audit("release_failed", json!({ "error": error.to_string() }));
        }
    }
}

/// What is not called because the mode is shadow.
fn would_call(snapshot: &Snapshot, decision: &Decision) -> Option<Shadowed> {
    let target = decision.target.clone().filter(|_| decision.verdict == Verdict::WouldFailOver)?;
    Some(Shadowed { target, at: snapshot.now, cause: decision.diagnosis.writer })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
