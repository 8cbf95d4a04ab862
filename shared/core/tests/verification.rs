//! The verification of a backup from the order to the last deletion, with a function that may die anywhere.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod verifying;

use std::time::Duration;

use proptest::prelude::*;
use steadfast_core::evidence::{self, Kind};
use steadfast_core::notice::Severity;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Deployment, Owner};
use steadfast_core::verification::executor::{Advanced, NotDone, tidy};
use steadfast_core::verification::finding::CHECKS;
use steadfast_core::verification::janitor::{Found, owner};
use steadfast_core::verification::*;
use verifying::*;

fn from(source: SourceKind) -> Manifest {
    Manifest { source, ..Manifest::default() }
}

#[test]
fn a_good_backup_is_restored_opened_told_and_deleted() {
    for (deployment, source) in [
        (Deployment::Cluster, SourceKind::PointInTime),
        (Deployment::Cluster, SourceKind::Snapshot),
        (Deployment::Instance, SourceKind::PointInTime),
    ] {
        let world = Platform::new(deployment);
        let run = world.verify(&from(source));
        assert!(run.is_verified(), "{run:?}");
        assert_eq!(run.done, CHECKS);
        assert_eq!(run.achieved_rpo(), Some(Duration::from_secs(61)), "the order came a second after {NOW}");
        assert!(run.achieved_rto().is_some_and(|rto| rto > Duration::ZERO));
        world.with(|inner| {
            assert!(inner.things.is_empty(), "{:?}", inner.things);
            assert_eq!(inner.notices.iter().map(|n| n.severity).collect::<Vec<_>>(), [Severity::Info]);
            assert!(inner.notices[0].body.contains("shop was opened, and no other"), "{}", inner.notices[0].body);
            assert_eq!(evidence::verify(&inner.evidence).as_ref(), Ok(&run.evidence));
        });
    }
}

#[test]
fn what_was_restored_does_not_stay_because_nobody_can_be_told() {
    let world = Platform::new(Deployment::Cluster);
    world.with(|inner| inner.mute = true);
    let manifest = from(SourceKind::PointInTime);
    let ticks = |order: Option<&Manifest>| {
        for _ in 0..40 {
            let _tried_again = world.tick(order);
        }
    };
    ticks(Some(&manifest));
    assert_eq!(world.with(|inner| inner.things.len()), 2, "people are told first");
    world.with(|inner| inner.now += 8 * 3_600_000);
    ticks(None);
    world.with(|inner| {
        assert!(inner.things.is_empty(), "{:?}", inner.things);
        assert!(inner.run.as_ref().is_some_and(|run| run.is_open() && !run.recorded), "the verdict is still owed");
        inner.mute = false;
    });
    ticks(None);
    world.with(|inner| {
        assert!(inner.run.as_ref().is_some_and(|run| run.recorded && !run.is_open()));
        assert_eq!(inner.notices.len(), 1);
    });
}

#[test]
fn the_newest_snapshot_is_the_one_that_counts() {
    let world = Platform::new(Deployment::Cluster);
    let run = world.verify(&from(SourceKind::Snapshot));
    assert!(matches!(run.source, Source::Snapshot { id, .. } if id == "new"));
}

#[test]
fn what_cannot_be_restored_is_told_and_leaves_nothing() {
    type Spoil = fn(&mut Inner);
    let fault = |what: &str| NotDone { what: what.to_owned(), passes: false };
    let key = fault("RestoreDBClusterFromSnapshot: KMSKeyNotAccessibleFault: no");
    let cases: [(Spoil, Option<NotDone>, &str); 7] = [
        (|inner| inner.backups.clear(), None, "no snapshot can be restored: there is none at all"),
        (
            |inner| inner.backups[1].engine_version = "16.1".to_owned(),
            None,
            "is of engine version 16.1, newer than 15.10",
        ),
        (|_| {}, Some(key), "KMSKeyNotAccessibleFault"),
        (|inner| inner.isolated = vec!["sg-production".to_owned()], None, "security group sg-production of STEADFAST"),
        (|inner| inner.isolated.clear(), None, "set STEADFAST_VERIFY_SECURITY_GROUPS"),
        (|inner| inner.foreign.push(format!("verify-orders-{}", NOW / 1_000 + 1)), None, "does not carry our tag"),
        (
            |inner| {
                let id = format!("verify-orders-{}", NOW / 1_000 + 1);
                inner.things.insert(id, ("restore-error".to_owned(), 3));
            },
            None,
            "became \"restore-error\"",
        ),
    ];
    for (spoil, refuses, says) in cases {
        let world = Platform::new(Deployment::Cluster);
        world.with(spoil);
        world.with(|inner| inner.refuses = refuses);
        let run = world.verify(&from(SourceKind::Snapshot));
        assert!(!run.is_verified());
        let because = run.failed.clone().expect(says);
        assert!(because.contains(says), "{says}: {because}");
        world.with(|inner| {
            assert_eq!(inner.notices[0].severity, Severity::Critical);
            assert!(inner.notices[0].body.contains(&because));
            assert!(inner.things.is_empty(), "{:?}", inner.things);
            assert!(!inner.calls.iter().any(|call| call == "DeleteRestored") || says.contains("restore-error"));
        });
    }
}

#[test]
fn a_point_in_time_that_does_not_exist_is_told() {
    let world = Platform::new(Deployment::Cluster);
    world.with(|inner| inner.restorable_to = None);
    let run = world.verify(&from(SourceKind::PointInTime));
    assert!(run.failed.is_some_and(|because| because.contains("are automated backups on?")));
}

