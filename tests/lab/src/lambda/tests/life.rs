use std::time::Duration;

use serde_json::json;

use super::{Fixture, state_of, until};
use crate::lambda::{LambdaError, Outcome, Settings};

#[tokio::test]
async fn an_idle_environment_is_frozen_and_thawed_by_the_next_event() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let answer = fixture.answer(json!({ "fork": true })).await;
    for process in ["pid", "child"] {
        until("frozen", async || state_of(&answer[process]) == Some('T')).await;
    }
    for _ in 0..50 {
        let again = fixture.answer(json!({})).await;
        assert_eq!(again["pid"], answer["pid"]);
    }
    until("frozen again", async || state_of(&answer["pid"]) == Some('T')).await;
}

#[tokio::test]
async fn shutdown_leaves_no_process() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let lambda = fixture.lambda.clone();
    let idle = fixture.answer(json!({ "fork": true })).await;
    let mut lines = lambda.lines();
    let busy = tokio::spawn({
        let lambda = lambda.clone();
        async move { lambda.invoke("echo", br#"{"sleep_ms":600000}"#.to_vec()).await }
    });
    while !lines.recv().await.unwrap().line.starts_with("START") {}
    lambda.clone().shutdown().await;
    assert_eq!(state_of(&idle["pid"]), None);
    until("the child is gone", async || state_of(&idle["child"]).is_none()).await;
    let ended = busy.await.unwrap().unwrap_err();
    assert!(matches!(ended, LambdaError::Closing), "{ended}");
    let refused = lambda.invoke("echo", Vec::new()).await.unwrap_err();
    assert!(matches!(refused, LambdaError::Closing), "{refused}");
}

#[tokio::test]
async fn killed_environments_are_replaced() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let before = fixture.answer(json!({})).await;
    assert_eq!(fixture.lambda.kill_environments("echo").await.unwrap(), 1);
    let after = fixture.answer(json!({})).await;
    assert_ne!(before["pid"], after["pid"]);
    until("the old process is gone", async || state_of(&before["pid"]).is_none()).await;
    assert!(fixture.lambda.records().await[1].cold_start);
}

#[tokio::test]
async fn an_idle_environment_ends() {
    let settings = Settings { idle_limit: Duration::from_millis(20), ..Settings::default() };
    let fixture = Fixture::with_echo(settings, |_| {}).await;
    let first = fixture.answer(json!({})).await;
    until("the process is gone", async || state_of(&first["pid"]).is_none()).await;
    fixture.answer(json!({})).await;
    let records = fixture.lambda.records().await;
    assert!(records.iter().all(|record| record.cold_start));
    assert!(records.iter().all(|record| record.outcome == Outcome::Succeeded));
}

#[tokio::test]
async fn processes_end_with_the_runtime() {
    let pid = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
            fixture.answer(json!({})).await["pid"].clone()
        })
    })
    .join()
    .unwrap();
    until("the process is gone", async || state_of(&pid).is_none()).await;
}
