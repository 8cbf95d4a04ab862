//! Failovers that go wrong, the platform's own initiative, and an endpoint that stays behind.

use std::time::Duration;

use super::super::{Failovers, NodeHealth, PromotionResult, Timing, Trigger};
use super::{Lab, passive, until, writer_of};

#[tokio::test]
async fn a_failover_that_fails_is_accepted_and_leaves_the_writer() {
    let mut lab = Lab::start(passive()).await;
    lab.rds.set_failovers(Failovers::Fail(Duration::from_secs(3)));
    lab.fail_over(Some("orders-2")).await.unwrap();
    until("failing-over", async || lab.cluster().await.status() == Some("failing-over")).await;
    lab.wait_for_writer("orders-1").await;
    let events = lab.next_events().await.map(|(id, _)| id);
    assert_eq!(events, ["RDS-EVENT-0073", "RDS-EVENT-0069"]);
    assert_eq!(lab.nodes.done(), Vec::<String>::new());
    assert!(matches!(lab.rds.promotions()[0].result, PromotionResult::Failed(_)));
    lab.rds.set_failovers(Failovers::Succeed);
    lab.fail_over(Some("orders-2")).await.unwrap();
    lab.wait_for_writer("orders-2").await;
}

#[tokio::test]
async fn a_reversed_failover_ends_on_the_old_writer() {
    let mut lab = Lab::start(Timing { demoted_rejoin: Some(Duration::ZERO), ..Timing::default() }).await;
    lab.rds.set_failovers(Failovers::Reverse(Duration::from_millis(1)));
    lab.nodes.hold_rejoins(true);
    lab.fail_over(Some("orders-2")).await.unwrap();
    until("the promotion", async || {
        let cluster = lab.cluster().await;
        writer_of(&cluster) == "orders-2" && cluster.status() == Some("failing-over")
    })
    .await;
    until("the endpoint", async || lab.nodes.endpoint().as_deref() == Some("orders-2")).await;
    lab.nodes.hold_rejoins(false);
    lab.wait_for_writer("orders-1").await;
    let events = lab.next_events().await;
    let expected = [
        ("RDS-EVENT-0073", "orders"),
        ("RDS-EVENT-0004", "orders-1"),
        ("RDS-EVENT-0006", "orders-1"),
        ("RDS-EVENT-0070", "orders"),
        ("RDS-EVENT-0004", "orders-2"),
        ("RDS-EVENT-0385", "orders-1"),
        ("RDS-EVENT-0006", "orders-2"),
    ];
    assert_eq!(events, expected.map(|(id, name)| (id, name.to_owned())));
    let done = ["promote orders-2", "rejoin orders-1", "promote orders-1", "rejoin orders-2"];
    assert_eq!(lab.nodes.done(), done);
    until("the endpoint", async || lab.nodes.endpoint().as_deref() == Some("orders-1")).await;
    let [promotion] = &lab.rds.promotions()[..] else {
        panic!("one failover was accepted");
    };
    assert_eq!(promotion.result, PromotionResult::Reversed);
    assert!(promotion.finished_ms.unwrap() >= promotion.writable_ms.unwrap());
}

#[tokio::test]
async fn a_failover_from_a_lost_host_cannot_be_reversed() {
    let lab = Lab::start(passive()).await;
    lab.rds.set_failovers(Failovers::Reverse(Duration::ZERO));
    lab.nodes.set_health("orders-1", NodeHealth::HostDown);
    lab.fail_over(Some("orders-2")).await.unwrap();
    lab.wait_for_writer("orders-2").await;
    assert_eq!(lab.rds.promotions()[0].result, PromotionResult::Completed);
}

#[tokio::test]
async fn the_platform_fails_over_from_a_healthy_writer_by_its_own_choice() {
    let lab = Lab::start(passive()).await;
    lab.nodes.hold_promotions(true);
    assert_eq!(lab.rds.fail_over_now().unwrap(), "orders-2");
    let refused = lab.rds.fail_over_now().unwrap_err().to_string();
    assert!(refused.contains("failing-over"), "{refused}");
    lab.nodes.hold_promotions(false);
    lab.wait_for_writer("orders-2").await;
    assert_eq!(lab.rds.promotions()[0].trigger, Trigger::Native);
}

#[tokio::test]
async fn a_kept_endpoint_follows_the_role_only_when_it_is_let_go() {
    let lab = Lab::start(passive()).await;
    lab.rds.keep_endpoint(true);
    lab.fail_over(Some("orders-2")).await.unwrap();
    lab.wait_for_writer("orders-2").await;
    lab.fail_over(Some("orders-3")).await.unwrap();
    lab.wait_for_writer("orders-3").await;
    assert_eq!(lab.nodes.endpoint(), None);
    lab.rds.keep_endpoint(false);
    until("the endpoint", async || lab.nodes.endpoint().as_deref() == Some("orders-3")).await;
    lab.fail_over(Some("orders-1")).await.unwrap();
    until("the endpoint", async || lab.nodes.endpoint().as_deref() == Some("orders-1")).await;
}
