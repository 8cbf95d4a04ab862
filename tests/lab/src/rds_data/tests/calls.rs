//! Raw HTTP: what a client library would never send.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{CLUSTER, Lab, SECRET};
use crate::rds_data::{ServeError, Settings, serve};

/// Status line and headers in lower case, and the body.
async fn call(lab: &Lab, method: &str, path: &str, body: &[u8]) -> (String, Value) {
    let mut stream = TcpStream::connect(lab.server.address()).await.unwrap();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: lab\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may answer and hang up before it has read a body that is too large.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    (head.to_lowercase(), body)
}

fn statement(sql: &str) -> Value {
    json!({ "resourceArn": CLUSTER, "secretArn": SECRET, "database": "postgres", "sql": sql })
}

#[tokio::test]
async fn answers_are_json_with_the_service_headers() {
    let lab = Lab::start().await;
    let body = statement("SELECT 1 AS a").to_string();
    let (head, answer) = call(&lab, "POST", "/Execute", body.as_bytes()).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/json"));
    assert!(head.contains("x-amzn-requestid: "));
    assert_eq!(answer, json!({ "numberOfRecordsUpdated": 0, "records": [[{ "longValue": 1 }]] }));
}

#[tokio::test]
async fn unknown_operations() {
    let lab = Lab::start().await;
    for (method, path) in [("GET", "/Execute"), ("POST", "/ExecuteSql"), ("POST", "/execute"), ("POST", "/")] {
        let (head, answer) = call(&lab, method, path, b"{}").await;
        assert!(head.starts_with("http/1.1 404"), "{head}");
        assert!(head.contains("x-amzn-errortype: unknownoperationexception"));
        assert!(answer["message"].is_string());
    }
}

#[tokio::test]
async fn bodies_that_are_not_requests() {
    let lab = Lab::start().await;
    let mut wrong_type = statement("SELECT :a");
    wrong_type["parameters"] = json!([{ "name": "a", "value": { "longValue": "1" } }]);
    let mut too_large = statement("SELECT :a");
    too_large["parameters"] = json!([{ "name": "a", "value": { "longValue": 1e30 } }]);
    let mut bad_blob = statement("SELECT :a");
    bad_blob["parameters"] = json!([{ "name": "a", "value": { "blobValue": "*" } }]);
    let mut two = statement("SELECT :a");
    two["parameters"] = json!([{ "name": "a", "value": { "longValue": 1, "isNull": true } }]);
    let mut no_sql = statement("");
    no_sql["sql"] = Value::Null;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, kind) in [
        ("".to_owned(), "validationexception"),
        ("{}".to_owned(), "validationexception"),
        ("null".to_owned(), "serializationexception"),
        ("{".to_owned(), "serializationexception"),
        ("\u{0}".to_owned(), "serializationexception"),
        (deep, "serializationexception"),
        (wrong_type.to_string(), "serializationexception"),
        (too_large.to_string(), "serializationexception"),
        (bad_blob.to_string(), "validationexception"),
        (two.to_string(), "validationexception"),
        (no_sql.to_string(), "validationexception"),
    ] {
        let (head, _) = call(&lab, "POST", "/Execute", body.as_bytes()).await;
        assert!(head.starts_with("http/1.1 400"), "{head}");
        assert!(head.contains(&format!("x-amzn-errortype: {kind}\r\n")) || head.ends_with(kind), "{body:.80} {head}");
    }
    let (head, _) = call(&lab, "POST", "/Execute", b"{\"sql\":\"\xff\"}").await;
    assert!(head.starts_with("http/1.1 400"), "{head}");
    let huge = vec![b' '; (4 << 20) + 1];
    let (head, _) = call(&lab, "POST", "/Execute", &huge).await;
    assert!(head.starts_with("http/1.1 413"), "{head}");
}

#[tokio::test]
async fn a_call_goes_on_when_its_caller_hangs_up() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a int4)").await;
    let admin = lab.postgres.connect().await;
    admin.batch_execute("SELECT pg_advisory_lock(1)").await.unwrap();
    let mut stream = TcpStream::connect(lab.server.address()).await.unwrap();
    let body = statement("INSERT INTO t SELECT 1 FROM pg_advisory_xact_lock(1)").to_string();
    let request = format!("POST /Execute HTTP/1.1\r\nhost: lab\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    lab.until("SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").await;
    drop(stream);
    admin.batch_execute("SELECT pg_advisory_unlock(1)").await.unwrap();
    lab.until("SELECT count(*) = 1 FROM t").await;
}

#[tokio::test]
async fn only_loopback_addresses_are_served() {
    let lab = Lab::start().await;
    for listen in ["0.0.0.0:0", "[::1]:0"] {
        let listen = listen.parse().unwrap();
        let refused = serve(listen, lab.directory.clone(), Settings::default()).await;
        assert!(matches!(refused, Err(ServeError::NotLoopback(address)) if address == listen));
    }
    let taken = lab.server.address();
    let refused = serve(taken, lab.directory.clone(), Settings::default()).await;
    assert!(matches!(refused, Err(ServeError::Bind { address, .. }) if address == taken));
}
