//! Functions as Lambda runs them: started late, twice, again after a failure, and killed anywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_core::executor::{Executor, Outcome, Patience};
use steadfast_core::ports::StateError;
use steadfast_core::switchover::{NotReady, Ordered};
use steadfast_core::topology::Owner;
use steadfast_scenario::Service;

use super::{MS, Micros, SECOND, World, micros};
use crate::kernel::TaskId;
use crate::plan::Flaw;
use crate::port::Port;

/// The coordinator's time limit, as deployed.
const LIMIT: Duration = Duration::from_secs(300);
/// Left of it when the executor stops, as deployed.
const MARGIN: Duration = Duration::from_secs(3);
/// How long it looks for a quorum, as deployed.
const SUSPICION: Duration = Duration::from_secs(15);
/// Waits before the second and the third try of a failed asynchronous invocation.
pub(super) const RETRIES: [Micros; 2] = [60 * SECOND, 120 * SECOND];
/// The sweep.
const SWEEP_EVERY: Micros = 60 * SECOND;

/// What runs.
#[derive(Default)]
pub(crate) struct Functions {
    invocations: u64,
    /// Coordinators that run, by task.
    pub(crate) running: BTreeMap<TaskId, Invocation>,
    orders: u64,
}

/// One invocation of the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    why: &'static str,
    /// How often it was tried before.
    tries: usize,
    order: Option<Ordered>,
}

impl World {
    pub(super) fn begin_ticks(&mut self) {
        let first = self.dice.between(0, SWEEP_EVERY);
        self.agenda.after(first, Self::sweep);
    }

    fn sweep(&mut self) {
        self.invoke_coordinator("sweep");
        self.agenda.after(SWEEP_EVERY, Self::sweep);
    }

    /// A function asks for the coordinator: the request itself may fail.
    pub(crate) fn wake_coordinator(&mut self, why: &'static str) {
        let meeting = self.meet(Service::Invocations, "Invoke");
        if let Some(arrives) = meeting.arrives {
            self.agenda.after(arrives, move |world| world.invoke_coordinator(why));
        }
    }

    /// Lambda accepts an event for the coordinator.
    pub(crate) fn invoke_coordinator(&mut self, why: &'static str) {
        if self.plan.flaw == Some(Flaw::NobodyWakes) {
            return;
        }
        self.invoke(&Invocation { why, tries: 0, order: None });
    }

    /// An operator orders a switchover, to an instance of his choice or to any.
    pub(super) fn order_switchover(&mut self) {
        self.functions.orders = self.functions.orders.saturating_add(1);
        let named = self.plan.noise.any_order.then(|| self.dice.between(0, 9)).filter(|nth| *nth < 3);
        let target = named.and_then(|nth| self.names.instances.get(usize::try_from(nth).unwrap_or(0)).cloned());
        let request = format!("order {}", self.functions.orders);
        let order = Ordered { target, reason: "exercise".to_owned(), request };
        self.note(|| format!("operator orders a switchover: {order:?}"));
        self.count(|| "switchover ordered".to_owned());
        self.invoke(&Invocation { why: "operator", tries: 0, order: Some(order) });
    }

    fn invoke(&mut self, invocation: &Invocation) {
        let disturbance = self.disturbance();
        let twice = disturbance.doubled || self.dice.happens(self.plan.noise.doubles);
        for _ in 0..=u8::from(twice) {
            let late = micros(self.plan.noise.start_late_max).max(30 * MS);
            let delay = self.dice.between(5 * MS, late).saturating_add(micros(disturbance.delay));
            let invocation = invocation.clone();
            self.agenda.after(delay, move |world| world.start_coordinator(invocation));
        }
    }

    fn start_coordinator(&mut self, invocation: Invocation) {
        let Invocation { why, tries, order } = invocation.clone();
        let Some(handle) = self.root.handle() else {
            return;
        };
        self.functions.invocations = self.functions.invocations.saturating_add(1);
        let task = self.agenda.next_task();
        let ahead_ms = match self.disturbance().ahead_ms {
            0 => self.any_skew(),
            set => set,
        };
        let me = Owner::new(format!("c{}@{}", self.functions.invocations, self.clock(ahead_ms).as_millis()));
        let until = self.clock(ahead_ms).plus(LIMIT).minus(MARGIN);
        let patience = Patience { until, suspicion: SUSPICION };
        let (policy, cluster) = (std::sync::Arc::clone(&self.policy), self.names.cluster.clone());
        self.note(|| format!("{me} starts: {why}, try {}", tries + 1));
        let idle = self.table.episode.as_ref().is_none_or(|episode| episode.closed.is_some());
        self.count_if(tries > 0 && idle, "retry after the end of the episode");
        self.count_if(tries > 0 && !idle, "retry into an open episode");
        self.count_if(!self.functions.running.is_empty(), "coordinator beside another");
        self.functions.running.insert(task, invocation);
        let port = Port::new(handle, task, ahead_ms, me.clone());
        self.agenda.spawn(
            task,
            Box::pin(async move {
                let executor = Executor::new(&port, &policy, cluster, me);
                let outcome = match order {
                    None => executor.run(patience).await.map(Ok),
                    Some(order) => executor.switch_over(&order, patience).await,
                };
                port.world().coordinator_ended(task, outcome);
            }),
        );
    }

    fn coordinator_ended(&mut self, task: TaskId, outcome: Result<Result<Outcome, NotReady>, StateError>) {
        let invocation = self.functions.running.remove(&task);
        match outcome {
            Ok(Err(because)) => {
                self.note(|| format!("order refused: {because}"));
                self.count(|| "order refused".to_owned());
                self.count_if(matches!(because, NotReady::Repeated(_)), "order brought again");
            }
            Ok(Ok(outcome)) => self.note(|| format!("coordinator ends: rule {}", outcome.rule)),
            Err(error) => {
                self.note(|| format!("coordinator fails: {error}"));
                self.retry(invocation);
            }
        }
    }

    /// Ends an invocation where it is; Lambda tries it again.
    pub(crate) fn kill_coordinator(&mut self, task: TaskId) {
        if let Some(invocation) = self.functions.running.remove(&task) {
            self.note(|| format!("coordinator of task {} is killed", task.0));
            self.count(|| "coordinator killed".to_owned());
            self.agenda.kill(task);
            self.retry(Some(invocation));
        }
    }

    /// Ends all of them.
    pub(crate) fn kill_coordinators(&mut self) {
        let running: Vec<TaskId> = self.functions.running.keys().copied().collect();
        for task in running {
            self.kill_coordinator(task);
        }
    }

    fn retry(&mut self, failed: Option<Invocation>) {
        let Some(failed) = failed else {
            return;
        };
        if let Some(delay) = RETRIES.get(failed.tries) {
            let again = Invocation { why: "retry", tries: failed.tries + 1, order: failed.order };
            self.agenda.after(*delay, move |world| world.start_coordinator(again));
        }
    }
}
