use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Fixture, LIMIT, until};
use crate::lambda::{FunctionSpec, InvocationKind, Outcome, Settings};

fn quick() -> Settings {
    Settings {
        retry_delays: [Duration::from_millis(1), Duration::from_millis(2)],
        backoff: Duration::from_millis(1),
        backoff_limit: Duration::from_millis(20),
        ..Settings::default()
    }
}

async fn with_destination(change: impl FnOnce(&mut FunctionSpec)) -> (Fixture, mpsc::UnboundedReceiver<Value>) {
    let (destination, failures) = mpsc::unbounded_channel();
    let fixture = Fixture::with_echo(quick(), |spec| {
        spec.on_failure = Some(destination);
        change(spec);
    })
    .await;
    (fixture, failures)
}

async fn next(failures: &mut mpsc::UnboundedReceiver<Value>) -> Value {
    tokio::time::timeout(LIMIT, failures.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_failing_event_is_tried_three_times_and_then_given_up() {
    let (fixture, mut failures) = with_destination(|_| {}).await;
    let event = json!({ "fail": "boom" });
    let request_id = fixture.lambda.invoke_async("echo", event.to_string().into_bytes()).await.unwrap();
    let record = next(&mut failures).await;
    assert_eq!(record["version"], "1.0");
    assert_eq!(
        record["requestContext"],
        json!({
            "requestId": request_id,
            "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:echo:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        })
    );
    assert_eq!(record["requestPayload"], event);
    assert_eq!(
        record["responseContext"],
        json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" })
    );
    assert_eq!(record["responsePayload"]["errorMessage"], "boom");
    let attempts = fixture.lambda.records().await;
    assert!(attempts.iter().all(|attempt| attempt.request_id == request_id));
    assert!(attempts.iter().all(|attempt| attempt.kind == InvocationKind::Asynchronous));
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.attempt).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn without_retries_an_event_is_tried_once() {
    let (fixture, mut failures) = with_destination(|spec| spec.retries = 0).await;
    fixture.lambda.invoke_async("echo", br#"{"exit":1}"#.to_vec()).await.unwrap();
    let record = next(&mut failures).await;
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(record["responsePayload"]["errorType"], "Runtime.ExitError");
    assert_eq!(fixture.lambda.records().await.len(), 1);
}

#[tokio::test]
async fn a_throttled_event_waits_for_its_turn() {
    let (fixture, _failures) = with_destination(|spec| {
        spec.reserved_concurrency = Some(1);
        spec.retries = 0;
    })
    .await;
    let lambda = fixture.lambda.clone();
    let mut lines = lambda.lines();
    let first = lambda.invoke_async("echo", br#"{"sleep_ms":600000}"#.to_vec()).await.unwrap();
    while !lines.recv().await.unwrap().line.starts_with("START") {}
    let second = lambda.invoke_async("echo", b"{}".to_vec()).await.unwrap();
    until("the second event is throttled", async || {
        lambda.records().await.iter().any(|record| record.outcome == Outcome::Throttled)
    })
    .await;
    lambda.kill_environments("echo").await.unwrap();
    until("the second event has run", async || {
        let records = lambda.records().await;
        records.iter().any(|r| r.request_id == second && r.outcome == Outcome::Succeeded)
    })
    .await;
    let records = lambda.records().await;
    let throttled = |id: &str| records.iter().filter(|r| r.request_id == id && r.outcome == Outcome::Throttled).count();
    assert!(throttled(&second) > 0);
    assert_eq!(throttled(&first), 0);
}

#[tokio::test]
async fn an_event_that_waited_too_long_is_given_up() {
    let (fixture, mut failures) = with_destination(|spec| {
        spec.reserved_concurrency = Some(1);
        spec.max_event_age = Duration::from_millis(100);
    })
    .await;
    let lambda = fixture.lambda.clone();
    let mut lines = lambda.lines();
    let busy = tokio::spawn({
        let lambda = lambda.clone();
        async move { lambda.invoke("echo", br#"{"sleep_ms":600000}"#.to_vec()).await }
    });
    while !lines.recv().await.unwrap().line.starts_with("START") {}
    lambda.invoke_async("echo", b"{}".to_vec()).await.unwrap();
    let record = next(&mut failures).await;
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(record["responsePayload"], Value::Null);
    lambda.kill_environments("echo").await.unwrap();
    busy.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_function_turned_off_gives_events_up_at_once() {
    let (fixture, mut failures) = with_destination(|spec| spec.reserved_concurrency = Some(0)).await;
    fixture.lambda.invoke_async("echo", Vec::new()).await.unwrap();
    let record = next(&mut failures).await;
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(record["requestPayload"], json!({}));
}
