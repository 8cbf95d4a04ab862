//! One witness: probes every instance from its Availability Zone and reports what it saw.
//!
//! Woken by: a one-minute schedule, one function per Availability Zone, in the VPC. Loops for the
//! whole invocation, so that two overlap; the newer one takes over. Writes: canary commits on the
//! writer, its report in the state table. Wakes the coordinator when no writer commits. Never
//! decides.

mod board;
mod canary;
mod endpoint;
mod probe;
mod round;
mod setup;
mod watch;
mod whose;

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use steadfast_aws::{log, startup};
use steadfast_core::hint::{self, Hint};
use steadfast_core::time::Timestamp;

use setup::Setup;

pub(crate) const FUNCTION: &str = "health-prober";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Error> {
    let setup = Arc::new(startup::ready(Setup::from_environment()).await);
    lambda_runtime::run(service_fn(|event| handle(Arc::clone(&setup), event))).await
}

async fn handle(setup: Arc<Setup>, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let cluster = event.payload.get("cluster").and_then(Value::as_str);
    if hint::parse(&event.payload) != Hint::Tick || cluster.is_some_and(|cluster| cluster != setup.cluster.as_str()) {
        log::audit(FUNCTION, "ignored", &json!({ "cluster": cluster }));
        return Ok(json!({ "ignored": "not a tick for this cluster", "mine": setup.cluster }));
    }
    let deadline = Timestamp::from_millis(event.context.deadline).minus(setup::MARGIN);
    let summary = round::run(setup, deadline).await?;
    log::audit(FUNCTION, "ended", &json!(summary));
    Ok(json!(summary))
}
