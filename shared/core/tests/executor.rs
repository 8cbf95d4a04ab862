//! The executor against a world in memory, with the surprises that the lab does not make.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]
#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

mod support;
mod world;

use std::time::Duration;
use steadfast_core::decision::decide;
use steadfast_core::diagnosis::*;
use steadfast_core::episode::*;
use steadfast_core::evidence::Kind;
use steadfast_core::executor::{Executor, Patience};
use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::policy::Policy;
use steadfast_core::ports::*;
use steadfast_core::rules::Verdict;
use steadfast_core::snapshot::Snapshot;
use steadfast_core::step::{self, Action, Progress};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::*;
use steadfast_core::witness::*;
use support::*;
use world::*;

fn ep(seen: &Snapshot, since: Timestamp) -> Episode {
    let mut d = diagnose(seen, &Policy::default());
    d.since = Some(since);
    Episode::open(&ClusterId::new("orders"), 7, &d, InstanceId::new(WRITER), None, since, &Policy::default())
}

#[test]
fn a_failover_that_the_platform_has_finished_is_not_undone() {
    let mut seen = unanimous(Outcome::Unreachable, ago(22_000));
    seen.episode = Some(ep(&seen, ago(22_000)));
    for m in &mut seen.topology.as_mut().unwrap().what.members {
        m.is_writer = m.id.as_str() == "r1";
    }
    for r in &mut seen.reports {
        r.sightings[1] = sighting("r1", Outcome::Restarting, ago(1_000));
    }
    let d = decide(&seen, &Policy::default());
    assert_ne!(d.verdict, Verdict::FailOver, "rule {} target {:?}", d.rule, d.target);
}
#[test]
fn an_instance_that_the_platform_calls_writer_is_no_target() {
    let mut seen = unanimous(Outcome::Unreachable, ago(22_000));
    seen.episode = Some(ep(&seen, ago(22_000)));
    for m in &mut seen.topology.as_mut().unwrap().what.members {
        m.is_writer = m.id.as_str() == "r1";
    }
    let d = decide(&seen, &Policy::default());
    assert_ne!(d.verdict, Verdict::FailOver, "rule {} target {:?}", d.rule, d.target);
}
#[test]
fn shadow_mode_evicts_nobody() {
    let mut seen = unanimous(Outcome::Unreachable, ago(9_000));
    for r in &mut seen.reports {
        r.sightings[1] = sighting("r1", Outcome::Committing, ago(200));
    }
    seen.mode = Mode::Shadow;
    let mut e = ep(&unanimous(Outcome::Unreachable, ago(9_000)), ago(2_000));
    e.proved_at = Some(ago(5));
    seen.episode = Some(e);
    let d = decide(&seen, &Policy::default());
    let n = step::next(&seen, &d);
    assert!(!matches!(n, Some((_, Progress::Ready(Action::Evict { .. })))), "{n:?}");
}
#[test]
fn the_platforms_grace_counts_from_when_the_writer_was_gone() {
    let old = unanimous(Outcome::CheckFailed, ago(3_600_000));
    let e = ep(&old, ago(3_600_000));
    let mut seen = unanimous(Outcome::Refused, ago(300));
    seen.episode = Some(e);
    let d = decide(&seen, &Policy::default());
    assert_eq!(d.verdict, Verdict::AwaitPlatform, "rule {} 300 ms after it died", d.rule);
}
#[test]
fn one_blinded_path_does_not_keep_an_episode_open() {
    let mut seen = unanimous(Outcome::Committing, ago(9_000));
    seen.reports[2].sightings[0] = sighting(WRITER, Outcome::Unreachable, ago(60_000));
    let e = ep(&unanimous(Outcome::Refused, ago(60_000)), ago(60_000));
    seen.episode = Some(e);
    let d = decide(&seen, &Policy::default());
    assert_eq!(d.verdict, Verdict::Recovered, "rule {} {}", d.rule, d.says);
}
#[test]
fn a_cluster_that_nobody_sees_is_told_to_people() {
    let mut seen = unanimous(Outcome::Unreachable, ago(60_000));
    for r in &mut seen.reports {
        for s in &mut r.sightings {
            s.outcome = Outcome::Unreachable;
        }
    }
    seen.lease = None;
    let d = decide(&seen, &Policy::default());
    assert_ne!(d.verdict, Verdict::LookAgain, "rule {} {}", d.rule, d.says);
}
#[test]
fn a_control_plane_that_names_a_replaced_writer_starts_no_second_failover() {
    // r1 took over and the episode closed; the control plane still names w; r1's commits blip on the counted witnesses.
    let mut seen = unanimous(Outcome::Unreachable, ago(40_000));
    for r in &mut seen.reports {
        r.sightings[1] = sighting("r1", Outcome::Stalled, ago(800));
    }
    let mut e = ep(&unanimous(Outcome::Unreachable, ago(40_000)), ago(40_000));
    e.closed = Some(Closed { at: ago(5_000), writer: InstanceId::new("r1"), by: RecoveredBy::Platform });
    seen.episode = Some(e.clone());
    let d = decide(&seen, &Policy::default());
    let mut next = seen.clone();
    next.episode = Some(Episode::open(
        &ClusterId::new("orders"),
        8,
        &d.diagnosis,
        d.diagnosis.presumed.clone().unwrap(),
        Some(&e),
        NOW,
        &Policy::default(),
    ));
    let d2 = decide(&next, &Policy::default());
    assert_ne!(d2.verdict, Verdict::FailOver, "rules {} then {} target {:?}", d.rule, d2.rule, d2.target);
}
#[test]
fn a_commit_proves_that_the_role_has_moved_back_to_a_replaced_writer() {
    // r1 took over ten seconds ago; the control plane names w.
    let mut seen = unanimous(Outcome::Committing, ago(3_000));
    let mut last = ep(&unanimous(Outcome::Unreachable, ago(40_000)), ago(40_000));
    last.closed = Some(Closed { at: ago(10_000), writer: InstanceId::new("r1"), by: RecoveredBy::Steadfast });
    seen.episode = Some(last.clone());
    let policy = Policy::default();
    assert_eq!(decide(&seen, &policy).rule, 310, "w commits, as the control plane says");
    // A commit that may be from before the failover proves nothing.
    last.closed.as_mut().unwrap().at = ago(900);
    seen.episode = Some(last.clone());
    assert_eq!(seen.presumed_writer(&policy), Some(InstanceId::new("r1")));
    // Nor does one that another instance's is younger than.
    last.closed.as_mut().unwrap().at = ago(10_000);
    seen.episode = Some(last);
    seen.reports[0].sightings[1] = sighting("r1", Outcome::Committing, ago(8_000));
    seen.reports[0].sightings[1].committed_at = Some(ago(50));
    assert_eq!(seen.presumed_writer(&policy), Some(InstanceId::new("r1")));
}

