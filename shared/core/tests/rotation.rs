//! The rotation of a password, step by step, with a function that may die anywhere.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod rotating;

use std::time::Duration;

use proptest::prelude::*;
use rotating::*;
use steadfast_core::lease::Lease;
use steadfast_core::rotation::executor::Which;
use steadfast_core::rotation::observed::{CURRENT, PENDING};
use steadfast_core::rotation::row::{Announced, Writing};
use steadfast_core::rotation::step::STEPS;
use steadfast_core::rotation::sweep::Patience;
use steadfast_core::rotation::*;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Owner};

fn seated(application: &str, idle: bool) -> Seated {
    Seated {
        instance: "w".to_owned(),
        pid: 7,
        application: application.to_owned(),
        address: Some("10.0.0.7".to_owned()),
        idle,
        began: Timestamp::default(),
    }
}

fn finished() -> Rotating {
    let world = Rotating::ordered();
    for step in STEPS {
        world.step(step).expect("nothing stands in the way");
    }
    world
}

#[test]
fn four_steps_give_the_secret_its_second_user() {
    let world = finished();
    assert_eq!(world.current_user(), "app_clone");
    world.with(|inner| {
        assert_eq!(inner.passwords.len(), 2, "both users can log in");
        assert_eq!(inner.state.rotations[0].phase, Phase::Finished);
        let deeds: Vec<&Action> = inner.acts.iter().collect();
        assert!(matches!(
            deeds.as_slice(),
            [
                Action::CreatePending { .. },
                Action::Announce { .. },
                Action::SetPassword { .. },
                Action::Announce { .. },
                Action::MoveCurrent { .. },
                Action::Record { .. }
            ]
        ));
    });
}

#[test]
fn a_step_that_is_repeated_does_nothing() {
    let world = finished();
    let deeds = world.with(|inner| inner.acts.len());
    for step in STEPS.into_iter().chain(STEPS) {
        assert_eq!(world.step(step), Ok(()), "{step:?}");
    }
    assert_eq!(world.with(|inner| inner.acts.len()), deeds);
}

