//! What votes mean, and whom they let take over.

#![expect(clippy::expect_used, reason = "a test ends where its ground is missing")]

mod support;

use std::time::Duration;

use steadfast_core::candidate::{self, Refusal};
use steadfast_core::decision::decide;
use steadfast_core::diagnosis::{Ignored, WriterState, diagnose};
use steadfast_core::episode::{Episode, Promotion};
use steadfast_core::policy::Policy;
use steadfast_core::rules::Verdict;
use steadfast_core::snapshot::Snapshot;
use steadfast_core::topology::{ClusterId, ClusterStatus, InstanceId};
use steadfast_core::witness::{Outcome, WitnessReport};
use support::*;

const OUTCOMES: [Outcome; 15] = [
    Outcome::Committing,
    Outcome::Reading,
    Outcome::Stalled,
    Outcome::Silent,
    Outcome::Unreachable,
    Outcome::Refused,
    Outcome::Restarting,
    Outcome::ReadOnly,
    Outcome::Saturated,
    Outcome::BadCredentials,
    Outcome::DiskFull,
    Outcome::CheckFailed,
    Outcome::Unresolved,
    Outcome::Failed,
    Outcome::Unknown,
];

fn state(reports: Vec<WitnessReport>) -> WriterState {
    diagnose(&snapshot(reports), &Policy::default()).writer
}

/// Tries invariant 5.
#[test]
fn no_action_follows_from_fewer_than_two_fresh_witnesses_that_say_so() {
    let serves = |outcome: Outcome| {
        !matches!(
            outcome,
            Outcome::Unreachable | Outcome::Refused | Outcome::Silent | Outcome::Stalled | Outcome::Restarting
        )
    };
    for votes in OUTCOMES.iter().flat_map(|a| OUTCOMES.iter().flat_map(move |b| OUTCOMES.map(|c| [*a, *b, c]))) {
        for stale in 0..8_usize {
            let reports: Vec<_> = votes
                .iter()
                .zip(AZS)
                .enumerate()
                .map(|(index, (outcome, az))| {
                    let mut report = report(az, *outcome, ago(30_000));
                    if stale & (1 << index) != 0 {
                        report.at = ago(6_000);
                    }
                    report
                })
                .collect();
            let fresh_failures = (0..3).filter(|index| stale & (1 << index) == 0 && !serves(votes[*index])).count();
            let writer = state(reports);
            let actionable = matches!(
                writer,
                WriterState::Dead | WriterState::Silent | WriterState::Stalled | WriterState::Restarting
            );
            assert!(!actionable || fresh_failures >= 2, "{writer:?} from {votes:?}, stale {stale:03b}");
        }
    }
}

#[test]
fn a_witness_that_sees_nothing_at_all_does_not_vote() {
    let mut blind = report("b", Outcome::Unreachable, ago(9_000));
    for sighting in &mut blind.sightings {
        sighting.outcome = Outcome::Unreachable;
    }
    let snapshot = snapshot(vec![
        report("a", Outcome::Unreachable, ago(9_000)),
        blind,
        report("c", Outcome::Committing, ago(9_000)),
    ]);
    let diagnosis = diagnose(&snapshot, &Policy::default());
    assert_eq!(diagnosis.writer, WriterState::Suspected);
    assert_eq!(diagnosis.votes[1].ignored, Some(Ignored::Blind));
}

#[test]
fn silence_and_stalled_commits_are_given_their_time() {
    let policy = Policy::default();
    for (outcome, patience, failed) in [
        (Outcome::Silent, policy.silent_after, WriterState::Silent),
        (Outcome::Stalled, policy.stalled_after, WriterState::Stalled),
    ] {
        let too_early = unanimous(outcome, NOW.minus(patience).plus(Duration::from_millis(1)));
        assert_eq!(diagnose(&too_early, &policy).writer, WriterState::Suspected, "{outcome:?}");
        let due = unanimous(outcome, NOW.minus(patience));
        assert_eq!(diagnose(&due, &policy).writer, failed, "{outcome:?}");
    }
}

