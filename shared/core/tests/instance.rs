//! A Multi-AZ DB instance: one endpoint, a writer, and a standby that nobody sees.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]
#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

mod support;
mod world;

use std::time::Duration;

use serde_json::json;
use steadfast_core::candidate::{self, Refusal};
use steadfast_core::decision::decide;
use steadfast_core::diagnosis::{Ignored, WriterState, diagnose};
use steadfast_core::episode::{Episode, Promotion, RecoveredBy, Shadowed};
use steadfast_core::evidence::Kind;
use steadfast_core::executor::{Executor, Patience};
use steadfast_core::hint;
use steadfast_core::notice;
use steadfast_core::policy::Policy;
use steadfast_core::ports::*;
use steadfast_core::rds_event::{self, Meaning};
use steadfast_core::route::{self, Dropped};
use steadfast_core::rules::Verdict;
use steadfast_core::snapshot::Snapshot;
use steadfast_core::step::{Progress, Step};
use steadfast_core::switchover::{self, NotReady, Ordered};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::*;
use steadfast_core::witness::*;
use support::*;
use world::*;

fn id() -> ClusterId {
    ClusterId::new("orders")
}

/// The host in this zone.
fn host(az: &str) -> InstanceId {
    InstanceId::of_host(&id(), &Az::new(az))
}

/// What the control plane says while the host in zone `writer` writes and the other one of `a` and `b` stands by.
fn described(writer: &str) -> Topology {
    let members = ["a", "b"].map(|az| Member {
        class: "db.r6g.large".to_owned(),
        endpoint: "orders.example".to_owned(),
        ..member(host(az).as_str(), az, az == writer)
    });
    Topology { deployment: Deployment::Instance, members: members.into(), ..topology() }
}

/// A witness sees nothing but the host that the endpoint leads to.
fn sees(az: &str, of: &str, outcome: Outcome, since: Timestamp) -> WitnessReport {
    let mut report = report(az, outcome, since);
    report.sightings = vec![sighting(host(of).as_str(), outcome, since)];
    report
}

/// Three witnesses see this of the writer in zone `a`, since nine seconds ago.
fn look(outcomes: [Outcome; 3]) -> Snapshot {
    let reports = AZS.iter().zip(outcomes).map(|(az, outcome)| sees(az, "a", outcome, ago(9_000)));
    let mut seen = Snapshot { reports: reports.collect(), ..unanimous(Committing, ago(9_000)) };
    seen.topology.as_mut().unwrap().what = described("a");
    seen
}

/// The same with an episode of ours that is open about it.
fn failed(outcomes: [Outcome; 3]) -> Snapshot {
    let mut seen = look(outcomes);
    seen.episode = Some(episode(&seen));
    seen
}

fn episode(seen: &Snapshot) -> Episode {
    Episode::open(&id(), 7, &diagnose(seen, &policy()), host("a"), None, ago(1_000), &policy())
}

fn policy() -> Policy {
    Policy::of(Deployment::Instance)
}

/// The platform has had its time.
fn late() -> Policy {
    Policy { platform_grace: no_grace().platform_grace, ..policy() }
}

fn state(outcomes: [Outcome; 3]) -> WriterState {
    diagnose(&look(outcomes), &policy()).writer
}

use Outcome::{Committing, Refused, Restarting, Silent, Stalled, Unreachable, Unresolved};

#[test]
fn witnesses_that_reach_nothing_show_a_dead_writer_since_there_is_nothing_else_to_reach() {
    assert_eq!(state([Unreachable, Unreachable, Unreachable]), WriterState::Dead);
    assert_eq!(state([Refused, Unreachable, Silent]), WriterState::Dead);
    assert_eq!(state([Silent, Silent, Silent]), WriterState::Silent);
    assert_eq!(state([Stalled, Stalled, Stalled]), WriterState::Stalled);
    assert_eq!(state([Restarting, Refused, Restarting]), WriterState::Restarting);
}

#[test]
fn zones_that_are_cut_off_do_not_outvote_one_that_sees_a_commit() {
    for outcome in [Unreachable, Refused, Silent, Stalled, Restarting] {
        assert_eq!(state([Committing, outcome, outcome]), WriterState::Suspected, "{outcome:?}");
        assert_eq!(state([Committing, Committing, outcome]), WriterState::Committing, "{outcome:?}");
        let decision = decide(&failed([Committing, outcome, outcome]), &late());
        assert_ne!(decision.verdict, Verdict::FailOver, "{outcome:?}");
    }
}

