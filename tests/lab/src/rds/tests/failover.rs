use std::time::Duration;

use super::super::{NodeHealth, PromotionResult, Timing, Trigger};
use super::{Lab, passive, until, writer_of};

#[tokio::test]
async fn a_failover_runs_through_its_states_in_order() {
    let mut lab = Lab::start(Timing { demoted_rejoin: Some(Duration::ZERO), ..Timing::default() }).await;
    lab.nodes.hold_promotions(true);

    let answer = lab.fail_over(Some("orders-3")).await.unwrap();
    assert_eq!(answer.status(), Some("available"));
    assert_eq!(writer_of(&answer), "orders-1");
    until("failing-over", async || lab.cluster().await.status() == Some("failing-over")).await;
    assert_eq!(writer_of(&lab.cluster().await), "orders-1");
    let second = lab.fail_over(Some("orders-2")).await.unwrap_err();
    assert!(matches!(second, aws_sdk_rds::Error::InvalidDbClusterStateFault(_)), "{second}");
    assert_eq!(lab.rds.promotions()[0].result, PromotionResult::Running);
    assert_eq!(lab.nodes.endpoint(), None);

    lab.nodes.hold_promotions(false);
    lab.wait_for_writer("orders-3").await;
    until("the endpoint", async || lab.nodes.endpoint().as_deref() == Some("orders-3")).await;
    let events = lab.next_events().await;
    let expected = [
        ("RDS-EVENT-0073", "orders"),
        ("RDS-EVENT-0004", "orders-1"),
        ("RDS-EVENT-0071", "orders"),
        ("RDS-EVENT-0385", "orders-3"),
        ("RDS-EVENT-0006", "orders-1"),
    ];
    assert_eq!(events, expected.map(|(id, name)| (id, name.to_owned())));
    until("the old writer", async || lab.instance_status("orders-1").await == "available").await;
    assert_eq!(lab.nodes.done(), ["promote orders-3", "rejoin orders-1"]);

    let [promotion] = &lab.rds.promotions()[..] else {
        panic!("one failover was accepted");
    };
    assert_eq!(promotion.trigger, Trigger::Api);
    assert_eq!(promotion.old_writer, "orders-1");
    assert_eq!(promotion.result, PromotionResult::Completed);
    assert!(promotion.writable_ms.unwrap() >= promotion.started_ms);
}

#[tokio::test]
async fn without_a_target_the_lowest_tier_is_promoted() {
    let lab = Lab::start(passive()).await;
    lab.fail_over(None).await.unwrap();
    lab.wait_for_writer("orders-2").await;
}

#[tokio::test]
async fn wrong_targets_are_refused() {
    let lab = Lab::start(Timing { detection_delay: Duration::ZERO, ..passive() }).await;
    lab.nodes.set_health("orders-3", NodeHealth::HostDown);
    until("detection", async || lab.instance_status("orders-3").await == "failed").await;
    for target in ["orders-1", "orders-3", "nobody"] {
        let refused = lab.fail_over(Some(target)).await.unwrap_err();
        assert!(matches!(refused, aws_sdk_rds::Error::InvalidDbInstanceStateFault(_)), "{target}: {refused}");
    }
    let call = lab.client.failover_db_cluster();
    let missing = call.db_cluster_identifier("other").send().await;
    let missing = missing.unwrap_err().into_service_error();
    assert!(missing.is_db_cluster_not_found_fault());
    assert!(lab.rds.promotions().is_empty());
}

#[tokio::test]
async fn a_failover_needs_a_reader_and_an_available_cluster() {
    let lab = Lab::start(Timing { detection_delay: Duration::ZERO, ..passive() }).await;
    lab.rds.set_cluster_status("maintenance");
    assert_eq!(lab.cluster().await.status(), Some("maintenance"));
    let refused = lab.fail_over(None).await.unwrap_err();
    assert!(matches!(refused, aws_sdk_rds::Error::InvalidDbClusterStateFault(_)));
    lab.rds.set_cluster_status("available");

    for reader in ["orders-2", "orders-3"] {
        lab.nodes.set_health(reader, NodeHealth::Down);
        until("detection", async || lab.instance_status(reader).await == "rebooting").await;
    }
    let refused = lab.fail_over(None).await.unwrap_err();
    assert!(matches!(refused, aws_sdk_rds::Error::InvalidDbClusterStateFault(_)));
}

#[tokio::test]
async fn a_failed_promotion_leaves_the_writer() {
    let mut lab = Lab::start(passive()).await;
    lab.nodes.refuse(true);
    lab.fail_over(Some("orders-2")).await.unwrap();
    let events = lab.next_events().await.map(|(id, _)| id);
    assert_eq!(events, ["RDS-EVENT-0073", "RDS-EVENT-0069"]);
    lab.wait_for_writer("orders-1").await;
    let promotions = lab.rds.promotions();
    assert!(matches!(promotions[0].result, PromotionResult::Failed(_)));
    assert_eq!(promotions[0].writable_ms, None);
}

#[tokio::test]
async fn a_reboot_restarts_in_place() {
    let mut lab = Lab::start(passive()).await;
    lab.nodes.hold_promotions(true);
    let call = lab.client.reboot_db_instance();
    let answer = call.db_instance_identifier("orders-1").send().await;
    let answer = answer.unwrap();
    let status = answer.db_instance().unwrap().db_instance_status();
    assert_eq!(status, Some("rebooting"));
    let call = lab.client.reboot_db_instance();
    let again = call.db_instance_identifier("orders-1").send().await;
    let again = again.unwrap_err().into_service_error();
    assert!(again.is_invalid_db_instance_state_fault());
    let meanwhile = lab.fail_over(None).await.unwrap_err();
    assert!(matches!(meanwhile, aws_sdk_rds::Error::InvalidDbInstanceStateFault(_)));

    lab.nodes.hold_promotions(false);
    let events = lab.next_events().await.map(|(id, _)| id);
    assert_eq!(events, ["RDS-EVENT-0004", "RDS-EVENT-0006"]);
    assert_eq!(lab.instance_status("orders-1").await, "available");
    assert_eq!(lab.nodes.done(), ["restart orders-1"]);
    assert_eq!(writer_of(&lab.cluster().await), "orders-1");
}

#[tokio::test]
async fn the_member_list_may_lag_behind() {
    let lab = Lab::start(Timing { describe_staleness: Duration::from_secs(86_400), ..passive() }).await;
    lab.fail_over(Some("orders-2")).await.unwrap();
    until("the endpoint", async || lab.nodes.endpoint().as_deref() == Some("orders-2")).await;
    assert_eq!(writer_of(&lab.cluster().await), "orders-1");
}
