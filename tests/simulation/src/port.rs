//! The ports of one coordinator's invocation: every request travels, may be lost, and takes its time.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use steadfast_core::episode::Episode;
use steadfast_core::evidence::Entry;
use steadfast_core::lease::Lease;
use steadfast_core::metric::Metric;
use steadfast_core::mode::Mode;
use steadfast_core::notice::{Notice, Severity};
use steadfast_core::pin::{Aim, Pin, PinName};
use steadfast_core::ports::{
    CallError, Clock, ControlPlane, Drainer, Log, Names, Notifier, State, StateError, StateTable, Under,
};
use steadfast_core::switchover::Quiesced;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment, InstanceId, Owner, Topology};
use steadfast_core::witness::WitnessReport;
use steadfast_scenario::Service;

use crate::check::Knowledge;
use crate::invariant::Invariant;
use crate::kernel::{Handle, Micros, Sleep, TaskId};
use crate::plan::{Flaw, When};
use crate::world::platform::Asker;
use crate::world::quiesce::Reply;
use crate::world::service::{Meeting, Told};
use crate::world::table::{Condition, superseded, unavailable};
use crate::world::{World, micros};

/// Longer than a lease lasts.
const STANDS_STILL: Micros = 15_000_000;
/// How long an operator's pause lasts.
const PAUSED_FOR: Micros = 30_000_000;

/// What one invocation sees of the world.
pub(crate) struct Port {
    handle: Handle,
    task: TaskId,
    ahead_ms: i64,
    me: Owner,
    known: Mutex<Knowledge>,
}

/// Why a request has no answer of its own.
enum Failure {
    Refused(&'static str),
    Broken,
    Unanswered,
    /// A second attempt was answered, after the first had taken effect.
    Repeated,
}

impl Port {
    pub(crate) fn new(handle: Handle, task: TaskId, ahead_ms: i64, me: Owner) -> Self {
        Self { handle, task, ahead_ms, me, known: Mutex::default() }
    }

    /// The world.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.handle.world()
    }

    fn deployment(&self) -> Deployment {
        self.world().plan.scenario.deployment
    }

    fn learn(&self, what: impl FnOnce(&mut Knowledge)) {
        if let Ok(mut known) = self.known.lock() {
            what(&mut known);
        }
    }

    fn learn_state(&self, state: &State) {
        self.learn(|known| {
            known.state = Some(state.clone());
            known.reads_since = known.reads_since.saturating_add(1);
        });
    }

    /// The state as the coordinator is told it in this world.
    fn as_told(&self, mut state: State) -> State {
        match self.world().plan.flaw {
            Some(Flaw::DeafToMode) => state.mode = Mode::Armed,
            Some(Flaw::EchoesOneWitness) => {
                if let Some(echoed) = state.reports.get(1).cloned() {
                    for report in &mut state.reports {
                        *report = WitnessReport { az: report.az.clone(), ..echoed.clone() };
                    }
                }
            }
            Some(_) | None => {}
        }
        state
    }

    fn known(&self) -> Knowledge {
        self.known.lock().map(|known| known.clone()).unwrap_or_default()
    }

