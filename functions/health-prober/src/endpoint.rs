//! A fresh connection through the cluster endpoint: where would a client end up now?

use std::sync::Arc;
use std::time::Duration;

use steadfast_aws::clock;
use steadfast_aws::postgres::{ConnectLimits, Session, Target};
use steadfast_core::topology::InstanceId;
use steadfast_core::witness::EndpointSighting;
use tokio::time::{sleep, timeout};

use crate::board::Board;
use crate::canary;
use crate::setup::Setup;
use crate::watch::Shared;

/// Between two connections while somebody commits.
const PACE: Duration = Duration::from_secs(5);
/// Between two connections while nobody commits.
const PACE_SUSPICIOUS: Duration = Duration::from_secs(1);
const LIMITS: ConnectLimits = ConnectLimits { tcp: Duration::from_millis(400), total: Duration::from_secs(2) };
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Connects through the cluster endpoint again and again until the task is ended.
pub(crate) async fn watch(setup: Arc<Setup>, board: Arc<Board>, target: Target, credentials: Arc<Shared>) {
    loop {
        let current = credentials.1.borrow().clone();
        let reached = match setup.connector.connect(&target, &current, LIMITS).await {
            Err(error) => Err(error.to_string()),
            Ok(session) => match timeout(ANSWER_LIMIT, identity(&setup, &session)).await {
                Ok(Ok(instance)) => Ok(instance),
                Ok(Err(error)) => Err(error),
                Err(_) => Err("no answer in time".to_owned()),
            },
        };
        let at = clock::now();
        board.record_endpoint(match reached {
            Ok(instance) => EndpointSighting { instance: Some(instance), at, detail: None },
            Err(detail) => EndpointSighting { instance: None, at, detail: Some(detail) },
        });
        sleep(if board.is_suspicious() { PACE_SUSPICIOUS } else { PACE }).await;
    }
}

/// Which instance a session has reached: by its own word, or for a Multi-AZ DB instance by its address.
async fn identity(setup: &Setup, session: &Session) -> Result<InstanceId, String> {
    match &setup.hosts {
        Some(hosts) => hosts.at(session.address.ip()),
        None => canary::identity(session).await.map_err(|error| error.to_string()),
    }
}