#[test]
fn a_report_from_the_future_does_not_count() {
    let mut seen = unanimous(Outcome::Refused, ago(3_000));
    for r in &mut seen.reports {
        r.at = NOW.plus(Duration::from_secs(600));
    }
    assert_eq!(diagnose(&seen, &Policy::default()).writer, WriterState::Unknown);
}
#[test]
fn a_writer_that_is_being_rebooted_is_not_replaced() {
    let mut seen = unanimous(Outcome::Refused, ago(25_000));
    seen.episode = Some(ep(&seen, ago(25_000)));
    seen.topology.as_mut().unwrap().what.members[0].status = "rebooting".to_owned();
    let d = decide(&seen, &Policy::default());
    assert_ne!(d.verdict, Verdict::FailOver, "rule {}", d.rule);
}

fn go(w: &W, p: &Policy, me: &str, secs: u64) -> Result<steadfast_core::executor::Outcome, StateError> {
    let until = w.now().plus(Duration::from_secs(secs));
    block(
        Executor::new(w, p, ClusterId::new("orders"), Owner::new(me))
            .run(Patience { until, suspicion: Duration::from_secs(15) }),
    )
}

#[test]
fn a_slow_control_plane_does_not_keep_it_from_promoting() {
    for (describe, load) in [(20, 5), (200, 10), (300, 10)] {
        let w = world(Outcome::Refused, describe, load);
        let _ended = go(&w, &no_grace(), "me", 14);
        let i = w.i.lock().unwrap();
        assert_eq!(i.fail_overs.len(), 1, "describe {describe} ms");
    }
}
/// Tries invariant 3: as many intentions as calls.
#[test]
fn a_call_that_comes_to_nothing_is_made_three_times_at_most_and_then_a_person_is_called() {
    let w = world(Outcome::Refused, 20, 5);
    let _ended = go(&w, &no_grace(), "me", 200);
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs.len(), 3);
    assert!(i.fail_overs.iter().all(|target| *target == i.fail_overs[0]), "{:?}", i.fail_overs);
    let intended: Vec<u64> = i
        .evidence
        .values()
        .filter(|entry| entry.data["action"] == "FailoverDBCluster" && !entry.data["target"].is_null())
        .map(|entry| entry.seq)
        .collect();
    assert_eq!(intended.len(), 3, "an intention before each");
    assert_eq!(i.state.episode.as_ref().unwrap().human_called, [425]);
}
#[test]
fn a_deleted_lease_does_not_stop_it() {
    let w = world(Outcome::Refused, 20, 5);
    let _ended = go(&w, &no_grace(), "first", 10);
    {
        // the episode of epoch 1 is closed; then the operator follows the notice and deletes the lease
        let mut i = w.i.lock().unwrap();
        let e = i.state.episode.as_mut().unwrap();
        e.closed = Some(Closed { at: NOW, writer: InstanceId::new(WRITER), by: RecoveredBy::Itself });
        i.state.lease = None;
        i.fail_overs.clear();
    }
    let _ended = go(&w, &no_grace(), "second", 14);
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs.len(), 1);
}
#[test]
fn a_person_who_was_not_reached_is_called_again() {
    let mut w = world(Outcome::BadCredentials, 20, 5);
    w.i.get_mut().unwrap().sns_fails = true;
    let _ended = go(&w, &Policy::default(), "first", 60);
    w.i.get_mut().unwrap().sns_fails = false;
    let _ended = go(&w, &Policy::default(), "second", 60);
    assert!(
        w.i.lock().unwrap().notices.iter().any(|n| n.subject.contains("you are needed")),
        "{:?}",
        w.i.lock().unwrap().notices
    );
}
#[test]
fn a_living_owner_is_nobodys_worry() {
    let w = world(Outcome::Refused, 20, 5);
    {
        let mut i = w.i.lock().unwrap();
        i.renewed_by_another = true;
        let now = Timestamp::from_millis(i.now);
        i.state.lease =
            Some(Lease { owner: Owner::new("other"), epoch: 1, expires_at: now.plus(Duration::from_secs(300)) });
        let mut e = ep(&unanimous(Outcome::Refused, ago(2_000)), ago(2_000));
        e.epoch = 1;
        i.state.episode = Some(e);
    }
    let _ended = go(&w, &Policy::default(), "second", 15);
    let i = w.i.lock().unwrap();
    assert!(i.notices.is_empty(), "{:?}", i.notices.iter().map(|n| &n.subject).collect::<Vec<_>>());
}
#[test]
fn waiting_for_a_person_writes_nothing_more() {
    let w = world(Outcome::BadCredentials, 20, 5);
    for n in 0..36 {
        let _ended = go(&w, &Policy::default(), &format!("c{n}"), 60);
    }
    let i = w.i.lock().unwrap();
    assert!(i.evidence.len() < 10, "{}", i.evidence.len());
}
#[test]
fn in_shadow_mode_the_drainer_is_not_asked() {
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().state.mode = Mode::Shadow;
    let e = ep(&unanimous(Outcome::Refused, ago(2_000)), ago(2_000));
    w.i.get_mut().unwrap().state.episode = Some(e);
    w.reports = Box::new(|now| {
        AZS.map(|az| {
            let mut r = report(az, Outcome::Unreachable, ago(2_000));
            r.at = now;
            r.sightings[1] = sighting("r1", Outcome::Committing, now);
            r.sightings[1].committed_at = Some(now);
            r
        })
        .into()
    });
    let _ended = go(&w, &Policy::default(), "me", 5);
    assert!(w.i.lock().unwrap().evicts.is_empty());
}