    /// One request: it takes effect when it arrives, whether or not its sender is still there.
    async fn request<R: Send + 'static>(
        &self,
        service: Service,
        action: &'static str,
        deed: impl FnOnce(&mut World) -> R + Send + 'static,
    ) -> Result<R, Failure> {
        let slot: Arc<Mutex<Option<R>>> = Arc::default();
        let stands_still;
        let (answers, told) = {
            let mut world = self.world();
            let crash = world.crash_is_due();
            let mut meeting = world.meet(service, action);
            if matches!(crash, Some(When::Lost | When::LostAndStalled)) {
                meeting = meeting.losing_its_answer();
            }
            let arrives = meeting.arrives.filter(|_| crash != Some(When::Before));
            if let Some(arrives) = arrives {
                let answer = Arc::clone(&slot);
                world.agenda.after(arrives, move |world| {
                    let result = deed(world);
                    if let Ok(mut answer) = answer.lock() {
                        *answer = Some(result);
                    }
                });
            }
            let task = self.task;
            stands_still = matches!(crash, Some(When::Stalled | When::LostAndStalled));
            match crash {
                Some(When::Before) => world.agenda.after(0, move |world| world.kill_coordinator(task)),
                Some(When::After) => {
                    world.agenda.after(arrives.unwrap_or(0) + 1, move |world| world.kill_coordinator(task));
                }
                Some(When::Meanwhile) => world.invoke_coordinator("meanwhile"),
                Some(When::Paused) => world.pause_for(PAUSED_FOR),
                Some(When::Lost | When::Stalled | When::LostAndStalled) | None => {}
            }
            (meeting.answers, meeting.told)
        };
        Sleep::new(&self.handle, self.task, answers).await;
        let stall = if stands_still { STANDS_STILL } else { self.world().any_stall() };
        if stall > 0 {
            Sleep::new(&self.handle, self.task, stall).await;
        }
        let answer = slot.lock().map_or(None, |mut answer| answer.take());
        match (told, answer) {
            (Told::Answer, Some(answer)) => Ok(answer),
            (Told::SecondAnswer, Some(_)) => Err(Failure::Repeated),
            (Told::Refused(code), _) => Err(Failure::Refused(code)),
            (Told::Broken, _) => Err(Failure::Broken),
            (Told::Answer | Told::SecondAnswer | Told::Nothing, _) => Err(Failure::Unanswered),
        }
    }

    /// A transaction carries a token: once it has succeeded a second attempt does nothing and succeeds. One that was
    /// refused is judged anew.
    async fn transact(
        &self,
        deed: impl Fn(&mut World) -> Result<(), StateError> + Clone + Send + 'static,
    ) -> Result<(), StateError> {
        let first: Arc<Mutex<Option<Result<(), StateError>>>> = Arc::default();
        let (kept, once) = (Arc::clone(&first), deed.clone());
        let written = self.request(Service::StateTable, "TransactWriteItems", move |world| {
            let result = once(world);
            if let Ok(mut kept) = kept.lock() {
                *kept = Some(result.clone());
            }
            result
        });
        match written.await {
            Ok(result) => result,
            Err(Failure::Repeated) => match first.lock().map_or(None, |mut kept| kept.take()) {
                Some(Ok(())) => Ok(()),
                Some(Err(_)) | None => deed(&mut self.world()),
            },
            Err(failure) => Err(state_error(&failure)),
        }
    }
}

/// An error of the state table. What a second attempt meets is told by the caller.
fn state_error(failure: &Failure) -> StateError {
    match failure {
        Failure::Refused(code) => unavailable(code),
        Failure::Broken => unavailable("InternalServerError"),
        Failure::Unanswered | Failure::Repeated => unavailable("no answer in time"),
    }
}

fn call_error(action: &'static str, failure: &Failure) -> CallError {
    match failure {
        Failure::Refused(code) => {
            CallError::Refused { action, code: (*code).to_owned(), message: "refused".to_owned() }
        }
        Failure::Broken => CallError::Unanswered { action, cause: "InternalFailure".to_owned() },
        Failure::Unanswered | Failure::Repeated => CallError::Unanswered { action, cause: "timeout".to_owned() },
    }
}

/// One decision in one line, without what differs from clock to clock.
fn decision_line(me: &Owner, rule: u16, data: &Value) -> String {
    let name = me.as_str().split('@').next().unwrap_or_default();
    let word = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
    let target = match data.get("target").and_then(Value::as_str) {
        Some(target) if word("verdict").contains("fail_over") => format!(" -> {target}"),
        Some(_) | None => String::new(),
    };
    format!("{name:<4} rule {rule} {}: {}{target}", word("verdict"), word("says"))
}

impl Clock for Port {
    fn now(&self) -> Timestamp {
        self.world().clock(self.ahead_ms)
    }

    fn pause(&self, by: Duration) -> impl Future<Output = ()> + Send {
        Sleep::new(&self.handle, self.task, micros(by))
    }
}

impl StateTable for Port {
    async fn load(&self, _: &ClusterId) -> Result<State, StateError> {
        let state = self.request(Service::StateTable, "Query", |world| world.table.load()).await;
        match state {
            Ok(state) => {
                self.learn_state(&state);
                Ok(self.as_told(state))
            }
            // A read that is tried again is read again.
            Err(Failure::Repeated) => {
                let state = self.world().table.load();
                self.learn_state(&state);
                Ok(self.as_told(state))
            }
            Err(failure) => Err(state_error(&failure)),
        }
    }