#[test]
fn the_failure_dates_from_when_the_quorum_was_complete() {
    let reports = vec![
        report("a", Outcome::Refused, ago(900)),
        report("b", Outcome::Refused, ago(500)),
        report("c", Outcome::Refused, ago(100)),
    ];
    assert_eq!(diagnose(&snapshot(reports), &Policy::default()).since, Some(ago(500)));
}

#[test]
fn a_full_server_a_wrong_password_and_a_full_disk_are_not_dead() {
    for (outcome, named) in [
        (Outcome::Saturated, WriterState::Saturated),
        (Outcome::BadCredentials, WriterState::BadCredentials),
        (Outcome::DiskFull, WriterState::DiskFull),
        (Outcome::CheckFailed, WriterState::Failing),
        (Outcome::ReadOnly, WriterState::Demoted),
        (Outcome::Restarting, WriterState::Restarting),
    ] {
        assert_eq!(diagnose(&unanimous(outcome, ago(9_000)), &Policy::default()).writer, named);
    }
}

#[test]
fn the_platform_goes_first_and_then_the_dead_writer_is_replaced() {
    let mut seen = unanimous(Outcome::Refused, ago(2_000));
    seen.episode = Some(open_episode(&seen));
    let waiting = decide(&seen, &Policy::default());
    assert_eq!((waiting.rule, waiting.verdict), (550, Verdict::AwaitPlatform));
    let acting = decide(&seen, &no_grace());
    assert_eq!((acting.rule, acting.verdict), (640, Verdict::FailOver));
    assert_eq!(acting.target, Some(InstanceId::new("r1")));
}

#[test]
fn a_commit_from_before_the_failure_proves_nothing() {
    let mut seen = unanimous(Outcome::Committing, ago(10_000));
    seen.episode = Some(Episode { failed_since: ago(50), ..open_episode(&seen) });
    assert_eq!(diagnose(&seen, &Policy::default()).writer, WriterState::Suspected);
    seen.episode = Some(Episode { failed_since: ago(5_000), ..open_episode(&seen) });
    let decision = decide(&seen, &Policy::default());
    assert_eq!((decision.rule, decision.verdict), (340, Verdict::Recovered));
}

#[test]
fn the_role_has_moved_when_another_instance_commits() {
    let mut seen = unanimous(Outcome::Unreachable, ago(9_000));
    for report in &mut seen.reports {
        report.sightings[1] = sighting("r1", Outcome::Committing, ago(200));
    }
    seen.episode = Some(Episode { failed_since: ago(2_000), ..open_episode(&seen) });
    let decision = decide(&seen, &no_grace());
    assert_eq!((decision.rule, decision.verdict), (330, Verdict::Recovered));
    assert_eq!(decision.diagnosis.committed.expect("proof").0, InstanceId::new("r1"));
}

fn called(age: u64, refused: Option<bool>, number: u8) -> Snapshot {
    let mut seen = unanimous(Outcome::Refused, ago(9_000));
    let promotion = Promotion {
        target: InstanceId::new("r2"),
        at: ago(age),
        epoch: 7,
        refused: refused.map(|_| "refused".to_owned()),
        passing: refused == Some(true),
        number,
        bound: None,
    };
    seen.episode = Some(Episode { promotion: Some(promotion), ..open_episode(&seen) });
    seen
}

fn rule(seen: &Snapshot) -> (u16, Option<InstanceId>) {
    let decision = decide(seen, &no_grace());
    (decision.rule, decision.target)
}

fn next_epoch(mut seen: Snapshot) -> Snapshot {
    seen.lease.as_mut().expect("ours").epoch = 8;
    seen
}

#[test]
fn a_second_call_is_never_decided_in_one_epoch() {
    for age in [100, 14_000, 16_000, 61_000] {
        for refused in [None, Some(true), Some(false)] {
            let decision = decide(&called(age, refused, 1), &no_grace());
            assert_ne!(decision.verdict, Verdict::FailOver, "{age} ms after {refused:?}, rule {}", decision.rule);
        }
    }
}

#[test]
fn a_call_that_left_no_trace_is_made_again_under_a_new_epoch_with_the_same_target() {
    let same = Some(InstanceId::new("r2"));
    assert_eq!(rule(&called(100, None, 1)).0, 420);
    assert_eq!(rule(&called(16_000, None, 1)), (635, same.clone()));
    assert_eq!(rule(&next_epoch(called(14_000, None, 1))).0, 420);
    assert_eq!(rule(&next_epoch(called(16_000, None, 1))), (640, same));
    assert_eq!(rule(&next_epoch(called(16_000, None, 3))).0, 420, "the calls are spent");
    assert_eq!(rule(&next_epoch(called(61_000, None, 3))).0, 425);
}

