//! The planned switchover against a world in memory.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]
#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

mod support;
mod world;

use std::time::Duration;

use steadfast_core::decision::decide;
use steadfast_core::episode::{Episode, RecoveredBy};
use steadfast_core::evidence::Kind;
use steadfast_core::executor::{Executor, Outcome as Ended, Patience};
use steadfast_core::gate::Phase;
use steadfast_core::mode::Mode;
use steadfast_core::policy::Policy;
use steadfast_core::ports::*;
use steadfast_core::rotation::row::{Announced, Writing};
use steadfast_core::rotation::{Effect, Rotation};
use steadfast_core::switchover::*;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, InstanceId, Owner};
use steadfast_core::witness::*;
use support::*;
use world::*;

fn order(target: Option<&str>) -> Ordered {
    Ordered { target: target.map(InstanceId::new), reason: "exercise".into(), request: "request-1".into() }
}

/// A healthy cluster whose role moves with an accepted call, seen by probers half a second later.
fn healthy() -> W {
    let mut w = world(Outcome::Committing, 20, 5);
    w.reports = Box::new(|now| reported(now, None));
    w.after_move = Some(|now, at| reported(now, Some(at)));
    w.i.get_mut().unwrap().quiesce_takes_ms = 60;
    w
}

fn reported(now: Timestamp, moved: Option<Timestamp>) -> Vec<WitnessReport> {
    let (old, new) = match moved {
        Some(at) if now.since(at) > Duration::from_millis(500) => (Outcome::Reading, Outcome::Committing),
        Some(_) => (Outcome::Restarting, Outcome::Reading),
        None => (Outcome::Committing, Outcome::Reading),
    };
    let seen = AZS.map(|az| {
        let mut report = report(az, old, ago(60_000));
        report.sightings[1] = sighting("r1", new, ago(60_000));
        for sighting in report.sightings.iter_mut().filter(|sighting| sighting.outcome == Outcome::Committing) {
            sighting.committed_at = Some(now);
        }
        report.at = now;
        report
    });
    seen.into()
}

fn switch(w: &W, order: &Ordered, secs: u64) -> Result<Result<Ended, NotReady>, StateError> {
    let until = w.now().plus(Duration::from_secs(secs));
    let policy = no_grace();
    let patience = Patience { until, suspicion: Duration::from_secs(15) };
    block(Executor::new(w, &policy, ClusterId::new("orders"), Owner::new("me")).switch_over(order, patience))
}

fn episode(w: &W) -> Episode {
    w.i.lock().unwrap().state.episode.clone().unwrap()
}

fn told(w: &W) -> Vec<String> {
    w.i.lock().unwrap().notices.iter().map(|notice| notice.subject.clone()).collect()
}

fn kinds(w: &W) -> Vec<(Kind, String)> {
    let i = w.i.lock().unwrap();
    let action = |entry: &steadfast_core::evidence::Entry| entry.data["action"].as_str().unwrap_or("").to_owned();
    i.evidence.values().filter(|e| e.kind != Kind::Decided).map(|e| (e.kind, action(e))).collect()
}

fn call_intended() -> (Kind, String) {
    (Kind::Intended, "FailoverDBCluster".to_owned())
}

#[test]
fn it_closes_the_gate_calls_once_proves_and_closes() {
    let w = healthy();
    let ended = switch(&w, &order(None), 60).unwrap().unwrap();
    assert_eq!(ended.rule, 310, "{ended:?}");
    let closed = episode(&w).closed.unwrap();
    assert_eq!((closed.writer.as_str(), closed.by), ("r1", RecoveredBy::Steadfast));
    let i = w.i.lock().unwrap();
    assert_eq!((i.quiesces.as_slice(), i.fail_overs.as_slice()), (&["w".to_owned()][..], &["r1".to_owned()][..]));
    assert!(i.resumes.is_empty(), "the gate went with the old writer's role");
    drop(i);
    let happened = kinds(&w);
    let expected = [
        (Kind::Opened, ""),
        (Kind::Intended, "quiesce"),
        (Kind::Answered, "quiesce"),
        (Kind::Intended, "FailoverDBCluster"),
        (Kind::Answered, "FailoverDBCluster"),
        (Kind::Proved, ""),
        (Kind::Intended, "evict"),
        (Kind::Answered, "evict"),
        (Kind::Closed, ""),
    ];
    assert_eq!(happened, expected.map(|(kind, action)| (kind, action.to_owned())));
    assert_eq!(told(&w), ["orders: switchover from w to r1 begins", "orders: switched over to r1"]);
}

