//! How the faults that take more than one call are carried out.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use steadfast_aws::state::{PARTITION_KEY, SORT_KEY};
use steadfast_scenario::{Trouble, Zone};

use super::DrillError;
use super::inject::{Injection, Stage, lasting};
use crate::assembly::{AssemblyError, call, names};
use crate::postgres::NodeState;
use crate::rds::FaultKind;

/// The item of the lease in the state table.
const LEASE: &str = "lease";

/// The host vanishes.
pub(super) async fn kill_host(stage: &Stage<'_>) -> Result<(), DrillError> {
    Ok(stage.lab.cluster.kill_host(&stage.instance).await?)
}

/// The host comes back, and with it PostgreSQL: as the writer, if it still has the role. A former
/// writer is brought back by the platform.
pub(super) async fn bring_back(stage: &Stage<'_>) -> Result<(), DrillError> {
    let cluster = &stage.lab.cluster;
    cluster.repair_host(&stage.instance)?;
    if cluster.state(&stage.instance)? != NodeState::Stopped || is_replaced(stage) {
        return Ok(());
    }
    if cluster.writer() == stage.instance {
        cluster.restart_in_place(&stage.instance).await?;
    } else {
        cluster.rejoin(&stage.instance).await?;
    }
    Ok(())
}

fn is_replaced(stage: &Stage<'_>) -> bool {
    stage.lab.rds.promotions().last().is_some_and(|promotion| promotion.old_writer == stage.instance)
}

/// Every process stops, and the kernel goes on accepting connections.
pub(super) async fn freeze(stage: &Stage<'_>) -> Result<(), DrillError> {
    Ok(stage.lab.cluster.freeze(&stage.instance).await?)
}

/// The server ends and starts again where it is.
pub(super) async fn restart(stage: &Stage<'_>) -> Result<(), DrillError> {
    let cluster = &stage.lab.cluster;
    if cluster.writer() == stage.instance {
        cluster.restart_in_place(&stage.instance).await?;
    } else {
        cluster.kill_postgres(&stage.instance).await?;
        cluster.rejoin(&stage.instance).await?;
    }
    Ok(())
}

/// What the reader receives is applied this much later; commits do not wait for that.
pub(super) async fn delay_replay(stage: &Stage<'_>, by: Duration) -> Result<(), DrillError> {
    set_delay(stage, &format!("ALTER SYSTEM SET recovery_min_apply_delay = {}", by.as_millis())).await
}

/// The reader catches up.
pub(super) async fn replay_at_once(stage: &Stage<'_>) -> Result<(), DrillError> {
    // A server that is gone has nothing to catch up, and begins anew when it comes back.
    if stage.lab.cluster.state(&stage.instance)? != NodeState::Running {
        return Ok(());
    }
    set_delay(stage, "ALTER SYSTEM RESET recovery_min_apply_delay").await
}

async fn set_delay(stage: &Stage<'_>, statement: &str) -> Result<(), DrillError> {
    let client = stage.lab.cluster.admin(&stage.instance).await?;
    client.batch_execute(statement).await.map_err(AssemblyError::from)?;
    client.batch_execute("SELECT pg_reload_conf()").await.map_err(AssemblyError::from)?;
    Ok(())
}

/// Another password takes the place of the role's own, and goes again; sessions live on.
pub(super) fn password(role: &'static str) -> Option<Injection> {
    lasting(
        None,
        async move |stage| {
            let client = stage.lab.cluster.admin(stage.lab.cluster.writer()).await?;
            let verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
            let row = client.query_one(verifier, &[&role]).await.map_err(AssemblyError::from)?;
            *stage.kept.borrow_mut() = row.try_get(0).map_err(AssemblyError::from)?;
            let other = uuid::Uuid::new_v4();
            set_password(&client, role, &other.to_string()).await
        },
        async move |stage| {
            let kept = stage.kept.borrow_mut().take();
            let (Some(verifier), NodeState::Running) = (kept, stage.lab.cluster.state(stage.lab.cluster.writer())?)
            else {
                return Ok(());
            };
            let client = stage.lab.cluster.admin(stage.lab.cluster.writer()).await?;
            set_password(&client, role, &verifier).await
        },
    )
}