#[test]
fn shadow_mode_keeps_a_record_of_what_would_have_been_called() {
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().state.mode = Mode::Shadow;
    w.reports = Box::new(|now| {
        let back = now >= ago(0).plus(Duration::from_secs(9));
        AZS.map(|az| {
            let mut r = report(az, Outcome::Refused, ago(30_000));
            r.at = now;
            if back {
                r.sightings[1] = sighting("r1", Outcome::Committing, now);
                r.sightings[1].committed_at = Some(now);
            }
            r
        })
        .into()
    });
    let ended = go(&w, &Policy::default(), "me", 20).unwrap();
    assert_eq!(ended.rule, 310, "{ended:?}");
    let i = w.i.lock().unwrap();
    assert!(i.fail_overs.is_empty());
    let episode = i.state.episode.as_ref().unwrap();
    let shadowed = episode.shadowed.as_ref().unwrap();
    assert_eq!((shadowed.target.as_str(), shadowed.cause), ("r1", WriterState::Dead));
    assert!(shadowed.at < episode.proved_at.unwrap());
    let closed = i.evidence.values().find(|entry| entry.kind == Kind::Closed).unwrap();
    assert_eq!(closed.data["shadowed"]["target"], "r1");
    let told = i.notices.last().unwrap();
    assert!(told.body.contains("would have called FailoverDBCluster with target r1"), "{}", told.body);
}