#[test]
fn it_goes_to_the_named_target() {
    let w = healthy();
    let _ended = switch(&w, &order(Some("r2")), 8);
    assert_eq!(w.i.lock().unwrap().fail_overs, ["r2"]);
}

#[test]
fn what_stands_in_the_way_is_named_and_nothing_is_done() {
    let refused = |w: &W, target: Option<&str>| match switch(w, &order(target), 60).unwrap() {
        Err(because) => {
            let i = w.i.lock().unwrap();
            assert!(i.quiesces.is_empty() && i.fail_overs.is_empty() && i.state.lease.is_none());
            because.to_string()
        }
        Ok(ended) => panic!("it was done: {ended:?}"),
    };
    assert_eq!(refused(&healthy(), Some("w")), "w is the writer already; name a reader, or leave the target out");
    assert_eq!(
        refused(&healthy(), Some("x")),
        "x is no member of the cluster; name one of its readers, or leave the target out"
    );
    let shadow = healthy();
    shadow.i.lock().unwrap().state.mode = Mode::Shadow;
    assert_eq!(refused(&shadow, None), "the mode is shadow; order `set_mode` with `armed` first");
    let mut unfit = healthy();
    unfit.topo.members[1].status = "rebooting".into();
    assert_eq!(
        refused(&unfit, Some("r1")),
        "r1 cannot take over: its status is rebooting; name another target, or leave it out"
    );
    let mut alone = healthy();
    alone.topo.members.truncate(1);
    assert!(refused(&alone, None).starts_with("no candidate is safe"));
    let failed = world(Outcome::Stalled, 20, 5);
    assert!(refused(&failed, None).contains("not committing"));
    let mut changing = healthy();
    changing.topo.status = steadfast_core::topology::ClusterStatus::Changing("upgrading".into());
    assert!(refused(&changing, None).contains("not idle"));
}

#[test]
fn an_order_that_comes_again_is_not_carried_out_again() {
    let w = healthy();
    let _done = switch(&w, &order(None), 60).unwrap().unwrap();
    let epoch = episode(&w).epoch;
    assert_eq!(switch(&w, &order(None), 60).unwrap(), Err(NotReady::Repeated(epoch)));
    assert_eq!(w.i.lock().unwrap().fail_overs.len(), 1, "another call would move the role on");
}

/// Lambda brings an order of a failed invocation again minutes or hours later, when other episodes have come and gone.
#[test]
fn an_order_that_comes_again_after_another_episode_is_not_carried_out_again() {
    let w = healthy();
    let _done = switch(&w, &order(None), 60).unwrap().unwrap();
    let first = episode(&w);
    let diagnosis = decide(&unanimous(Outcome::Committing, ago(60_000)), &Policy::default()).diagnosis;
    let (cluster, old, now) = (ClusterId::new("orders"), InstanceId::new("r1"), w.now());
    let mut later = Episode::open(&cluster, first.epoch + 1, &diagnosis, old, Some(&first), now, &Policy::default());
    later.closed = first.closed.clone();
    w.i.lock().unwrap().state.episode = Some(later);
    assert_eq!(switch(&w, &order(None), 60).unwrap(), Err(NotReady::Repeated(first.epoch)));
    assert_eq!(w.i.lock().unwrap().fail_overs.len(), 1, "another call would move the role on");
}

#[test]
fn the_latest_orders_are_remembered_through_many_episodes() {
    let diagnosis = decide(&unanimous(Outcome::Committing, ago(60_000)), &Policy::default()).diagnosis;
    let (cluster, policy) = (ClusterId::new("orders"), Policy::default());
    let mut last: Option<Episode> = None;
    for epoch in 1..=50_u64 {
        let writer = InstanceId::new(WRITER);
        let mut open = Episode::open(&cluster, epoch, &diagnosis, writer, last.as_ref(), NOW, &policy);
        let ordered = Ordered { request: format!("request-{epoch}"), ..order(None) };
        open.plan = (epoch % 2 == 0).then(|| Plan::new(&ordered, InstanceId::new("r1"), NOW));
        last = Some(open);
    }
    let taken = last.unwrap().orders_taken();
    assert_eq!((taken.len(), taken[0].epoch, taken[24].epoch), (25, 2, 50));
    assert_eq!(taken[24].request, "request-50");
}

