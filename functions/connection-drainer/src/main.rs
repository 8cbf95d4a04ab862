//! Ends read-write sessions that stayed on a demoted instance, and says who was last.
//!
//! Woken by: the coordinator. Runs in the VPC, over direct connections to instances. Never acts on
//! an instance that is the writer, nor on a session that waits for synchronous replication.

mod evict;
mod setup;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use steadfast_aws::{log, startup};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, InstanceId};

use setup::Setup;

pub(crate) const FUNCTION: &str = "connection-drainer";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = startup::ready(Setup::from_environment()).await;
    lambda_runtime::run(service_fn(|event| handle(&setup, event))).await
}

/// What the coordinator asks.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub(crate) enum Request {
    /// End read-write sessions on this instance, which lost the writer role in this episode.
    Evict { cluster: ClusterId, epoch: u64, demoted: InstanceId },
}

async fn handle(setup: &Setup, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let request: Request = match serde_json::from_value(event.payload) {
        Ok(request) => request,
        Err(error) => {
            log::audit(FUNCTION, "ignored", &json!({ "error": error.to_string() }));
            return Ok(json!({ "ignored": format!("not a request: {error}") }));
        }
    };
    let Request::Evict { cluster, epoch, demoted } = request;
    log::audit(FUNCTION, "woken", &json!({ "cluster": cluster, "epoch": epoch, "demoted": demoted }));
    if cluster != setup.cluster {
        return Ok(json!({ "ignored": "another cluster", "mine": setup.cluster }));
    }
    let until = Timestamp::from_millis(event.context.deadline).minus(setup::MARGIN);
    let report = evict::evict(setup, epoch, &demoted, until).await?;
    log::audit(FUNCTION, "evicted", &json!(report));
    Ok(json!(report))
}
