//! What is looked at in a restored database, over several invocations, claimed, refused, and ordered again.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod verifying;

use std::time::Duration;

use steadfast_core::notice::Severity;
use steadfast_core::ports::Clock;
use steadfast_core::topology::{Deployment, Owner};
use steadfast_core::verification::executor::{Advanced, NotDone, take_order};
use steadfast_core::verification::*;
use verifying::*;

fn until_next(world: &Platform, check: Check) {
    world.tick(Some(&Manifest::default())).expect("begins");
    for _ in 0..60 {
        let run = world.with(|inner| inner.run.clone()).expect("open");
        let is_ready = world
            .with(|inner| !inner.secrets.is_empty() && inner.things.values().all(|(status, _)| status == "available"));
        if run.next_check() == Some(check) && is_ready {
            return;
        }
        world.tick(None).expect("goes on");
    }
    panic!("{check:?} is never the next");
}

/// Ticks each minute, until the run is over.
fn each_minute(world: &Platform) -> Run {
    for _ in 0..500 {
        world.with(|inner| inner.now += 59_000);
        let _tried_again = world.tick(None);
        if let Some(run) = world.with(|inner| inner.run.clone().filter(|run| !run.is_open())) {
            return run;
        }
    }
    panic!("the run is not over: {:?}", world.with(|inner| inner.run.clone()));
}

#[test]
fn what_takes_several_invocations_goes_on_where_it_was() {
    let world = Platform::new(Deployment::Cluster);
    let part = |of, block, rows| Part { of, block, rows };
    let portions = [
        (Check::Pages, Place::default().with(part(7, 16_384, 0))),
        (Check::Pages, Place::default().with(part(7, 32_768, 0))),
        (Check::Pages, Place::behind(7)),
        (Check::Rows, Place::behind(1).with(part(1, 131_072, 9_000))),
        (Check::Assertions, Place::behind(2)),
    ];
    world.with(|inner| inner.portions = portions.into());
    let run = world.verify(&Manifest::default());
    assert!(run.is_verified(), "{run:?}");
    let began = |check| {
        world.with(|inner| inner.places.iter().filter(|(of, _)| *of == check).map(|(_, at)| *at).collect::<Vec<_>>())
    };
    let nowhere = Place::default();
    assert_eq!(began(Check::Pages), [nowhere, portions[0].1, portions[1].1, portions[2].1]);
    assert_eq!(began(Check::Rows), [nowhere, portions[3].1]);
    assert_eq!(began(Check::Assertions), [nowhere, portions[4].1]);
    assert_eq!(
        (began(Check::Open), began(Check::Canary), began(Check::Catalog)),
        (vec![nowhere], vec![nowhere], vec![nowhere])
    );
}

#[test]
fn a_long_look_is_claimed_until_it_is_over_or_its_function_is_dead() {
    let world = Platform::new(Deployment::Cluster);
    until_next(&world, Check::Pages);
    world.with(|inner| inner.dies = Some((1, false)));
    world.tick(None).expect_err("dies in the midst of the look");
    world.with(|inner| inner.dies = None);
    let looks = |world: &Platform| world.with(|inner| inner.places.len());
    let before = looks(&world);
    let waits = world.tick(None).expect("somebody looks");
    assert!(matches!(&waits, Advanced::Waits(on) if on.contains("me looks at pages")), "{waits:?}");
    assert_eq!(looks(&world), before);
    world.with(|inner| inner.now += 20_000);
    let did = world.tick(None).expect("the claim has lapsed");
    assert!(matches!(did, Advanced::Did { run, .. } if run.claim.is_none()));
    assert_eq!(looks(&world), before + 1);
}

#[test]
fn a_claim_is_renewed_as_long_as_the_look_goes_on() {
    let world = Platform::new(Deployment::Cluster);
    until_next(&world, Check::Catalog);
    world.with(|inner| {
        inner.held.clear();
        inner.slow = 100;
    });
    let began = world.now();
    let entries = world.with(|inner| inner.evidence.len());
    world.tick(None).expect("is looked at to its end");
    assert_eq!(world.with(|inner| inner.held.clone()), [true; 101], "for {:?}", world.now().since(began));
    assert_eq!(world.with(|inner| inner.evidence.len()), entries + 1, "a claim is no evidence");
}

