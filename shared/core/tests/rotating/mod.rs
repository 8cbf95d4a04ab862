//! A secret, a database and a state table in memory, which can die between any two deeds.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use steadfast_core::evidence::{self, Entry, Kind};
use steadfast_core::ports::{Clock, State};
use steadfast_core::rotation::executor::{Depth, Which, World};
use steadfast_core::rotation::observed::{CURRENT, PENDING};
use steadfast_core::rotation::row::{Announced, Writing};
use steadfast_core::rotation::*;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Owner};

pub(crate) const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/app-AbCdEf";
pub(crate) const HOST: &str = "orders.cluster.example";
pub(crate) const WHICH: Which<'_> = Which { secret: SECRET, token: "token-2" };

pub(crate) struct Inner {
    pub(crate) now: u64,
    pub(crate) enabled: bool,
    /// By version: what it holds, and its labels.
    pub(crate) versions: BTreeMap<String, (Option<String>, BTreeSet<&'static str>)>,
    /// By role: what the database takes.
    pub(crate) passwords: BTreeMap<String, Option<String>>,
    pub(crate) state: State,
    pub(crate) sessions: Vec<Seated>,
    /// Whoever is drained comes back.
    pub(crate) stubborn: bool,
    pub(crate) writer_writes: bool,
    pub(crate) base: Role,
    /// Instances whose sessions nobody sees.
    pub(crate) unseen: Vec<String>,
    /// The database takes a new password and refuses its login.
    pub(crate) deaf: bool,
    /// How many looks the readers are behind.
    pub(crate) reader_lag: u32,
    pub(crate) acts: Vec<Action>,
    pub(crate) evidence: Vec<Entry>,
    /// How many more deeds until the function dies; whether the last one still takes effect.
    pub(crate) dies: Option<(u32, bool)>,
    pub(crate) said: Vec<String>,
    made: u32,
}

pub(crate) struct Rotating(pub(crate) Mutex<Inner>);

pub(crate) fn document(user: &str, password: &str) -> String {
    format!(r#"{{"engine":"postgres","host":"{HOST}","username":"{user}","password":"{password}","port":5432}}"#)
}

impl Rotating {
    /// Rotation has been ordered: an empty version is pending.
    pub(crate) fn ordered() -> Self {
        let current = (Some(document("app", "hunter-0")), BTreeSet::from([CURRENT]));
        Self(Mutex::new(Inner {
            now: 1_000_000,
            enabled: true,
            versions: BTreeMap::from([
                ("token-1".to_owned(), current),
                ("token-2".to_owned(), (None, BTreeSet::from([PENDING]))),
            ]),
            passwords: BTreeMap::from([("app".to_owned(), Some("hunter-0".to_owned()))]),
            state: State::default(),
            sessions: Vec::new(),
            stubborn: false,
            writer_writes: true,
            base: Role::Fit,
            unseen: Vec::new(),
            deaf: false,
            reader_lag: 0,
            acts: Vec::new(),
            evidence: Vec::new(),
            dies: None,
            said: Vec::new(),
            made: 0,
        }))
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().expect("not poisoned"))
    }

    pub(crate) fn step(&self, step: Step) -> Result<(), Blocked> {
        self.step_of(WHICH, step)
    }

    pub(crate) fn step_of(&self, which: Which<'_>, step: Step) -> Result<(), Blocked> {
        let until = self.now().plus(Duration::from_secs(20));
        let done = block_on(executor::carry_out(self, which, step, &sweep::Patience::default(), until));
        self.with(|inner| inner.said.extend(done.as_ref().err().map(|error| format!("{error} {error:?}"))));
        done
    }

    pub(crate) fn sweep(&self, patience: &sweep::Patience) -> Result<(), Blocked> {
        let row = self.with(|inner| inner.state.rotations[0].clone());
        let until = self.now().plus(Duration::from_secs(20));
        block_on(executor::sweep(self, &row, patience, until))
    }

    /// The user of the current secret, whose password the database must take at any time.
    pub(crate) fn current_user(&self) -> String {
        self.with(|inner| {
            let document = inner.current();
            let password = inner.passwords.get(document.username()).cloned().flatten();
            assert_eq!(password.as_deref(), Some(document.password()), "the current secret is refused");
            document.username().to_owned()
        })
    }

    pub(crate) fn pass(&self, by: Duration) {
        self.with(|inner| inner.now += u64::try_from(by.as_millis()).expect("short"));
    }
}

impl Inner {
    /// The next rotation is ordered.
    pub(crate) fn rotate_again(&mut self, token: &str) {
        for (_, labels) in self.versions.values_mut() {
            labels.remove(PENDING);
        }
        self.versions.insert(token.to_owned(), (None, BTreeSet::from([PENDING])));
    }

