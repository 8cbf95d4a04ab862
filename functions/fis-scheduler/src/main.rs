//! Breaks something on purpose once a week, follows it, and judges it by evidence, canary and ledger.
//!
//! Woken by: a weekly schedule, a sweep, an operator. Writes: its record in the state table. Calls: FIS, RDS (reading),
//! the RDS Data API, SNS. Never starts an experiment while a numbered reason stands against it, and never a second one
//! in a week.
//!
//! No rule lives here: the decision is `steadfast_core::game_day::plan::next`.

mod setup;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use steadfast_aws::startup;
use steadfast_core::game_day::conduct::{Ground as _, conduct};
use steadfast_core::game_day::plan::Wake;
use steadfast_core::time::Timestamp;

use setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = startup::ready(Setup::from_environment()).await;
    lambda_runtime::run(service_fn(|event| handle(&setup, event))).await
}

async fn handle(setup: &Setup, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let text = |name: &str| event.payload.get(name).and_then(Value::as_str);
    let mine = setup.programme.cluster.as_str();
    setup.world.audit("woken", json!({ "cluster": text("cluster"), "by": text("game_day") }));
    if text("cluster").is_some_and(|cluster| cluster != mine) {
        return Ok(json!({ "ignored": "another cluster", "mine": mine }));
    }
    let wake = match text("game_day") {
        Some("due") => Wake::Due,
        Some("sweep") => Wake::Sweep,
        Some(_) | None => return Ok(json!({ "ignored": "game_day must be \"due\" or \"sweep\"" })),
    };
    let until = Timestamp::from_millis(event.context.deadline).minus(setup::MARGIN);
    Ok(json!(conduct(&setup.world, &setup.programme, wake, text("experiment"), until).await?))
}
