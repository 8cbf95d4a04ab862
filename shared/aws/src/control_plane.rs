//! The control plane: RDS.

use std::collections::HashMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::config::retry::RetryConfig;
use aws_sdk_rds::config::timeout::TimeoutConfig;
use aws_sdk_rds::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_rds::types::{DbCluster, DbClusterMember, DbInstance, Filter};
use steadfast_core::ports::{CALL_LIMIT, CallError};
use steadfast_core::topology::{Az, ClusterId, ClusterStatus, Deployment, InstanceId, Member, Topology};

use crate::grant::{Call, Calls, Condition, On};

/// PostgreSQL's port, should the control plane leave it out.
const POSTGRES_PORT: u16 = 5432;

/// RDS for one account and Region, and for one kind of deployment.
#[derive(Clone, Debug)]
pub struct Rds {
    client: Client,
    deployment: Deployment,
}

impl Rds {
    /// What [`Self::describe`] calls.
    pub const DESCRIBE: Calls = &[
        Call::new("rds:DescribeDBClusters", On::Cluster).when(Condition::Cluster),
        Call::new("rds:DescribeDBInstances", On::Instances),
    ];
    /// What [`Self::fail_over`] calls.
    pub const FAIL_OVER: Calls = &[
        Call::new("rds:FailoverDBCluster", On::Promotable).when(Condition::Cluster),
        Call::new("rds:RebootDBInstance", On::Promotable).when(Condition::Instance),
    ];

    /// Takes a client of [`crate::clients`].
    pub fn new(client: Client, deployment: Deployment) -> Self {
        Self { client, deployment }
    }

    /// Describes the cluster with its instances, or the Multi-AZ DB instance with its hosts.
    ///
    /// # Errors
    ///
    /// The first call that failed.
    pub async fn describe(&self, id: &ClusterId) -> Result<Topology, CallError> {
        match self.deployment {
            Deployment::Cluster => self.describe_cluster(id).await,
            Deployment::Instance => self.describe_instance(id).await,
        }
    }

