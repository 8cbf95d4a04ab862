//! The stable name: set when all is well, once, and never in anybody's way.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]
#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

mod support;
mod world;

use std::time::Duration;

use steadfast_core::decision::decide;
use steadfast_core::executor::{Executor, Outcome, Patience};
use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::notice::Severity;
use steadfast_core::pin::{self, Aim, Pin, PinName};
use steadfast_core::ports::*;
use steadfast_core::snapshot::Snapshot;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::*;
use steadfast_core::witness::{Outcome as Seen, WitnessReport};
use support::*;
use world::*;

/// A cluster whose first instance writes, and whose name is `writer.orders.internal`.
fn pinned(outcome: Seen) -> W {
    let mut w = world(outcome, 20, 5);
    w.i.get_mut().unwrap().stable_name =
        Some(PinName { zone: "Z1".to_owned(), name: "writer.orders.internal".to_owned() });
    w
}

/// A run that may stay for this long.
fn run(w: &W, stays: u64) -> Outcome {
    let until = w.now().plus(Duration::from_secs(stays));
    let (policy, me) = (no_grace(), Owner::new(w.now().as_millis().to_string()));
    let executor = Executor::new(w, &policy, ClusterId::new("orders"), me);
    block(executor.run(Patience { until, suspicion: Duration::from_secs(15) })).unwrap()
}

/// A minute later the sweep comes.
fn sweep(w: &W) -> Outcome {
    w.i.lock().unwrap().now += 60_000;
    run(w, 290)
}

fn led_to(w: &W) -> Vec<String> {
    w.i.lock().unwrap().points.iter().map(|aim| format!("{} {}", aim.endpoint, aim.epoch)).collect()
}

fn pin(w: &W) -> Pin {
    w.i.lock().unwrap().state.pin.clone().unwrap()
}

fn told(w: &W) -> Vec<Severity> {
    w.i.lock().unwrap().notices.iter().map(|notice| notice.severity).collect()
}

fn refused() -> Option<CallError> {
    let (code, message) = ("AccessDenied".into(), "not authorized".into());
    Some(CallError::Refused { action: "ChangeResourceRecordSets", code, message })
}

/// The old writer is gone; the target of a call commits half a second after it.
fn taken_over(now: Timestamp, moved: Timestamp) -> Vec<WitnessReport> {
    let mut all = reports(Seen::Refused, ago(2_000))(now);
    if now.since(moved) > Duration::from_millis(500) {
        for report in &mut all {
            report.sightings[1] = sighting("r1", Seen::Committing, moved);
            report.sightings[1].committed_at = Some(now);
        }
    }
    all
}

#[test]
fn the_name_is_set_to_the_writer_that_commits_and_then_left_alone() {
    let w = pinned(Seen::Committing);
    for _ in 0..3 {
        assert_eq!(sweep(&w).rule, 310);
    }
    assert_eq!(led_to(&w), ["w.example 0"]);
    assert!(pin(&w).settled);
    assert_eq!(told(&w), []);
}

#[test]
fn a_writer_is_not_named_before_its_endpoint_is_known_nor_while_an_episode_is_open() {
    let (policy, mut seen) = (no_grace(), unanimous(Seen::Committing, ago(60_000)));
    let name = PinName { zone: "Z1".to_owned(), name: "writer.orders.internal".to_owned() };
    (seen.lease, seen.mode) = (None, Mode::Armed);
    let aim = |seen: &Snapshot| pin::due(&name, seen, &decide(seen, &policy), None).map(|pin| pin.aim.endpoint);
    assert_eq!(aim(&seen).as_deref(), Some("w.example"));
    for mode in [Mode::Shadow, Mode::Paused] {
        assert_eq!(aim(&Snapshot { mode, ..seen.clone() }), None, "{mode:?}");
    }
    let mut nameless = seen.clone();
    nameless.topology.as_mut().unwrap().what.members[0].endpoint = String::new();
    assert_eq!(aim(&nameless), None);
    let lease =
        unanimous(Seen::Committing, ago(60_000)).lease.map(|lease| Lease { owner: Owner::new("other"), ..lease });
    assert_eq!(aim(&Snapshot { lease, ..seen.clone() }), None, "somebody else is at work");
    let mut moved = seen.clone();
    for report in &mut moved.reports {
        report.sightings[1] = sighting("r1", Seen::Committing, ago(1_000));
        report.sightings[1].committed_at = Some(ago(10));
    }
    assert_eq!(aim(&moved), None, "the control plane does not say so");
    for reason in [Seen::Refused, Seen::Stalled, Seen::CheckFailed] {
        assert_eq!(aim(&unanimous(reason, ago(60_000))), None, "{reason:?}");
    }
}

#[test]
fn without_a_name_nothing_is_written_about_one() {
    let w = world(Seen::Committing, 20, 5);
    sweep(&w);
    let i = w.i.lock().unwrap();
    assert_eq!((i.points.len(), &i.state.pin), (0, &None));
}

#[test]
fn after_an_episode_it_is_set_to_the_proved_writer_when_people_know_and_the_lease_is_free() {
    let mut w = pinned(Seen::Refused);
    w.after_move = Some(taken_over);
    w.i.get_mut().unwrap().meanwhile = Some(|i| {
        assert!(i.notices.last().is_some_and(|notice| notice.subject.contains("writes flow again on r1")));
        assert!(i.state.lease.as_ref().is_some_and(|lease| lease.expires_at <= Timestamp::from_millis(i.now)));
        assert!(i.state.episode.as_ref().is_some_and(|episode| episode.closed.is_some()));
    });
    assert_eq!(run(&w, 290).rule, 310);
    assert_eq!(led_to(&w), ["r1.example 1"]);
    assert!(pin(&w).settled && w.i.lock().unwrap().meanwhile.is_none());
    sweep(&w);
    assert_eq!(led_to(&w).len(), 1);
}