#[test]
fn a_secret_that_does_not_fit_is_refused_before_anything_is_changed() {
    type Spoil = fn(&mut Inner);
    let cases: [(Spoil, &str); 11] = [
        (|inner| inner.enabled = false, "rotation is not enabled for it"),
        (|inner| set_current(inner, "hunter-0"), "it is no JSON object"),
        (|inner| set_current(inner, r#"{"username":"app"}"#), "it has no field \"password\""),
        (
            |inner| set_current(inner, r#"{"username":"app","password":"hunter-0","host":"other.example"}"#),
            "it names the host \"other.example\", and this function rotates passwords of orders.cluster.example",
        ),
        (|inner| inner.base = Role::Missing, "role \"app\" does not exist in the database"),
        (|inner| inner.base = Role::Unfit(vec!["SUPERUSER".to_owned()]), "role \"app\" has SUPERUSER"),
        (|inner| inner.base = Role::Unpaired, "role \"app_clone\" exists and is no member of \"app\""),
        (|inner| inner.state.rotations.push(of_another_secret()), "takes turns in the secret arn:another too"),
        (|inner| set_current(inner, &document(&"a".repeat(60), "x")), "is longer than 63 bytes"),
        (|inner| pend(inner, Some("hunter-9")), "its pending version is unfit: it is no JSON object"),
        (|inner| pend(inner, Some(&document("root", "hunter-9"))), "is for user \"root\" in place of \"app_clone\""),
    ];
    for (spoil, says) in cases {
        let world = Rotating::ordered();
        world.with(spoil);
        let error = world.step(Step::Create).and_then(|()| world.step(Step::Set)).expect_err(says).to_string();
        assert!(error.contains(says), "{says}: {error}");
        assert!(!error.contains("hunter"), "{error}");
        world.with(|inner| assert!(inner.acts.iter().all(|deed| matches!(deed, Action::CreatePending { .. }))));
    }
}

/// Another secret's last rotation made way for the user whose turn is next here.
fn of_another_secret() -> Rotation {
    let (cluster, by) = (ClusterId::new("orders"), Owner::new("secret-rotator"));
    let writing = Writing { cluster: &cluster, by: &by, now: Timestamp::default() };
    let (secret, effect) = ("arn:another", Effect::SetPassword);
    Rotation::announced(None, Announced { secret, token: "t", role: "app", old_role: "app_clone", effect }, writing).0
}

fn set_current(inner: &mut Inner, text: &str) {
    if let Some((held, _)) = inner.versions.get_mut("token-1") {
        *held = Some(text.to_owned());
    }
    inner.passwords.insert("app".to_owned(), Some("hunter-0".to_owned()));
}

fn pend(inner: &mut Inner, text: Option<&str>) {
    if let Some((held, _)) = inner.versions.get_mut("token-2") {
        *held = text.map(str::to_owned);
    }
}

#[test]
fn a_version_that_is_no_longer_pending_is_left_alone() {
    let world = Rotating::ordered();
    world.with(|inner| inner.versions.get_mut("token-2").expect("there").1.clear());
    let error = world.step(Step::Create).expect_err("superseded").to_string();
    assert!(error.contains("version token-2 is not AWSPENDING; no version is"), "{error}");
    world.with(|inner| inner.versions.insert("token-3".to_owned(), (None, [PENDING].into())));
    let error = world.step(Step::Set).expect_err("superseded").to_string();
    assert!(error.contains("token-3 is, so another rotation has begun"), "{error}");
}

#[test]
fn a_later_step_does_not_come_first() {
    for step in [Step::Set, Step::Test, Step::Finish] {
        assert!(matches!(Rotating::ordered().step(step), Err(Blocked::NotCreated(_))), "{step:?}");
    }
    for step in [Step::Test, Step::Finish] {
        let world = Rotating::ordered();
        world.step(Step::Create).expect("creates");
        assert!(matches!(world.step(step), Err(Blocked::Refused { .. })), "{step:?}");
    }
}

#[test]
fn nothing_is_changed_while_somebody_may_move_the_writer() {
    for step in [Step::Set, Step::Finish] {
        let world = Rotating::ordered();
        for earlier in STEPS.into_iter().take_while(|earlier| *earlier != step) {
            world.step(earlier).expect("goes on");
        }
        let lease = Lease { owner: Owner::new("c"), epoch: 3, expires_at: Timestamp::from_millis(u64::MAX / 2) };
        world.with(|inner| inner.state.lease = Some(lease));
        let error = world.step(step).expect_err("leased");
        assert!(error.is_deferral(), "{error}");
        world.with(|inner| inner.state.lease = None);
        world.step(step).expect("goes on");
    }
}

#[test]
fn a_demoted_writer_is_not_touched_and_a_reader_that_lags_is_waited_for() {
    let world = Rotating::ordered();
    world.step(Step::Create).expect("creates");
    world.with(|inner| inner.writer_writes = false);
    assert!(matches!(world.step(Step::Set), Err(Blocked::NotWriter(_))));
    world.with(|inner| inner.writer_writes = true);
    world.step(Step::Set).expect("sets");
    world.with(|inner| inner.reader_lag = 5);
    world.step(Step::Test).expect("the reader catches up");
    world.with(|inner| inner.reader_lag = u32::MAX);
    assert!(matches!(world.step(Step::Test), Err(Blocked::Refused { instance, .. }) if instance == "r"));
}

#[test]
fn whoever_reads_no_new_secret_is_named_and_not_locked_out() {
    let world = Rotating::ordered();
    world.step(Step::Create).expect("creates");
    for session in [seated("billing", true), seated("billing", false), seated("steadfast-prober", true)] {
        world.with(|inner| inner.sessions = vec![session.clone()]);
        let error = world.step(Step::Set).expect_err("in use").to_string();
        let named = format!("{:?} from 10.0.0.7 on w", session.application);
        assert!(error.contains("\"app_clone\"") && error.contains(&named), "{error}");
    }
    world.with(|inner| (inner.sessions, inner.unseen) = (Vec::new(), vec!["r".to_owned()]));
    assert!(matches!(world.step(Step::Set), Err(Blocked::Unreachable { instance, .. }) if instance == "r"));
    world.with(|inner| assert!(!inner.passwords.contains_key("app_clone")));
}

#[test]
fn the_next_rotation_leaves_the_old_user_his_time() {
    let world = finished();
    world.with(|inner| inner.rotate_again("token-3"));
    let next = Which { token: "token-3", ..WHICH };
    world.step_of(next, Step::Create).expect("creates");
    let error = world.step_of(next, Step::Set).expect_err("too early");
    assert!(matches!(&error, Blocked::Grace { role, .. } if role == "app") && error.is_deferral(), "{error}");
    world.pass(Patience::default().grace);
    world.step_of(next, Step::Set).expect("he had his time, and nobody is there");
}

#[test]
fn a_password_that_was_set_and_is_refused_is_not_set_again() {
    let world = Rotating::ordered();
    world.with(|inner| inner.deaf = true);
    world.step(Step::Create).expect("creates");
    assert!(matches!(world.step(Step::Set), Err(Blocked::Refused { instance, .. }) if instance == "w"));
    world.with(|inner| {
        let set = inner.acts.iter().filter(|deed| matches!(deed, Action::SetPassword { .. }));
        assert_eq!(set.count(), 1, "{:?}", inner.acts);
    });
}

#[test]
fn sessions_of_the_old_user_are_ended_after_the_grace_and_only_between_transactions() {
    let world = finished();
    let patience = Patience { grace: Duration::from_secs(60), ..Patience::default() };
    world.with(|inner| inner.sessions = vec![seated("billing", true), seated("report", false)]);
    world.sweep(&patience).expect("too early");
    assert_eq!(world.with(|inner| inner.sessions.len()), 2);
    world.pass(Duration::from_secs(61));
    let lease = Lease { owner: Owner::new("c"), epoch: 3, expires_at: Timestamp::from_millis(u64::MAX / 2) };
    world.with(|inner| inner.state.lease = Some(lease));
    assert_eq!(world.sweep(&patience), Err(Blocked::Leased), "nobody is sent away while the writer may move");
    world.with(|inner| inner.state.lease = None);
    world.sweep(&patience).expect("drains");
    world.with(|inner| assert_eq!(inner.sessions, [seated("report", false)]));
    world.with(|inner| assert_eq!(inner.state.rotations[0].phase, Phase::Finished));
    world.with(|inner| inner.sessions.clear());
    world.sweep(&patience).expect("nobody is left");
    world.with(|inner| assert_eq!(inner.state.rotations[0].phase, Phase::Drained));
}

#[test]
fn a_rotation_that_nobody_ends_is_rolled_back() {
    for (previous, expected) in [(None, None), (Some("hunter-old"), Some("hunter-old"))] {
        let world = Rotating::ordered();
        if let Some(password) = previous {
            let text = document("app_clone", password);
            world.with(|inner| inner.versions.insert("token-0".to_owned(), (Some(text), ["AWSPREVIOUS"].into())));
            world.with(|inner| inner.passwords.insert("app_clone".to_owned(), Some(password.to_owned())));
        }
        world.step(Step::Create).expect("creates");
        world.step(Step::Set).expect("sets");
        let patience = Patience::default();
        world.sweep(&patience).expect("too early");
        world.with(|inner| assert_eq!(inner.state.rotations[0].phase, Phase::Changing));
        world.pass(patience.abandon_after);
        world.sweep(&patience).expect("rolls back");
        world.with(|inner| {
            assert_eq!(inner.state.rotations[0].phase, Phase::RolledBack);
            assert_eq!(inner.passwords["app_clone"].as_deref(), expected);
            assert!(!inner.versions["token-2"].1.contains(PENDING));
        });
        assert_eq!(world.current_user(), "app");
        assert!(matches!(world.step(Step::Set), Err(Blocked::Superseded { .. })), "a late retry finds its end");
    }
}

/// A rotation that has waited for its end for too long, up to and with setSecret.
fn abandoned() -> Rotating {
    let world = Rotating::ordered();
    world.step(Step::Create).expect("creates");
    world.step(Step::Set).expect("sets");
    world.pass(Patience::default().abandon_after);
    world
}

#[test]
fn a_late_end_and_the_rollback_exclude_each_other() {
    // The rollback is announced, and dies before it does anything.
    let world = abandoned();
    world.with(|inner| inner.dies = Some((1, false)));
    world.sweep(&Patience::default()).expect_err("it dies");
    world.with(|inner| (inner.dies, inner.acts) = (None, Vec::new()));
    assert_eq!(world.step(Step::Finish), Err(Blocked::GivenUp("token-2".to_owned())));
    assert_eq!(world.with(|inner| inner.acts.len()), 0);
    world.sweep(&Patience::default()).expect("rolls back");
    assert_eq!(world.current_user(), "app");

    // The end is announced, and is still on its way.
    let world = abandoned();
    world.with(|inner| inner.dies = Some((1, false)));
    world.step(Step::Finish).expect_err("it dies");
    world.with(|inner| (inner.dies, inner.acts) = (None, Vec::new()));
    world.sweep(&Patience::default()).expect("waits");
    assert_eq!(world.with(|inner| inner.acts.len()), 0);
    world.step(Step::Finish).expect("it ends after all");
    assert_eq!(world.current_user(), "app_clone");
}

#[test]
fn what_a_person_made_current_by_hand_keeps_its_password() {
    let world = abandoned();
    world.with(|inner| {
        let held = inner.versions["token-2"].0.clone();
        inner.versions.get_mut("token-1").expect("there").1.clear();
        inner.versions.insert("by-hand".to_owned(), (held, [CURRENT].into()));
    });
    world.sweep(&Patience::default()).expect("clears what is pending");
    assert_eq!(world.current_user(), "app_clone");
    world.with(|inner| {
        assert!(inner.versions["token-2"].1.is_empty());
        assert_eq!(inner.state.rotations[0].phase, Phase::RolledBack);
    });
}

#[test]
fn the_trial_of_secrets_manager_passes_with_a_copy_of_the_current_secret() {
    let world = Rotating::ordered();
    world.with(|inner| pend(inner, Some(&document("app", "hunter-0"))));
    assert_eq!(world.step(Step::Test), Ok(()));
    assert!(matches!(world.step(Step::Set), Err(Blocked::OtherUser { .. })), "the user's turn is over");
}

proptest! {
    /// Whatever dies when, the current secret works at any time, nothing is changed unannounced (both checked at each
    /// deed), and Secrets Manager's next try brings it to its end.
    #[test]
    fn a_rotation_survives_its_functions(
        deaths in prop::collection::vec((0..4_usize, 0..4_u32, any::<bool>()), 0..12),
        waits in prop::collection::vec(0..40_u64, 12),
    ) {
        let world = Rotating::ordered();
        for ((upto, after, effect), wait) in deaths.into_iter().zip(waits) {
            for (number, step) in STEPS.into_iter().enumerate() {
                let dies = number == upto;
                world.with(|inner| inner.dies = dies.then_some((after, effect)));
                if world.step(step).is_err() {
                    break;
                }
            }
            world.pass(Duration::from_secs(wait));
        }
        world.with(|inner| inner.dies = None);
        for step in STEPS {
            prop_assert_eq!(world.step(step), Ok(()));
        }
        prop_assert_eq!(world.current_user(), "app_clone");
        world.with(|inner| {
            prop_assert!(inner.versions["token-2"].1.contains(CURRENT));
            prop_assert_eq!(inner.state.rotations[0].phase, Phase::Finished);
            for line in &inner.said {
                prop_assert!(!line.contains("hunter"), "a secret was told: {}", line);
            }
            Ok(())
        })?;
    }
}
