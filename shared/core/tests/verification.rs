//! The verification of a backup against a platform in memory, with a function that may die anywhere.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use steadfast_core::evidence::{self, Entry};
use steadfast_core::metric::Metric;
use steadfast_core::notice::{Notice, Severity};
use steadfast_core::ports::{CallError, Clock, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment, Owner};
use steadfast_core::verification::executor::{Advanced, At, NotDone, World, advance, take_order, tidy};
use steadfast_core::verification::finding::CHECKS;
use steadfast_core::verification::janitor::{Found, owner};
use steadfast_core::verification::run::Looked;
use steadfast_core::verification::*;

const NOW: u64 = 1_800_000_000_000;

struct Inner {
    now: u64,
    deployment: Deployment,
    run: Option<Run>,
    evidence: Vec<Entry>,
    /// By identifier: status, and how many looks it stays so.
    things: BTreeMap<String, (String, u32)>,
    secrets: BTreeMap<String, String>,
    foreign: Vec<String>,
    backups: Vec<Backup>,
    restorable_to: Option<Timestamp>,
    security_groups: Vec<String>,
    isolated: Vec<String>,
    /// What the restore answers.
    refuses: Option<NotDone>,
    /// How many looks at the platform are refused.
    throttled: u32,
    findings: BTreeMap<Check, Vec<Finding>>,
    /// Where looks end before their end.
    portions: VecDeque<(Check, Place)>,
    /// From where looks began.
    places: Vec<(Check, Place)>,
    /// Why looks see nothing.
    unseen: Option<Unseen>,
    /// How often a look is asked before it is done.
    slow: u32,
    /// Whether the claim held each time it was asked.
    held: Vec<bool>,
    /// Whether somebody else writes the run meanwhile.
    overtaken: bool,
    found: Vec<Found>,
    notices: Vec<Notice>,
    /// Whether nobody can be told anything.
    mute: bool,
    /// Deeds until the function dies; whether the last one takes effect.
    dies: Option<(u32, bool)>,
    calls: Vec<String>,
}

struct Platform(Mutex<Inner>);

fn backup(id: &str, taken_at: u64, engine_version: &str) -> Backup {
    Backup {
        id: id.to_owned(),
        available: true,
        taken_at: Timestamp::from_millis(taken_at),
        engine_version: engine_version.to_owned(),
    }
}

impl Platform {
    fn new(deployment: Deployment) -> Self {
        Self(Mutex::new(Inner {
            now: NOW,
            deployment,
            run: None,
            evidence: Vec::new(),
            things: BTreeMap::new(),
            secrets: BTreeMap::new(),
            foreign: Vec::new(),
            backups: vec![backup("old", NOW - 200_000, "15.9"), backup("new", NOW - 100_000, "15.10")],
            restorable_to: Some(Timestamp::from_millis(NOW - 60_000)),
            security_groups: vec!["sg-production".to_owned()],
            isolated: vec!["sg-alone".to_owned()],
            refuses: None,
            throttled: 0,
            findings: BTreeMap::new(),
            // Two relations, of which the time is enough for one.
            portions: [(Check::Pages, Place::behind(7))].into(),
            places: Vec::new(),
            unseen: None,
            slow: 0,
            held: Vec::new(),
            overtaken: false,
            found: Vec::new(),
            notices: Vec::new(),
            mute: false,
            dies: None,
            calls: Vec::new(),
        }))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().expect("not poisoned"))
    }

    fn tick(&self, order: Option<&Manifest>) -> Result<Advanced, NotDone> {
        self.with(|inner| inner.now += 1_000);
        let until = self.now().plus(Duration::from_secs(200));
        block_on(advance(self, &Owner::new("me"), order, until))
    }

    /// Ticks until the run is over.
    fn verify(&self, manifest: &Manifest) -> Run {
        let before = self.with(|inner| inner.run.as_ref().map_or(0, |run| run.id));
        for _ in 0..200 {
            let begun = self.with(|inner| inner.run.as_ref().is_some_and(|run| run.id > before));
            let _tried_again = self.tick((!begun).then_some(manifest));
            if let Some(run) = self.with(|inner| inner.run.clone().filter(|run| run.id > before && !run.is_open())) {
                return run;
            }
        }
        panic!("the run is not over: {:?}", self.with(|inner| inner.run.clone()));
    }

    /// Whether the function is still alive to see what its deed has done.
    fn deed(&self, what: &str, effect: impl FnOnce(&mut Inner)) -> bool {
        self.with(|inner| {
            let (takes_effect, survives) = match inner.dies {
                None => (true, true),
                Some((0, effect)) => (effect, false),
                Some((more, effect)) => {
                    inner.dies = Some((more - 1, effect));
                    (true, true)
                }
            };
            if takes_effect {
                inner.calls.push(what.to_owned());
                effect(inner);
            }
            survives
        })
    }
}