#[test]
fn one_witness_is_none_whatever_it_does_not_see() {
    for outcome in [Unreachable, Refused, Silent, Stalled, Restarting] {
        let mut alone = look([outcome; 3]);
        alone.reports.truncate(1);
        assert_eq!(diagnose(&alone, &policy()).writer, WriterState::Unknown, "{outcome:?}");
        let mut stale = look([outcome; 3]);
        for report in stale.reports.iter_mut().skip(1) {
            report.at = ago(6_000);
        }
        assert_eq!(diagnose(&stale, &policy()).writer, WriterState::Unknown, "{outcome:?}");
        assert_eq!(state([outcome, Unresolved, Unresolved]), WriterState::Unknown, "{outcome:?}");
    }
}

#[test]
fn without_an_address_a_witness_is_blind_and_where_none_has_one_a_person_is_called() {
    let seen = failed([Unresolved, Unresolved, Unresolved]);
    let diagnosis = diagnose(&seen, &policy());
    assert_eq!(diagnosis.writer, WriterState::Dark);
    assert!(diagnosis.votes.iter().all(|vote| vote.ignored == Some(Ignored::Blind)));
    let decision = decide(&seen, &late());
    assert_eq!((decision.rule, decision.verdict), (570, Verdict::CallHuman));
    assert_eq!(state([Unresolved, Unreachable, Unreachable]), WriterState::Dead);
    assert_eq!(state([Unresolved, Committing, Committing]), WriterState::Committing);
}

#[test]
fn the_standby_takes_over_unseen_once_the_platform_had_its_time() {
    let seen = failed([Unreachable; 3]);
    assert_eq!(decide(&seen, &policy()).rule, 550);
    let decision = decide(&seen, &late());
    assert_eq!((decision.rule, decision.verdict, decision.target), (640, Verdict::FailOver, Some(host("b"))));
    // What the platform does not see has its own patience.
    for (outcome, rule) in [(Silent, 650), (Stalled, 660)] {
        let decision = decide(&failed([outcome; 3]), &policy());
        assert_eq!((decision.rule, decision.verdict), (rule, Verdict::FailOver));
    }
}

#[test]
fn the_platform_is_given_longer_than_it_takes() {
    let policy = policy();
    let mut seen = failed([Unreachable; 3]);
    for (gone_for, rule) in [(119_000, 550), (149_000, 550), (151_000, 640)] {
        let open = seen.episode.as_mut().unwrap();
        (open.gone_since, open.opened_at) = (Some(ago(gone_for)), ago(gone_for));
        assert_eq!(decide(&seen, &policy).rule, rule, "{gone_for} ms");
    }
}

#[test]
fn a_standby_that_is_not_there_or_not_available_is_refused_with_the_reason() {
    let mut none = failed([Unreachable; 3]);
    none.topology.as_mut().unwrap().what.members[1].az = None;
    let mut busy = failed([Unreachable; 3]);
    busy.topology.as_mut().unwrap().what.members[1].status = "backing-up".to_owned();
    let mut named = failed([Unreachable; 3]);
    named.topology.as_mut().unwrap().what.members[1].is_writer = true;
    for (seen, because) in
        [(none, Refusal::NoStandby), (busy, Refusal::Status("backing-up".to_owned())), (named, Refusal::NamedWriter)]
    {
        let choice = candidate::choose(&seen, &late(), &host("a"));
        assert_eq!((choice.chosen, &choice.refused[1].because), (None, &because));
        assert_ne!(decide(&seen, &late()).verdict, Verdict::FailOver, "{because}");
    }
}

#[test]
fn the_role_has_moved_when_the_endpoint_leads_to_another_host_that_commits() {
    let mut seen = failed([Unreachable; 3]);
    seen.episode.as_mut().unwrap().failed_since = ago(2_000);
    seen.reports[1] = sees("b", "b", Committing, ago(200));
    // The control plane goes on naming the old zone for minutes.
    let decision = decide(&seen, &late());
    assert_eq!((decision.rule, decision.verdict), (330, Verdict::Recovered));
    assert_eq!(Step::Evict.progress(&seen, &decision), Progress::Done, "there is no old writer to be reached");
}