    fn labelled(&self, label: &str) -> Option<(&String, &Option<String>)> {
        let found = self.versions.iter().find(|(_, (_, labels))| labels.contains(label));
        found.map(|(version, (text, _))| (version, text))
    }

    fn current(&self) -> Document {
        let text = self.labelled(CURRENT).and_then(|(_, text)| text.clone()).expect("a current version");
        Document::parse(&text).expect("fit")
    }

    fn login(&self, document: Option<&Document>, writes: bool) -> Login {
        match document {
            None => Login::Untried,
            Some(document) => match self.passwords.get(document.username()) {
                Some(Some(password)) if password == document.password() => Login::Works { writes },
                Some(_) | None => Login::Refused("password authentication failed".to_owned()),
            },
        }
    }

    fn observed(&mut self, which: Which<'_>, depth: Depth) -> Observed {
        let text = |version: &str| self.versions.get(version).and_then(|(text, _)| text.clone());
        let pending = text(which.token).map(|text| Document::parse(&text));
        let current = self.labelled(CURRENT).and_then(|(_, text)| text.clone()).unwrap_or_default();
        let database = match depth {
            Depth::Secret => None,
            Depth::Database { drained, changed } => {
                let document = pending.as_ref().and_then(|pending| pending.as_ref().ok());
                let seen_by_reader = if self.reader_lag == 0 {
                    self.login(document, false)
                } else {
                    self.reader_lag -= 1;
                    Login::Refused("password authentication failed".to_owned())
                };
                Some(Database {
                    admin: Login::Works { writes: self.writer_writes },
                    writer: Server { instance: "w".to_owned(), login: self.login(document, self.writer_writes) },
                    readers: vec![Server { instance: "r".to_owned(), login: seen_by_reader }],
                    base: self.base.clone(),
                    sessions: self.sessions.clone(),
                    unseen: self.unseen.clone(),
                    drained,
                    changed,
                })
            }
        };
        Observed {
            now: Timestamp::from_millis(self.now),
            secret: which.secret.to_owned(),
            token: which.token.to_owned(),
            enabled: self.enabled,
            stages: self
                .versions
                .iter()
                .filter(|(_, (_, labels))| !labels.is_empty())
                .map(|(version, (_, labels))| (version.clone(), labels.iter().map(|l| (*l).to_owned()).collect()))
                .collect(),
            current: Document::parse(&current),
            pending,
            previous: self
                .labelled("AWSPREVIOUS")
                .and_then(|(_, text)| text.clone())
                .and_then(|text| Document::parse(&text).ok()),
            hosts: vec![HOST.to_owned()],
            state: self.state.clone(),
            skew: Duration::from_secs(1),
            database,
        }
    }

    /// What must hold of every deed that clients or switchovers could notice.
    fn check(&self, which: Which<'_>, action: &Action) {
        let effect = match action {
            Action::Drain { .. } => Effect::Drain,
            Action::SetPassword { .. } => Effect::SetPassword,
            Action::MoveCurrent { .. } => Effect::MoveCurrent,
            Action::Restore { .. } => Effect::Restore,
            Action::LookAtDatabase
            | Action::CreatePending { .. }
            | Action::Announce { .. }
            | Action::ClearPending
            | Action::Record { .. } => return,
        };
        assert!(self.state.episode.as_ref().is_none_or(|episode| !episode.is_open()), "{action:?} in an episode");
        assert!(self.state.lease.is_none(), "{action:?} under another's lease");
        let now = Timestamp::from_millis(self.now);
        let row = self.state.rotations.iter().find(|row| row.covers(which.token, effect, now));
        let row = row.unwrap_or_else(|| panic!("{action:?} unannounced"));
        let chain: Vec<Entry> = self.chain(row);
        evidence::verify(&chain).expect("a chain");
        let said = chain.iter().rfind(|entry| entry.kind == Kind::Intended).expect("an intention");
        assert_eq!(said.data["action"], serde_json::json!(effect), "{action:?} without evidence");
        if let Action::SetPassword { role, .. } | Action::Restore { role } = action {
            assert_ne!(role, self.current().username(), "a password that is in use");
        }
        if let Action::SetPassword { .. } = action {
            assert!(self.sessions.is_empty(), "somebody is locked out: {:?}", self.sessions);
        }
    }