    async fn write_lease(&self, _: &ClusterId, seen: Option<&Lease>, next: &Lease) -> Result<(), StateError> {
        let (seen, next) = (seen.cloned(), next.clone());
        self.world().check_lease_write(&self.me, seen.as_ref(), &next);
        let written =
            self.request(Service::StateTable, "PutItem", move |world| world.write_lease(seen.as_ref(), &next)).await;
        match written {
            Ok(result) => result,
            // The condition no longer holds: the first attempt has changed what was seen.
            Err(Failure::Repeated) => Err(superseded()),
            Err(failure) => Err(state_error(&failure)),
        }
    }

    async fn commit(
        &self,
        under: Under<'_>,
        episode: &Episode,
        seen_version: Option<u64>,
        entries: &[Entry],
    ) -> Result<(), StateError> {
        let condition = Condition::from(under);
        let (episode, entries) = (episode.clone(), entries.to_vec());
        self.transact(move |world| world.commit_episode(&condition, episode.clone(), seen_version, entries.clone()))
            .await
    }

    async fn write_pin(&self, _: &ClusterId, seen: Option<u64>, next: &Pin) -> Result<(), StateError> {
        let next = next.clone();
        self.transact(move |world| world.write_pin(seen, next.clone())).await
    }
}

impl Names for Port {
    fn stable_name(&self) -> Option<PinName> {
        self.world().stable_name()
    }

    /// The name service fares as the topic does, but is asked once.
    async fn point(&self, aim: &Aim) -> Result<(), CallError> {
        let aim = aim.clone();
        self.request(Service::Notifier, "ChangeResourceRecordSets", move |world| world.point(&aim))
            .await
            .map_err(|failure| call_error("ChangeResourceRecordSets", &failure))
    }
}

impl ControlPlane for Port {
    async fn describe(&self, _: &ClusterId) -> Result<Topology, CallError> {
        let asked_at = self.world().agenda.now();
        let action = match self.deployment() {
            Deployment::Cluster => "DescribeDBClusters",
            Deployment::Instance => "DescribeDBInstances",
        };
        let beside = self.describe_instances_beside();
        let seen = self.request(Service::Rds, action, |world| {
            let view = world.view();
            world.topology(&view)
        });
        let seen = seen.await.map_err(|failure| call_error(action, &failure));
        self.await_instances(asked_at, beside).await?;
        let seen = seen?;
        self.learn(|known| {
            known.topology = Some(seen.clone());
            (known.asked_at, known.reads_since) = (asked_at, 0);
        });
        Ok(seen)
    }

    async fn fail_over(&self, _: &ClusterId, target: &InstanceId) -> Result<(), CallError> {
        if self.world().plan.flaw == Some(Flaw::CallsTwice) {
            let _first = self.call(target).await;
        }
        self.call(target).await
    }
}

impl Port {
    async fn call(&self, target: &InstanceId) -> Result<(), CallError> {
        let known = self.known();
        let (me, name) = (self.me.clone(), target.clone());
        let now = self.now();
        let call = self.world().check_call(&me, now, &known, &name);
        let deployment = self.deployment();
        let action = deployment.failover_action();
        let called = self
            .request(Service::Rds, action, move |world| {
                world.check_arrival(&me, &known, &name);
                let answer = match deployment {
                    Deployment::Cluster => {
                        let nth = world.nth(&name);
                        world.fail_over(Asker::Steadfast, nth)
                    }
                    Deployment::Instance => world.reboot_with_failover(Asker::Steadfast),
                };
                if answer.is_ok() {
                    world.watch.accepted = world.watch.accepted.saturating_add(1);
                    world.call_begins(call);
                }
                answer
            })
            .await;
        if matches!(called, Ok(Err(_)) | Err(Failure::Refused(_))) {
            self.world().call_refused(call);
        }
        match called {
            Ok(Ok(())) => Ok(()),
            Ok(Err(code)) => Err(call_error(action, &Failure::Refused(code))),
            Err(failure) => Err(call_error(action, &failure)),
        }
    }
}

impl Drainer for Port {
    async fn evict(&self, _: &ClusterId, epoch: u64, demoted: &InstanceId) -> Result<(), CallError> {
        let known = self.known();
        let name = demoted.clone();
        self.world().check_eviction(&self.me, &known, epoch, &name);
        self.request(Service::Invocations, "Invoke", move |world| {
            if let Some(nth) = world.nth(&name) {
                world.invoke_drainer(epoch, nth);
            }
        })
        .await
        .map_err(|failure| call_error("Invoke", &failure))
    }

