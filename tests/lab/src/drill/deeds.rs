//! How the faults that take more than one call are carried out.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use steadfast_aws::state::{PARTITION_KEY, SORT_KEY};
use steadfast_core::mode::Mode;
use steadfast_scenario::{Place, Role, Trouble, Zone};
use tokio::sync::Mutex;

use super::DrillError;
use super::inject::{Injection, Stage, lasting};
use crate::assembly::{AssemblyError, Lab, call, names};
use crate::lambda::LambdaError;
use crate::postgres::NodeState;
use crate::rds::{Closure, FaultKind, Pause};
use crate::workload::Lingerer;

/// The item of the lease in the state table.
const LEASE: &str = "lease";

/// The host vanishes.
pub(super) async fn kill_host(stage: &Stage<'_>) -> Result<(), DrillError> {
    Ok(stage.lab.cluster.kill_host(&stage.instance).await?)
}

/// PostgreSQL is killed.
pub(super) async fn kill_postgres(stage: &Stage<'_>) -> Result<(), DrillError> {
    Ok(stage.lab.cluster.kill_postgres(&stage.instance).await?)
}

/// The host comes back, and with it PostgreSQL in the role it still has. A former writer is brought
/// back by the platform.
pub(super) async fn bring_back(stage: &Stage<'_>) -> Result<(), DrillError> {
    let (cluster, id) = (&stage.lab.cluster, stage.instance.as_str());
    cluster.repair_host(id)?;
    if cluster.state(id)? != NodeState::Stopped || is_replaced(stage) {
        return Ok(());
    }
    let writer_runs = cluster.state(cluster.writer())? == NodeState::Running;
    let started = if writer_runs || cluster.writer() == id {
        cluster.restart_in_place(id).await.map(drop)
    } else {
        cluster.start_alone(id).await
    };
    match started {
        // The platform was faster.
        Err(_) if cluster.state(id)? == NodeState::Running => Ok(()),
        started => Ok(started?),
    }
}

/// Whether another instance has its role.
fn is_replaced(stage: &Stage<'_>) -> bool {
    let promotions = stage.lab.rds.promotions();
    let moved = promotions.iter().rev().find(|promotion| promotion.writable_ms.is_some());
    moved.is_some_and(|promotion| promotion.old_writer == stage.instance)
}

/// The server ends and starts again where it is.
pub(super) async fn restart(stage: &Stage<'_>) -> Result<(), DrillError> {
    Ok(stage.lab.cluster.restart_in_place(&stage.instance).await.map(drop)?)
}

/// A role's password is refused. Without a writer it cannot be mended; who brings one back mends it.
pub(super) fn password(role: &'static str) -> Option<Injection> {
    lasting(
        None,
        async move |stage| Ok(stage.lab.cluster.refuse_password(role).await?),
        async move |stage| {
            let cluster = &stage.lab.cluster;
            match cluster.state(cluster.writer())? {
                NodeState::Running => Ok(cluster.accept_password(role).await?),
                NodeState::Stopped | NodeState::Frozen | NodeState::HostDown => Ok(()),
            }
        },
    )
}

/// A session of the application that stays in its transaction, until the end or until somebody ends it.
pub(super) fn lingerer(place: Place) -> Option<Injection> {
    let kept = Arc::new(Mutex::new(None));
    let dropped = Arc::clone(&kept);
    lasting(
        place,
        async move |stage| {
            let lingerer = Lingerer::begin(stage.lab, &stage.instance).await?;
            *kept.lock().await = Some(lingerer);
            Ok(())
        },
        async move |_| {
            dropped.lock().await.take();
            Ok(())
        },
    )
}

/// A role gets a new password, which its secret holds only at the end.
pub(super) fn rotation(role: Role) -> Option<Injection> {
    let secret = move |lab: &Lab| match role {
        Role::Prober => lab.resources.prober_secret_arn.clone(),
        Role::Application => lab.resources.application_secret_arn.clone(),
    };
    lasting(
        None,
        async move |stage| Ok(stage.lab.begin_rotation(&secret(stage.lab)).await?),
        async move |stage| Ok(stage.lab.end_rotation(&secret(stage.lab)).await?),
    )
}