    /// The evidence of a rotation.
    fn chain(&self, row: &Rotation) -> Vec<Entry> {
        let number = row.began_at.as_millis();
        self.evidence.iter().filter(|entry| entry.epoch == number).cloned().collect()
    }

    fn take_effect(&mut self, which: Which<'_>, action: &Action, seen: &Observed) {
        let (cluster, by) = (ClusterId::new("orders"), Owner::new("secret-rotator"));
        let writing = Writing { cluster: &cluster, by: &by, now: Timestamp::from_millis(self.now) };
        let row = seen.row().cloned();
        let mut write = |(next, entry): (Rotation, Entry)| {
            self.state.rotations.retain(|row| row.secret != next.secret);
            self.state.rotations.push(next);
            self.evidence.push(entry);
        };
        match action {
            Action::LookAtDatabase => {}
            Action::CreatePending { role } => {
                self.made += 1;
                let next = self.current().with_user(role, &format!("hunter-{}", self.made)).to_text();
                self.versions.entry(which.token.to_owned()).or_default().0 = Some(next);
            }
            Action::Announce { role, old_role, effect } => {
                let next = Announced { secret: which.secret, token: which.token, role, old_role, effect: *effect };
                write(Rotation::announced(row.as_ref(), next, writing));
            }
            Action::Drain { sessions, .. } => {
                if !self.stubborn {
                    self.sessions.retain(|session| !sessions.contains(session));
                }
            }
            Action::SetPassword { role, .. } => {
                let pending = seen.pending.clone().expect("created").expect("fit");
                let password = Some(pending.password().to_owned()).filter(|_| !self.deaf);
                self.passwords.insert(role.clone(), password);
            }
            Action::MoveCurrent { from } => {
                for (version, (_, labels)) in &mut self.versions {
                    labels.remove("AWSPREVIOUS");
                    if version == from {
                        labels.remove(CURRENT);
                        labels.insert("AWSPREVIOUS");
                    }
                    if version == which.token {
                        labels.insert(CURRENT);
                    }
                }
            }
            Action::Restore { role } => {
                let before = seen.previous.as_ref().filter(|previous| previous.username() == role);
                self.passwords.insert(role.clone(), before.map(|previous| previous.password().to_owned()));
            }
            Action::ClearPending => {
                self.versions.entry(which.token.to_owned()).or_default().1.remove(PENDING);
            }
            Action::Record { phase } => write(row.expect("announced").at(*phase, writing)),
        }
    }
}

impl Clock for Rotating {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.with(|inner| inner.now))
    }

    async fn pause(&self, by: Duration) {
        self.pass(by);
    }
}

impl World for Rotating {
    async fn look(&self, which: Which<'_>, depth: Depth) -> Result<Observed, Blocked> {
        Ok(self.with(|inner| {
            inner.now += 20;
            inner.observed(which, depth)
        }))
    }

    async fn act(&self, which: Which<'_>, action: &Action, seen: &Observed) -> Result<(), Blocked> {
        let done = self.with(|inner| {
            let died = Err(Blocked::Failed { what: "the function died".to_owned(), passes: false });
            inner.now += 20;
            if inner.dies == Some((0, false)) {
                return died;
            }
            inner.check(which, action);
            inner.acts.push(action.clone());
            inner.take_effect(which, action, seen);
            match inner.dies {
                Some((0, true)) => died,
                Some((more, effect)) => {
                    inner.dies = Some((more - 1, effect));
                    Ok(())
                }
                None => Ok(()),
            }
        });
        self.current_user();
        done
    }

    fn audit(&self, what: &str, data: serde_json::Value) {
        self.with(|inner| inner.said.push(format!("{what} {data}")));
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing waits here"),
    }
}
