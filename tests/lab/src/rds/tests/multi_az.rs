//! A Multi-AZ DB instance, as the SDK and the functions' own port see it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_rds::types::DbInstance;
use steadfast_aws::control_plane;
use steadfast_core::topology::{ClusterId, ClusterStatus, Deployment, InstanceId};

use super::super::{Failovers, InstanceConfig, NodeHealth, PlatformConfig, PromotionResult, Timing, Trigger};
use super::{Lab, MemoryNodes, config, passive, until};

const HOSTS: [&str; 2] = ["orders@eu-west-1a", "orders@eu-west-1b"];
const ZONES: (Option<&str>, Option<&str>) = (Some("eu-west-1a"), Some("eu-west-1b"));

async fn start(timing: Timing) -> Lab {
    let cluster = config(timing);
    let host = |(host, like): (&str, &InstanceConfig)| InstanceConfig { identifier: host.to_owned(), ..like.clone() };
    let instances = HOSTS.into_iter().zip(&cluster.instances).map(host).collect();
    let endpoint = "orders.lab.eu-west-1.rds.amazonaws.com".to_owned();
    let deployment = Deployment::Instance;
    let config = PlatformConfig { deployment, instances, endpoint, engine: "postgres".to_owned(), ..cluster };
    Lab::serving(config, Arc::new(MemoryNodes::new(&HOSTS))).await
}

async fn described(lab: &Lab) -> DbInstance {
    let answer = lab.client.describe_db_instances().db_instance_identifier("Orders").send().await.unwrap();
    let [instance] = answer.db_instances() else { panic!("one instance") };
    instance.clone()
}

fn zones(instance: &DbInstance) -> (Option<&str>, Option<&str>) {
    (instance.availability_zone(), instance.secondary_availability_zone())
}

async fn reboot(lab: &Lab, force_failover: bool) -> Result<DbInstance, aws_sdk_rds::Error> {
    let call = lab.client.reboot_db_instance().db_instance_identifier("orders");
    Ok(call.force_failover(force_failover).send().await?.db_instance().unwrap().clone())
}

async fn until_zones_swap(lab: &Lab) {
    let swapped = (ZONES.1, ZONES.0);
    until("the zones", async || zones(&described(lab).await) == swapped).await;
}

#[tokio::test]
async fn it_is_described_with_one_endpoint_and_both_zones() {
    let lab = start(passive()).await;
    let instance = described(&lab).await;
    assert_eq!((zones(&instance), instance.multi_az()), (ZONES, Some(true)));
    assert_eq!((instance.db_instance_identifier(), instance.db_cluster_identifier()), (Some("orders"), None));
    assert_eq!(instance.db_instance_status(), Some("available"));
    let endpoint = instance.endpoint().unwrap();
    assert_eq!(endpoint.address(), Some("orders.lab.eu-west-1.rds.amazonaws.com"));
    let all = lab.client.describe_db_instances().send().await.unwrap();
    assert_eq!(all.db_instances().len(), 1, "its hosts are no instances");
    for host in HOSTS {
        let missing = lab.client.describe_db_instances().db_instance_identifier(host).send().await;
        assert!(missing.unwrap_err().into_service_error().is_db_instance_not_found_fault(), "{host}");
    }
    assert!(lab.client.describe_db_clusters().send().await.unwrap().db_clusters().is_empty());
    assert!(lab.fail_over(None).await.is_err(), "it is no cluster");
}

#[tokio::test]
async fn a_reboot_with_failover_swaps_the_zones() {
    let mut lab = start(passive()).await;
    lab.nodes.hold_promotions(true);
    assert_eq!(reboot(&lab, true).await.unwrap().db_instance_status(), Some("available"));
    until("rebooting", async || described(&lab).await.db_instance_status() == Some("rebooting")).await;
    assert_eq!(zones(&described(&lab).await), ZONES);
    for force_failover in [true, false] {
        let refused = reboot(&lab, force_failover).await.unwrap_err();
        assert!(matches!(refused, aws_sdk_rds::Error::InvalidDbInstanceStateFault(_)), "{refused}");
    }
    lab.nodes.hold_promotions(false);
    until_zones_swap(&lab).await;
    until("the endpoint", async || lab.nodes.endpoint().as_deref() == Some(HOSTS[1])).await;
    let events = lab.next_events().await;
    let expected = ["RDS-EVENT-0013", "RDS-EVENT-0006", "RDS-EVENT-0049"];
    assert_eq!(events, expected.map(|id| (id, "orders".to_owned())));
    assert_eq!(lab.nodes.done(), ["promote orders@eu-west-1b"]);
    assert_eq!(lab.rds.promotions()[0].trigger, Trigger::Api);
}

