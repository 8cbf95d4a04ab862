//! Takes the lease, looks, decides, runs the episode's steps to the end, proves, records, tells.
//!
//! Woken by: probers, the event router, a one-minute sweep, an operator. Writes: lease, episode and
//! evidence in the state table. Calls: RDS, the drainer, SNS, Route 53 if a name is pinned. Runs outside the VPC and touches no
//! database: its acting must survive a sick subnet.
//!
//! No rule lives here: the decision is `steadfast_core::decision::decide`.

mod order;
mod setup;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use steadfast_aws::startup;
use steadfast_core::executor::{Executor, Patience};
use steadfast_core::hint::{self, Hint};
use steadfast_core::notice;
use steadfast_core::ports::{Clock as _, Log as _, Notifier as _};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Owner};

use setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = startup::ready(Setup::from_environment()).await;
    lambda_runtime::run(service_fn(|event| handle(&setup, event))).await
}

async fn handle(setup: &Setup, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let hint = hint::parse(&event.payload);
    let cluster = event.payload.get("cluster").and_then(Value::as_str).map(ClusterId::new);
    setup.world.audit("woken", json!({ "cluster": cluster, "by": hint }));
    if cluster.as_ref().is_some_and(|cluster| *cluster != setup.cluster) {
        return Ok(json!({ "ignored": "another cluster", "mine": setup.cluster }));
    }
    let call = Call { request: &event.context.request_id, deadline_ms: event.context.deadline };
    match hint {
        Hint::Operator(order) => order::obey(setup, order, call).await,
        hint @ Hint::Unknown { .. } => Ok(json!({ "ignored": "not a hint", "hint": hint })),
        Hint::Rds(_)
        | Hint::Alarm { .. }
        | Hint::Experiment { .. }
        | Hint::Rotation { .. }
        | Hint::Tick
        | Hint::Suspicion { .. } => look(setup, call).await,
    }
}

/// One invocation.
#[derive(Clone, Copy)]
pub(crate) struct Call<'c> {
    /// Its id: the same when Lambda tries again.
    pub(crate) request: &'c str,
    deadline_ms: u64,
}

impl Call<'_> {
    /// A name that nobody else uses, not even another try of the same invocation.
    pub(crate) fn owner(self, setup: &Setup) -> Owner {
        Owner::new(format!("{}@{}", self.request, setup.world.now().as_millis()))
    }

    pub(crate) fn patience(self) -> Patience {
        let until = Timestamp::from_millis(self.deadline_ms).minus(setup::MARGIN);
        Patience { until, suspicion: setup::SUSPICION }
    }
}

/// Runs the executor until it has nothing left to do, or shortly before the deadline.
async fn look(setup: &Setup, call: Call<'_>) -> Result<Value, Error> {
    let executor = Executor::new(&setup.world, &setup.policy, setup.cluster.clone(), call.owner(setup));
    match executor.run(call.patience()).await {
        Ok(outcome) => Ok(json!({ "rule": outcome.rule, "verdict": outcome.verdict, "says": outcome.says })),
        Err(error) => {
            tell_state_lost(setup, &error.to_string()).await;
            Err(error.into())
        }
    }
}

/// Tells people at most once a minute per environment that nothing is done.
async fn tell_state_lost(setup: &Setup, error: &str) {
    setup.world.audit("state_lost", json!({ "error": error }));
    let now = setup.world.now();
    let last = setup.told_at.replace(now);
    if now.since(last) < setup::TELL_EVERY {
        setup.told_at.set(last);
        return;
    }
    if let Err(failure) = setup.world.notify(&notice::state_lost(&setup.cluster, setup.deployment, error)).await {
        setup.world.audit("notice_failed", json!({ "error": failure.to_string() }));
    }
}