#[test]
fn a_gate_that_does_not_close_calls_it_off() {
    for (answer, why) in [
        (
            Ok(Quiesced { because: Some("a transaction goes on".into()), ..Quiesced::default() }),
            "a transaction goes on",
        ),
        (Err(CallError::Unanswered { action: "Invoke", cause: "the drainer is mute".into() }), "the drainer is mute"),
    ] {
        let w = healthy();
        w.i.lock().unwrap().quiesced = Some(answer);
        let _ended = switch(&w, &order(None), 60).unwrap().unwrap();
        assert!(w.i.lock().unwrap().fail_overs.is_empty());
        let episode = episode(&w);
        assert_eq!(episode.closed.unwrap().writer.as_str(), "w");
        assert_eq!(told(&w)[1], "orders: the switchover did not happen; w writes");
        let i = w.i.lock().unwrap();
        assert!(i.notices[1].body.contains(why), "whoever ordered it has to mend this: {}", i.notices[1].body);
    }
}

#[test]
fn a_drainer_that_says_why_not_is_believed_although_it_has_closed_the_gate() {
    let w = healthy();
    let gate = Phase::Closed { until: w.now().plus(Duration::from_secs(20)) };
    let because = Some("somebody is inside who never took the lock".to_owned());
    w.i.lock().unwrap().quiesced =
        Some(Ok(Quiesced { gate, hold: Some("tx".into()), because, stragglers: Vec::new() }));
    let _ended = switch(&w, &order(None), 60).unwrap().unwrap();
    let i = w.i.lock().unwrap();
    assert_eq!((i.fail_overs.as_slice(), i.resumes.as_slice()), (&[][..], &["tx".to_owned()][..]));
    assert!(i.notices[1].body.contains("never took the lock"), "{}", i.notices[1].body);
}

/// Two Availability Zones fall silent between the order and its first step, for longer than anybody waits for it.
#[test]
fn an_order_that_could_not_be_begun_for_half_a_minute_is_called_off() {
    let mut w = healthy();
    w.reports = Box::new(|now| {
        let mut all = reported(now, None);
        if (40..35_000).contains(&now.since(NOW).as_millis()) {
            all.truncate(1);
        }
        all
    });
    let ended = switch(&w, &order(None), 60).unwrap().unwrap();
    assert_eq!(ended.rule, 310, "{ended:?}");
    let i = w.i.lock().unwrap();
    assert!(i.quiesces.is_empty() && i.fail_overs.is_empty(), "applications would be stopped when nobody expects it");
    assert!(i.notices[1].body.contains("it was not carried out in time"), "{}", i.notices[1].body);
}

#[test]
fn a_refused_call_opens_the_gate_at_once() {
    for code in ["Throttling", "InvalidDBClusterStateFault", "AccessDenied"] {
        let w = healthy();
        let (code, message) = (code.to_owned(), "no".to_owned());
        w.i.lock().unwrap().answers = vec![Some(CallError::Refused { action: "FailoverDBCluster", code, message })];
        let _ended = switch(&w, &order(None), 60).unwrap().unwrap();
        let i = w.i.lock().unwrap();
        assert_eq!((i.fail_overs.len(), i.resumes.as_slice()), (1, &["tx".to_owned()][..]));
        let closed = i.state.episode.as_ref().unwrap().closed.as_ref().unwrap().at;
        assert!(closed.since(i.called_at[0]) < Duration::from_secs(1), "whoever waits at the gate goes on");
    }
}

#[test]
fn an_unanswered_call_is_waited_for_and_then_the_gate_is_opened() {
    let w = healthy();
    w.i.lock().unwrap().answers = vec![Some(CallError::Unanswered { action: "FailoverDBCluster", cause: "x".into() })];
    let _ended = switch(&w, &order(None), 100).unwrap().unwrap();
    let i = w.i.lock().unwrap();
    assert_eq!((i.fail_overs.len(), i.resumes.as_slice()), (1, &["tx".to_owned()][..]));
    assert_eq!(i.state.episode.as_ref().unwrap().closed.as_ref().unwrap().by, RecoveredBy::Itself);
}

/// Tries invariant 13.
#[test]
fn a_gate_that_took_too_long_to_cover_the_call_is_not_relied_on() {
    let w = healthy();
    // 5 s for the call and 1 s for clocks that differ: less than that is left, although the lease has enough.
    let gate = Phase::Closed { until: w.now().plus(Duration::from_millis(5_900)) };
    w.i.lock().unwrap().quiesced = Some(Ok(Quiesced { gate, hold: Some("tx".into()), ..Quiesced::default() }));
    let _ended = switch(&w, &order(None), 100);
    let i = w.i.lock().unwrap();
    assert!(i.fail_overs.is_empty(), "the block might end before the call arrives");
    assert_eq!(i.resumes, ["tx"], "and nobody waits for nothing");
    drop(i);
    assert!(!kinds(&w).contains(&call_intended()), "not even intended, so that the gate is opened at once");
}

