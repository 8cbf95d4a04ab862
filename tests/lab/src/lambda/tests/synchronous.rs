use std::time::Duration;

use serde_json::json;

use super::{Fixture, bootstrap, json as parse, until};
use crate::lambda::{FunctionSpec, InvocationKind, LambdaError, Outcome, Settings};

#[tokio::test]
async fn an_event_is_answered_and_the_environment_used_again() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let first = fixture.invoke(json!({ "n": 1, "print": "hello" })).await;
    let answer = parse(&first.payload);
    assert_eq!(answer["event"]["n"], 1);
    assert_eq!(answer["request_id"], first.request_id);
    assert_eq!(answer["arn"], "arn:aws:lambda:us-east-1:123456789012:function:echo");
    for part in ["START RequestId: ", "hello\n", "END RequestId: ", "Init Duration: "] {
        assert!(first.log_tail.contains(part), "{part} is not in {}", first.log_tail);
    }
    let second = fixture.answer(json!({})).await;
    assert_eq!(second["pid"], answer["pid"]);
    let records = fixture.lambda.records().await;
    let cold: Vec<bool> = records.iter().map(|record| record.cold_start).collect();
    assert_eq!(cold, [true, false]);
    assert!(records.iter().all(|record| record.outcome == Outcome::Succeeded));
    assert!(records.iter().all(|record| record.kind == InvocationKind::Synchronous));
    assert!(records.iter().all(|record| record.queued_ms <= record.ended_ms));
    fixture.lambda.clone().shutdown().await;
    let log = std::fs::read_to_string(fixture.logs.join("echo.log")).unwrap();
    assert_eq!(log.matches("REPORT RequestId: ").count(), 2, "{log}");
    assert!(log.contains("echo is ready"), "{log}");
}

#[tokio::test]
async fn an_error_is_reported_and_the_environment_used_again() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let before = fixture.answer(json!({})).await;
    for event in [json!({ "fail": "boom" }), json!({ "panic": "boom" })] {
        let failed = fixture.invoke(event).await;
        assert_eq!(failed.function_error.as_deref(), Some("Unhandled"));
        let message = parse(&failed.payload)["errorMessage"].to_string();
        assert!(message.contains("boom"), "{message}");
    }
    assert_eq!(fixture.answer(json!({})).await["pid"], before["pid"]);
    let records = fixture.lambda.records().await;
    assert!(matches!(records[1].outcome, Outcome::FunctionError { .. }), "{records:?}");
}

#[tokio::test]
async fn a_timeout_kills_the_process_and_says_so() {
    let fixture = Fixture::with_echo(Settings::default(), |spec| {
        spec.timeout = Duration::from_secs(5);
    })
    .await;
    let failed = fixture.invoke(json!({ "sleep_ms": 600_000, "print": "waiting" })).await;
    assert_eq!(failed.function_error.as_deref(), Some("Unhandled"));
    let expected = format!("RequestId: {} Error: Task timed out after 5.00 seconds", failed.request_id);
    let document = json!({ "errorType": "Sandbox.Timedout", "errorMessage": expected });
    assert_eq!(parse(&failed.payload), document);
    assert!(failed.log_tail.contains("waiting"), "{}", failed.log_tail);
    assert!(failed.log_tail.contains("Status: timeout"), "{}", failed.log_tail);
    fixture.answer(json!({})).await;
    let records = fixture.lambda.records().await;
    assert_eq!(records[0].outcome, Outcome::TimedOut);
    assert!(records[1].cold_start);
}

#[tokio::test]
async fn an_exit_is_reported_with_its_status() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let failed = fixture.invoke(json!({ "exit": 7 })).await;
    let expected = format!("RequestId: {} Error: Runtime exited with error: exit status 7", failed.request_id);
    let document = json!({ "errorType": "Runtime.ExitError", "errorMessage": expected });
    assert_eq!(parse(&failed.payload), document);
    let clean = parse(&fixture.invoke(json!({ "exit": 0 })).await.payload);
    let message = clean["errorMessage"].to_string();
    assert!(message.contains("Runtime exited without providing a reason"), "{message}");
    assert_eq!(fixture.lambda.records().await[0].outcome, Outcome::Exited);
}

#[tokio::test]
async fn a_failing_init_is_tried_again_and_shows_its_last_words() {
    let fixture = Fixture::with_echo(Settings::default(), |spec| {
        spec.environment.insert("ECHO_INIT".to_owned(), "fail".to_owned());
    })
    .await;
    let failed = fixture.invoke(json!({})).await;
    assert_eq!(parse(&failed.payload)["errorType"], "Runtime.ExitError");
    assert!(failed.log_tail.contains("setting ECHO_TARGET is missing"), "{}", failed.log_tail);
    let records = fixture.lambda.records().await;
    assert_eq!(records[0].outcome, Outcome::InitFailed);
    let detail = records[0].detail.clone().unwrap();
    assert!(detail.contains("exit status 3"), "{detail}");
    assert!(detail.contains("setting ECHO_TARGET is missing"), "{detail}");
    fixture.lambda.clone().shutdown().await;
    let log = std::fs::read_to_string(fixture.logs.join("echo.log")).unwrap();
    assert_eq!(log.matches("setting ECHO_TARGET is missing").count(), 2, "{log}");
    assert!(log.contains("Phase: init\tStatus: error"), "{log}");
    assert!(log.contains("Phase: invoke\tStatus: error"), "{log}");
}

