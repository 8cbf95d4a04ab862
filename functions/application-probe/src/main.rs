//! An honest application: transfers between its own accounts, through the protected client, all the time.
//!
//! Woken by: a one-minute schedule, in the VPC; loops for longer than a minute, so that two overlap. Writes: its accounts
//! and transfers in the schema `steadfast`, and its report in the state table: what was acknowledged, what failed, how
//! long one waited, and whether the books are as it was told. Never decides.

mod books;
mod run;
mod setup;
mod transfer;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use steadfast_aws::{log, startup};
use steadfast_core::hint::{self, Hint};
use steadfast_core::time::Timestamp;

use setup::Setup;

pub(crate) const FUNCTION: &str = "application-probe";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = startup::ready(Setup::from_environment()).await;
    lambda_runtime::run(service_fn(|event| handle(&setup, event))).await
}

async fn handle(setup: &Setup, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let cluster = event.payload.get("cluster").and_then(Value::as_str);
    if hint::parse(&event.payload) != Hint::Tick || cluster.is_some_and(|cluster| cluster != setup.cluster.as_str()) {
        log::audit(FUNCTION, "ignored", &json!({ "cluster": cluster }));
        return Ok(json!({ "ignored": "not a tick for this cluster", "mine": setup.cluster }));
    }
    let until = Timestamp::from_millis(event.context.deadline).minus(setup::MARGIN);
    let summary = run::run(setup, &event.context.request_id, until).await?;
    log::audit(FUNCTION, "ended", &json!(summary));
    Ok(json!(summary))
}