async fn set_password(client: &tokio_postgres::Client, role: &str, password: &str) -> Result<(), DrillError> {
    let statement = format!("ALTER ROLE {role} PASSWORD '{password}'");
    Ok(client.batch_execute(&statement).await.map_err(AssemblyError::from)?)
}

/// The control plane goes wrong for an action, or for all with `*`.
pub(super) fn control_plane(trouble: Trouble, action: &'static str) -> Option<Injection> {
    let kind = match trouble {
        Trouble::Throttle => FaultKind::Throttle,
        Trouble::Error => FaultKind::InternalError,
        Trouble::Denied => FaultKind::AccessDenied,
        Trouble::LostAnswer => FaultKind::ReplyLost,
        Trouble::Slow(by) => FaultKind::Latency(by),
        Trouble::Stale => FaultKind::StaleTopology,
        Trouble::Silence | Trouble::ErrorAfterEffect => return None,
    };
    lasting(
        None,
        async move |stage| {
            stage.lab.rds.set_fault(action, kind, None);
            Ok(())
        },
        async |stage| {
            stage.lab.rds.clear_faults();
            Ok(())
        },
    )
}

/// The cluster shows this status until it is available again.
pub(super) fn cluster_status(status: &'static str) -> Option<Injection> {
    lasting(
        None,
        async move |stage| {
            stage.lab.rds.set_cluster_status(status);
            Ok(())
        },
        async |stage| {
            stage.lab.rds.set_cluster_status("available");
            Ok(())
        },
    )
}

/// Kills every environment of a function.
pub(super) async fn kill_function(stage: &Stage<'_>, function: &str) -> Result<(), DrillError> {
    stage.lab.lambda.kill_environments(function).await.map_err(AssemblyError::from)?;
    Ok(())
}

/// Kills the prober of a zone.
pub(super) async fn kill_prober(stage: &Stage<'_>, zone: Zone) -> Result<(), DrillError> {
    match names::AZS.get(usize::from(zone.0)) {
        Some(az) => kill_function(stage, &names::prober(az)).await,
        None => Ok(()),
    }
}

/// `FailoverDBCluster` without a target, as a person at the console would call it.
pub(super) async fn fail_over_by_hand(stage: &Stage<'_>) -> Result<(), DrillError> {
    let endpoint = format!("http://{}", stage.lab.rds.address());
    let config = stage.lab.aws.to_builder().endpoint_url(endpoint).build();
    let client = aws_sdk_rds::Client::new(&config);
    let order = client.failover_db_cluster().db_cluster_identifier(names::CLUSTER);
    order.send().await.map_err(call("FailoverDBCluster"))?;
    Ok(())
}

/// The lease's item goes, as if somebody had tidied up the table.
pub(super) async fn delete_lease(stage: &Stage<'_>) -> Result<(), DrillError> {
    let client = aws_sdk_dynamodb::Client::new(&stage.lab.aws);
    let scan = client.scan().table_name(names::TABLE).consistent_read(true);
    let items = scan.send().await.map_err(call("Scan"))?.items.unwrap_or_default();
    let is_lease = |item: &HashMap<String, AttributeValue>| {
        item.get(SORT_KEY).and_then(|key| key.as_s().ok()).is_some_and(|key| key == LEASE)
    };
    for mut item in items.into_iter().filter(is_lease) {
        item.retain(|name, _| name == PARTITION_KEY || name == SORT_KEY);
        let delete = client.delete_item().table_name(names::TABLE).set_key(Some(item));
        delete.send().await.map_err(call("DeleteItem"))?;
    }
    Ok(())
}
