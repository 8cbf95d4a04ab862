//! Ends read-write sessions that stayed on a demoted instance, and says who was last; closes the gate of a
//! planned switchover, and opens it.
//!
//! Woken by: the coordinator. Runs in the VPC, over direct connections to instances. Never acts on
//! an instance that is the writer, nor on a session that waits for synchronous replication.

mod debris;
mod evict;
mod quiesce;
mod setup;
mod stragglers;

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
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub(crate) enum Request {
    /// End read-write sessions on this instance, which lost the writer role in this episode.
    Evict { cluster: ClusterId, epoch: u64, demoted: InstanceId },
    /// Close the gate on this instance, which writes, for the switchover of this episode.
    Quiesce { cluster: ClusterId, epoch: u64, writer: InstanceId, until: Timestamp },
    /// Open the gate that this transaction holds.
    Resume { cluster: ClusterId, epoch: u64, hold: String },
}

async fn handle(setup: &Setup, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let request: Request = match serde_json::from_value(event.payload) {
        Ok(request) => request,
        Err(error) => {
            log::audit(FUNCTION, "ignored", &json!({ "error": error.to_string() }));
            return Ok(json!({ "ignored": format!("not a request: {error}") }));
        }
    };
    log::audit(FUNCTION, "woken", &json!(request));
    if *request.cluster() != setup.cluster {
        return Ok(json!({ "ignored": "another cluster", "mine": setup.cluster }));
    }
    match request {
        Request::Evict { epoch, demoted, .. } => {
            let until = Timestamp::from_millis(event.context.deadline).minus(setup::MARGIN);
            let report = evict::evict(setup, epoch, &demoted, until).await?;
            log::audit(FUNCTION, "evicted", &json!(report));
            Ok(json!(report))
        }
        Request::Quiesce { epoch, writer, until, .. } => {
            let quiesced = quiesce::quiesce(setup, epoch, &writer, until).await;
            log::audit(FUNCTION, "quiesced", &json!(quiesced));
            Ok(json!(quiesced))
        }
        Request::Resume { hold, .. } => match quiesce::resume(setup, &hold).await {
            None => Ok(json!({ "gate": "open" })),
            Some(error) => Err(error.into()),
        },
    }
}

impl Request {
    fn cluster(&self) -> &ClusterId {
        match self {
            Self::Evict { cluster, .. } | Self::Quiesce { cluster, .. } | Self::Resume { cluster, .. } => cluster,
        }
    }
}