#[test]
fn what_is_found_is_told_and_the_run_goes_on_to_the_last_check() {
    let world = Platform::new(Deployment::Cluster);
    let finding = Finding { check: Check::Pages, about: "bank.archive".to_owned(), what: "invalid page".to_owned() };
    world.with(|inner| inner.findings.insert(Check::Pages, vec![finding.clone()]));
    let run = world.verify(&from(SourceKind::PointInTime));
    assert!(!run.is_verified() && run.failed.is_none());
    assert_eq!((run.done.as_slice(), run.findings[0].clone()), (CHECKS.as_slice(), finding));
    assert!(world.with(|inner| inner.notices[0].body.contains("[pages] bank.archive: invalid page")));
}

/// Ticks until this check is the next, and everything before it is done.
#[test]
fn an_order_waits_for_the_open_run_and_a_tick_begins_none() {
    let world = Platform::new(Deployment::Cluster);
    assert_eq!(world.tick(None), Ok(Advanced::Nothing));
    world.tick(Some(&Manifest::default())).expect("begins");
    let first = world.with(|inner| inner.run.clone()).expect("open");
    world.tick(Some(&Manifest::default())).expect("goes on");
    assert_eq!(world.with(|inner| inner.run.as_ref().map(|run| run.id)), Some(first.id));
}

#[test]
fn a_run_that_takes_too_long_is_given_up_and_deleted() {
    let world = Platform::new(Deployment::Cluster);
    world.tick(Some(&Manifest::default())).expect("begins");
    world.tick(None).expect("restores");
    world.with(|inner| inner.now += 7 * 3_600_000);
    for _ in 0..20 {
        let _tried = world.tick(None);
    }
    let run = world.with(|inner| inner.run.clone()).expect("a run");
    assert!(run.failed.is_some_and(|because| because.contains("within six hours")) && run.closed_at.is_some());
    assert!(world.with(|inner| inner.things.is_empty()));
}

#[test]
fn the_janitor_deletes_what_is_ours_and_over_and_nothing_else() {
    let world = Platform::new(Deployment::Cluster);
    let closed = world.verify(&Manifest::default());
    let past = Some(Timestamp::from_millis(NOW - 1));
    let future = Some(Timestamp::from_millis(NOW * 2));
    let thing = |id: &str, is_cluster: bool, owner: &str, run: u64, expires_at| Found {
        id: id.to_owned(),
        is_cluster,
        member_of: None,
        status: "available".to_owned(),
        owner: Some(owner.to_owned()),
        run: Some(run),
        expires_at,
    };
    let ours = owner("orders");
    let found = vec![
        thing("verify-orders-1", true, &ours, 1, past),
        thing("verify-orders-1-1", false, &ours, 1, past),
        thing("verify-orders-2", true, &ours, 2, future),
        thing(&closed.restored_id(), true, &ours, closed.id, future),
        thing("orders", true, &ours, 1, past),
        thing("verify-orders-3", true, "backup-verifier/others", 3, past),
        Found { owner: None, ..thing("verify-orders-4", true, &ours, 4, past) },
        Found { status: "deleting".to_owned(), ..thing("verify-orders-5", true, &ours, 5, past) },
    ];
    world.with(|inner| inner.found = found);
    let me = Owner::new("me");
    let deleted = block_on(tidy(&world, &me, "orders", Some(&closed))).expect("tidies");
    assert_eq!(deleted, ["verify-orders-1-1", "verify-orders-1", &closed.restored_id()]);
    let (last, tidied) = world.with(|inner| (inner.evidence.last().cloned(), inner.run.clone().expect("a run")));
    let last = last.expect("an entry");
    assert_eq!((last.kind, &last.hash), (Kind::Intended, &tidied.evidence.hash), "it stood there before");
    let open = Run { closed_at: None, ..tidied };
    let deleted = block_on(tidy(&world, &me, "orders", Some(&open))).expect("tidies");
    assert!(!deleted.contains(&open.restored_id()), "{deleted:?}");
}

proptest! {
    /// Wherever the function dies, and whether or not its last deed takes effect, the run comes to its end, its evidence
    /// verifies, and nothing is left.
    #[test]
    fn a_run_survives_its_functions(deaths in prop::collection::vec((0..4_u32, any::<bool>()), 0..40)) {
        let world = Platform::new(Deployment::Cluster);
        let manifest = Manifest::default();
        for (after, effect) in deaths {
            world.with(|inner| inner.dies = Some((after, effect)));
            let begun = world.with(|inner| inner.run.is_some());
            let _died = world.tick((!begun).then_some(&manifest));
            world.with(|inner| inner.dies = None);
        }
        let closed = world.with(|inner| inner.run.clone().filter(|run| !run.is_open()));
        let run = closed.unwrap_or_else(|| {
            let begun = world.with(|inner| inner.run.is_some());
            if begun {
                for _ in 0..200 {
                    let _tried = world.tick(None);
                }
                world.with(|inner| inner.run.clone().expect("a run"))
            } else {
                world.verify(&manifest)
            }
        });
        prop_assert!(run.is_verified() && !run.is_open(), "{:?}", run);
        world.with(|inner| {
            prop_assert!(inner.things.is_empty(), "{:?}", inner.things);
            prop_assert_eq!(evidence::verify(&inner.evidence), Ok(run.evidence.clone()));
            Ok(())
        })?;
    }
}
