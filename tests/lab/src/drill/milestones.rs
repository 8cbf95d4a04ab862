//! How far the first episode of a run has come, as the state table and the control plane show it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use steadfast_aws::clock;
use steadfast_core::episode::Episode;
use steadfast_core::time::Timestamp;
use steadfast_scenario::Milestone;
use tokio::sync::watch;
use tokio::time::sleep;

use super::timeline::Timeline;
use super::{DrillError, Progress};
use crate::assembly::Lab;
use crate::rds::{ApiCall, Trigger};

/// A killed coordinator should not have gone far beyond the call.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What has happened since the run's first fault could have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The epoch of the first episode.
    first: Option<u64>,
    /// When each milestone of it was reached.
    reached: BTreeMap<Milestone, Timestamp>,
    /// How many episodes have been opened.
    pub(super) opened: u64,
    /// The latest episode.
    pub(super) episode: Option<Episode>,
}

impl Seen {
    /// When the first episode reached this.
    pub(super) fn when(&self, milestone: Milestone) -> Option<Timestamp> {
        self.reached.get(&milestone).copied()
    }

    /// Whether the first episode may still reach it.
    pub(super) fn may_come(&self, milestone: Milestone) -> bool {
        !self.reached.contains_key(&milestone) && !self.reached.contains_key(&Milestone::Closed)
    }

    /// Whether an episode is open.
    pub(super) fn is_open(&self) -> bool {
        self.episode.as_ref().is_some_and(Episode::is_open)
    }

    fn reach(&mut self, milestone: Milestone, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.reached.entry(milestone).or_insert(at);
        }
    }

    /// Takes in the latest episode since the start.
    fn take_in(&mut self, episode: Episode) {
        let first = *self.first.get_or_insert(episode.epoch);
        if episode.epoch == first {
            self.reach(Milestone::Opened, Some(episode.opened_at));
            self.reach(Milestone::Intended, episode.promotion.as_ref().map(|promotion| promotion.at));
            self.reach(Milestone::Proved, episode.proved_at);
            self.reach(Milestone::Evicting, episode.evicted.then(clock::now));
            self.reach(Milestone::Closed, episode.closed.as_ref().map(|closed| closed.at));
        } else {
            // It was closed between two looks.
            self.reach(Milestone::Closed, Some(episode.opened_at));
        }
        self.episode = Some(episode);
    }
}

/// Whether the call is one of Steadfast's, which always names its target. A reboot with failover has none: nobody else
/// orders one in a scenario.
pub(super) fn is_ours(call: &ApiCall) -> bool {
    match call.action.as_str() {
        "FailoverDBCluster" => call.parameters.contains_key("TargetDBInstanceIdentifier"),
        "RebootDBInstance" => call.parameters.get("ForceFailover").is_some_and(|force| force == "true"),
        _ => false,
    }
}

/// Follows what happens to episodes after epoch `before` until it is dropped.
pub(super) async fn follow(
    lab: &Lab,
    before: u64,
    timeline: &Timeline<'_>,
    seen: &watch::Sender<Seen>,
    progress: &dyn Progress,
) -> Result<Infallible, DrillError> {
    loop {
        let since = timeline.first_fault();
        let mut now = seen.borrow().clone();
        now.reach(Milestone::Called, called(lab, since));
        now.reach(Milestone::Promoted, promoted(lab, since));
        if let Some(episode) = lab.state().await?.episode.filter(|episode| episode.epoch > before) {
            let is_new = now.episode.as_ref().is_none_or(|known| known.epoch != episode.epoch);
            if is_new {
                now.opened += 1;
                let after = episode.opened_at.since(since).as_secs_f64();
                progress.say(&format!("  {after:.2} s: episode {} is open: {:?}", episode.epoch, episode.cause));
            }
            now.take_in(episode);
        }
        seen.send_replace(now);
        sleep(LOOK_EVERY).await;
    }
}

/// A call stands in the log once it is answered; the failover it started shows earlier.
fn called(lab: &Lab, since: Timestamp) -> Option<Timestamp> {
    let calls = lab.rds.calls().into_iter().filter(is_ours).map(|call| call.at_ms);
    let begun = lab.rds.promotions().into_iter().filter(|promotion| promotion.trigger == Trigger::Api);
    let begun = begun.map(|promotion| promotion.started_ms);
    calls.chain(begun).filter(|at| *at >= since.as_millis()).min().map(Timestamp::from_millis)
}

fn promoted(lab: &Lab, since: Timestamp) -> Option<Timestamp> {
    let promotions = lab.rds.promotions().into_iter().filter(|promotion| promotion.started_ms >= since.as_millis());
    promotions.filter_map(|promotion| promotion.writable_ms).min().map(Timestamp::from_millis)
}
