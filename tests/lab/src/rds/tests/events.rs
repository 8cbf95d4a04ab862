use std::time::{Duration, SystemTime};

use aws_sdk_rds::error::ProvideErrorMetadata;
use aws_sdk_rds::primitives::DateTime;
use aws_sdk_rds::types::SourceType;

use super::{LIMIT, Lab, passive};

async fn failed_over() -> Lab {
    let mut lab = Lab::start(passive()).await;
    lab.fail_over(Some("orders-2")).await.unwrap();
    lab.next_events::<4>().await;
    lab
}

#[tokio::test]
async fn past_events_are_described_by_source_and_category() {
    let lab = failed_over().await;
    let all = lab.client.describe_events().send().await.unwrap();
    let texts = all.events().iter().filter_map(|event| event.message());
    let texts: Vec<_> = texts.collect();
    assert_eq!(
        texts,
        [
            "Started cross AZ failover to DB instance: orders-2",
            "DB instance shutdown",
            "Completed failover to DB instance: orders-2",
            "Cluster topology is updated.",
        ]
    );
    let call = lab.client.describe_events();
    let call = call.source_type(SourceType::DbInstance);
    let one = call.source_identifier("ORDERS-1").send().await.unwrap();
    assert_eq!(one.events().len(), 1);
    assert_eq!(one.events()[0].event_categories(), ["availability"]);
    let call = lab.client.describe_events();
    let some = call.event_categories("failover").send().await.unwrap();
    assert_eq!(some.events().len(), 2);
    assert_eq!(some.events()[0].source_arn(), Some("arn:aws:rds:eu-west-1:123456789012:cluster:orders"));
}

#[tokio::test]
async fn the_time_window_holds() {
    let lab = failed_over().await;
    let hour = Duration::from_secs(3_600);
    let later = DateTime::from(SystemTime::now() + hour);
    let earlier = DateTime::from(SystemTime::now() - hour);
    let call = lab.client.describe_events().start_time(earlier);
    assert_eq!(call.send().await.unwrap().events().len(), 4);
    let call = lab.client.describe_events().end_time(earlier);
    assert!(call.send().await.unwrap().events().is_empty());
    let call = lab.client.describe_events().duration(20_160);
    assert_eq!(call.send().await.unwrap().events().len(), 4);
    let call = lab.client.describe_events();
    let wrong = call.start_time(later).end_time(earlier).send().await;
    let wrong = wrong.unwrap_err().into_service_error();
    assert_eq!(wrong.code(), Some("InvalidParameterCombination"));
}

#[tokio::test]
async fn rules_of_the_parameters_hold() {
    let lab = Lab::start(passive()).await;
    let call = lab.client.describe_events().source_identifier("orders");
    let wrong = call.send().await.unwrap_err().into_service_error();
    assert_eq!(wrong.code(), Some("InvalidParameterCombination"));
    for size in [19, 101] {
        let call = lab.client.describe_events().max_records(size);
        let wrong = call.send().await.unwrap_err().into_service_error();
        assert_eq!(wrong.code(), Some("InvalidParameterValue"));
    }
}

#[tokio::test]
async fn long_logs_come_in_pages() {
    let mut lab = Lab::start(passive()).await;
    for _ in 0..15 {
        let call = lab.client.reboot_db_instance();
        call.db_instance_identifier("orders-3").send().await.unwrap();
        lab.next_events::<2>().await;
    }
    let call = lab.client.describe_events().max_records(20);
    let pages = call.into_paginator().items().send();
    let all = tokio::time::timeout(LIMIT, pages.collect::<Result<Vec<_>, _>>()).await;
    assert_eq!(all.unwrap().unwrap().len(), 30);
    let first = lab.client.describe_events().max_records(20).send().await;
    let first = first.unwrap();
    assert_eq!(first.events().len(), 20);
    assert!(first.marker().is_some());
}

#[tokio::test]
async fn an_event_has_the_documented_envelope() {
    let mut lab = Lab::start(passive()).await;
    lab.fail_over(Some("orders-2")).await.unwrap();
    let event = tokio::time::timeout(LIMIT, lab.events.recv()).await;
    let event = event.unwrap().unwrap();
    let envelope = event.to_eventbridge();
    assert_eq!(envelope["detail-type"], "RDS DB Cluster Event");
    assert_eq!(envelope["source"], "aws.rds");
    assert_eq!(envelope["account"], "123456789012");
    assert_eq!(envelope["resources"][0], event.arn);
    let detail = &envelope["detail"];
    assert_eq!(detail["EventID"], "RDS-EVENT-0073");
    assert_eq!(detail["SourceType"], "CLUSTER");
    assert_eq!(detail["SourceIdentifier"], "orders");
    assert_eq!(detail["EventCategories"][0], "failover");
    assert_eq!(detail["Tags"]["env"], "lab <&>");
    let date = detail["Date"].as_str().unwrap();
    assert_eq!(date.len(), "2018-10-06T12:26:13.882Z".len());
    let time = envelope["time"].as_str().unwrap();
    assert_eq!(format!("{}Z", &date[..19]), time);
}
