use std::time::Duration;

use aws_sdk_rds::config::retry::RetryConfig;
use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};

use super::super::{FaultKind, Outcome};
use super::{Lab, client, passive, writer_of};

#[tokio::test]
async fn errors_come_with_their_codes_and_counts() {
    let lab = Lab::start(passive()).await;
    let cases = [
        (FaultKind::Throttle, 400, "Throttling"),
        (FaultKind::InternalError, 500, "InternalFailure"),
        (FaultKind::Unavailable, 503, "ServiceUnavailable"),
        (FaultKind::AccessDenied, 403, "AccessDenied"),
    ];
    for (kind, status, code) in cases {
        lab.rds.set_fault("DescribeDBClusters", kind, Some(1));
        let error = lab.client.describe_db_clusters().send().await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status);
        assert_eq!(error.into_service_error().code(), Some(code));
        lab.cluster().await;
    }
    lab.rds.set_fault("*", FaultKind::Throttle, None);
    for _ in 0..3 {
        assert!(lab.client.describe_db_instances().send().await.is_err());
    }
    lab.rds.clear_faults();
    lab.cluster().await;
}

#[tokio::test]
async fn the_sdk_retries_a_throttled_description() {
    let lab = Lab::start(passive()).await;
    let retry = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
    let client = client(&lab.rds, retry);
    let fault = FaultKind::Throttle;
    lab.rds.set_fault("DescribeDBClusters", fault, Some(2));
    client.describe_db_clusters().send().await.unwrap();
    let outcomes: Vec<_> = lab.rds.calls().into_iter().map(|call| call.outcome).collect();
    let refused = Outcome::Refused { status: 400, code: "Throttling".to_owned() };
    assert_eq!(outcomes, [refused.clone(), refused, Outcome::Answered]);
}

#[tokio::test]
async fn a_reset_does_nothing_and_a_lost_reply_has_its_effect() {
    let lab = Lab::start(passive()).await;
    let fault = FaultKind::ConnectionReset;
    lab.rds.set_fault("FailoverDBCluster", fault, Some(1));
    let call = lab.client.failover_db_cluster();
    let reset = call.db_cluster_identifier("orders").send().await;
    assert!(matches!(reset, Err(SdkError::DispatchFailure(_))), "{reset:?}");
    assert!(lab.rds.promotions().is_empty());

    let fault = FaultKind::ReplyLost;
    lab.rds.set_fault("FailoverDBCluster", fault, Some(1));
    let call = lab.client.failover_db_cluster();
    let lost = call.db_cluster_identifier("orders").send().await;
    assert!(matches!(lost, Err(SdkError::DispatchFailure(_))), "{lost:?}");
    lab.wait_for_writer("orders-2").await;
    let calls = lab.rds.calls();
    let failovers = calls.iter().filter(|call| call.action == "FailoverDBCluster");
    let outcomes: Vec<_> = failovers.map(|call| &call.outcome).collect();
    assert_eq!(outcomes, [&Outcome::Reset, &Outcome::ReplyLost]);
}

#[tokio::test]
async fn an_error_after_the_effect_hides_what_was_done() {
    let lab = Lab::start(passive()).await;
    lab.rds.set_fault("FailoverDBCluster", FaultKind::ErrorAfterEffect, Some(1));
    let call = lab.client.failover_db_cluster();
    let error = call.db_cluster_identifier("orders").send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 500);
    assert_eq!(error.into_service_error().code(), Some("InternalFailure"));
    lab.wait_for_writer("orders-2").await;
    assert_eq!(lab.rds.calls()[0].outcome, Outcome::ErrorAfterEffect);
}

#[tokio::test]
async fn a_silent_request_is_never_carried_out() {
    let lab = Lab::start(passive()).await;
    lab.rds.set_fault("FailoverDBCluster", FaultKind::Silence, None);
    let client = lab.client.clone();
    let asked = tokio::spawn(async move {
        let call = client.failover_db_cluster();
        call.db_cluster_identifier("orders").send().await.map(|_| ())
    });
    super::until("the request", async || !lab.rds.calls().is_empty()).await;
    assert_eq!(lab.rds.calls()[0].outcome, Outcome::Silence);
    // Other actions answer, and so does this one once the fault is over; the silent request does not.
    lab.cluster().await;
    lab.rds.clear_fault("FailoverDBCluster", FaultKind::Silence);
    lab.fail_over(Some("orders-3")).await.unwrap();
    lab.wait_for_writer("orders-3").await;
    assert!(!asked.is_finished());
    assert_eq!(lab.rds.promotions().len(), 1);
    lab.rds.shutdown().await;
    assert!(asked.await.unwrap().is_err());
}

#[tokio::test]
async fn one_fault_of_several_can_be_taken_back() {
    let lab = Lab::start(passive()).await;
    lab.rds.set_fault("*", FaultKind::Throttle, None);
    lab.rds.set_fault("DescribeDBClusters", FaultKind::AccessDenied, None);
    lab.rds.clear_fault("*", FaultKind::Throttle);
    let error = lab.client.describe_db_clusters().send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("AccessDenied"));
    lab.client.describe_db_instances().send().await.unwrap();
}

#[tokio::test]
async fn a_stale_topology_stays_as_it_was() {
    let lab = Lab::start(passive()).await;
    let fault = FaultKind::StaleTopology;
    lab.rds.set_fault("DescribeDBClusters", fault, None);
    lab.fail_over(Some("orders-3")).await.unwrap();
    super::until("the promotion", async || lab.rds.promotions()[0].finished_ms.is_some()).await;
    assert_eq!(writer_of(&lab.cluster().await), "orders-1");
    lab.rds.clear_faults();
    assert_eq!(writer_of(&lab.cluster().await), "orders-3");
}

#[tokio::test]
async fn calls_are_recorded_with_parameters_and_caller() {
    let lab = Lab::start(passive()).await;
    lab.fail_over(Some("orders-2")).await.unwrap();
    let calls = lab.rds.calls();
    assert_eq!(calls.len(), 1);
    let target = calls[0].parameters.get("TargetDBInstanceIdentifier");
    assert_eq!(target.map(String::as_str), Some("orders-2"));
    assert!(calls[0].user_agent.contains("aws-sdk-rust"));
    assert_eq!(calls[0].outcome, Outcome::Answered);
}
