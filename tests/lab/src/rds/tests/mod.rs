//! The endpoint as the AWS SDK sees it, over nodes held in memory.

mod condition;
mod describe;
mod events;
mod failover;
mod faults;
mod multi_az;
mod native;
mod nodes;
mod wire;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_rds::Client;
use aws_sdk_rds::config::retry::RetryConfig;
use aws_sdk_rds::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_rds::types::DbCluster;
use steadfast_core::topology::Deployment;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use self::nodes::MemoryNodes;
use super::{InstanceConfig, PlatformConfig, Rds, RdsEvent, Timing};

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

struct Lab {
    rds: Rds<MemoryNodes>,
    nodes: Arc<MemoryNodes>,
    client: Client,
    events: UnboundedReceiver<RdsEvent>,
}

impl Lab {
    async fn start(timing: Timing) -> Self {
        let nodes = Arc::new(MemoryNodes::new(&["orders-1", "orders-2", "orders-3"]));
        Self::serving(config(timing), nodes).await
    }

    async fn serving(config: PlatformConfig, nodes: Arc<MemoryNodes>) -> Self {
        let (sender, events) = unbounded_channel();
        let listen = "127.0.0.1:0".parse().unwrap();
        let rds = Rds::start(listen, config, Arc::clone(&nodes), sender).await.unwrap();
        let client = client(&rds, RetryConfig::disabled());
        Self { rds, nodes, client, events }
    }

    async fn cluster(&self) -> DbCluster {
        let answer = self.client.describe_db_clusters();
        let answer = answer.db_cluster_identifier("orders").send().await.unwrap();
        answer.db_clusters()[0].clone()
    }

    async fn fail_over(&self, target: Option<&str>) -> Result<DbCluster, aws_sdk_rds::Error> {
        let call = self.client.failover_db_cluster();
        let call = call.db_cluster_identifier("orders");
        let call = call.set_target_db_instance_identifier(target.map(str::to_owned));
        Ok(call.send().await?.db_cluster().unwrap().clone())
    }

    async fn instance_status(&self, instance: &str) -> String {
        let answer = self.client.describe_db_instances();
        let answer = answer.db_instance_identifier(instance).send().await;
        let answer = answer.unwrap();
        let status = answer.db_instances()[0].db_instance_status();
        status.unwrap().to_owned()
    }

    async fn wait_for_writer(&self, writer: &str) {
        until("the writer", async || {
            let cluster = self.cluster().await;
            cluster.status() == Some("available") && writer_of(&cluster) == writer
        })
        .await;
    }

    /// The ids and sources of the next events.
    async fn next_events<const N: usize>(&mut self) -> [(&'static str, String); N] {
        let mut seen = Vec::new();
        while seen.len() < N {
            let next = tokio::time::timeout(LIMIT, self.events.recv()).await;
            let event = next.unwrap().unwrap();
            seen.push((event.event_id, event.identifier));
        }
        seen.try_into().unwrap()
    }
}

fn client(rds: &Rds<MemoryNodes>, retry: RetryConfig) -> Client {
    let config = aws_sdk_rds::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("AKIDLAB", "secret", None, None, "lab"))
        .endpoint_url(format!("http://{}", rds.address()))
        .retry_config(retry)
        .build();
    Client::from_conf(config)
}

fn config(timing: Timing) -> PlatformConfig {
    let instances = ["a", "b", "c"].iter().zip(1_u8..);
    PlatformConfig {
        deployment: Deployment::Cluster,
        identifier: "orders".to_owned(),
        resource_id: "cluster-LAB".to_owned(),
        account: "123456789012".to_owned(),
        region: "eu-west-1".to_owned(),
        engine: "aurora-postgresql".to_owned(),
        engine_version: "15.10".to_owned(),
        database: "orders".to_owned(),
        master_username: "postgres".to_owned(),
        port: 5432,
        endpoint: "orders.cluster-lab.eu-west-1.rds.amazonaws.com".to_owned(),
        reader_endpoint: "orders.cluster-ro-lab.eu-west-1.rds.amazonaws.com".to_owned(),
        hosted_zone_id: "Z29XKXDKYMONMX".to_owned(),
        security_groups: vec!["sg-1".to_owned()],
        secret_arn: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!cluster-1".to_owned(),
        min_capacity: 0.5,
        max_capacity: 4.0,
        tags: vec![("env".to_owned(), "lab <&>".to_owned())],
        instances: instances
            .map(|(zone, number)| InstanceConfig {
                identifier: format!("orders-{number}"),
                resource_id: format!("db-LAB{number}"),
                az: format!("eu-west-1{zone}"),
                promotion_tier: number,
                class: "db.serverless".to_owned(),
                address: format!("orders-{number}.lab.eu-west-1.rds.amazonaws.com"),
                port: 5432,
            })
            .collect(),
        timing,
    }
}

/// The platform does nothing by itself.
fn passive() -> Timing {
    Timing { demoted_rejoin: None, ..Timing::default() }
}

fn writer_of(cluster: &DbCluster) -> String {
    let mut writers = cluster
        .db_cluster_members()
        .iter()
        .filter(|member| member.is_cluster_writer() == Some(true))
        .filter_map(|member| member.db_instance_identifier());
    let writer = writers.next().unwrap().to_owned();
    assert_eq!(writers.next(), None, "two writers");
    writer
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(LIMIT, wait).await;
    reached.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}
