//! The verification of a backup against a platform in memory, with a function that may die anywhere.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

use std::collections::BTreeMap;
use std::future::Future;
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
use steadfast_core::verification::executor::{Advanced, At, NotDone, World, advance, tidy};
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
    findings: BTreeMap<Check, Vec<Finding>>,
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
            findings: BTreeMap::new(),
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

    async fn pause(&self, _: Duration) {}
}

impl World for Platform {
    async fn look(&self, order: Option<&Manifest>) -> Result<Observed, NotDone> {
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

    async fn inspect(&self, run: &Run, check: Check, at: At<'_>, _: Timestamp) -> Result<Looked, NotDone> {
        assert!(at.host.starts_with(&run.restored_id()), "{}", at.host);
        let alive = self.deed(&format!("{check:?}"), |_| {});
        let seen = Timestamp::from_millis(NOW - 60_000);
        let looked = self.with(|inner| Looked {
            answered_at: (check == Check::Open).then(|| Timestamp::from_millis(inner.now)),
            canary_at: (check == Check::Canary).then_some(seen),
            findings: inner.findings.get(&check).cloned().unwrap_or_default(),
            // Two relations, of which the time is enough for one.
            after: (check == Check::Pages && run.after == 0).then_some(7),
            relations: 1,
        });
        if alive { Ok(looked) } else { Err(died()) }
    }

    async fn save(&self, run: &Run, seen: Option<u64>, entries: &[Entry]) -> Result<(), StateError> {
        let alive = self.deed("save", |inner| {
            assert_eq!(inner.run.as_ref().map(|run| run.version), seen, "a write over another version");
            inner.run = Some(run.clone());
            inner.evidence.extend_from_slice(entries);
        });
        let lost = StateError::Unavailable { table: "t".to_owned(), cause: "the function died".to_owned() };
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