/// The gate covers the call when that is decided, and no longer once its intention stands; the lease would last.
#[test]
fn a_gate_that_ran_short_while_the_call_was_written_down_is_not_relied_on() {
    let w = healthy();
    let gate = Phase::Closed { until: w.now().plus(Duration::from_secs(8)) };
    w.i.lock().unwrap().quiesced = Some(Ok(Quiesced { gate, hold: Some("tx".into()), ..Quiesced::default() }));
    w.i.lock().unwrap().slow_before = Some(("FailoverDBCluster", 3_000));
    let _ended = switch(&w, &order(None), 60).unwrap().unwrap();
    assert!(kinds(&w).contains(&call_intended()), "the intention was what took so long");
    let i = w.i.lock().unwrap();
    assert_eq!((i.fail_overs.as_slice(), i.resumes.as_slice()), (&[][..], &["tx".to_owned()][..]));
    let episode = i.state.episode.as_ref().unwrap();
    assert_eq!((&episode.promotion, episode.closed.as_ref().unwrap().by), (&None, RecoveredBy::Itself));
}

#[test]
fn a_gate_is_not_closed_under_a_lease_that_ran_short() {
    let w = healthy();
    w.i.lock().unwrap().slow_before = Some(("quiesce", 4_900));
    let _ended = switch(&w, &order(None), 60).unwrap().unwrap();
    let i = w.i.lock().unwrap();
    assert!(i.quiesces.is_empty() && i.fail_overs.is_empty());
    assert_eq!(i.state.episode.as_ref().unwrap().closed.as_ref().unwrap().by, RecoveredBy::Itself);
}

#[test]
fn a_pause_before_the_call_stops_it() {
    for action in ["quiesce", "FailoverDBCluster"] {
        let w = healthy();
        w.i.lock().unwrap().pause_before = Some(action);
        let _ended = switch(&w, &order(None), 60);
        let i = w.i.lock().unwrap();
        assert!(i.fail_overs.is_empty(), "paused before {action}");
        assert_eq!(i.quiesces.is_empty(), action == "quiesce", "paused before {action}");
        assert_eq!(i.resumes.len(), i.quiesces.len(), "nobody waits at the gate when paused before {action}");
    }
}

/// The state after each write, as the next coordinator would find it.
#[test]
fn whoever_adopts_it_before_the_call_ends_it_with_the_old_writer() {
    let snapshot = unanimous(Outcome::Committing, ago(60_000));
    let order = order(None);
    let diagnosis = decide(&snapshot, &Policy::default()).diagnosis;
    let cluster = ClusterId::new("orders");
    let opened = Episode::open(&cluster, 6, &diagnosis, InstanceId::new(WRITER), None, ago(1_000), &Policy::default());
    for asked in [false, true] {
        let mut plan = Plan::new(&order, InstanceId::new("r1"), ago(1_000));
        plan.asked = asked;
        plan.gate = if asked { Phase::Closed { until: NOW.plus(Duration::from_secs(18)) } } else { Phase::Open };
        let mut adopted = snapshot.clone();
        adopted.episode = Some(Episode { plan: Some(plan), ..opened.clone() });
        let decision = decide(&adopted, &Policy::default());
        assert_eq!(decision.rule, 337, "our lease is of epoch 7, the order was given under 6");
        adopted.lease.as_mut().unwrap().epoch = 6;
        assert_eq!(decide(&adopted, &Policy::default()).rule, 335, "and its own coordinator goes on");
    }
}

/// The gate was opened since the control plane was mute for a moment; when it answers again, the gate is still open.
#[test]
fn a_plan_whose_end_has_begun_is_not_taken_up_again() {
    let mut snapshot = unanimous(Outcome::Committing, ago(60_000));
    snapshot.lease.as_mut().unwrap().epoch = 6;
    let diagnosis = decide(&snapshot, &Policy::default()).diagnosis;
    let (cluster, writer) = (ClusterId::new("orders"), InstanceId::new(WRITER));
    let opened = Episode::open(&cluster, 6, &diagnosis, writer, None, ago(1_000), &Policy::default());
    let mut plan = Plan::new(&order(None), InstanceId::new("r1"), ago(1_000));
    (plan.asked, plan.hold) = (true, Some("tx".into()));
    plan.gate = Phase::Closed { until: NOW.plus(Duration::from_secs(18)) };
    let mut rule_with = |resumed: bool, proved_at: Option<Timestamp>| {
        let plan = Some(Plan { resumed, ..plan.clone() });
        snapshot.episode = Some(Episode { plan, proved_at, ..opened.clone() });
        decide(&snapshot, &Policy::default()).rule
    };
    assert_eq!(rule_with(false, None), 335);
    assert_eq!(rule_with(true, None), 337);
    assert_eq!(rule_with(false, Some(NOW)), 337);
    assert!(!Plan { resumed: true, ..plan }.covers_call(NOW, &Policy::default()));
}

