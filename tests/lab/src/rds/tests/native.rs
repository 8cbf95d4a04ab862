use std::time::Duration;

use super::super::{NodeHealth, Timing, Trigger};
use super::{Lab, passive, until};

fn eager() -> Timing {
    Timing { native_failover: Some(Duration::from_millis(1)), ..passive() }
}

#[tokio::test]
async fn the_platform_promotes_a_reader_when_the_writer_dies() {
    let mut lab = Lab::start(eager()).await;
    lab.nodes.set_health("orders-2", NodeHealth::HostDown);
    until("the dead reader is seen", async || {
        let state = lab.rds.platform().core.state();
        state.dead_for("orders-2").is_some()
    })
    .await;
    lab.nodes.set_health("orders-1", NodeHealth::HostDown);
    lab.wait_for_writer("orders-3").await;
    let promotions = lab.rds.promotions();
    assert_eq!(promotions[0].trigger, Trigger::Native);
    assert_eq!(promotions[0].target, "orders-3");
    let events = lab.next_events().await.map(|(id, _)| id);
    assert_eq!(events[..2], ["RDS-EVENT-0073", "RDS-EVENT-0004"]);
    let _: [&str; 4] = events;
}

#[tokio::test]
async fn the_platform_does_not_see_a_frozen_writer() {
    let lab = Lab::start(eager()).await;
    lab.nodes.set_health("orders-1", NodeHealth::Frozen);
    until("the watcher has looked", async || {
        let state = lab.rds.platform().core.state();
        state.health.get("orders-1").map(|known| known.0) == Some(NodeHealth::Frozen)
    })
    .await;
    assert_eq!(lab.instance_status("orders-1").await, "available");
    assert!(lab.rds.promotions().is_empty());
    lab.fail_over(Some("orders-2")).await.unwrap();
    lab.wait_for_writer("orders-2").await;
    assert_eq!(lab.rds.promotions()[0].trigger, Trigger::Api);
}

#[tokio::test]
async fn a_writer_without_readers_is_restarted_in_place() {
    let mut lab = Lab::start(eager()).await;
    for reader in ["orders-2", "orders-3"] {
        lab.nodes.set_health(reader, NodeHealth::HostDown);
        until("the dead reader is seen", async || lab.rds.platform().core.state().dead_for(reader).is_some()).await;
    }
    lab.nodes.set_health("orders-1", NodeHealth::Down);
    let events = lab.next_events().await.map(|(id, _)| id);
    assert_eq!(events, ["RDS-EVENT-0004", "RDS-EVENT-0006"]);
    assert!(lab.rds.promotions().is_empty());
}

#[tokio::test]
async fn a_failed_native_failover_is_tried_again() {
    let lab = Lab::start(eager()).await;
    lab.nodes.refuse(true);
    lab.nodes.set_health("orders-1", NodeHealth::HostDown);
    until("a second try", async || lab.rds.promotions().len() >= 2).await;
    lab.nodes.refuse(false);
    lab.wait_for_writer("orders-2").await;
}

#[tokio::test]
async fn a_demoted_writer_waits_for_its_host() {
    let lab = Lab::start(Timing { demoted_rejoin: Some(Duration::ZERO), ..eager() }).await;
    lab.nodes.set_health("orders-1", NodeHealth::HostDown);
    lab.wait_for_writer("orders-2").await;
    assert_eq!(lab.nodes.done(), ["promote orders-2"]);
    lab.nodes.set_health("orders-1", NodeHealth::Down);
    until("the rejoin", async || lab.nodes.done() == ["promote orders-2", "rejoin orders-1"]).await;
}

#[tokio::test]
async fn a_dead_reader_comes_back() {
    let lab = Lab::start(Timing { reader_restart: Some(Duration::ZERO), ..passive() }).await;
    lab.nodes.set_health("orders-3", NodeHealth::Down);
    until("the rejoin", async || lab.nodes.done() == ["rejoin orders-3"]).await;
}