#[test]
fn whoever_is_overtaken_stops_looking_and_writes_nothing() {
    let world = Platform::new(Deployment::Cluster);
    until_next(&world, Check::Pages);
    world.with(|inner| {
        inner.slow = 100;
        inner.overtaken = true;
    });
    let looks = world.with(|inner| inner.places.len());
    assert!(world.tick(None).expect_err("overtaken").what.contains("somebody else"));
    world.with(|inner| {
        assert_eq!((inner.places.len(), inner.slow), (looks, 99));
        inner.overtaken = false;
        inner.slow = 0;
    });
    assert!(each_minute(&world).is_verified());
}

#[test]
fn a_database_that_refuses_us_is_told_with_its_own_words_and_soon() {
    for refusal in [
        "database \"shpo\" does not exist (SQLSTATE 3D000); mend STEADFAST_DATABASE",
        "password authentication failed for user \"master\" (SQLSTATE 28P01)",
    ] {
        let world = Platform::new(Deployment::Cluster);
        until_next(&world, Check::Open);
        world.with(|inner| inner.unseen = Some(Unseen::Refused(refusal.to_owned())));
        let run = each_minute(&world);
        let because = run.failed.clone().expect("is given up");
        assert!(because.contains(refusal) && because.contains("for 10 min"), "{because}");
        let told = world.with(|inner| inner.notices[0].clone());
        assert_eq!(told.severity, Severity::Critical);
        assert!(told.body.contains(refusal) && told.body.contains("No database of it was opened"), "{}", told.body);
        assert!(run.closed_at.expect("closed").since(run.began_at) < Duration::from_secs(3_600));
    }
}

#[test]
fn a_refusal_that_ends_is_no_verdict() {
    let world = Platform::new(Deployment::Instance);
    until_next(&world, Check::Open);
    for (minutes, unseen) in [
        (9, Unseen::Refused("no".to_owned())),
        (3, Unseen::Later("silent".to_owned())),
        (9, Unseen::Refused("no".to_owned())),
    ] {
        world.with(|inner| inner.unseen = Some(unseen));
        for _ in 0..minutes {
            world.with(|inner| inner.now += 59_000);
            world.tick(None).expect_err("sees nothing");
        }
    }
    world.with(|inner| inner.unseen = None);
    let run = each_minute(&world);
    assert!(run.is_verified() && run.refusal.is_none(), "{run:?}");
}

#[test]
fn whatever_stood_in_the_way_last_is_the_cause_that_is_told_in_the_end() {
    let world = Platform::new(Deployment::Cluster);
    until_next(&world, Check::Rows);
    let said = "10.0.0.9:5432 is unreachable: no answer in time";
    world.with(|inner| inner.unseen = Some(Unseen::Later(said.to_owned())));
    let run = each_minute(&world);
    assert!(
        run.failed.as_ref().is_some_and(|because| because.contains("six hours") && because.contains(said)),
        "{run:?}"
    );
    assert!(world.with(|inner| inner.things.is_empty()));
    let world = Platform::new(Deployment::Cluster);
    let said = "RestoreDBClusterToPointInTime: InsufficientDBClusterCapacityFault: none left";
    world.with(|inner| inner.refuses = Some(NotDone { what: said.to_owned(), passes: true }));
    world.tick(Some(&Manifest::default())).expect("begins");
    assert!(each_minute(&world).failed.is_some_and(|because| because.contains(said)));
}

#[test]
fn an_order_is_repeated_while_its_failure_passes_and_time_is_left() {
    let order = |throttled: u32| {
        let world = Platform::new(Deployment::Cluster);
        world.with(|inner| inner.throttled = throttled);
        let until = world.now().plus(Duration::from_secs(600));
        let taken = block_on(take_order(&world, &Owner::new("me"), &Manifest::default(), until));
        assert!(world.now() < until);
        (taken, world.with(|inner| inner.run.is_some()))
    };
    assert!(matches!(order(5), (Ok(Advanced::Did { action: Action::Begin { .. }, .. }), true)));
    let (taken, begun) = order(u32::MAX);
    assert!(taken.expect_err("throttled for ever").what.contains("Rate exceeded") && !begun);
}