#[test]
fn a_call_of_unknown_fate_is_not_made_again_while_the_control_plane_shows_anything() {
    let mut moving = next_epoch(called(16_000, None, 1));
    moving.topology.as_mut().expect("seen").what.status = ClusterStatus::FailingOver;
    assert_eq!(rule(&moving).0, 420);
    let mut mute = next_epoch(called(16_000, None, 1));
    mute.topology = None;
    assert_ne!(decide(&mute, &no_grace()).verdict, Verdict::FailOver);
    let mut unfit = next_epoch(called(16_000, None, 1));
    unfit.topology.as_mut().expect("seen").what.members[2].status = "rebooting".to_owned();
    assert_eq!(rule(&unfit), (610, None), "another target could flip the roles");
}

#[test]
fn a_refusal_that_passes_is_followed_by_another_call_and_a_final_one_by_a_person() {
    assert_eq!(rule(&called(1_000, Some(true), 1)).0, 420);
    assert_eq!(rule(&called(3_000, Some(true), 1)).0, 635);
    assert_eq!(rule(&next_epoch(called(3_000, Some(true), 1))), (640, Some(InstanceId::new("r1"))));
    assert_eq!(rule(&next_epoch(called(3_000, Some(true), 2))).0, 420, "twice as long after the second");
    assert_eq!(rule(&next_epoch(called(5_000, Some(true), 2))).0, 640);
    assert_eq!(rule(&next_epoch(called(61_000, Some(true), 6))).0, 427, "the calls are spent");
    assert_eq!(rule(&next_epoch(called(3_000, Some(false), 1))).0, 427);
}

#[test]
fn the_budget_is_spent_by_cause() {
    use steadfast_core::episode::PastPromotion;
    let mut seen = unanimous(Outcome::Refused, ago(9_000));
    let past = |cause| vec![PastPromotion { at: ago(60_000), cause }, PastPromotion { at: ago(90_000), cause }];
    seen.episode = Some(Episode { past: past(WriterState::Dead), ..open_episode(&seen) });
    assert_eq!(decide(&seen, &no_grace()).rule, 620);
    seen.episode = Some(Episode { past: past(WriterState::Restarting), ..open_episode(&seen) });
    assert_eq!(decide(&seen, &no_grace()).rule, 620);
    seen.episode = Some(Episode { past: past(WriterState::Stalled), ..open_episode(&seen) });
    assert_eq!(decide(&seen, &no_grace()).rule, 640);
}

#[test]
fn candidates_are_refused_with_reasons_and_preferred_by_tier_zone_and_lag() {
    let mut seen = unanimous(Outcome::Refused, ago(9_000));
    let topology = &mut seen.topology.as_mut().expect("seen").what;
    topology.members[1].tier = 0;
    topology.members[1].status = "rebooting".to_owned();
    let mut same_zone = member("r3", "a", false);
    same_zone.tier = 1;
    topology.members.push(same_zone);
    topology.members.push(member("unseen", "b", false));
    for report in &mut seen.reports {
        report.sightings.push(sighting("r3", Outcome::Reading, ago(9_000)));
    }
    let choice = candidate::choose(&seen, &Policy::default(), &InstanceId::new(WRITER));
    assert_eq!(choice.chosen, Some(InstanceId::new("r2")));
    assert_eq!(choice.spare, [InstanceId::new("r3")]);
    let reasons: Vec<_> =
        choice.refused.into_iter().map(|refused| (refused.instance.to_string(), refused.because)).collect();
    assert_eq!(
        reasons,
        [
            (WRITER.to_owned(), Refusal::OldWriter),
            ("r1".to_owned(), Refusal::Status("rebooting".to_owned())),
            ("unseen".to_owned(), Refusal::Unseen(0)),
        ]
    );
}