fn died() -> NotDone {
    NotDone { what: "the function died".to_owned(), passes: true }
}

impl Inner {
    fn thing(&mut self, id: &str) -> Thing {
        if self.foreign.iter().any(|foreign| foreign == id) {
            return Thing::Foreign;
        }
        let Some((status, looks)) = self.things.get_mut(id) else {
            return Thing::Missing;
        };
        let shown = status.clone();
        if *looks > 0 {
            *looks -= 1;
        } else if shown == "deleting" {
            self.things.remove(id);
            return Thing::Missing;
        } else {
            "available".clone_into(status);
        }
        let host = Some(format!("{id}.example"));
        Thing::Ours { status: shown, host, port: 5432, secret: self.secrets.get(id).cloned() }
    }
}

impl Clock for Platform {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.with(|inner| inner.now))
    }

    async fn pause(&self, by: Duration) {
        self.with(|inner| inner.now += u64::try_from(by.as_millis()).expect("short"));
    }
}

impl World for Platform {
    async fn look(&self, order: Option<&Manifest>) -> Result<Observed, NotDone> {
        let throttled = self.with(|inner| {
            let left = inner.throttled.checked_sub(1);
            inner.throttled = left.unwrap_or_default();
            left.is_some()
        });
        if throttled {
            return Err(NotDone { what: "DescribeDBClusters: Throttling: Rate exceeded".to_owned(), passes: true });
        }
        Ok(self.with(|inner| {
            let open = inner.run.clone().filter(Run::is_open);
            let restored = open.as_ref().map_or(Thing::Missing, |run| inner.thing(&run.restored_id()));
            let instance = open.as_ref().map_or(Thing::Missing, |run| inner.thing(&run.instance_id()));
            Observed {
                now: Timestamp::from_millis(inner.now),
                run: inner.run.clone(),
                order: order.cloned(),
                production: Production {
                    database: ClusterId::new("orders"),
                    deployment: inner.deployment,
                    engine_version: "15.10".to_owned(),
                    restorable_to: inner.restorable_to,
                    security_groups: inner.security_groups.clone(),
                    isolated: inner.isolated.clone(),
                },
                backups: inner.backups.clone(),
                restored,
                instance,
            }
        }))
    }

    async fn call(&self, run: &Run, action: &Action) -> Result<(), NotDone> {
        let (restored, instance) = (run.restored_id(), run.instance_id());
        let refuses = self.with(|inner| inner.refuses.clone());
        if let (Action::Restore, Some(error)) = (action, refuses) {
            return Err(error);
        }
        let alive = self.deed(&format!("{action:?}"), |inner| match action {
            Action::Restore => {
                inner.things.entry(restored).or_insert_with(|| ("creating".to_owned(), 2));
            }
            Action::AddInstance => {
                inner.things.entry(instance).or_insert_with(|| ("creating".to_owned(), 2));
            }
            Action::TakePassword => {
                inner.things.insert(restored.clone(), ("resetting-master-credentials".to_owned(), 1));
                inner.secrets.insert(restored, "secret".to_owned());
            }
            Action::DeleteInstance => {
                inner.things.insert(instance, ("deleting".to_owned(), 2));
            }
            Action::DeleteRestored => {
                inner.things.insert(restored, ("deleting".to_owned(), 2));
            }
            Action::Begin { .. } | Action::Look { .. } | Action::Fail { .. } | Action::Record | Action::Close => {
                panic!("{action:?} is no call")
            }
        });
        if alive { Ok(()) } else { Err(died()) }
    }

