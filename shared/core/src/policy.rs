//! Every threshold of the rules, with the defaults that ship.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::topology::Deployment;

/// Thresholds of diagnosis and decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How many Availability Zones must say so. Two: one witness may be the sick one.
    pub quorum: usize,
    /// A report older than this is no fact. Probers write at least every 2 s.
    pub report_age_max: Duration,
    /// A description of the cluster older than this is no fact.
    pub topology_age_max: Duration,
    /// How long a connected but mute writer is given. A crash restart in place takes less.
    pub silent_after: Duration,
    /// How long commits may stand still while reads are answered. A disk under load stands still for a second or two
    /// and goes on, which costs less than a failover.
    pub stalled_after: Duration,
    /// How long Aurora's own failover is awaited for a dead writer before we act.
    /// Aurora usually starts within 10 s and ends within 30 s.
    pub platform_grace: Duration,
    /// How long a platform failover may be in progress before a human is called.
    pub platform_deadline: Duration,
    /// How long our own promotion may take until a commit proves it, before a human is called.
    pub promotion_deadline: Duration,
    /// After how long a call of unknown fate that left no trace may be made again, under a new epoch and with the
    /// same target. Above the time limit of the call and the lag of the control plane's descriptions.
    pub call_lost_after: Duration,
    /// How many calls an episode may make as long as their fate is unknown, each under an epoch of its own.
    pub calls_lost_max: u8,
    /// How long to wait before calling again after a refusal for a reason that passes; twice as long each time.
    pub call_again_after: Duration,
    /// How many calls an episode may make as long as they are refused for reasons that pass. With waits of 2, 4, 8,
    /// 16 and 32 s they span a minute.
    pub calls_refused_max: u8,
    /// A candidate that lagged more than this is refused. Aurora readers lag tens of milliseconds.
    pub lag_max: Duration,
    /// An episode that is open for longer is told to a person whatever it waits for.
    pub episode_deadline: Duration,
    /// How long the control plane may go on naming a writer that has been replaced.
    pub topology_lag_max: Duration,
    /// Promotions by us within [`Self::budget_window`] for the same cause: the anti-flap budget.
    pub budget: usize,
    /// Length of the anti-flap window.
    pub budget_window: Duration,
    /// How long a lease lasts without renewal. A crashed coordinator blocks the others this long.
    pub lease_ttl: Duration,
    /// How far the clocks of two functions may differ.
    pub clock_skew_max: Duration,
}

impl Policy {
    /// The thresholds that ship for a deployment.
    ///
    /// The platform itself takes 60 to 120 s to fail a Multi-AZ DB instance over (RDS guide, "Multi-AZ DB instance
    /// deployments"), and need not show it: so it is given longer than that, and so is a call of ours. A reboot
    /// with failover names no target, so that a second one would move the role back: a call of unknown fate is
    /// never made again.
    pub fn of(deployment: Deployment) -> Self {
        match deployment {
            Deployment::Cluster => Self::default(),
            Deployment::Instance => Self {
                platform_grace: Duration::from_secs(150),
                platform_deadline: Duration::from_secs(90),
                promotion_deadline: Duration::from_secs(180),
                episode_deadline: Duration::from_secs(300),
                calls_lost_max: 1,
                ..Self::default()
            },
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            quorum: 2,
            report_age_max: Duration::from_secs(5),
            topology_age_max: Duration::from_secs(5),
            silent_after: Duration::from_millis(1_500),
            stalled_after: Duration::from_secs(4),
            platform_grace: Duration::from_secs(20),
            platform_deadline: Duration::from_secs(60),
            promotion_deadline: Duration::from_secs(60),
            call_lost_after: Duration::from_secs(15),
            calls_lost_max: 3,
            call_again_after: Duration::from_secs(2),
            calls_refused_max: 6,
            lag_max: Duration::from_secs(30),
            episode_deadline: Duration::from_secs(120),
            topology_lag_max: Duration::from_secs(300),
            budget: 2,
            budget_window: Duration::from_secs(3_600),
            lease_ttl: Duration::from_secs(10),
            clock_skew_max: Duration::from_secs(1),
        }
    }
}