    async fn quiesce(&self, _: &ClusterId, epoch: u64, writer: &InstanceId) -> Result<Quiesced, CallError> {
        let known = self.known();
        self.world().check_quiesce(&self.me, &known, epoch, writer);
        let (name, reply) = (writer.clone(), Reply::default());
        let sent = Arc::clone(&reply);
        self.request(Service::Invocations, "Invoke", move |world| {
            if let Some(nth) = world.nth(&name) {
                world.start_quiesce(epoch, nth, sent);
            }
        })
        .await
        .map_err(|failure| call_error("Invoke", &failure))?;
        self.reply(reply).await
    }

    async fn resume(&self, _: &ClusterId, epoch: u64, hold: &str) -> Result<(), CallError> {
        let hold = hold.to_owned();
        self.world().check_resume(&self.me, epoch);
        self.request(Service::Invocations, "Invoke", move |world| world.start_resume(&hold))
            .await
            .map_err(|failure| call_error("Invoke", &failure))
    }
}

impl Port {
    /// How the members' description fares, which is asked for at the same time as the cluster's.
    fn describe_instances_beside(&self) -> Option<Meeting> {
        let mut world = self.world();
        (!world.is_multi_az()).then(|| world.meet(Service::Rds, "DescribeDBInstances"))
    }

    async fn await_instances(&self, asked_at: Micros, beside: Option<Meeting>) -> Result<(), CallError> {
        let Some(meeting) = beside else {
            return Ok(());
        };
        let gone = self.world().agenda.now().saturating_sub(asked_at);
        let left = meeting.answers.saturating_sub(gone);
        if left > 0 {
            Sleep::new(&self.handle, self.task, left).await;
        }
        let failure = match meeting.told {
            Told::Answer | Told::SecondAnswer => return Ok(()),
            Told::Refused(code) => Failure::Refused(code),
            Told::Broken => Failure::Broken,
            Told::Nothing => Failure::Unanswered,
        };
        Err(call_error("DescribeDBInstances", &failure))
    }
}

/// How long the coordinator waits for the drainer's answer, and how often it looks for it.
const QUIESCE_LIMIT: Micros = 9_000_000;
const LOOKS_FOR_ANSWER: Micros = 5_000;

impl Port {
    /// The drainer takes its time; its answer may be long in coming, or never come.
    async fn reply(&self, reply: Reply) -> Result<Quiesced, CallError> {
        let until = self.world().agenda.now().saturating_add(QUIESCE_LIMIT);
        while self.world().agenda.now() < until {
            if let Some(answer) = reply.lock().map_or(None, |mut reply| reply.take()) {
                return Ok(answer);
            }
            Sleep::new(&self.handle, self.task, LOOKS_FOR_ANSWER).await;
        }
        Err(call_error("Invoke", &Failure::Unanswered))
    }
}

impl Notifier for Port {
    async fn notify(&self, notice: &Notice) -> Result<(), CallError> {
        let critical = notice.severity == Severity::Critical;
        if critical {
            self.world().check_message(&self.me);
        }
        self.request(Service::Notifier, "Publish", move |world| world.people_are_told(critical))
            .await
            .map_err(|failure| call_error("Publish", &failure))
    }
}

impl Log for Port {
    fn audit(&self, what: &str, data: Value) {
        let mut world = self.world();
        if what == "decision"
            && let Some(rule) = data.get("rule").and_then(Value::as_u64).and_then(|rule| u16::try_from(rule).ok())
        {
            *world.watch.rules.entry(rule).or_default() += 1;
            let line = decision_line(&self.me, rule, &data);
            world.note(|| line.clone());
            if world.plan.keeps_decisions() {
                let now = world.agenda.now();
                world.watch.decisions.push((now, line));
            }
        } else if what != "evidence" {
            let me = self.me.clone();
            world.note(|| format!("{me} {what} {data}"));
        }
    }

    fn error(&self, what: &str, data: Value) {
        self.world().violate(Invariant::NoError, format!("{what} {data}"));
    }

    fn measure(&self, _: &ClusterId, _: &[(Metric, u64)]) {}
}
