use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Emulator, EmulatorError, listeners};

const GENEROUS: Duration = Duration::from_secs(60);

/// A folder that goes when the test ends, whichever way.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("steadfast-emulator-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(folder: &Folder) -> Emulator {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv");
    Emulator::start(&venv, &folder.0).await.unwrap()
}

/// Calls an operation of a service and returns the HTTP status and the answer.
async fn call(emulator: &Emulator, target: &str, body: &Value) -> (u16, Value) {
    let address = emulator.address();
    let body = body.to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-Amz-Target: {target}\r\n\
         Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

async fn create_table(emulator: &Emulator) {
    let table = json!({
        "TableName": "lease", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    });
    let (status, answer) = call(emulator, "DynamoDB_20120810.CreateTable", &table).await;
    assert_eq!(status, 200, "{answer}");
}

async fn put_if_absent(emulator: &Emulator) -> (u16, Value) {
    let item = json!({
        "TableName": "lease", "Item": {"pk": {"S": "a"}, "v": {"N": "1"}},
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    call(emulator, "DynamoDB_20120810.PutItem", &item).await
}

/// Whether nothing listens there any more, waited for.
async fn refuses(emulator_address: std::net::SocketAddr) -> bool {
    let gone = async {
        while TcpStream::connect(emulator_address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(GENEROUS, gone).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_conditional_writes_on_loopback_only() {
    let folder = Folder::new();
    let emulator = start(&folder).await;
    assert_eq!(emulator.endpoint(), format!("http://{}", emulator.address()));
    let found = listeners::of_process(emulator.pid().unwrap()).unwrap();
    assert_eq!(found, [emulator.address()]);
    create_table(&emulator).await;
    assert_eq!(put_if_absent(&emulator).await.0, 200);
    let (status, answer) = put_if_absent(&emulator).await;
    assert_eq!((status, &answer["Item"]["v"]["N"]), (400, &json!("1")));
    assert!(answer["__type"].as_str().unwrap().ends_with("ConditionalCheckFailedException"));
    emulator.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hangs_while_stopped_and_answers_afterwards() {
    let folder = Folder::new();
    let emulator = start(&folder).await;
    create_table(&emulator).await;
    emulator.stop().await.unwrap();
    let mut pending = Box::pin(put_if_absent(&emulator));
    // The process stands still, so no answer can come, however long this waits.
    assert!(timeout(Duration::from_millis(200), &mut pending).await.is_err());
    emulator.cont().unwrap();
    assert_eq!(timeout(GENEROUS, pending).await.unwrap().0, 200);
    emulator.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_even_while_stopped() {
    let folder = Folder::new();
    let emulator = start(&folder).await;
    let address = emulator.address();
    emulator.stop().await.unwrap();
    emulator.shutdown().await.unwrap();
    assert!(refuses(address).await);

    let emulator = start(&folder).await;
    let address = emulator.address();
    emulator.stop().await.unwrap();
    drop(emulator);
    assert!(refuses(address).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn is_gone_after_kill() {
    let folder = Folder::new();
    let mut emulator = start(&folder).await;
    emulator.kill().await.unwrap();
    assert!(TcpStream::connect(emulator.address()).await.is_err());
    assert_eq!(emulator.pid(), None);
    assert!(matches!(emulator.cont(), Err(EmulatorError::NotRunning)));
    assert!(matches!(emulator.stop().await, Err(EmulatorError::NotRunning)));
    assert!(matches!(emulator.kill().await, Err(EmulatorError::NotRunning)));
    emulator.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_emulators_share_nothing() {
    let folder = Folder::new();
    let (first, second) = tokio::join!(start(&folder), start(&folder));
    create_table(&first).await;
    let (_, tables) = call(&second, "DynamoDB_20120810.ListTables", &json!({})).await;
    assert_eq!(tables["TableNames"], json!([]));
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn says_how_to_install_what_is_missing() {
    let folder = Folder::new();
    let error = Emulator::start(&folder.0, &folder.0).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("make setup") && text.contains("bin/python"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_where_to_look_when_the_emulator_does_not_start() {
    let folder = Folder::new();
    // An environment with Python and without the emulator.
    std::fs::create_dir(folder.0.join("bin")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/false", folder.0.join("bin/python")).unwrap();
    std::fs::write(folder.0.join("requirements.stamp"), "").unwrap();
    let error = Emulator::start(&folder.0, &folder.0).await.unwrap_err();
    let EmulatorError::Ended { status, log } = &error else {
        panic!("{error}");
    };
    assert!(!status.success() && log.exists(), "{error}");
}