#[test]
fn a_name_service_that_fails_changes_nothing_but_is_told_once_and_tried_by_every_sweep() {
    let mut w = pinned(Seen::Refused);
    w.after_move = Some(taken_over);
    w.i.get_mut().unwrap().point_fails = refused();
    assert_eq!(run(&w, 290).rule, 310);
    let warnings = |w: &W| {
        let subject = "orders: the name writer.orders.internal may not lead to the writer r1";
        w.i.lock().unwrap().notices.iter().filter(|notice| notice.subject == subject).count()
    };
    assert_eq!((led_to(&w).len(), warnings(&w), pin(&w).settled), (1, 1, false));
    sweep(&w);
    assert_eq!((led_to(&w).len(), warnings(&w), pin(&w).settled), (2, 1, false));
    w.i.lock().unwrap().point_fails = None;
    sweep(&w);
    sweep(&w);
    assert_eq!((led_to(&w).len(), warnings(&w), pin(&w).settled), (3, 1, true));
    let last = w.i.lock().unwrap().notices.last().cloned().unwrap();
    assert_eq!((last.severity, last.subject.ends_with("leads to the writer r1 again")), (Severity::Info, true));
}

#[test]
fn whoever_was_not_reached_about_a_failure_is_told_by_the_next_sweep() {
    let mut w = pinned(Seen::Committing);
    w.i.get_mut().unwrap().point_fails = refused();
    w.i.get_mut().unwrap().sns_fails = true;
    sweep(&w);
    assert!(!pin(&w).told);
    w.i.lock().unwrap().sns_fails = false;
    sweep(&w);
    sweep(&w);
    assert_eq!(told(&w), [Severity::Warning]);
}

#[test]
fn shadow_and_paused_leave_the_name_where_it_is() {
    for mode in [Mode::Shadow, Mode::Paused] {
        let mut w = pinned(Seen::Committing);
        w.i.get_mut().unwrap().state.mode = mode;
        sweep(&w);
        assert_eq!((led_to(&w).len(), &w.i.lock().unwrap().state.pin), (0, &None), "{mode:?}");
    }
}

#[test]
fn a_call_of_another_that_is_on_its_way_keeps_the_name_unsettled_until_it_has_ended() {
    let mut w = pinned(Seen::Committing);
    let name = w.stable_name().unwrap();
    let aim = Aim { name, writer: InstanceId::new("r2"), endpoint: "r2.example".to_owned(), epoch: 0 };
    let asked_at = w.now().plus(Duration::from_secs(58));
    w.i.get_mut().unwrap().state.pin = Some(Pin { aim, asked_at, settled: false, told: false, version: 4 });
    sweep(&w);
    assert_eq!(led_to(&w), ["w.example 0"], "it is set all the same");
    assert!(!pin(&w).settled, "the call before it may come after it");
    run(&w, 290);
    assert_eq!(led_to(&w).len(), 1, "not again at once");
    sweep(&w);
    assert_eq!((led_to(&w).len(), pin(&w).settled), (2, true));
}

#[test]
fn a_call_that_has_ended_keeps_nobody_from_settling_another() {
    let mut w = pinned(Seen::Committing);
    let name = w.stable_name().unwrap();
    let aim = Aim { name, writer: InstanceId::new("r2"), endpoint: "r2.example".to_owned(), epoch: 0 };
    let asked_at = w.now().plus(Duration::from_secs(58));
    w.i.get_mut().unwrap().state.pin = Some(Pin { aim, asked_at, settled: true, told: false, version: 4 });
    sweep(&w);
    assert_eq!((led_to(&w), pin(&w).settled), (vec!["w.example 0".to_owned()], true));
}

#[test]
fn what_a_newer_coordinator_has_asked_for_meanwhile_stands() {
    let mut w = pinned(Seen::Committing);
    w.i.get_mut().unwrap().meanwhile = Some(|i| {
        let mine = i.state.pin.clone().unwrap();
        let aim = Aim { writer: InstanceId::new("r2"), endpoint: "r2.example".to_owned(), epoch: 1, ..mine.aim };
        i.state.pin = Some(Pin { aim, version: mine.version + 1, ..mine });
    });
    assert_eq!(sweep(&w).rule, 310);
    assert_eq!((pin(&w).aim.endpoint.as_str(), pin(&w).settled), ("r2.example", false));
}

#[test]
fn a_call_that_was_announced_long_ago_is_not_made() {
    let mut w = pinned(Seen::Committing);
    w.i.get_mut().unwrap().pin_ms = 15_000;
    sweep(&w);
    assert_eq!((led_to(&w).len(), pin(&w).settled), (0, false));
    w.i.lock().unwrap().pin_ms = 5;
    sweep(&w);
    assert_eq!((led_to(&w).len(), pin(&w).settled), (1, true));
}

#[test]
fn a_run_that_must_end_soon_leaves_the_name_to_the_sweep() {
    let w = pinned(Seen::Committing);
    run(&w, 19);
    assert_eq!(led_to(&w).len(), 0);
    run(&w, 30);
    assert_eq!(led_to(&w).len(), 1);
}