#[test]
fn an_intention_whose_answer_was_lost_is_withheld_when_the_writer_is_back() {
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().lose_answer_of_intention = true;
    // it is back two seconds after the intention was written, while the answer to the write is awaited
    w.reports = Box::new(|now| {
        if now.since(NOW) > Duration::from_secs(2) {
            AZS.map(|az| {
                let mut r = report(az, Outcome::Committing, now.minus(Duration::from_secs(1)));
                r.at = now;
                r.sightings[0].committed_at = Some(now);
                r
            })
            .into()
        } else {
            reports(Outcome::Refused, NOW.minus(Duration::from_secs(2)))(now)
        }
    });
    let _ended = go(&w, &no_grace(), "me", 30);
    assert_eq!(w.i.lock().unwrap().fail_overs, Vec::<String>::new(), "called on a writer that commits again");
}

#[test]
fn a_lease_that_ran_short_while_the_intention_was_written_is_renewed_before_the_call() {
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().slow_intention = true;
    // Less than the lease lasts: whoever waits for its end is too late.
    let _ended = go(&w, &no_grace(), "me", 8);
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs, ["r1"]);
    // What the call may take, and what clocks may differ.
    assert!(i.lease_left_at_call[0] >= Duration::from_secs(6), "{:?} left", i.lease_left_at_call);
}

/// Tries invariant 9.
#[test]
fn a_pause_that_comes_while_the_intention_is_written_stops_the_call() {
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().pause_before = Some("FailoverDBCluster");
    let _ended = go(&w, &no_grace(), "me", 60);
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs, Vec::<String>::new());
    assert_eq!(i.state.episode.as_ref().unwrap().promotion, None);
}

#[test]
fn a_pause_that_comes_while_the_eviction_is_written_stops_it() {
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().pause_before = Some("evict");
    w.i.get_mut().unwrap().state.episode = Some(ep(&unanimous(Outcome::Refused, ago(2_000)), ago(2_000)));
    w.reports = Box::new(|now| {
        let mut all = reports(Outcome::Unreachable, ago(2_000))(now);
        for r in &mut all {
            r.sightings[1] = sighting("r1", Outcome::Committing, now);
            r.sightings[1].committed_at = Some(now);
        }
        all
    });
    let _ended = go(&w, &no_grace(), "me", 5);
    assert!(w.i.lock().unwrap().evicts.is_empty());
}

