//! The control plane: RDS.

use std::collections::HashMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::config::retry::RetryConfig;
use aws_sdk_rds::config::timeout::TimeoutConfig;
use aws_sdk_rds::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_rds::types::{DbCluster, DbClusterMember, DbInstance, Filter};
use steadfast_core::ports::{CALL_LIMIT, CallError};
use steadfast_core::topology::{Az, ClusterId, ClusterStatus, InstanceId, Member, Topology};

/// PostgreSQL's port, should the control plane leave it out.
const POSTGRES_PORT: u16 = 5432;

/// RDS for one account and Region.
#[derive(Clone, Debug)]
pub struct Rds {
    client: Client,
}

impl Rds {
    /// Takes a client of [`crate::clients`].
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Describes the cluster with its instances: two calls, made at the same time.
    ///
    /// # Errors
    ///
    /// The first of the two that failed.
    pub async fn describe(&self, cluster: &ClusterId) -> Result<Topology, CallError> {
        let filter = Filter::builder().name("db-cluster-id").values(cluster.as_str()).build();
        let clusters = self.client.describe_db_clusters().db_cluster_identifier(cluster.as_str()).send();
        let instances = self.client.describe_db_instances().filters(filter).send();
        let (clusters, instances) = tokio::join!(clusters, instances);
        let clusters = clusters.map_err(|error| call_error("DescribeDBClusters", &error))?;
        let instances = instances.map_err(|error| call_error("DescribeDBInstances", &error))?;
        let described =
            clusters.db_clusters.unwrap_or_default().into_iter().next().ok_or_else(|| CallError::Refused {
                action: "DescribeDBClusters",
                code: "DBClusterNotFoundFault".to_owned(),
                message: format!("no cluster {cluster} in the answer"),
            })?;
        Ok(topology(cluster, described, instances.db_instances.unwrap_or_default()))
    }

    /// Calls `FailoverDBCluster` once, with an explicit target and retries off.
    ///
    /// # Errors
    ///
    /// [`CallError::Unanswered`] when it may have taken effect all the same.
    pub async fn fail_over(&self, cluster: &ClusterId, target: &InstanceId) -> Result<(), CallError> {
        let once = aws_sdk_rds::Config::builder().retry_config(RetryConfig::disabled()).timeout_config(
            TimeoutConfig::builder().operation_attempt_timeout(CALL_LIMIT).operation_timeout(CALL_LIMIT).build(),
        );
        self.client
            .failover_db_cluster()
            .db_cluster_identifier(cluster.as_str())
            .target_db_instance_identifier(target.as_str())
            .customize()
            .config_override(once)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| call_error("FailoverDBCluster", &error))
    }
}

fn topology(cluster: &ClusterId, described: DbCluster, instances: Vec<DbInstance>) -> Topology {
    let mut by_id: HashMap<String, DbInstance> = instances
        .into_iter()
        .filter_map(|instance| Some((instance.db_instance_identifier.clone()?, instance)))
        .collect();
    let members = described.db_cluster_members.unwrap_or_default();
    Topology {
        cluster: cluster.clone(),
        status: ClusterStatus::parse(described.status.as_deref().unwrap_or("")),
        endpoint: described.endpoint.unwrap_or_default(),
        port: port(described.port),
        members: members
            .into_iter()
            .filter_map(|listed| {
                let id = listed.db_instance_identifier.clone()?;
                let instance = by_id.remove(&id);
                Some(member(id, &listed, instance))
            })
            .collect(),
    }
}

fn member(id: String, listed: &DbClusterMember, instance: Option<DbInstance>) -> Member {
    Member {
        id: InstanceId::new(id),
        az: instance.as_ref().and_then(|i| i.availability_zone.clone()).map(Az::new),
        tier: listed.promotion_tier.and_then(|tier| u8::try_from(tier).ok()).unwrap_or(1),
        // A member without a description is not offered to anybody as a target.
        status: instance.as_ref().and_then(|i| i.db_instance_status.clone()).unwrap_or_else(|| "unknown".to_owned()),
        is_writer: listed.is_cluster_writer.unwrap_or(false),
        class: instance.as_ref().and_then(|i| i.db_instance_class.clone()).unwrap_or_default(),
        endpoint: instance.and_then(|i| i.endpoint).and_then(|e| e.address).unwrap_or_default(),
    }
}

fn port(port: Option<i32>) -> u16 {
    port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0).unwrap_or(POSTGRES_PORT)
}

/// Sorts an SDK error into answered and unanswered.
pub(crate) fn call_error<E, R>(action: &'static str, error: &SdkError<E, R>) -> CallError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match error {
        // An error of the service's own says nothing about what it has done before.
        SdkError::ServiceError(answer) if answer.err().code().is_none_or(is_the_services_fault) => {
            CallError::Unanswered { action, cause: DisplayErrorContext(error).to_string() }
        }
        SdkError::ServiceError(answer) => CallError::Refused {
            action,
            code: answer.err().code().unwrap_or("unknown").to_owned(),
            message: answer.err().message().unwrap_or("no message").to_owned(),
        },
        SdkError::ConstructionFailure(_)
        | SdkError::TimeoutError(_)
        | SdkError::DispatchFailure(_)
        | SdkError::ResponseError(_)
        | _ => CallError::Unanswered { action, cause: DisplayErrorContext(error).to_string() },
    }
}

fn is_the_services_fault(code: &str) -> bool {
    matches!(
        code,
        "InternalFailure" | "InternalError" | "InternalServerError" | "ServiceUnavailable" | "ServiceException"
    )
}
