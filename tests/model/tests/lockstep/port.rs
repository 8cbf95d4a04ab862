//! A coordinator's world that answers only when it is told to: every request waits to be looked at.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use steadfast_core::episode::Episode;
use steadfast_core::evidence::Entry;
use steadfast_core::executor::{Executor, Outcome, Patience};
use steadfast_core::lease::Lease;
use steadfast_core::metric::Metric;
use steadfast_core::notice::Notice;
use steadfast_core::pin::{self, Aim, PinName};
use steadfast_core::policy::Policy;
use steadfast_core::ports::{
    CallError, Clock, ControlPlane, Drainer, Log, Names, Notifier, State, StateError, StateTable, Under,
};
use steadfast_core::switchover::Quiesced;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, InstanceId, Owner, Topology};

/// What the executor asks of the outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    Describe,
    Load,
    Commit(Box<Commit>),
    WriteLease { seen: Option<Lease>, next: Lease },
    FailOver { target: InstanceId },
    Evict,
    Notify,
    Pause,
}

/// A transaction of the state table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Commit {
    pub(crate) under: Condition,
    pub(crate) episode: Episode,
    pub(crate) seen_version: Option<u64>,
    pub(crate) entries: Vec<Entry>,
}

/// [`Under`] without its lifetime.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Held(Lease),
    Armed(Lease),
    Changing { seen: Option<Lease>, next: Lease },
}

/// What the outside answers.
pub(crate) enum Answer {
    Described(Topology),
    Loaded(Box<State>),
    Written(Result<(), StateError>),
    Called(Result<(), CallError>),
    Done,
}

/// What lies between one executor and the outside.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) request: Option<Request>,
    answer: Option<Answer>,
    now: Timestamp,
    errors: Vec<String>,
}

/// The world of one executor.
#[derive(Clone, Default)]
pub(crate) struct Port(Arc<Mutex<Slot>>);

/// A running executor.
pub(crate) struct Actor {
    port: Port,
    run: Pin<Box<dyn Future<Output = Result<Outcome, StateError>>>>,
    pub(crate) name: Owner,
    pub(crate) finished: bool,
}