#[test]
fn an_intention_whose_answer_was_lost_is_withheld_when_its_target_is_unfit_by_then() {
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().lose_answer_of_intention = true;
    w.reports = Box::new(|now| {
        let mut all = reports(Outcome::Refused, NOW.minus(Duration::from_secs(2)))(now);
        if now.since(NOW) > Duration::from_secs(2) {
            for r in &mut all {
                r.sightings[1] = sighting("r1", Outcome::Unreachable, NOW);
            }
        }
        all
    });
    let _ended = go(&w, &no_grace(), "me", 12);
    assert_eq!(w.i.lock().unwrap().fail_overs, ["r2"], "the target of the intention is gone");
}

#[test]
fn an_owner_that_is_gone_is_told_and_one_that_renews_is_not() {
    let silent = |renewed: bool| {
        let w = world(Outcome::Refused, 20, 5);
        {
            let mut i = w.i.lock().unwrap();
            i.renewed_by_another = renewed;
            let expires_at = Timestamp::from_millis(i.now).plus(Duration::from_secs(300));
            i.state.lease = Some(Lease { owner: Owner::new("other"), epoch: 1, expires_at });
            i.state.episode = Some(ep(&unanimous(Outcome::Refused, ago(2_000)), ago(2_000)));
        }
        let _ended = go(&w, &Policy::default(), "second", 30);
        w.i.into_inner().unwrap().notices.len()
    };
    assert_eq!((silent(false), silent(true)), (1, 0));
}

#[test]
fn whoever_stands_by_leaves_the_lease_alone() {
    let w = world(Outcome::Refused, 20, 5);
    let lease = {
        let mut i = w.i.lock().unwrap();
        let expires_at = Timestamp::from_millis(i.now).plus(Duration::from_secs(300));
        i.state.lease = Some(Lease { owner: Owner::new("other"), epoch: 1, expires_at });
        i.state.lease.clone()
    };
    let _ended = go(&w, &Policy::default(), "second", 30);
    assert_eq!(w.i.lock().unwrap().state.lease, lease);
}

#[test]
fn a_change_of_mind_is_written_down_while_we_wait() {
    let w = world(Outcome::Refused, 20, 5);
    let _ended = go(&w, &Policy::default(), "me", 30);
    let i = w.i.lock().unwrap();
    let rules: Vec<u64> = i.evidence.values().filter_map(|entry| entry.data["rule"].as_u64()).collect();
    assert_eq!(rules[..3], [410, 550, 640], "{rules:?}");
}

#[test]
fn an_owner_that_renews_at_the_last_moment_is_nobodys_worry() {
    let w = world(Outcome::Refused, 20, 5);
    {
        let mut i = w.i.lock().unwrap();
        let now = Timestamp::from_millis(i.now);
        i.state.lease =
            Some(Lease { owner: Owner::new("other"), epoch: 1, expires_at: now.plus(Duration::from_secs(299)) });
        i.renewed_at = Some(now.plus(Duration::from_millis(11_900)));
    }
    let _ended = go(&w, &Policy::default(), "second", 30);
    assert_eq!(w.i.lock().unwrap().notices, Vec::new());
}

#[test]
fn an_intention_whose_lease_is_gone_is_left_to_the_next_owner() {
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().lose_answer_of_intention = true;
    w.i.get_mut().unwrap().stolen_after_intention = true;
    let _ended = go(&w, &no_grace(), "me", 30);
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs, Vec::<String>::new());
    let episode = i.state.episode.as_ref().unwrap();
    assert_eq!(episode.promotion.as_ref().unwrap().target, InstanceId::new("r1"), "taken back under another's lease");
}

#[test]
fn a_promotion_counts_against_the_budget_for_its_window_and_no_longer() {
    let policy = Policy::default();
    let seen = unanimous(Outcome::Refused, ago(2_000));
    let mut last = ep(&seen, ago(2_000));
    last.promotion = Some(last.next_promotion(InstanceId::new("r1"), 7, ago(1_000)));
    let open = |now| {
        let writer = InstanceId::new(WRITER);
        Episode::open(&ClusterId::new("orders"), 8, &diagnose(&seen, &policy), writer, Some(&last), now, &policy).past
    };
    assert_eq!(open(NOW).len(), 1);
    assert_eq!(open(NOW.plus(policy.budget_window)).len(), 0);
}

