use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::json;

use super::http::{Answered, ask};
use super::{Fixture, LIMIT, json as parse};
use crate::lambda::{FunctionSpec, Outcome, Settings};

/// A function whose process leaves the Runtime API to the test.
const BOOTSTRAP: &str = "#!/bin/sh\necho \"api=$AWS_LAMBDA_RUNTIME_API\"\nexec sleep 600\n";

async fn started() -> (Fixture, SocketAddr, tokio::task::JoinHandle<crate::lambda::Invocation>) {
    let fixture = Fixture::new(Settings::default()).await;
    let bootstrap = fixture.logs.join("bootstrap");
    std::fs::write(&bootstrap, BOOTSTRAP).unwrap();
    std::fs::set_permissions(&bootstrap, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut spec = FunctionSpec::new("raw", bootstrap);
    spec.timeout = Duration::from_secs(60);
    fixture.lambda.create_function(spec).await.unwrap();
    let mut lines = fixture.lambda.lines();
    let lambda = fixture.lambda.clone();
    let invocation = tokio::spawn(async move { lambda.invoke("raw", b"[1]".to_vec()).await.unwrap() });
    let line = tokio::time::timeout(LIMIT, lines.recv()).await.unwrap().unwrap();
    let api = line.line.strip_prefix("api=").unwrap().parse().unwrap();
    (fixture, api, invocation)
}

async fn post(api: SocketAddr, call: &str, body: &str) -> Answered {
    ask(api, &format!("POST /2018-06-01/runtime/{call}"), "", body.as_bytes()).await
}

async fn next(api: SocketAddr) -> Answered {
    ask(api, "GET /2018-06-01/runtime/invocation/next", "", b"").await
}

#[tokio::test]
async fn every_call_is_checked_against_the_state_of_the_environment() {
    let (fixture, api, invocation) = started().await;
    assert_eq!(post(api, "invocation/early/response", "1").await.status, 403);
    let event = next(api).await;
    assert_eq!((event.status, event.body.as_str()), (200, "[1]"));
    for header in ["lambda-runtime-deadline-ms", "lambda-runtime-invoked-function-arn", "lambda-runtime-trace-id"] {
        assert!(event.header(header).is_some(), "{header}");
    }
    let id = event.header("lambda-runtime-aws-request-id").unwrap();
    let wrong = post(api, "invocation/another/response", "1").await;
    assert_eq!((wrong.status, wrong.json()["errorType"].clone()), (400, json!("InvalidRequestID")));
    assert_eq!(next(api).await.status, 403);
    assert_eq!(post(api, "init/error", "{}").await.status, 403);
    assert_eq!(post(api, "no/such/call", "{}").await.status, 404);
    let accepted = post(api, &format!("invocation/{id}/response"), "{\"ok\":1}").await;
    assert_eq!((accepted.status, accepted.json()), (202, json!({ "status": "OK" })));
    assert_eq!(post(api, &format!("invocation/{id}/error"), "{}").await.status, 403);
    let waiting = tokio::spawn(next(api));
    let answered = invocation.await.unwrap();
    assert_eq!(parse(&answered.payload), json!({ "ok": 1 }));
    assert_eq!(fixture.lambda.records().await[0].outcome, Outcome::Succeeded);
    waiting.abort();
}

#[tokio::test]
async fn an_init_error_is_the_answer_once_init_has_failed_twice() {
    let (fixture, api, invocation) = started().await;
    let mut lines = fixture.lambda.lines();
    let body = r#"{"errorType":"Config.Missing","errorMessage":"no cluster"}"#;
    assert_eq!(post(api, "init/error", body).await.status, 202);
    let again = loop {
        let line = tokio::time::timeout(LIMIT, lines.recv()).await.unwrap().unwrap();
        if let Some(api) = line.line.strip_prefix("api=") {
            break api.parse().unwrap();
        }
    };
    assert_eq!(post(again, "init/error", body).await.status, 202);
    let answered = invocation.await.unwrap();
    assert_eq!(answered.function_error.as_deref(), Some("Unhandled"));
    assert_eq!(parse(&answered.payload)["errorType"], "Config.Missing");
    assert_eq!(fixture.lambda.records().await[0].outcome, Outcome::InitFailed);
}