#[tokio::test]
async fn an_init_without_end_runs_into_the_timeout() {
    let settings = Settings { init_limit: Duration::from_millis(50), ..Settings::default() };
    let fixture = Fixture::with_echo(settings, |spec| {
        spec.timeout = Duration::from_secs(1);
        spec.environment.insert("ECHO_INIT".to_owned(), "hang".to_owned());
    })
    .await;
    let failed = parse(&fixture.invoke(json!({})).await.payload);
    assert_eq!(failed["errorType"], "Sandbox.Timedout");
    assert_eq!(fixture.lambda.records().await[0].outcome, Outcome::InitFailed);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_a_function_error() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let before = fixture.answer(json!({})).await;
    let failed = fixture.invoke(json!({ "answer_bytes": 7 * 1024 * 1024 })).await;
    assert_eq!(parse(&failed.payload)["errorType"], "Function.ResponseSizeTooLarge");
    let large = fixture.invoke(json!({ "answer_bytes": 6 * 1024 * 1024 })).await;
    assert_eq!(large.payload.len(), 6 * 1024 * 1024 + 2);
    assert_eq!(fixture.answer(json!({})).await["pid"], before["pid"]);
}

#[tokio::test]
async fn invocations_at_once_have_environments_of_their_own() {
    let fixture = Fixture::with_echo(Settings::default(), |spec| {
        spec.reserved_concurrency = Some(2);
    })
    .await;
    let mut lines = fixture.lambda.lines();
    let lambda = fixture.lambda.clone();
    let sleeping: Vec<_> = (0..2)
        .map(|_| {
            let lambda = lambda.clone();
            tokio::spawn(async move { lambda.invoke("echo", br#"{"sleep_ms":600000}"#.to_vec()).await })
        })
        .collect();
    let mut started = 0;
    while started < 2 {
        let line = tokio::time::timeout(super::LIMIT, lines.recv()).await.unwrap().unwrap();
        started += usize::from(line.line.starts_with("START"));
    }
    let refused = lambda.invoke("echo", Vec::new()).await.unwrap_err();
    assert!(matches!(refused, LambdaError::Throttled), "{refused}");
    assert_eq!(lambda.kill_environments("echo").await.unwrap(), 2);
    for invocation in sleeping {
        let failed = parse(&invocation.await.unwrap().unwrap().payload);
        let message = failed["errorMessage"].to_string();
        assert!(message.contains("signal: killed"), "{message}");
    }
    fixture.answer(json!({})).await;
    let outcomes: Vec<Outcome> = lambda.records().await.into_iter().map(|record| record.outcome).collect();
    let expected = [Outcome::Throttled, Outcome::Exited, Outcome::Exited, Outcome::Succeeded];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn an_invocation_goes_on_when_its_caller_is_gone() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let mut lines = fixture.lambda.lines();
    let lambda = fixture.lambda.clone();
    let caller = tokio::spawn(async move { lambda.invoke("echo", br#"{"sleep_ms":50}"#.to_vec()).await });
    while !lines.recv().await.unwrap().line.starts_with("START") {}
    caller.abort();
    until("the record", async || !fixture.lambda.records().await.is_empty()).await;
    assert_eq!(fixture.lambda.records().await[0].outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn the_environment_is_lambdas_own() {
    let fixture = Fixture::with_echo(Settings::default(), |spec| {
        spec.environment.insert("COLOR".to_owned(), "green".to_owned());
    })
    .await;
    let variables = fixture.answer(json!({ "environment": true })).await;
    assert_eq!(variables["COLOR"], "green");
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_NAME"], "echo");
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_VERSION"], "$LATEST");
    assert_eq!(variables["TZ"], ":UTC");
    assert_eq!(variables["HOME"], serde_json::Value::Null);
    assert_eq!(variables["CARGO_MANIFEST_DIR"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_wrong_specification_names_the_setting() {
    let fixture = Fixture::new(Settings::default()).await;
    let data = fixture.logs.join("data");
    std::fs::write(&data, "not a program").unwrap();
    let wrong = [
        ("name", FunctionSpec::new("no/slash", bootstrap())),
        ("timeout", FunctionSpec { timeout: Duration::ZERO, ..FunctionSpec::new("f", bootstrap()) }),
        ("retries", FunctionSpec { retries: 3, ..FunctionSpec::new("f", bootstrap()) }),
        ("/no/such/bootstrap", FunctionSpec::new("f", "/no/such/bootstrap")),
        ("not executable", FunctionSpec::new("f", data)),
        (
            "AWS_REGION",
            FunctionSpec {
                environment: [("AWS_REGION".to_owned(), "x".to_owned())].into(),
                ..FunctionSpec::new("f", bootstrap())
            },
        ),
    ];
    for (named, spec) in wrong {
        let error = fixture.lambda.create_function(spec).await.unwrap_err().to_string();
        assert!(error.contains(named), "{named} is not in: {error}");
    }
}