fn unanswered() -> Option<CallError> {
    Some(CallError::Unanswered { action: "FailoverDBCluster", cause: "timeout".into() })
}

fn refused_in_passing() -> Option<CallError> {
    let (code, message) = ("InvalidDBInstanceState".into(), "it is the writer".into());
    Some(CallError::Refused { action: "FailoverDBCluster", code, message })
}

/// Reports of a writer that is gone, and of an `r1` that stops answering as a reader after `from`.
fn first_reader_lost_after(from: Duration) -> impl Fn(Timestamp) -> Vec<WitnessReport> {
    move |now| {
        let mut all = reports(Outcome::Refused, NOW.minus(Duration::from_secs(2)))(now);
        if now.since(NOW) > from {
            for r in &mut all {
                r.sightings[1] = sighting("r1", Outcome::Restarting, NOW.plus(from));
            }
        }
        all
    }
}

#[test]
fn a_refused_repetition_does_not_free_the_target_of_a_call_whose_fate_is_unknown() {
    // The first call takes effect late; the second is refused because of it; a third with another target would
    // flip the roles while the control plane still shows the old writer.
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().answers = vec![unanswered(), refused_in_passing()];
    w.reports = Box::new(first_reader_lost_after(Duration::from_secs(17)));
    let _ended = go(&w, &no_grace(), "me", 200);
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs, ["r1", "r1"]);
    assert_eq!(i.state.episode.as_ref().unwrap().human_called, [610], "and a person is called");
}

#[test]
fn a_withheld_repetition_does_not_forget_the_call_before_it() {
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().answers = vec![unanswered()];
    w.i.get_mut().unwrap().lose_answer_of_second_intention = true;
    w.reports = Box::new(first_reader_lost_after(Duration::from_secs(17)));
    let _ended = go(&w, &no_grace(), "me", 200);
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs, ["r1"], "another target would flip the roles");
    let promotion = i.state.episode.as_ref().unwrap().promotion.as_ref().map(|p| (p.target.to_string(), p.number));
    assert_eq!(promotion, Some(("r1".to_owned(), 1)), "the call that was made stays known");
}

/// When the answer to the first call was written down.
fn answered_at(i: &Inner) -> Timestamp {
    let answers = i.evidence.values().filter(|entry| entry.kind == Kind::Answered);
    answers.map(|entry| entry.at).min().unwrap()
}

#[test]
fn a_call_without_an_answer_is_waited_for_as_long_as_it_may_be_on_its_way() {
    let mut w = world(Outcome::Refused, 20, 5);
    w.i.get_mut().unwrap().answers = vec![unanswered()];
    let _ended = go(&w, &no_grace(), "me", 12);
    let i = w.i.lock().unwrap();
    assert!(answered_at(&i).since(i.called_at[0]) >= Duration::from_secs(5), "concluded over a call on its way");
}

#[test]
fn an_answered_call_is_written_down_at_once() {
    let w = world(Outcome::Refused, 20, 5);
    let _ended = go(&w, &no_grace(), "me", 12);
    let i = w.i.lock().unwrap();
    assert!(answered_at(&i).since(i.called_at[0]) < Duration::from_secs(1));
}

#[test]
fn an_intention_that_is_called_late_is_written_anew() {
    for lost_after_ms in [5_000, 20_000] {
        let mut w = world(Outcome::Refused, 20, 5);
        w.i.get_mut().unwrap().lose_answer_of_intention = true;
        w.i.get_mut().unwrap().answer_lost_after_ms = lost_after_ms;
        let _ended = go(&w, &no_grace(), "me", 60);
        let i = w.i.lock().unwrap();
        assert!(!i.age_at_call.is_empty(), "the lease outlived {lost_after_ms} ms, or was taken anew");
        let fresh = i.age_at_call.iter().all(|age| *age < Duration::from_secs(1));
        assert!(fresh, "the time given to a call counts from its intention: {:?}", i.age_at_call);
    }
}
