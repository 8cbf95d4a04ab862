//! The platform's own eyes: it follows the nodes' health and roles, fails over by itself, and
//! brings instances back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::event::RdsEvent;
use super::log::Trigger;
use super::nodes::{NodeHealth, Nodes};
use super::server::Platform;

/// How often the nodes are looked at; also the precision of the platform's delays.
const INTERVAL: Duration = Duration::from_millis(100);

/// A node that does not say how it is within this time keeps its last known health.
const HEALTH_LIMIT: Duration = Duration::from_secs(1);

/// Pause before an instance that could not be brought back is tried again.
const REJOIN_PAUSE: Duration = Duration::from_secs(1);

impl<N: Nodes> Platform<N> {
    /// Watches until the service ends.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut tick = tokio::time::interval(INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.look().await;
            self.follow_writer().await;
            self.act_on_dead_writer();
            self.bring_back();
        }
    }

    async fn look(&self) {
        let members = self.core.config.instances.iter();
        let asked = members.map(|member| async {
            let health = self.nodes.health(&member.identifier);
            let health = tokio::time::timeout(HEALTH_LIMIT, health).await;
            (&member.identifier, health.ok())
        });
        let answers = join_all(asked).await;
        let mut state = self.core.state();
        for (instance, health) in answers {
            if let Some(health) = health {
                state.saw(instance, health);
            }
        }
    }

    /// The nodes may have changed roles on their own, or a failed promotion may have got half
    /// way: the control plane shows what is true.
    async fn follow_writer(self: &Arc<Self>) {
        let before = self.core.state().promotions.len();
        let asked = tokio::time::timeout(HEALTH_LIMIT, self.nodes.writer()).await;
        let Ok(Some(writer)) = asked else {
            return;
        };
        let mut state = self.core.state();
        let settled = state.failover.is_none() && state.promotions.len() == before;
        if !settled || state.writer == writer || self.core.config.instance(&writer).is_none() {
            return;
        }
        state.set_writer(&writer);
        state.rejoin_at.remove(&writer);
        drop(state);
        let event = RdsEvent::topology_updated(&self.core.config, &writer);
        self.core.emit(event);
        let platform = Arc::clone(self);
        self.tasks.spawn(async move { platform.move_endpoint(&writer).await });
    }

    fn act_on_dead_writer(self: &Arc<Self>) {
        let Some(patience) = self.core.config.timing.native_failover else {
            return;
        };
        let Some((writer, health)) = self.dead_writer(patience) else {
            return;
        };
        match self.core.begin_failover(Trigger::Native, None) {
            Ok(run) => self.tasks.spawn(Arc::clone(self).fail_over(run)),
            Err(error) => {
                tracing::info!(error.message, "no reader to promote");
                // Without a reader Aurora creates the writer again where it was.
                let mut state = self.core.state();
                state.native_after = Some(Instant::now() + patience);
                if health == NodeHealth::Down && state.restarting.insert(writer.clone()) {
                    self.tasks.spawn(Arc::clone(self).restart(writer));
                }
            }
        }
    }

    /// The writer, if it has been dead for long enough and nothing is being done about it.
    fn dead_writer(&self, patience: Duration) -> Option<(String, NodeHealth)> {
        let state = self.core.state();
        let waits = state.native_after.is_some_and(|at| Instant::now() < at);
        if waits || state.closed.is_some() || state.failover.is_some() || state.restarting.contains(&state.writer) {
            return None;
        }
        let (health, lasted) = state.dead_for(&state.writer)?;
        (lasted >= patience).then(|| (state.writer.clone(), health))
    }

    /// Brings back demoted writers and, if configured, readers that died.
    fn bring_back(self: &Arc<Self>) {
        let mut state = self.core.state();
        if let Some(delay) = self.core.config.timing.reader_restart {
            for member in &self.core.config.instances {
                let name = &member.identifier;
                let dead = state.dead_for(name);
                let due = dead.is_some_and(|(_, lasted)| lasted >= delay);
                if due && *name != state.writer && !state.is_restarting(name) {
                    state.rejoin_at.insert(name.clone(), Instant::now());
                }
            }
        }
        let due: Vec<String> = state
            .rejoin_at
            .iter()
            .filter(|(name, at)| **at <= Instant::now() && !state.rejoining.contains(*name))
            .filter(|(name, _)| !host_is_lost(state.health.get(*name)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            state.rejoining.insert(name.clone());
            self.tasks.spawn(Arc::clone(self).rejoin(name));
        }
    }

    async fn rejoin(self: Arc<Self>, instance: String) {
        let rejoined = self.nodes.rejoin(&instance).await;
        let mut state = self.core.state();
        state.rejoining.remove(&instance);
        match rejoined {
            Ok(()) => {
                state.rejoin_at.remove(&instance);
                state.saw(&instance, NodeHealth::Running);
                drop(state);
                let event = RdsEvent::rejoined(&self.core.config, &instance);
                self.core.emit(event);
            }
            Err(error) => {
                tracing::warn!(%error, "an instance could not rejoin and is tried again");
                let again = Instant::now() + REJOIN_PAUSE;
                if let Some(at) = state.rejoin_at.get_mut(&instance) {
                    *at = again;
                }
            }
        }
    }
}

fn host_is_lost(health: Option<&(NodeHealth, Instant)>) -> bool {
    matches!(health, Some((NodeHealth::HostDown, _)))
}