#[tokio::test]
async fn a_reboot_without_failover_stays_where_it_is() {
    let mut lab = start(passive()).await;
    reboot(&lab, false).await.unwrap();
    let events = lab.next_events().await;
    assert_eq!(events, ["RDS-EVENT-0004", "RDS-EVENT-0006"].map(|id| (id, "orders".to_owned())));
    assert_eq!(lab.nodes.done(), ["restart orders@eu-west-1a"]);
    assert_eq!(zones(&described(&lab).await), ZONES);
}

#[tokio::test]
async fn the_platform_fails_over_by_itself_and_says_nothing_before() {
    let timing =
        Timing { native_failover: Some(Duration::from_millis(300)), detection_delay: Duration::ZERO, ..passive() };
    let mut lab = start(timing).await;
    lab.nodes.hold_promotions(true);
    lab.nodes.set_health(HOSTS[0], NodeHealth::HostDown);
    until("a failover", async || {
        let shown = described(&lab).await;
        let begun = !lab.rds.promotions().is_empty();
        assert!(begun || shown.db_instance_status() == Some("available"), "{shown:?}");
        begun
    })
    .await;
    lab.nodes.hold_promotions(false);
    until_zones_swap(&lab).await;
    assert_eq!(lab.rds.promotions()[0].trigger, Trigger::Native);
    let events = lab.next_events().await.map(|(id, _)| id);
    assert_eq!(events, ["RDS-EVENT-0013", "RDS-EVENT-0006", "RDS-EVENT-0049"]);
}

#[tokio::test]
async fn a_failover_that_is_abandoned_leaves_the_role() {
    let mut lab = start(passive()).await;
    lab.rds.set_failovers(Failovers::Fail(Duration::from_millis(50)));
    reboot(&lab, true).await.unwrap();
    let events = lab.next_events().await.map(|(id, _)| id);
    assert_eq!(events, ["RDS-EVENT-0013", "RDS-EVENT-0034"]);
    assert!(matches!(lab.rds.promotions()[0].result, PromotionResult::Failed(_)));
    assert_eq!(zones(&described(&lab).await), ZONES);
}

#[tokio::test]
async fn the_old_zone_may_be_shown_for_long() {
    let lab = start(Timing { describe_staleness: Duration::from_secs(86_400), ..passive() }).await;
    reboot(&lab, true).await.unwrap();
    until("the endpoint", async || lab.nodes.endpoint().as_deref() == Some(HOSTS[1])).await;
    assert_eq!(zones(&described(&lab).await), ZONES);
}

#[tokio::test]
async fn the_functions_see_a_writer_and_a_standby_and_move_the_role_by_a_reboot() {
    let lab = start(passive()).await;
    let port = control_plane::Rds::new(lab.client.clone(), Deployment::Instance);
    let orders = ClusterId::new("orders");
    let topology = port.describe(&orders).await.unwrap();
    let hosts: Vec<_> = topology.members.iter().map(|member| (member.id.as_str(), member.is_writer)).collect();
    assert_eq!(hosts, [(HOSTS[0], true), (HOSTS[1], false)]);
    assert_eq!((topology.deployment, topology.status), (Deployment::Instance, ClusterStatus::Available));
    port.fail_over(&orders, &InstanceId::new(HOSTS[1])).await.unwrap();
    until_zones_swap(&lab).await;
    let calls = lab.rds.calls();
    let call = calls.iter().find(|call| call.action == "RebootDBInstance").unwrap();
    assert_eq!(call.parameters.get("ForceFailover").map(String::as_str), Some("true"));
    assert_eq!(port.describe(&orders).await.unwrap().writer().map(|writer| writer.id.as_str()), Some(HOSTS[1]));
}

#[tokio::test]
async fn a_member_of_a_cluster_is_not_taken_for_an_instance_of_its_own() {
    let lab = Lab::start(passive()).await;
    let port = control_plane::Rds::new(lab.client.clone(), Deployment::Instance);
    let refused = port.describe(&ClusterId::new("orders-1")).await.unwrap_err().to_string();
    assert!(refused.contains("member of cluster orders: set STEADFAST_CLUSTER"), "{refused}");
}
