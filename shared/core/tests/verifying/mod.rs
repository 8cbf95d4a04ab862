//! A platform in memory that restores backups, on which a function may die anywhere.

#![allow(dead_code, reason = "each test crate uses its part")]

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use steadfast_core::evidence::Entry;
use steadfast_core::metric::Metric;
use steadfast_core::notice::Notice;
use steadfast_core::ports::{CallError, Clock, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment, Owner};
use steadfast_core::verification::executor::{Advanced, At, NotDone, World, advance};
use steadfast_core::verification::janitor::Found;
use steadfast_core::verification::run::Looked;
use steadfast_core::verification::*;

pub(crate) const NOW: u64 = 1_800_000_000_000;

pub(crate) struct Inner {
    pub now: u64,
    pub deployment: Deployment,
    pub run: Option<Run>,
    pub evidence: Vec<Entry>,
    /// By identifier: status, and how many looks it stays so.
    pub things: BTreeMap<String, (String, u32)>,
    pub secrets: BTreeMap<String, String>,
    pub foreign: Vec<String>,
    pub backups: Vec<Backup>,
    pub restorable_to: Option<Timestamp>,
    pub security_groups: Vec<String>,
    pub isolated: Vec<String>,
    /// What the restore answers.
    pub refuses: Option<NotDone>,
    /// How many looks at the platform are refused.
    pub throttled: u32,
    pub findings: BTreeMap<Check, Vec<Finding>>,
    /// Where looks end before their end.
    pub portions: VecDeque<(Check, Place)>,
    /// From where looks began.
    pub places: Vec<(Check, Place)>,
    /// Why looks see nothing.
    pub unseen: Option<Unseen>,
    /// How often a look is asked before it is done.
    pub slow: u32,
    /// Whether the claim held each time it was asked.
    pub held: Vec<bool>,
    /// Whether somebody else writes the run meanwhile.
    pub overtaken: bool,
    pub found: Vec<Found>,
    pub notices: Vec<Notice>,
    /// Whether nobody can be told anything.
    pub mute: bool,
    /// Deeds until the function dies; whether the last one takes effect.
    pub dies: Option<(u32, bool)>,
    pub calls: Vec<String>,
}

pub(crate) struct Platform(pub Mutex<Inner>);

pub(crate) fn backup(id: &str, taken_at: u64, engine_version: &str) -> Backup {
    Backup {
        id: id.to_owned(),
        available: true,
        taken_at: Timestamp::from_millis(taken_at),
        engine_version: engine_version.to_owned(),
    }
}

impl Platform {
    pub(crate) fn new(deployment: Deployment) -> Self {
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

    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().expect("not poisoned"))
    }

    pub(crate) fn tick(&self, order: Option<&Manifest>) -> Result<Advanced, NotDone> {
        self.with(|inner| inner.now += 1_000);
        let until = self.now().plus(Duration::from_secs(200));
        block_on(advance(self, &Owner::new("me"), order, until))
    }

    /// Ticks until the run is over.
    pub(crate) fn verify(&self, manifest: &Manifest) -> Run {
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
    pub(crate) fn deed(&self, what: &str, effect: impl FnOnce(&mut Inner)) -> bool {
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

pub(crate) fn died() -> NotDone {
    NotDone { what: "the function died".to_owned(), passes: true }
}

impl Inner {
    pub(crate) fn thing(&mut self, id: &str) -> Thing {
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

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing waits here"),
    }
}