    /// Two calls, made at the same time.
    async fn describe_cluster(&self, cluster: &ClusterId) -> Result<Topology, CallError> {
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

    async fn describe_instance(&self, id: &ClusterId) -> Result<Topology, CallError> {
        let action = "DescribeDBInstances";
        let answer = self.client.describe_db_instances().db_instance_identifier(id.as_str()).send().await;
        let described = answer.map_err(|error| call_error(action, &error))?.db_instances.unwrap_or_default();
        let refused = |code: &str, message: String| Err(CallError::Refused { action, code: code.to_owned(), message });
        match described.into_iter().next() {
            Some(instance) => match &instance.db_cluster_identifier {
                None => Ok(topology_of_instance(id, instance)),
                Some(cluster) => {
                    let remedy = format!("instance {id} is a member of cluster {cluster}: set STEADFAST_CLUSTER");
                    refused("NotAnInstanceOfItsOwn", remedy)
                }
            },
            None => refused("DBInstanceNotFound", format!("no instance {id} in the answer")),
        }
    }

    /// Moves the role once, with retries off: `FailoverDBCluster` with an explicit target, or `RebootDBInstance` with
    /// failover, which always moves the role to the standby.
    ///
    /// # Errors
    ///
    /// [`CallError::Unanswered`] when it may have taken effect all the same.
    pub async fn fail_over(&self, id: &ClusterId, target: &InstanceId) -> Result<(), CallError> {
        let once = aws_sdk_rds::Config::builder().retry_config(RetryConfig::disabled()).timeout_config(
            TimeoutConfig::builder().operation_attempt_timeout(CALL_LIMIT).operation_timeout(CALL_LIMIT).build(),
        );
        let action = self.deployment.failover_action();
        match self.deployment {
            Deployment::Cluster => {
                let call = self.client.failover_db_cluster().db_cluster_identifier(id.as_str());
                let call = call.target_db_instance_identifier(target.as_str()).customize().config_override(once);
                call.send().await.map(|_| ()).map_err(|error| call_error(action, &error))
            }
            Deployment::Instance => {
                let call = self.client.reboot_db_instance().db_instance_identifier(id.as_str());
                let call = call.force_failover(true).customize().config_override(once);
                call.send().await.map(|_| ()).map_err(|error| call_error(action, &error))
            }
        }
    }
}

/// The writer in `AvailabilityZone`, and the standby in `SecondaryAvailabilityZone`. Both have the only endpoint.
fn topology_of_instance(id: &ClusterId, described: DbInstance) -> Topology {
    let status = described.db_instance_status.unwrap_or_else(|| "unknown".to_owned());
    let (address, port_of_it) = described.endpoint.map(|e| (e.address, e.port)).unwrap_or_default();
    let endpoint = address.unwrap_or_default();
    let class = described.db_instance_class.unwrap_or_default();
    let host = |az: Option<String>, is_writer: bool| Member {
        id: az.as_ref().map_or_else(|| no_host(id), |az| InstanceId::of_host(id, &Az::new(az.clone()))),
        az: az.map(Az::new),
        tier: 1,
        status: status.clone(),
        is_writer,
        class: class.clone(),
        endpoint: endpoint.clone(),
    };
    // Without a zone it is being created: then it has no writer.
    let writer = described.availability_zone.map(|az| host(Some(az), true));
    let standby = host(described.secondary_availability_zone.filter(|_| described.multi_az == Some(true)), false);
    Topology {
        cluster: id.clone(),
        deployment: Deployment::Instance,
        status: ClusterStatus::parse_instance(&status),
        members: writer.into_iter().chain([standby]).collect(),
        port: port(port_of_it),
        endpoint,
    }
}

/// The standby that is not there: it is refused by name, so that people read why.
fn no_host(id: &ClusterId) -> InstanceId {
    InstanceId::new(format!("{id}@standby"))
}

fn topology(cluster: &ClusterId, described: DbCluster, instances: Vec<DbInstance>) -> Topology {
    let mut by_id: HashMap<String, DbInstance> = instances
        .into_iter()
        .filter_map(|instance| Some((instance.db_instance_identifier.clone()?, instance)))
        .collect();
    let members = described.db_cluster_members.unwrap_or_default();
    Topology {
        cluster: cluster.clone(),
        deployment: Deployment::Cluster,
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

/// The service's own word for an error.
pub(crate) fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
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

#[cfg(test)]
mod tests {
    use aws_sdk_rds::types::Endpoint;

    use super::*;

    fn described(multi_az: bool, secondary: Option<&str>) -> Topology {
        let instance = DbInstance::builder()
            .db_instance_identifier("orders")
            .db_instance_status("available")
            .db_instance_class("db.m6g.large")
            .availability_zone("eu-central-1a")
            .set_secondary_availability_zone(secondary.map(str::to_owned))
            .multi_az(multi_az)
            .endpoint(Endpoint::builder().address("orders.example").port(6432).build());
        topology_of_instance(&ClusterId::new("orders"), instance.build())
    }

    fn hosts(topology: &Topology) -> Vec<(&str, Option<&str>, bool)> {
        let members = topology.members.iter();
        members.map(|member| (member.id.as_str(), member.az.as_ref().map(Az::as_str), member.is_writer)).collect()
    }

    #[test]
    fn an_instance_is_described_as_a_writer_and_a_standby_with_one_endpoint() {
        let topology = described(true, Some("eu-central-1b"));
        let (a, b) = ("orders@eu-central-1a", "orders@eu-central-1b");
        assert_eq!(hosts(&topology), [(a, Some("eu-central-1a"), true), (b, Some("eu-central-1b"), false)]);
        assert_eq!((topology.deployment, topology.status), (Deployment::Instance, ClusterStatus::Available));
        assert_eq!((topology.endpoint.as_str(), topology.port), ("orders.example", 6432));
        assert!(topology.members.iter().all(|member| member.endpoint == "orders.example"));
    }

    #[test]
    fn a_standby_that_is_not_there_has_no_zone() {
        for topology in [described(false, None), described(true, None), described(false, Some("eu-central-1b"))] {
            assert_eq!(
                hosts(&topology),
                [("orders@eu-central-1a", Some("eu-central-1a"), true), ("orders@standby", None, false)]
            );
        }
    }

    #[test]
    fn an_instance_that_is_being_created_has_no_writer_yet() {
        let topology = topology_of_instance(&ClusterId::new("orders"), DbInstance::builder().build());
        assert_eq!(topology.writer(), None);
        assert_eq!(topology.status, ClusterStatus::Changing("unknown".to_owned()));
    }
}
