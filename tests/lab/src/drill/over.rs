//! When a run is over: nothing is left to happen, or its time is up.

use std::time::Duration;

use steadfast_aws::clock;
use steadfast_core::time::Timestamp;
use steadfast_scenario::{Bound, End, Event, Expectation, Fault, PlatformDeed, Scenario};
use tokio::sync::watch::Receiver;
use tokio::time::sleep;

use super::DrillPlan;
use super::milestones::Seen;
use super::timeline::Timeline;
use crate::workload::{Route, Workload};

/// Every client must have worked this long after its first good commit.
const COOL_DOWN: Duration = Duration::from_millis(500);
/// What is expected not to happen is watched for this long once the timeline is done. Probers wake
/// the coordinator every 5 s while they see trouble, and no patience of the rules is longer than 2 s.
const QUIET: Duration = Duration::from_secs(15);
/// A client whose latest commit is older stands still.
const STILL: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Aim {
    /// How many episodes must have been opened.
    episodes: u64,
    /// Whether the last one stays open.
    stays_open: bool,
}

/// Why nothing more is going to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calm {
    /// As many episodes as expected are closed.
    Closed,
    /// No episode is needed, and none is there.
    Untouched,
    /// The episode is to stay open, and who had to be called was called.
    Called,
}

impl Aim {
    fn of(scenario: &Scenario) -> Self {
        let needed = scenario.expectations.iter().map(|expectation| needed_episodes(*expectation));
        Self { episodes: needed.max().unwrap_or(0), stays_open: stays_open(scenario) }
    }

    fn calm(self, scenario: &Scenario, seen: &Seen) -> Option<Calm> {
        if seen.opened < self.episodes {
            return None;
        }
        match &seen.episode {
            None => Some(Calm::Untouched),
            Some(episode) if !episode.is_open() => Some(Calm::Closed),
            Some(episode) => {
                let called = scenario.expectations.iter().all(|expectation| {
                    let Expectation::PersonCalled(rule) = expectation else {
                        return true;
                    };
                    episode.human_called.contains(rule)
                });
                (self.stays_open && called).then_some(Calm::Called)
            }
        }
    }
}

/// How many episodes there must be for this to hold.
fn needed_episodes(expectation: Expectation) -> u64 {
    match expectation {
        Expectation::Episodes(Bound::Exactly(number)) => number,
        Expectation::Rule(_)
        | Expectation::DetectedWithin(_)
        | Expectation::RecoveredBy(_)
        | Expectation::SessionsEvicted
        | Expectation::PersonCalled(_)
        | Expectation::Open(_) => 1,
        Expectation::Calls(Bound::Exactly(calls)) => calls.min(1),
        Expectation::NoRule(_)
        | Expectation::Calls(Bound::AtMost(_))
        | Expectation::Episodes(Bound::AtMost(_))
        | Expectation::Writer(_)
        | Expectation::OutageAtMost(_)
        | Expectation::Lost(_)
        | Expectation::Errors(_)
        | Expectation::NobodyCalled => 0,
    }
}

/// Whether the scenario ends with an open episode, so that writes need not flow.
pub(super) fn stays_open(scenario: &Scenario) -> bool {
    scenario.expectations.contains(&Expectation::Open(true))
}

/// The clients that a fault keeps away to the end: those of the cluster endpoint, if it stays behind, and those
/// that never look for another writer.
fn is_kept_away(scenario: &Scenario, route: Route) -> bool {
    let stays = |event: &Event| event.fault == Fault::Platform(PlatformDeed::KeepsEndpoint) && event.end == End::Never;
    match route {
        Route::Instances => false,
        Route::ClusterEndpoint => scenario.timeline.iter().any(stays),
        Route::Pinned => true,
    }
}

/// Waits until the run is over; says whether writes flow and no episode is open.
pub(super) async fn until_over(
    plan: &DrillPlan,
    timeline: &Timeline<'_>,
    workload: &Workload,
    seen: &Receiver<Seen>,
) -> bool {
    let scenario = &plan.scenario;
    let aim = Aim::of(scenario);
    let waited_for: Vec<bool> = plan.workload.routes.iter().map(|route| !is_kept_away(scenario, *route)).collect();
    let mut calm: Option<(Calm, Timestamp)> = None;
    let mut flowing: Option<Timestamp> = None;
    loop {
        let now = clock::now();
        let seen = seen.borrow().clone();
        let since = |time: Timestamp| {
            let latest = workload.acknowledged();
            latest.iter().zip(&waited_for).all(|(at, waited_for)| !waited_for || *at > time)
        };
        if now >= timeline.first_due().plus(scenario.lasts) {
            return !seen.is_open() && since(now.minus(STILL));
        }
        let now_calm = aim.calm(scenario, &seen).filter(|_| !timeline.is_unfinished(&seen));
        if now_calm != calm.map(|(calm, _)| calm) {
            calm = now_calm.map(|calm| (calm, now));
            flowing = None;
        }
        if let Some((kind, began)) = calm.filter(|_| !scenario.exactly) {
            flowing = flowing.or_else(|| since(began).then_some(now));
            let flows = flowing.is_some_and(|from| since(from.plus(COOL_DOWN)));
            let quiet = now.since(began) >= QUIET;
            match kind {
                Calm::Closed if flows => return true,
                Calm::Untouched if flows && quiet => return true,
                Calm::Called if quiet => return false,
                Calm::Closed | Calm::Untouched | Calm::Called => {}
            }
        }
        sleep(LOOK_EVERY).await;
    }
}
