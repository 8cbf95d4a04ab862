//! Failovers and restarts: which ones are accepted, and how they run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::condition::Failovers;
use super::core::{Core, State};
use super::error::ApiError;
use super::event::RdsEvent;
use super::log::{Promotion, PromotionResult, Trigger};
use super::nodes::{NodeHealth, Nodes};
use super::server::Platform;
use super::xml::now_ms;

/// An accepted failover that has to be carried out.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) target: String,
    pub(super) old_writer: String,
    promotion: usize,
    course: Failovers,
}

impl Core {
    /// Accepts a failover or says why not. Only one runs at a time.
    pub(super) fn begin_failover(&self, trigger: Trigger, wanted: Option<&str>) -> Result<Run, ApiError> {
        let mut state = self.state();
        self.check_cluster(&state, trigger)?;
        let target = match wanted {
            Some(name) => self.check_target(&state, name)?,
            None => self.choose_target(&state, trigger)?,
        };
        let promotion = state.promotions.len();
        let run = Run { target, old_writer: state.writer.clone(), promotion, course: state.failovers };
        state.failover = Some((Instant::now(), run.promotion));
        state.promotions.push(Promotion {
            trigger,
            target: run.target.clone(),
            old_writer: run.old_writer.clone(),
            started_ms: now_ms(),
            writable_ms: None,
            finished_ms: None,
            result: PromotionResult::Running,
        });
        Ok(run)
    }

    /// Accepts a reboot with failover of the Multi-AZ DB instance or says why not.
    pub(super) fn begin_reboot_with_failover(&self) -> Result<Run, ApiError> {
        let begun = self.begin_failover(Trigger::Api, None);
        begun.map_err(|_| ApiError::instance_state("Database instance is not in available state.".to_owned()))
    }

    /// Accepts a restart in place or says why not.
    pub(super) fn begin_restart(&self, instance: &str) -> Result<(), ApiError> {
        let mut state = self.state();
        let status = state.instance_status(instance, self.config.timing.detection_delay);
        if state.failover.is_some() || status != "available" {
            return Err(ApiError::instance_state(
                "Instance cannot currently reboot due to an in-progress management operation.".to_owned(),
            ));
        }
        state.restarting.insert(instance.to_owned());
        Ok(())
    }

    fn check_cluster(&self, state: &State, trigger: Trigger) -> Result<(), ApiError> {
        let name = &self.config.identifier;
        if state.failover.is_some() {
            let message = format!("DB cluster {name} is in failing-over state.");
            return Err(ApiError::cluster_state(message));
        }
        // The platform acts on a dead writer whatever an operator has under way.
        if trigger == Trigger::Api && state.status() != "available" {
            let message = format!("DB cluster {name} is in {} state.", state.status());
            return Err(ApiError::cluster_state(message));
        }
        if state.restarting.contains(&state.writer) {
            return Err(invalid_instance(&state.writer));
        }
        Ok(())
    }

    fn check_target(&self, state: &State, name: &str) -> Result<String, ApiError> {
        let member = self.config.instance(name).map(|found| &found.identifier);
        let member = member.ok_or_else(|| invalid_instance(name))?;
        if *member == state.writer || !self.is_available(state, member) {
            return Err(invalid_instance(member));
        }
        Ok(member.clone())
    }

    /// The lowest tier, then the first in the member list; the dead come last, and the platform
    /// itself never takes one.
    fn choose_target(&self, state: &State, trigger: Trigger) -> Result<String, ApiError> {
        let members = self.config.instances.iter().map(|member| &member.identifier);
        members
            .filter(|member| **member != state.writer && self.is_available(state, member))
            .filter(|member| trigger == Trigger::Api || state.dead_for(member).is_none())
            .min_by_key(|member| {
                let tier = state.tiers.get(*member).copied().unwrap_or(u8::MAX);
                (state.dead_for(member).is_some(), tier)
            })
            .cloned()
            .ok_or_else(|| {
                ApiError::cluster_state(format!(
                    "Database cluster:{} should have at least two database instances for failover",
                    self.config.identifier
                ))
            })
    }

    fn is_available(&self, state: &State, instance: &str) -> bool {
        state.instance_status(instance, self.config.timing.detection_delay) == "available"
    }

    fn crosses_az(&self, run: &Run) -> bool {
        self.config.az_of(&run.target) != self.config.az_of(&run.old_writer)
    }

    /// The target accepts writes; the failover goes on.
    fn promoted(&self, run: &Run) {
        let mut state = self.state();
        state.set_writer(&run.target);
        state.saw(&run.target, NodeHealth::Running);
        state.rejoin_at.remove(&run.target);
        if let Some(promotion) = state.promotions.get_mut(run.promotion) {
            promotion.writable_ms = Some(now_ms());
        }
    }

    /// The failover is over, and `demoted` will come back as a reader.
    fn end(&self, run: &Run, demoted: &str, result: PromotionResult) {
        let mut state = self.state();
        state.failover = None;
        if let Some(delay) = self.config.timing.demoted_rejoin {
            state.rejoin_at.insert(demoted.to_owned(), Instant::now() + delay);
        }
        if let Some(promotion) = state.promotions.get_mut(run.promotion) {
            promotion.finished_ms = Some(now_ms());
            promotion.result = result;
        }
    }

