//! When Steadfast must not act, and what it does then.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use steadfast_aws::clock;
use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::topology::Owner;
use steadfast_lab::assembly::{Lab, names};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn failover_calls(lab: &Lab) -> usize {
    lab.rds.calls().iter().filter(|call| call.action == "FailoverDBCluster").count()
}

/// Waits until a notice with this text in its subject has arrived.
async fn notice(lab: &Lab, text: &str) {
    let sqs = aws_sdk_sqs::Client::new(&lab.aws);
    let began = Instant::now();
    loop {
        let poll = sqs.receive_message().queue_url(&lab.resources.notices_url).wait_time_seconds(1);
        let answer = poll.send().await.expect("the queue answers");
        let found = answer.messages().iter().any(|message| {
            let body: Value = serde_json::from_str(message.body().unwrap_or_default()).unwrap_or_default();
            body["Subject"].as_str().is_some_and(|subject| subject.contains(text))
        });
        if found {
            return;
        }
        assert!(began.elapsed() < LIMIT, "no notice about {text:?}");
    }
}

/// Waits until the log of the coordinator holds this text.
async fn coordinator_says(lab_logs: &std::path::Path, text: &str) {
    let log = lab_logs.join(format!("{}.log", names::COORDINATOR));
    let began = Instant::now();
    while !std::fs::read_to_string(&log).unwrap_or_default().contains(text) {
        assert!(began.elapsed() < LIMIT, "the coordinator never said {text:?}");
        sleep(LOOK_EVERY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_setting_ends_the_start_with_one_line_that_names_it() {
    let config = support::config("settings");
    for (function, required) in [
        (
            names::COORDINATOR,
            ["STEADFAST_CLUSTER", "STEADFAST_TABLE", "STEADFAST_TOPIC_ARN", "STEADFAST_DRAINER"].as_slice(),
        ),
        (
            names::ROUTER,
            ["STEADFAST_CLUSTER", "STEADFAST_TABLE", "STEADFAST_TOPIC_ARN", "STEADFAST_COORDINATOR"].as_slice(),
        ),
        (names::PROBER, ["STEADFAST_CLUSTER", "STEADFAST_AZ", "STEADFAST_TABLE", "STEADFAST_COORDINATOR"].as_slice()),
        (
            names::DRAINER,
            ["STEADFAST_CLUSTER", "STEADFAST_TABLE", "STEADFAST_SECRET_ARN", "STEADFAST_DATABASE"].as_slice(),
        ),
    ] {
        for missing in required {
            let others: BTreeMap<_, _> =
                required.iter().filter(|name| *name != missing).map(|name| (*name, "x")).collect();
            ends_naming(&config.functions, function, &others, missing);
        }
    }
    let required = ["STEADFAST_CLUSTER", "STEADFAST_TABLE", "STEADFAST_TOPIC_ARN", "STEADFAST_DRAINER"];
    let pair = ["STEADFAST_PIN_NAME", "STEADFAST_PIN_ZONE"];
    for (given, missing) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        let others = required.iter().chain([&given]).map(|name| (*name, "x.internal")).collect();
        ends_naming(&config.functions, names::COORDINATOR, &others, missing);
    }
}

fn ends_naming(functions: &Path, function: &str, settings: &BTreeMap<&str, &str>, missing: &str) {
    let bootstrap = functions.join(function).join("bootstrap");
    let ended = Command::new(&bootstrap).env_clear().envs(settings).output().expect("the function starts");
    assert!(!ended.status.success(), "{function} without {missing}");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(said.lines().count(), 1, "{function} without {missing}: {said}");
    assert!(said.contains(missing), "{function} without {missing}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_not_watched_with_half_of_its_settings_or_beside_a_cluster() {
    let config = support::config("settings-of-an-instance");
    let bootstrap = config.functions.join(names::PROBER).join("bootstrap");
    let said = |settings: &[(&str, &str)]| {
        let ended = Command::new(&bootstrap).env_clear().envs(settings.iter().copied()).output();
        let ended = ended.expect("the function starts");
        assert!(!ended.status.success(), "{settings:?}");
        String::from_utf8_lossy(&ended.stderr).into_owned()
    };
    let both = said(&[("STEADFAST_CLUSTER", "x"), ("STEADFAST_INSTANCE", "x")]);
    assert!(both.contains("STEADFAST_CLUSTER and STEADFAST_INSTANCE exclude each other"), "{both}");
    let unmapped = said(&[("STEADFAST_INSTANCE", "x")]);
    assert!(unmapped.contains("setting STEADFAST_SUBNETS is missing"), "{unmapped}");
    let malformed = said(&[("STEADFAST_INSTANCE", "x"), ("STEADFAST_SUBNETS", "eu-central-1a:10.0.0.0")]);
    assert!(malformed.contains("setting STEADFAST_SUBNETS is malformed"), "{malformed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_events_are_answered_without_an_error_and_change_nothing() {
    let _alone = support::alone().await;
    let lab = Lab::start(&support::config("events")).await.expect("the lab starts");
    let before = lab.state().await.expect("state").episode;
    let event = |id: &str, time: &str| {
        json!({ "id": id, "time": time, "source": "aws.rds", "detail-type": "RDS DB Cluster Event", "detail": {
            "EventID": "RDS-EVENT-0069", "SourceType": "CLUSTER", "SourceIdentifier": names::CLUSTER, "Message": "m" } })
    };
    for strange in [
        json!(null),
        json!([]),
        json!("x"),
        json!({ "source": "aws.rds" }),
        json!({ "source": 7 }),
        json!({ "source": "aws.rds", "detail": { "EventID": [] } }),
        event("old", "2020-01-01T00:00:00Z"),
    ] {
        let answer = lab.invoke(names::ROUTER, &strange).await.expect("answered");
        assert!(answer["wakes"] == json!(false) && answer["notice"].is_null(), "{strange} -> {answer}");
        lab.invoke(names::COORDINATOR, &strange).await.expect("answered");
        lab.invoke(names::DRAINER, &strange).await.expect("answered");
    }
    let twice = event("twice", "2999-01-01T00:00:00Z");
    assert_eq!(lab.invoke(names::ROUTER, &twice).await.expect("answered")["wakes"], json!(true));
    assert_eq!(lab.invoke(names::ROUTER, &twice).await.expect("answered")["dropped"], json!("duplicate"));
    let foreign =
        json!({ "cluster": "billing", "hint": "operator", "order": "set_mode", "mode": "paused", "reason": "x" });
    lab.invoke(names::COORDINATOR, &foreign).await.expect("answered");
    let after = lab.state().await.expect("state");
    assert_eq!((after.episode, after.mode), (before, Mode::Armed));
    assert_eq!(failover_calls(&lab), 0);
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_state_table_nothing_is_done_and_people_are_told() {
    let _alone = support::alone().await;
    let lab = Lab::start(&support::config("no-table")).await.expect("the lab starts");
    let dynamodb = aws_sdk_dynamodb::Client::new(&lab.aws);
    dynamodb.delete_table().table_name(names::TABLE).send().await.expect("deleted");
    lab.cluster.kill_postgres(names::INSTANCES[0]).await.expect("killed");
    notice(&lab, "the state table does not answer").await;
    assert_eq!(failover_calls(&lab), 0);
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_somebody_elses_lease_nothing_is_done_and_people_are_told() {
    let _alone = support::alone().await;
    let lab = Lab::start(&support::config("foreign-lease")).await.expect("the lab starts");
    let seen = lab.state().await.expect("state").lease;
    let expires_at = clock::now().plus(Duration::from_secs(3_600));
    let epoch = seen.as_ref().map_or(1, |lease| lease.epoch + 1);
    let foreign = Lease { owner: Owner::new("somebody else"), epoch, expires_at };
    lab.table.write_lease(&lab.cluster_id(), seen.as_ref(), &foreign).await.expect("written");
    lab.cluster.kill_postgres(names::INSTANCES[0]).await.expect("killed");
    notice(&lab, "another coordinator holds the lease").await;
    assert_eq!(failover_calls(&lab), 0);
    assert!(lab.state().await.expect("state").episode.is_none());
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shadow_decides_and_records_and_paused_does_neither() {
    let _alone = support::alone().await;
    let config = support::config("modes");
    let lab = Lab::start(&config).await.expect("the lab starts");
    lab.set_mode(Mode::Paused, "test").await.expect("paused");
    lab.cluster.kill_postgres(names::INSTANCES[0]).await.expect("killed");
    coordinator_says(&config.logs, "\"rule\":110").await;
    assert!(lab.state().await.expect("state").episode.is_none());
    lab.set_mode(Mode::Shadow, "test").await.expect("shadow");
    coordinator_says(&config.logs, "\"rule\":630").await;
    let episode = lab.state().await.expect("state").episode.expect("shadow records");
    assert_eq!(episode.promotion, None);
    assert_eq!(failover_calls(&lab), 0);
    lab.shutdown().await;
}