    async fn inspect(&self, run: &Run, check: Check, at: At<'_>, _: Timestamp) -> Result<Looked, Unseen> {
        assert!(at.host.starts_with(&run.restored_id()), "{}", at.host);
        let slowly = |_: &mut Context<'_>| {
            self.with(|inner| {
                let now = Timestamp::from_millis(inner.now);
                let claim = inner.run.as_ref().and_then(|run| run.claim.as_ref());
                inner.held.push(claim.is_some_and(|claim| claim.holds(now)));
                if inner.slow == 0 || !check.is_long() {
                    return Poll::Ready(());
                }
                inner.slow -= 1;
                if let Some(run) = inner.run.as_mut().filter(|_| inner.overtaken) {
                    run.version += 1;
                }
                Poll::Pending
            })
        };
        poll_fn(slowly).await;
        let alive = self.deed(&format!("{check:?}"), |inner| inner.places.push((check, run.place)));
        let seen = Timestamp::from_millis(NOW - 60_000);
        let looked = self.with(|inner| match inner.unseen.clone() {
            Some(error) => Err(error),
            None => Ok(Looked {
                answered_at: (check == Check::Open).then(|| Timestamp::from_millis(inner.now)),
                opened: (check == Check::Open).then(|| "shop".to_owned()),
                canary_at: (check == Check::Canary).then_some(seen),
                findings: inner.findings.get(&check).cloned().unwrap_or_default(),
                goes_on: inner.portions.front().filter(|(of, _)| alive && *of == check).map(|(_, place)| *place),
                ..Looked::default()
            }),
        });
        if looked.as_ref().is_ok_and(|looked| looked.goes_on.is_some()) {
            self.with(|inner| inner.portions.pop_front());
        }
        if alive { looked } else { Err(Unseen::Later(died().what)) }
    }

    async fn save(&self, run: &Run, seen: Option<u64>, entries: &[Entry]) -> Result<(), StateError> {
        let table = "t".to_owned();
        if self.with(|inner| inner.overtaken && inner.run.as_ref().map(|run| run.version) != seen) {
            return Err(StateError::Superseded { table });
        }
        let alive = self.deed("save", |inner| {
            assert_eq!(inner.run.as_ref().map(|run| run.version), seen, "a write over another version");
            inner.run = Some(run.clone());
            inner.evidence.extend_from_slice(entries);
        });
        let lost = StateError::Unavailable { table, cause: "the function died".to_owned() };
        if alive { Ok(()) } else { Err(lost) }
    }

    async fn find(&self) -> Result<Vec<Found>, NotDone> {
        Ok(self.with(|inner| inner.found.clone()))
    }

    async fn delete(&self, found: &Found) -> Result<(), NotDone> {
        self.deed(&format!("delete {}", found.id), |_| {});
        Ok(())
    }

    async fn notify(&self, notice: &Notice) -> Result<(), CallError> {
        self.with(|inner| {
            if inner.mute {
                return Err(CallError::Unanswered { action: "Publish", cause: "nobody listens".to_owned() });
            }
            inner.notices.push(notice.clone());
            Ok(())
        })
    }

    fn audit(&self, _: &str, _: serde_json::Value) {}

    fn measure(&self, _: &[(Metric, u64)]) {}
}

fn block_on<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing waits here"),
    }
}

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
    let deleted = block_on(tidy(&world, "orders", Some(&closed))).expect("tidies");
    assert_eq!(deleted, ["verify-orders-1-1", "verify-orders-1", &closed.restored_id()]);
    let open = Run { closed_at: None, ..closed };
    let deleted = block_on(tidy(&world, "orders", Some(&open))).expect("tidies");
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
