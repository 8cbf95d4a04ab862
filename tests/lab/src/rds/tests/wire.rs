use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::FaultKind;
use super::{Lab, passive};

/// Sends a form as it is.
async fn send(lab: &Lab, authorization: &str, form: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(lab.rds.address()).await.unwrap();
    let length = form.len();
    let head =
        format!("POST / HTTP/1.1\r\nHost: rds\r\nConnection: close\r\n{authorization}Content-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(form).await.unwrap();
    stream
}

/// Sends a form and returns status line, headers and body.
async fn post(lab: &Lab, authorization: &str, form: &[u8]) -> String {
    let mut stream = send(lab, authorization, form).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/rds/aws4_request\r\n";

#[tokio::test]
async fn bad_requests_get_an_error_document() {
    let lab = Lab::start(passive()).await;
    let cases: [(&str, &[u8], &str); 7] = [
        (SIGNED, b"Action=CreateDBCluster&Version=2014-10-31", "InvalidAction"),
        (SIGNED, b"Action=DescribeDBClusters&Version=2010-01-01", "InvalidAction"),
        (SIGNED, b"Version=2014-10-31", "MissingAction"),
        (SIGNED, b"Action=FailoverDBCluster&Version=2014-10-31", "MissingParameter"),
        (SIGNED, b"Action=DescribeDBClusters&Version=2014-10-31&Marker=%FF", "InvalidParameterValue"),
        (SIGNED, b"\xff\x00", "MissingAction"),
        ("", b"Action=DescribeDBClusters&Version=2014-10-31", "MissingAuthenticationToken"),
    ];
    for (authorization, form, code) in cases {
        let answer = post(&lab, authorization, form).await;
        assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
        let expected = format!("<Error><Type>Sender</Type><Code>{code}</Code>");
        assert!(answer.contains(&expected), "{answer}");
        assert!(answer.contains("<RequestId>"), "{answer}");
    }
}

#[tokio::test]
async fn text_from_the_caller_is_escaped() {
    let lab = Lab::start(passive()).await;
    let form = b"Action=DescribeDBClusters&Version=2014-10-31&DBClusterIdentifier=%3Cx%3E%00";
    let answer = post(&lab, SIGNED, form).await;
    assert!(answer.contains("DBCluster &lt;x&gt;\u{fffd} not found."), "{answer}");
}

#[tokio::test]
async fn a_call_goes_on_when_its_caller_hangs_up() {
    let lab = Lab::start(passive()).await;
    let fault = FaultKind::Latency(Duration::from_millis(200));
    lab.rds.set_fault("FailoverDBCluster", fault, Some(1));
    let form = b"Action=FailoverDBCluster&Version=2014-10-31&DBClusterIdentifier=orders";
    drop(send(&lab, SIGNED, form).await);
    lab.wait_for_writer("orders-2").await;
}

#[tokio::test]
async fn after_a_shutdown_nothing_listens() {
    let lab = Lab::start(passive()).await;
    let mut open = TcpStream::connect(lab.rds.address()).await.unwrap();
    lab.cluster().await;
    lab.rds.shutdown().await;
    let mut rest = Vec::new();
    assert!(matches!(open.read_to_end(&mut rest).await, Ok(0) | Err(_)));
    assert!(TcpStream::connect(lab.rds.address()).await.is_err());
    assert!(lab.client.describe_db_clusters().send().await.is_err());
}
