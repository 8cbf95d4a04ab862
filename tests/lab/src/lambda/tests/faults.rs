use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;

use super::{Fixture, LIMIT, until};
use crate::lambda::{Outcome, Settings};

/// Far longer than an invocation of the echo function takes.
const DELAY: Duration = Duration::from_secs(5);

async fn runs(fixture: &Fixture, request_id: &str) -> usize {
    fixture.lambda.records().await.iter().filter(|record| record.request_id == request_id).count()
}

#[tokio::test]
async fn a_duplicate_is_the_same_event_once_more() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let lambda = &fixture.lambda;
    lambda.duplicate_next("echo").await.unwrap();
    let mut twice = vec![lambda.invoke_async("echo", b"{}".to_vec()).await.unwrap()];
    let mut once = vec![lambda.invoke_async("echo", b"{}".to_vec()).await.unwrap()];
    lambda.duplicate_all("echo", true).await.unwrap();
    for _ in 0..2 {
        twice.push(lambda.invoke_async("echo", b"{}".to_vec()).await.unwrap());
    }
    lambda.duplicate_all("echo", false).await.unwrap();
    once.push(lambda.invoke_async("echo", b"{}".to_vec()).await.unwrap());
    until("all runs", async || lambda.records().await.len() == 8).await;
    for request_id in &twice {
        assert_eq!(runs(&fixture, request_id).await, 2);
    }
    for request_id in &once {
        assert_eq!(runs(&fixture, request_id).await, 1);
    }
}

#[tokio::test]
async fn delayed_invocations_are_overtaken_by_those_after_the_fault() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let lambda = &fixture.lambda;
    fixture.answer(json!({})).await;
    lambda.delay_invocations("echo", DELAY).await.unwrap();
    let late = lambda.invoke_async("echo", b"{}".to_vec()).await.unwrap();
    lambda.delay_invocations("echo", Duration::ZERO).await.unwrap();
    fixture.answer(json!({})).await;
    until("the late one", async || runs(&fixture, &late).await == 1).await;
    let records = lambda.records().await;
    assert_eq!(records[2].request_id, late);
    assert_eq!(records[2].outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn a_delayed_invocation_does_not_hold_up_the_end() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    fixture.lambda.delay_invocations("echo", Duration::from_secs(86_400)).await.unwrap();
    let lambda = fixture.lambda.clone();
    let waiting = tokio::spawn(async move { lambda.invoke("echo", Vec::new()).await });
    tokio::task::yield_now().await;
    fixture.lambda.clone().shutdown().await;
    let ended = tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap();
    assert!(ended.is_err());
}

#[tokio::test]
async fn a_killed_asynchronous_invocation_is_tried_again_after_each_delay() {
    assert_eq!(Settings::default().retry_delays, [Duration::from_secs(60), Duration::from_secs(120)]);
    let (destination, mut failures) = mpsc::unbounded_channel();
    let delays = [Duration::from_millis(100), Duration::from_millis(300)];
    let settings = Settings { retry_delays: delays, ..Settings::default() };
    let fixture = Fixture::with_echo(settings, |spec| spec.on_failure = Some(destination)).await;
    let lambda = &fixture.lambda;
    let mut lines = lambda.lines();
    let request_id = lambda.invoke_async("echo", br#"{"sleep_ms":600000}"#.to_vec()).await.unwrap();
    for _ in 0..3 {
        while !lines.recv().await.unwrap().line.starts_with("START") {}
        assert_eq!(lambda.kill_environments("echo").await.unwrap(), 1);
    }
    let record = tokio::time::timeout(LIMIT, failures.recv()).await.unwrap().unwrap();
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    let attempts = lambda.records().await;
    assert!(attempts.iter().all(|attempt| attempt.request_id == request_id && attempt.outcome == Outcome::Exited));
    // Timers never fire early; both times are cut to milliseconds.
    for (pair, delay) in attempts.windows(2).zip(delays) {
        let waited = pair[1].started_ms - pair[0].ended_ms;
        assert!(u128::from(waited) + 1 >= delay.as_millis(), "{waited} ms before attempt {}", pair[1].attempt);
    }
}