/// 0 ACU: nothing runs, and who connects waits until it does. The first to connect resumes the cluster, and
/// the probers connect all the time.
pub(super) async fn pause_cluster(stage: &Stage<'_>) -> Result<(), DrillError> {
    let lab = stage.lab;
    for id in writer_first(stage) {
        lab.rds.say_of_pause(&id, Pause::Initiated);
        lab.cluster.freeze(&id).await?;
        lab.rds.say_of_pause(&id, Pause::Paused);
        lab.rds.say_of_pause(&id, Pause::ResumeInitiated);
    }
    Ok(())
}

/// The cluster has resumed.
pub(super) async fn resume_cluster(stage: &Stage<'_>) -> Result<(), DrillError> {
    for id in writer_first(stage) {
        stage.lab.cluster.thaw(&id).await?;
        stage.lab.rds.say_of_pause(&id, Pause::Resumed);
    }
    Ok(())
}

/// All servers of the cluster are down until its end, and the control plane says why.
pub(super) fn closure(closure: Closure) -> Option<Injection> {
    lasting(None, async move |stage| close(stage, closure).await, async move |stage| reopen(stage, closure).await)
}

async fn close(stage: &Stage<'_>, closure: Closure) -> Result<(), DrillError> {
    stage.lab.rds.close(closure);
    for id in writer_first(stage) {
        stage.lab.cluster.kill_host(&id).await?;
    }
    Ok(())
}

async fn reopen(stage: &Stage<'_>, closure: Closure) -> Result<(), DrillError> {
    let Stage { lab, .. } = stage;
    lab.rds.reopen();
    for instance in writer_first(stage) {
        bring_back(&Stage { lab, instance }).await?;
    }
    lab.rds.reopened(closure);
    Ok(())
}

/// A writer without readers would not wait for them, and readers follow a writer that runs.
fn writer_first(stage: &Stage<'_>) -> Vec<String> {
    let mut ids = names::INSTANCES.map(str::to_owned).to_vec();
    ids.sort_by_key(|id| id != stage.lab.cluster.writer());
    ids
}

/// The control plane goes wrong for an action, or for all with `*`.
pub(super) fn control_plane(trouble: Trouble, action: &'static str) -> Option<Injection> {
    let kind = match trouble {
        Trouble::Throttle => FaultKind::Throttle,
        Trouble::Error => FaultKind::InternalError,
        Trouble::Denied => FaultKind::AccessDenied,
        Trouble::Silence => FaultKind::Silence,
        Trouble::LostAnswer => FaultKind::ReplyLost,
        Trouble::ErrorAfterEffect => FaultKind::ErrorAfterEffect,
        Trouble::Slow(by) => FaultKind::Latency(by),
        Trouble::Stale => FaultKind::StaleTopology,
    };
    lasting(
        None,
        async move |stage| {
            stage.lab.rds.set_fault(action, kind, None);
            Ok(())
        },
        async move |stage| {
            stage.lab.rds.clear_fault(action, kind);
            Ok(())
        },
    )
}

/// Kills every environment of the coordinator.
pub(super) async fn kill_coordinators(stage: &Stage<'_>) -> Result<(), DrillError> {
    invocations(stage.lab.lambda.kill_environments(names::COORDINATOR).await.map(drop))
}

/// What the functions' host says.
pub(super) fn invocations(answer: Result<(), LambdaError>) -> Result<(), DrillError> {
    Ok(answer.map_err(AssemblyError::from)?)
}

/// Kills the prober of a zone.
pub(super) async fn kill_prober(stage: &Stage<'_>, zone: Zone) -> Result<(), DrillError> {
    match names::AZS.get(usize::from(zone.0)) {
        Some(az) => invocations(stage.lab.lambda.kill_environments(&names::prober(az)).await.map(drop)),
        None => Ok(()),
    }
}

/// Sets the mode through the coordinator, as operators do.
pub(super) async fn set_mode(stage: &Stage<'_>, mode: Mode) -> Result<(), DrillError> {
    Ok(stage.lab.set_mode(mode, "the scenario's operator").await?)
}

/// Orders a switchover from the coordinator, as operators do, and does not wait for its answer.
pub(super) async fn switch_over(stage: &Stage<'_>) -> Result<(), DrillError> {
    let order = serde_json::json!({ "cluster": names::CLUSTER, "hint": "operator", "order": "switchover",
        "reason": "the scenario's operator" });
    let accepted = stage.lab.lambda.invoke_async(names::COORDINATOR, order.to_string().into_bytes()).await;
    invocations(accepted.map(drop))
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