impl Port {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, request: Request) -> Answer {
        self.slot().request = Some(request);
        poll_fn(|_| {
            let mut slot = self.slot();
            match slot.answer.take() {
                Some(answer) => {
                    slot.request = None;
                    Poll::Ready(answer)
                }
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Actor {
    /// An executor that has not begun.
    pub(crate) fn new(name: &str, policy: Policy, cluster: &str, now: Timestamp) -> Self {
        let port = Port::default();
        port.slot().now = now;
        let (world, name, cluster) = (port.clone(), Owner::new(name), ClusterId::new(cluster));
        let me = name.clone();
        let patience =
            Patience { until: now.plus(Duration::from_secs(1_000_000)), suspicion: Duration::from_secs(1_000_000) };
        let run = Box::pin(async move { Executor::new(&world, &policy, cluster, me).run(patience).await });
        Self { port, run, name, finished: false }
    }

    /// What it waits for.
    pub(crate) fn request(&self) -> Option<Request> {
        self.port.slot().request.clone()
    }

    /// Whether its request has been answered and it has not gone on yet.
    pub(crate) fn has_answer(&self) -> bool {
        self.port.slot().answer.is_some()
    }

    /// Answers its request. It does not go on before it is told to.
    pub(crate) fn answer(&self, answer: Answer) {
        self.port.slot().answer = Some(answer);
    }

    /// What its clock says from now on.
    pub(crate) fn set_clock(&self, now: Timestamp) {
        self.port.slot().now = now;
    }

    /// Goes on until it waits again or ends.
    pub(crate) fn go_on(&mut self) {
        if !self.finished && self.run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.finished = true;
            self.port.slot().request = None;
        }
    }

    /// What it logged that the code rules out.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.port.slot().errors.clone()
    }
}

impl Clock for Port {
    fn now(&self) -> Timestamp {
        self.slot().now
    }

    async fn pause(&self, _: Duration) {
        let _answer = self.ask(Request::Pause).await;
    }
}

impl StateTable for Port {
    async fn load(&self, _: &ClusterId) -> Result<State, StateError> {
        match self.ask(Request::Load).await {
            Answer::Loaded(state) => Ok(*state),
            Answer::Described(_) | Answer::Written(_) | Answer::Called(_) | Answer::Done => Err(unfit("load")),
        }
    }

    async fn write_lease(&self, _: &ClusterId, seen: Option<&Lease>, next: &Lease) -> Result<(), StateError> {
        match self.ask(Request::WriteLease { seen: seen.cloned(), next: next.clone() }).await {
            Answer::Written(result) => result,
            Answer::Described(_) | Answer::Loaded(_) | Answer::Called(_) | Answer::Done => Err(unfit("write_lease")),
        }
    }

    async fn commit(
        &self,
        under: Under<'_>,
        episode: &Episode,
        seen_version: Option<u64>,
        entries: &[Entry],
    ) -> Result<(), StateError> {
        let under = match under {
            Under::Held(lease) => Condition::Held(lease.clone()),
            Under::Armed(lease) => Condition::Armed(lease.clone()),
            Under::Changing { seen, next } => Condition::Changing { seen: seen.cloned(), next: next.clone() },
        };
        let commit = Commit { under, episode: episode.clone(), seen_version, entries: entries.to_vec() };
        match self.ask(Request::Commit(Box::new(commit))).await {
            Answer::Written(result) => result,
            Answer::Described(_) | Answer::Loaded(_) | Answer::Called(_) | Answer::Done => Err(unfit("commit")),
        }
    }

    async fn write_pin(&self, _: &ClusterId, _: Option<u64>, _: &pin::Pin) -> Result<(), StateError> {
        Err(unfit("write_pin"))
    }
}

/// The model has no stable name: it is set when the protocol has come to its end.
impl Names for Port {
    fn stable_name(&self) -> Option<PinName> {
        None
    }

    async fn point(&self, _: &Aim) -> Result<(), CallError> {
        Err(no_answer())
    }
}

impl ControlPlane for Port {
    async fn describe(&self, _: &ClusterId) -> Result<Topology, CallError> {
        match self.ask(Request::Describe).await {
            Answer::Described(topology) => Ok(topology),
            Answer::Loaded(_) | Answer::Written(_) | Answer::Called(_) | Answer::Done => Err(no_answer()),
        }
    }

    async fn fail_over(&self, _: &ClusterId, target: &InstanceId) -> Result<(), CallError> {
        match self.ask(Request::FailOver { target: target.clone() }).await {
            Answer::Called(result) => result,
            Answer::Described(_) | Answer::Loaded(_) | Answer::Written(_) | Answer::Done => Err(no_answer()),
        }
    }
}

impl Drainer for Port {
    async fn evict(&self, _: &ClusterId, _: u64, _: &InstanceId) -> Result<(), CallError> {
        let _answer = self.ask(Request::Evict).await;
        Ok(())
    }

    async fn quiesce(&self, _: &ClusterId, _: u64, _: &InstanceId) -> Result<Quiesced, CallError> {
        Err(no_answer())
    }

    async fn resume(&self, _: &ClusterId, _: u64, _: &str) -> Result<(), CallError> {
        Err(no_answer())
    }
}

impl Notifier for Port {
    async fn notify(&self, _: &Notice) -> Result<(), CallError> {
        let _answer = self.ask(Request::Notify).await;
        Ok(())
    }
}

impl Log for Port {
    fn audit(&self, _: &str, _: serde_json::Value) {}

    fn error(&self, what: &str, data: serde_json::Value) {
        self.slot().errors.push(format!("{what}: {data}"));
    }

    fn measure(&self, _: &ClusterId, _: &[(Metric, u64)]) {}
}

/// An answer that does not fit its request: the comparison itself is wrong.
fn unfit(request: &str) -> StateError {
    StateError::Malformed { table: "t".to_owned(), item: request.to_owned(), cause: "unfit answer".to_owned() }
}

/// The control plane's silence.
pub(crate) fn no_answer() -> CallError {
    CallError::Unanswered { action: "FailoverDBCluster", cause: "timeout".to_owned() }
}