#[test]
fn nothing_is_called_once_the_endpoint_leads_to_the_other_host() {
    for (there, rule) in [(Restarting, 440), (Refused, 440), (Unreachable, 440)] {
        let mut seen = failed([Unreachable; 3]);
        seen.reports[2] = sees("c", "b", there, ago(300));
        assert_eq!(decide(&seen, &late()).rule, rule, "{there:?}");
        seen.episode.as_mut().unwrap().gone_since = Some(ago(100_000));
        assert_eq!(decide(&seen, &late()).rule, 445, "{there:?}");
    }
    // A zone whose resolver has led there all along says nothing.
    let mut seen = failed([Unreachable; 3]);
    seen.reports[2] = sees("c", "b", Unreachable, ago(600_000));
    assert_eq!(decide(&seen, &late()).rule, 640);
}

#[test]
fn a_status_that_says_that_the_role_moves_or_may_not_move_is_waited_for() {
    for (status, rule) in [("rebooting", 440), ("modifying", 450), ("brand-new", 450), ("stopped", 455)] {
        let mut seen = failed([Unreachable; 3]);
        let topology = &mut seen.topology.as_mut().unwrap().what;
        topology.status = ClusterStatus::parse_instance(status);
        for member in &mut topology.members {
            member.status = status.to_owned();
        }
        assert_eq!(decide(&seen, &late()).rule, rule, "{status}");
    }
}

fn called(age: u64, refused: Option<bool>) -> Snapshot {
    let mut seen = failed([Unreachable; 3]);
    let promotion = Promotion {
        target: host("b"),
        at: ago(age),
        epoch: 7,
        refused: refused.map(|_| "refused".to_owned()),
        passing: refused == Some(true),
        number: 1,
        bound: None,
    };
    seen.episode.as_mut().unwrap().promotion = Some(promotion);
    seen.lease.as_mut().unwrap().epoch = 8;
    seen
}

#[test]
fn a_call_of_unknown_fate_is_never_made_again_and_a_person_is_called() {
    for age in [1_000, 16_000, 60_000, 179_000] {
        assert_eq!(decide(&called(age, None), &late()).rule, 420, "{age} ms");
    }
    let decision = decide(&called(181_000, None), &late());
    assert_eq!((decision.rule, decision.verdict), (425, Verdict::CallHuman));
}

#[test]
fn a_call_that_was_refused_for_a_reason_that_passes_is_made_again() {
    assert_eq!(decide(&called(1_000, Some(true)), &late()).rule, 420);
    assert_eq!(decide(&called(3_000, Some(true)), &late()).rule, 640);
    assert_eq!(decide(&called(3_000, Some(false)), &late()).rule, 427);
}

#[test]
fn a_switchover_is_refused_with_the_remedy() {
    let seen = look([Committing; 3]);
    let order = Ordered { target: None, reason: "exercise".into(), request: "request-1".into() };
    let refused = switchover::preflight(&seen, &decide(&seen, &policy()), &order, &policy()).unwrap_err();
    assert_eq!(refused, NotReady::NoGate);
    assert!(!refused.passes() && refused.to_string().contains("reboot it with failover by hand"), "{refused}");
}

/// A world with a dead writer in zone `a`, whose role moves to `b` with an accepted call.
fn dead() -> W {
    let mut w = world(Unreachable, 20, 5);
    w.topo = described("a");
    w.reports = Box::new(|now| witnesses(now, "a", Unreachable));
    w.after_move = Some(|now, at| {
        let (of, outcome) = if now.since(at) > Duration::from_secs(2) { ("b", Committing) } else { ("a", Refused) };
        witnesses(now, of, outcome)
    });
    w
}

fn witnesses(now: Timestamp, of: &str, outcome: Outcome) -> Vec<WitnessReport> {
    let seen = AZS.map(|az| {
        let mut report = sees(az, of, outcome, ago(2_000));
        for sighting in report.sightings.iter_mut().filter(|sighting| sighting.outcome == Committing) {
            sighting.committed_at = Some(now);
        }
        report.at = now;
        report
    });
    seen.into()
}

fn run(w: &W, secs: u64) {
    let patience = Patience { until: w.now().plus(Duration::from_secs(secs)), suspicion: Duration::from_secs(15) };
    block(Executor::new(w, &late(), id(), Owner::new("me")).run(patience)).unwrap();
}

#[test]
fn one_reboot_with_failover_is_called_proved_and_closed_without_an_eviction() {
    let w = dead();
    run(&w, 60);
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs, [host("b").as_str()]);
    assert!(i.evicts.is_empty());
    let closed = i.state.episode.as_ref().and_then(|episode| episode.closed.clone()).unwrap();
    assert_eq!((closed.writer, closed.by), (host("b"), RecoveredBy::Steadfast));
    let actions: Vec<_> = i.evidence.values().filter_map(|entry| entry.data["action"].as_str()).collect();
    assert_eq!(actions, ["RebootDBInstance", "RebootDBInstance"], "intended and answered");
    let told = &i.notices.last().unwrap().body;
    assert!(told.contains("RebootDBInstance was called 1 times"), "{told}");
}

