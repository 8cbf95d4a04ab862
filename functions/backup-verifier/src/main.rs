//! Restores a backup beside production, opens it, looks through it, tells the verdict and deletes what it made.
//!
//! Woken by: a daily schedule or an operator, with an order that holds the manifest; a one-minute schedule, whose tick
//! brings the open run one step further, or deletes what earlier runs left. Each invocation takes one step: a restore
//! outlasts a function, and so does a look through a large database. Runs in the VPC. Calls: RDS, Secrets Manager (to
//! read), SNS. Never touches a name that it did not make.
//!
//! No rule lives here: what comes next is judged in `steadfast_core::verification`.

mod setup;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use steadfast_aws::verification::FUNCTION;
use steadfast_aws::{log, startup};
use steadfast_core::hint::{self, Hint};
use steadfast_core::ports::Clock as _;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::Owner;
use steadfast_core::verification::Manifest;
use steadfast_core::verification::executor::{self, Advanced};

use setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = startup::ready(Setup::from_environment()).await;
    lambda_runtime::run(service_fn(|event| handle(&setup, event))).await
}

/// What the daily schedule or an operator orders.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "order")]
enum Order {
    /// Begin a run, unless one is open.
    Verify {
        #[serde(default)]
        manifest: Manifest,
    },
}

async fn handle(setup: &Setup, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let database = &setup.verifier.database;
    let cluster = event.payload.get("cluster").and_then(Value::as_str);
    if cluster.is_some_and(|cluster| cluster != database.as_str()) {
        return Ok(json!({ "ignored": "another cluster", "mine": database }));
    }
    let order = match event.payload.get("order") {
        Some(_) => {
            let order: Order = serde_json::from_value(event.payload)
                .map_err(|error| format!("not an order: {error}; see payloads/verify.json"))?;
            let Order::Verify { manifest } = order;
            Some(manifest)
        }
        None if hint::parse(&event.payload) == Hint::Tick => None,
        None => {
            log::audit(FUNCTION, "ignored", &json!({ "cluster": cluster }));
            return Ok(json!({ "ignored": "neither an order nor a tick" }));
        }
    };
    let until = Timestamp::from_millis(event.context.deadline).minus(setup::MARGIN);
    let me = Owner::new(format!("{}@{}", event.context.request_id, setup.verifier.now().as_millis()));
    let advanced = match &order {
        Some(manifest) => executor::take_order(&setup.verifier, &me, manifest, until).await,
        None => executor::advance(&setup.verifier, &me, None, until).await,
    };
    match advanced {
        Ok(Advanced::Nothing) => tidy(setup, &me).await,
        Ok(Advanced::Waits(on)) => Ok(json!({ "waits": on })),
        Ok(Advanced::Did { run, action }) => Ok(json!({ "run": run.id, "did": action, "open": run.is_open(),
            "verified": run.recorded.then(|| run.is_verified()) })),
        Err(error) => {
            log::audit(FUNCTION, "not_done", &json!({ "error": error.what }));
            Err(error.what.into())
        }
    }
}

/// No run is open: whatever carries our tag is left over.
async fn tidy(setup: &Setup, me: &Owner) -> Result<Value, Error> {
    let verifier = &setup.verifier;
    let latest = verifier.table.verification(&verifier.database).await?;
    let deleted = executor::tidy(verifier, me, verifier.database.as_str(), latest.as_ref()).await;
    let deleted = deleted.map_err(|error| error.what)?;
    Ok(json!({ "open": false, "deleted": deleted }))
}