#[test]
fn a_call_that_was_made_is_watched_and_not_taken_for_called_off() {
    let mut snapshot = unanimous(Outcome::Committing, ago(60_000));
    let diagnosis = decide(&snapshot, &Policy::default()).diagnosis;
    let (cluster, writer) = (ClusterId::new("orders"), InstanceId::new(WRITER));
    let opened = Episode::open(&cluster, 7, &diagnosis, writer, None, ago(1_000), &Policy::default());
    let mut plan = Plan::new(&order(None), InstanceId::new("r1"), ago(1_000));
    plan.asked = true;
    plan.gate = Phase::Closed { until: NOW.plus(Duration::from_secs(18)) };
    let promotion = opened.next_promotion(InstanceId::new("r1"), 7, ago(100));
    snapshot.episode = Some(Episode { plan: Some(plan), promotion: Some(promotion), ..opened });
    assert_eq!(decide(&snapshot, &Policy::default()).rule, 350);
}

#[test]
fn a_writer_that_fails_before_the_call_is_failed_over_as_ever() {
    let mut w = healthy();
    w.reports = Box::new(|now| {
        let failed = now.since(NOW) > Duration::from_millis(60);
        let mut all = reported(now, None);
        for report in all.iter_mut().filter(|_| failed) {
            report.sightings[0] = sighting(WRITER, Outcome::Stalled, NOW.plus(Duration::from_millis(60)));
        }
        all
    });
    let _ended = switch(&w, &order(None), 20);
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs, ["r1"]);
    assert_eq!(i.state.episode.as_ref().unwrap().cause, steadfast_core::diagnosis::WriterState::Stalled);
}

fn rotating(until: Timestamp) -> Rotation {
    let effect = Effect::SetPassword;
    let next = Announced { secret: "the secret", token: "t", role: "app_clone", old_role: "app", effect };
    let (cluster, by) = (ClusterId::new("orders"), Owner::new("secret-rotator"));
    let writing = Writing { cluster: &cluster, by: &by, now: until.minus(Duration::from_secs(20)) };
    Rotation { until, ..Rotation::announced(None, next, writing).0 }
}

#[test]
fn a_switchover_waits_for_a_rotation_that_was_announced() {
    let w = healthy();
    let until = w.now().plus(Duration::from_secs(5));
    w.i.lock().unwrap().state.rotations = vec![rotating(until)];
    switch(&w, &order(None), 60).unwrap().unwrap();
    let opened = episode(&w).opened_at;
    assert!(opened >= until.plus(Policy::default().clock_skew_max), "opened at {opened:?}, in the rotation");
    assert_eq!(episode(&w).closed.unwrap().by, RecoveredBy::Steadfast);
}

#[test]
fn a_switchover_gives_up_before_a_rotation_that_does_not_end() {
    let w = healthy();
    w.i.lock().unwrap().state.rotations = vec![rotating(w.now().plus(Duration::from_secs(600)))];
    let refused = switch(&w, &order(None), 60).unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "the secret the secret is being rotated; try again in a minute");
    assert!(w.i.lock().unwrap().state.episode.is_none());
}

#[test]
fn a_plan_is_called_off_for_a_rotation_that_was_announced_just_before_it() {
    let w = healthy();
    switch(&w, &order(None), 60).unwrap().unwrap();
    let mut open = episode(&w);
    (open.promotion, open.closed, open.proved_at) = (None, None, None);
    let plan = open.plan.as_mut().unwrap();
    (plan.asked, plan.resumed) = (false, false);
    let mut seen = snapshot(Vec::new());
    seen.now = open.opened_at;
    seen.lease.as_mut().unwrap().epoch = open.epoch;
    seen.episode = Some(open);
    assert_eq!(planned(&seen, &Policy::default()), Planned::Due);
    seen.rotations = vec![rotating(seen.now.plus(Duration::from_secs(5)))];
    assert_eq!(planned(&seen, &Policy::default()), Planned::Off);
}