#[test]
fn the_executor_does_not_repeat_an_unanswered_reboot_however_often_it_is_woken() {
    let mut w = dead();
    // The answers are lost, and no call leaves a trace.
    let lost = || Some(CallError::Unanswered { action: "RebootDBInstance", cause: "timeout".into() });
    w.i.get_mut().unwrap().answers = vec![lost(), lost(), lost()];
    for _ in 0..5 {
        run(&w, 60);
        w.i.lock().unwrap().now += 20_000;
    }
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs.len(), 1);
    let critical = i.notices.iter().filter(|notice| notice.subject.contains("you are needed, rule 425")).count();
    assert_eq!(critical, 1, "{:?}", i.notices);
    assert!(i.evidence.values().any(|entry| entry.kind == Kind::Answered && entry.data["result"] != "accepted"));
}

#[test]
fn a_reboot_that_is_refused_for_a_passing_reason_is_called_again() {
    let mut w = dead();
    let (code, message) = ("InvalidDBInstanceState".to_owned(), "not in available state".to_owned());
    w.i.get_mut().unwrap().answers = vec![Some(CallError::Refused { action: "RebootDBInstance", code, message })];
    run(&w, 120);
    let i = w.i.lock().unwrap();
    assert_eq!(i.fail_overs.len(), 2);
    assert!(i.state.episode.as_ref().is_some_and(|episode| !episode.is_open()));
}

fn event(id: &str, source_type: &str, identifier: &str) -> hint::Hint {
    hint::parse(&json!({ "id": "1", "source": "aws.rds", "detail": { "EventID": id, "SourceType": source_type,
        "SourceIdentifier": identifier, "Message": "m" } }))
}

#[test]
fn the_events_of_the_instance_wake_and_those_of_others_do_not() {
    let choose = |event: &hint::Hint| route::choose(event, &id(), Deployment::Instance);
    for id in ["0013", "0015", "0034", "0049", "0050", "0051", "0065"] {
        let id = format!("RDS-EVENT-{id}");
        assert!(choose(&event(&id, "DB_INSTANCE", "Orders")).wakes, "{id}");
        for (kind, name) in [("DB_INSTANCE", "orders-2"), ("CLUSTER", "orders")] {
            assert_eq!(choose(&event(&id, kind, name)).dropped, Some(Dropped::Foreign), "{id} of {kind} {name}");
        }
    }
    let told = choose(&event("RDS-EVENT-0034", "DB_INSTANCE", "orders")).notice.unwrap();
    assert_eq!(told.subject, "orders: RDS-EVENT-0034 FailoverAbandoned");
}

#[test]
fn its_events_are_known_by_their_sentence_when_they_come_without_an_id() {
    for (message, meaning) in [
        ("Multi-AZ instance failover started.", Meaning::FailoverStarted),
        ("Multi-AZ failover to standby complete - DNS propagation may take a few minutes.", Meaning::FailoverCompleted),
        ("Multi-AZ instance failover completed", Meaning::FailoverCompleted),
        ("Multi-AZ instance activation started", Meaning::FailoverStarted),
        ("Multi-AZ instance activation completed", Meaning::FailoverCompleted),
        ("Recovered from partial failover", Meaning::Recovery),
        (
            "Abandoning user requested failover since a failover recently occurred on the database instance.",
            Meaning::FailoverAbandoned,
        ),
    ] {
        assert_eq!(rds_event::read_event(None, message).meaning, meaning, "{message}");
    }
}

#[test]
fn the_closing_message_names_the_call_and_what_rds_knows() {
    let seen = look([Outcome::Unreachable; 3]);
    let policy = Policy::default();
    let diagnosis = diagnose(&seen, &policy);
    let mut episode = Episode::open(&id(), 3, &diagnosis, host("a"), None, ago(9_000), &policy);
    episode.shadowed = Some(Shadowed { target: host("b"), at: ago(5_000), cause: WriterState::Dead });
    let told = notice::closed(&episode, &host("b"), Deployment::Instance, ago(0)).body;
    assert!(told.contains("would have called RebootDBInstance"), "{told}");
    assert!(told.contains("--source-identifier orders "), "RDS knows no host of an instance: {told}");
    assert!(!told.contains("FailoverDBCluster"), "{told}");
}
