//! Steps judge themselves from the observed world: twice, after a crash, or done by somebody else.

mod support;

use steadfast_core::decision::decide;
use steadfast_core::diagnosis::diagnose;
use steadfast_core::episode::{Episode, Promotion};
use steadfast_core::policy::Policy;
use steadfast_core::rules::Verdict;
use steadfast_core::snapshot::Snapshot;
use steadfast_core::step::{Action, Progress, Step, next};
use steadfast_core::topology::{ClusterId, InstanceId, Owner};
use steadfast_core::witness::Outcome;
use support::*;

fn failed() -> Snapshot {
    unanimous(Outcome::Refused, ago(2_000))
}

fn with_episode(mut seen: Snapshot, change: impl FnOnce(&mut Episode)) -> Snapshot {
    let diagnosis = diagnose(&failed(), &Policy::default());
    let cluster = ClusterId::new("orders");
    let mut episode =
        Episode::open(&cluster, 7, &diagnosis, InstanceId::new(WRITER), None, ago(1_500), &Policy::default());
    change(&mut episode);
    seen.episode = Some(episode);
    seen
}

fn moved() -> Snapshot {
    let mut seen = failed();
    for report in &mut seen.reports {
        report.sightings[1] = sighting("r1", Outcome::Committing, ago(200));
    }
    seen
}

fn due(seen: &Snapshot) -> Option<(Step, Progress)> {
    next(seen, &decide(seen, &no_grace()))
}

#[test]
fn a_failed_writer_without_an_episode_is_owned_first() {
    assert_eq!(due(&failed()), Some((Step::Own, Progress::Ready(Action::TakeLease))));
}

#[test]
fn then_it_is_replaced_exactly_once() {
    let target = InstanceId::new("r1");
    let owned = with_episode(failed(), |_| {});
    let promote = Action::Promote { target: target.clone() };
    assert_eq!(due(&owned), Some((Step::Promote, Progress::Ready(promote))));
    let called = with_episode(failed(), |episode| {
        episode.promotion =
            Some(Promotion { target, at: ago(10), epoch: 7, refused: None, passing: false, number: 1, bound: None });
    });
    assert_eq!(due(&called), Some((Step::Promote, Progress::Blocked)));
}

#[test]
fn whoever_promoted_it_the_proof_comes_next_then_eviction_then_the_end() {
    let writer = InstanceId::new("r1");
    let proof = Action::RecordProof { writer: writer.clone() };
    assert_eq!(due(&with_episode(moved(), |_| {})), Some((Step::Prove, Progress::Ready(proof))));
    let proved = with_episode(moved(), |episode| episode.proved_at = Some(ago(5)));
    let evict = Action::Evict { demoted: InstanceId::new(WRITER) };
    assert_eq!(due(&proved), Some((Step::Evict, Progress::Ready(evict))));
    let evicted = with_episode(moved(), |episode| {
        episode.proved_at = Some(ago(5));
        episode.evicted = true;
    });
    assert_eq!(due(&evicted), Some((Step::Close, Progress::Ready(Action::Close { writer }))));
}

#[test]
fn a_writer_that_came_back_by_itself_is_proved_and_closed_without_eviction() {
    let seen = unanimous(Outcome::Committing, ago(300));
    let proved = with_episode(seen, |episode| episode.proved_at = Some(ago(5)));
    let close = Action::Close { writer: InstanceId::new(WRITER) };
    assert_eq!(due(&proved), Some((Step::Close, Progress::Ready(close))));
}

#[test]
fn a_person_is_called_once_per_rule() {
    let hopeless = |called: &[u16]| {
        let mut seen = with_episode(failed(), |episode| episode.human_called = called.to_vec());
        for member in &mut seen.topology.as_mut().expect("seen").what.members {
            member.status = "rebooting".to_owned();
        }
        due(&seen)
    };
    assert_eq!(hopeless(&[]), Some((Step::Promote, Progress::Ready(Action::CallHuman))));
    assert_eq!(hopeless(&[610]), Some((Step::Promote, Progress::Blocked)));
    assert_eq!(hopeless(&[425]), Some((Step::Promote, Progress::Ready(Action::CallHuman))));
}

#[test]
fn a_healthy_cluster_needs_nothing() {
    assert_eq!(due(&unanimous(Outcome::Committing, ago(9_000))), Some((Step::Own, Progress::Blocked)));
}

#[test]
fn nothing_is_ready_under_somebody_elses_lease() {
    let proved = |episode: &mut Episode| episode.proved_at = Some(ago(5));
    let all = [with_episode(failed(), |_| {}), with_episode(moved(), |_| {}), with_episode(moved(), proved)];
    for mut seen in all {
        assert!(matches!(due(&seen), Some((_, Progress::Ready(_)))), "ours");
        seen.lease.as_mut().expect("held").owner = Owner::new("somebody else");
        assert_eq!(due(&seen), Some((Step::Own, Progress::Blocked)), "theirs");
    }
}

/// Tries invariant 2.
#[test]
fn one_epoch_has_one_call_whatever_was_decided() {
    let target = InstanceId::new("r1");
    let called_in = |epoch| {
        with_episode(failed(), |episode| {
            episode.promotion = Some(episode.next_promotion(target.clone(), epoch, ago(10)))
        })
    };
    let fail_over = decide(&with_episode(failed(), |_| {}), &no_grace());
    assert_eq!(fail_over.verdict, Verdict::FailOver);
    let promote = Progress::Ready(Action::Promote { target: target.clone() });
    assert_eq!(next(&called_in(6), &fail_over), Some((Step::Promote, promote)));
    assert_eq!(next(&called_in(7), &fail_over), Some((Step::Promote, Progress::Blocked)));
}
