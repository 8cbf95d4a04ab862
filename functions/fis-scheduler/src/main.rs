//! Breaks something on purpose once a week, follows it, and judges it by evidence, canary and ledger.
//!
//! Woken by: a weekly schedule or an operator, with an order; a five-minute schedule, whose tick goes on with what was
//! begun and sees which weeks were missed. Writes: its record in the state table. Calls: FIS, RDS (to read), the RDS
//! Data API, SNS. Never starts an experiment while a numbered reason stands against it, and never a second one in a
//! week.
//!
//! No rule lives here: the decision is `steadfast_core::game_day::plan::next`.

mod setup;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use steadfast_aws::startup;
use steadfast_core::game_day::conduct::{Ground as _, conduct};
use steadfast_core::game_day::plan::Wake;
use steadfast_core::hint::{self, Hint};
use steadfast_core::time::Timestamp;

use setup::Setup;

/// The order of the weekly schedule, or of an operator.
const ORDER: &str = "game_day";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = startup::ready(Setup::from_environment()).await;
    lambda_runtime::run(service_fn(|event| handle(&setup, event))).await
}

async fn handle(setup: &Setup, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let text = |name: &str| event.payload.get(name).and_then(Value::as_str);
    if let Some(experiment) = event.payload.get("experiment").filter(|experiment| !experiment.is_string()) {
        return Err(format!("experiment is {experiment}: give the name of one as text, or leave it out").into());
    }
    let mine = setup.programme.cluster.as_str();
    if text("cluster").is_some_and(|cluster| cluster != mine) {
        return Ok(json!({ "ignored": "another cluster", "mine": mine }));
    }
    let world = &setup.world;
    let (wake, until) = match text("order") {
        Some(ORDER) => (Wake::Due, Timestamp::from_millis(event.context.deadline).minus(setup::MARGIN)),
        // The next one looks again: two that follow would only be in each other's way.
        None if hint::parse(&event.payload) == Hint::Tick => (Wake::Sweep, world.now()),
        Some(_) | None => {
            world.audit("ignored", json!({ "cluster": text("cluster"), "order": text("order") }));
            return Ok(json!({ "ignored": "neither the order \"game_day\" nor a tick; see payloads/order.json" }));
        }
    };
    Ok(json!(conduct(world, &setup.programme, wake, text("experiment"), until).await?))
}