    /// The old writer has the role again.
    fn reversed(&self, run: &Run) {
        let mut state = self.state();
        state.set_writer(&run.old_writer);
        state.saw(&run.old_writer, NodeHealth::Running);
        drop(state);
        self.end(run, &run.target, PromotionResult::Reversed);
    }

    fn fail(&self, run: &Run, reason: String) {
        let mut state = self.state();
        state.failover = None;
        let pause = self.config.timing.native_failover;
        state.native_after = pause.map(|pause| Instant::now() + pause);
        if let Some(promotion) = state.promotions.get_mut(run.promotion) {
            promotion.finished_ms = Some(now_ms());
            promotion.result = PromotionResult::Failed(reason);
        }
    }
}

fn invalid_instance(name: &str) -> ApiError {
    let message = format!("Instance {name} should be in valid state for failover.");
    ApiError::instance_state(message)
}

impl<N: Nodes> Platform<N> {
    /// Carries an accepted failover out.
    pub(super) async fn fail_over(self: Arc<Self>, run: Run) {
        let core = &self.core;
        core.emit(RdsEvent::failover_started(&core.config, &run.target, core.crosses_az(&run)));
        match run.course {
            Failovers::Succeed => {
                if self.promote(&run).await {
                    self.complete(&run).await;
                }
            }
            Failovers::Fail(after) => {
                tokio::time::sleep(after).await;
                self.give_up(&run, "the platform was told to fail".to_owned());
            }
            Failovers::Reverse(after) => {
                if self.promote(&run).await {
                    self.reverse(&run, after).await;
                }
            }
        }
    }

    /// Moves the role to the target; false when that failed and the failover is over.
    async fn promote(&self, run: &Run) -> bool {
        match self.nodes.promote(&run.target).await {
            Ok(()) => {
                self.core.promoted(run);
                self.core.emit(RdsEvent::role_left(&self.core.config, &run.old_writer));
                true
            }
            Err(error) => {
                tracing::warn!(%error, "failover failed");
                self.give_up(run, error.to_string());
                false
            }
        }
    }

    async fn complete(&self, run: &Run) {
        let core = &self.core;
        core.end(run, &run.old_writer, PromotionResult::Completed);
        core.emit(RdsEvent::failover_completed(&core.config, &run.target));
        core.emit(RdsEvent::topology_updated(&core.config, &run.target));
        self.move_endpoint(&run.target).await;
    }

    async fn reverse(self: &Arc<Self>, run: &Run, after: Duration) {
        let (platform, target) = (Arc::clone(self), run.target.clone());
        self.tasks.spawn(async move { platform.move_endpoint(&target).await });
        tokio::time::sleep(after).await;
        let (core, old) = (&self.core, &run.old_writer);
        // Nobody else brings it back meanwhile.
        core.state().rejoining.insert(old.clone());
        let rejoined = self.nodes.rejoin(old).await;
        core.state().rejoining.remove(old);
        if let Err(error) = rejoined {
            tracing::warn!(%error, "the failover is not reversed: the old writer does not come back");
            return self.complete(run).await;
        }
        core.emit(RdsEvent::rejoined(&core.config, old));
        core.emit(RdsEvent::failover_reversed(&core.config, old));
        if let Err(error) = self.nodes.promote(old).await {
            tracing::warn!(%error, "the failover is not reversed: the old writer is not promoted");
            return self.complete(run).await;
        }
        core.reversed(run);
        core.emit(RdsEvent::role_left(&core.config, &run.target));
        core.emit(RdsEvent::topology_updated(&core.config, old));
        self.move_endpoint(old).await;
    }

    fn give_up(&self, run: &Run, reason: String) {
        self.core.fail(run, reason);
        self.core.emit(RdsEvent::failover_failed(&self.core.config));
    }

    /// Carries an accepted restart out.
    pub(super) async fn restart(self: Arc<Self>, instance: String) {
        let core = &self.core;
        core.emit(RdsEvent::shutdown(&core.config, &instance));
        let restarted = self.nodes.restart_in_place(&instance).await;
        let mut state = core.state();
        state.restarting.remove(&instance);
        match restarted {
            Ok(()) => {
                state.saw(&instance, NodeHealth::Running);
                drop(state);
                core.emit(RdsEvent::restarted(&core.config, &instance));
            }
            Err(error) => tracing::warn!(%error, "restart failed"),
        }
    }

    /// Lets the cluster endpoint follow the role, unless it is kept or the role has moved on meanwhile.
    pub(super) async fn move_endpoint(&self, writer: &str) {
        tokio::time::sleep(self.core.config.timing.endpoint_delay).await;
        let _one_at_a_time = self.endpoint.lock().await;
        let moves = {
            let state = self.core.state();
            !state.endpoint_kept && state.writer == writer
        };
        if moves {
            self.nodes.set_cluster_endpoint(writer).await;
        }
    }
}