#[test]
fn a_lagging_candidate_is_refused() {
    let mut seen = unanimous(Outcome::Refused, ago(9_000));
    for report in &mut seen.reports {
        report.sightings[1].lag_ms = Some(30_001);
        report.sightings[2].lag_ms = Some(30_000);
    }
    let choice = candidate::choose(&seen, &Policy::default(), &InstanceId::new(WRITER));
    assert_eq!(choice.chosen, Some(InstanceId::new("r2")));
    assert_eq!(choice.refused[1].because, Refusal::Lagging(30_001));
}

fn open_episode(seen: &steadfast_core::snapshot::Snapshot) -> Episode {
    let diagnosis = diagnose(seen, &Policy::default());
    let cluster = ClusterId::new("orders");
    Episode::open(&cluster, 7, &diagnosis, InstanceId::new(WRITER), None, ago(1_000), &Policy::default())
}

#[test]
fn a_writer_that_one_witness_sees_commit_is_not_demoted_by_two_that_looked_earlier() {
    let mut seen = unanimous(Outcome::Reading, ago(300));
    assert_eq!(diagnose(&seen, &Policy::default()).writer, WriterState::Demoted);
    seen.reports[2] = report("c", Outcome::Committing, ago(100));
    assert_eq!(diagnose(&seen, &Policy::default()).writer, WriterState::Suspected);
}

#[test]
fn a_failover_of_the_platform_that_does_not_end_is_told_to_a_person() {
    let moving = |age: u64| {
        let mut seen = unanimous(Outcome::Refused, ago(age));
        seen.topology.as_mut().expect("seen").what.status = ClusterStatus::FailingOver;
        let gone_since = Some(ago(age));
        seen.episode = Some(Episode { gone_since, ..open_episode(&seen) });
        decide(&seen, &Policy::default()).rule
    };
    assert_eq!((moving(79_000), moving(81_000)), (440, 445));
}

/// Tries invariant 7.
#[test]
fn a_commit_of_an_instance_that_commits_no_more_proves_nothing() {
    let mut seen = unanimous(Outcome::Refused, ago(9_000));
    for report in &mut seen.reports {
        report.sightings[1] = sighting("r1", Outcome::Stalled, ago(100));
        report.sightings[1].committed_at = Some(ago(200));
    }
    seen.episode = Some(Episode { failed_since: ago(2_000), ..open_episode(&seen) });
    let diagnosis = diagnose(&seen, &Policy::default());
    assert_eq!((diagnosis.writer, diagnosis.committed), (WriterState::Dead, None));
}

#[test]
fn an_old_description_is_none() {
    let mut seen = unanimous(Outcome::Refused, ago(9_000));
    seen.episode = Some(open_episode(&seen));
    seen.topology.as_mut().expect("seen").at = ago(5_000);
    assert_eq!(decide(&seen, &no_grace()).rule, 640);
    seen.topology.as_mut().expect("seen").at = ago(5_001);
    assert_eq!(decide(&seen, &no_grace()).rule, 430);
}

#[test]
fn whom_the_control_plane_calls_writer_is_no_candidate() {
    let mut seen = unanimous(Outcome::Refused, ago(9_000));
    seen.topology.as_mut().expect("seen").what.members[1].is_writer = true;
    let choice = candidate::choose(&seen, &Policy::default(), &InstanceId::new("w"));
    assert_eq!(choice.chosen, Some(InstanceId::new("r2")));
    assert!(choice.refused.iter().any(|refused| refused.because == Refusal::NamedWriter), "{choice:?}");
}

#[test]
fn while_the_control_plane_is_mute_the_last_committer_is_the_writer() {
    let policy = Policy::default();
    let mut seen = unanimous(Outcome::Unreachable, ago(4_000));
    seen.topology = None;
    assert_eq!(diagnose(&seen, &policy).presumed, None, "nobody knows of any commit");
    for (report, at) in seen.reports.iter_mut().zip([9_000, 5_000, 7_000]) {
        report.sightings[0].committed_at = Some(ago(at));
    }
    seen.reports[2].sightings[1].committed_at = Some(ago(60_000));
    let diagnosis = diagnose(&seen, &policy);
    assert_eq!(diagnosis.presumed, Some(InstanceId::new(WRITER)));
    assert_eq!(diagnosis.writer, WriterState::Dead);
}
