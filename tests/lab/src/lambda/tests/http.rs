use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Fixture, LIMIT, until};
use crate::lambda::{Outcome, Settings};

pub(super) struct Answered {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Answered {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let named = self.head.lines().filter_map(|line| line.split_once(": "));
        named.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(super) async fn ask(to: SocketAddr, request: &str, headers: &str, body: &[u8]) -> Answered {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: lambda\r\nconnection: close\r\n\
             content-length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let answer = tokio::time::timeout(LIMIT, exchange).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answered { status, head: head.to_owned(), body: body.to_owned() }
}

const INVOKE: &str = "POST /2015-03-31/functions/echo/invocations";

#[tokio::test]
async fn a_function_is_invoked_by_name_and_by_arn() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let to = fixture.lambda.address();
    let tail = "x-amz-log-type: Tail\r\nx-amzn-trace-id: Root=1-0-1\r\n";
    let answer = ask(to, INVOKE, tail, br#"{"n":1}"#).await;
    assert_eq!((answer.status, &answer.json()["event"]), (200, &json!({ "n": 1 })));
    assert_eq!(answer.json()["trace_id"], "Root=1-0-1");
    assert_eq!(answer.header("x-amz-executed-version"), Some("$LATEST"));
    assert_eq!(answer.header("x-amz-function-error"), None);
    assert_eq!(answer.header("x-amzn-requestid"), answer.json()["request_id"].as_str());
    let log = STANDARD.decode(answer.header("x-amz-log-result").unwrap()).unwrap();
    let log = String::from_utf8(log).unwrap();
    assert!(log.contains("REPORT RequestId: "), "{log}");
    let by_arn = "POST /2015-03-31/functions/\
        arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Aecho/invocations\
        ?Qualifier=%24LATEST";
    let answer = ask(to, by_arn, "", b"").await;
    assert_eq!((answer.status, &answer.json()["event"]), (200, &json!({})));
    let failed = ask(to, INVOKE, "", br#"{"fail":"boom"}"#).await;
    assert_eq!((failed.status, failed.header("x-amz-function-error")), (200, Some("Unhandled")));
}

#[tokio::test]
async fn events_and_dry_runs_are_accepted() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let to = fixture.lambda.address();
    let dry = ask(to, INVOKE, "x-amz-invocation-type: DryRun\r\n", b"{}").await;
    assert_eq!((dry.status, dry.body.as_str()), (204, ""));
    assert!(fixture.lambda.records().await.is_empty());
    let event = ask(to, INVOKE, "x-amz-invocation-type: Event\r\n", b"{}").await;
    assert_eq!((event.status, event.body.as_str()), (202, ""));
    until("the event has run", async || fixture.lambda.records().await.len() == 1).await;
    let record = fixture.lambda.records().await.remove(0);
    assert_eq!(Some(record.request_id.as_str()), event.header("x-amzn-requestid"));
    assert_eq!(record.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn refusals_carry_the_apis_errors() {
    let fixture = Fixture::with_echo(Settings::default(), |spec| {
        spec.reserved_concurrency = Some(0);
    })
    .await;
    let to = fixture.lambda.address();
    let event = "x-amz-invocation-type: Event\r\n";
    let large = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 1)).into_bytes();
    let none = "POST /2015-03-31/functions/none/invocations";
    let cases: [(&str, &str, Vec<u8>, u16, &str); 7] = [
        (none, "", b"{}".to_vec(), 404, "ResourceNotFoundException"),
        (INVOKE, "", b"{oops".to_vec(), 400, "InvalidRequestContentException"),
        (INVOKE, "", large(6 * 1024 * 1024), 413, "RequestTooLargeException"),
        (INVOKE, event, large(1024 * 1024), 413, "RequestTooLargeException"),
        (INVOKE, "", b"{}".to_vec(), 429, "TooManyRequestsException"),
        (INVOKE, "x-amz-invocation-type: Soon\r\n", vec![], 400, "InvalidParameterValueException"),
        ("DELETE /2015-03-31/functions/echo", "", vec![], 404, "UnknownOperationException"),
    ];
    for (request, headers, body, status, kind) in cases {
        let answer = ask(to, request, headers, &body).await;
        assert_eq!((answer.status, answer.header("x-amzn-errortype")), (status, Some(kind)));
        assert!(answer.json().is_object(), "{}", answer.body);
        assert!(answer.header("x-amzn-requestid").is_some());
    }
}

#[tokio::test]
async fn functions_can_be_read() {
    let fixture = Fixture::with_echo(Settings::default(), |_| {}).await;
    let to = fixture.lambda.address();
    let configuration = ask(to, "GET /2015-03-31/functions/echo/configuration", "", b"").await.json();
    assert_eq!(configuration["State"], "Active");
    assert_eq!(configuration["Timeout"], 60);
    let function = ask(to, "GET /2015-03-31/functions/echo", "", b"").await.json();
    assert_eq!(function["Configuration"], configuration);
    let all = ask(to, "GET /2015-03-31/functions/", "", b"").await.json();
    assert_eq!(all["Functions"], json!([configuration]));
}
