//! A real Lambda function for the lab's own tests: it does what its event tells it to.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "prints, panics and blocks on purpose, as functions do"
)]

use std::process::Command;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    match std::env::var("ECHO_INIT").as_deref() {
        Ok("fail") => {
            eprintln!("setting ECHO_TARGET is missing: name the cluster to echo");
            std::process::exit(3);
        }
        Ok("hang") => loop {
            std::thread::sleep(Duration::from_secs(60));
        },
        Ok(_) | Err(_) => {}
    }
    println!("echo is ready");
    lambda_runtime::run(service_fn(handle)).await
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (payload, context) = event.into_parts();
    if let Some(line) = payload["print"].as_str() {
        println!("{line}");
    }
    if let Some(milliseconds) = payload["sleep_ms"].as_u64() {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    if let Some(message) = payload["fail"].as_str() {
        return Err(message.into());
    }
    if let Some(message) = payload["panic"].as_str() {
        panic!("{message}");
    }
    if let Some(code) = payload["exit"].as_i64() {
        std::process::exit(i32::try_from(code)?);
    }
    if payload["fork"].as_bool() == Some(true) {
        let child = Command::new("sleep").arg("600").spawn()?;
        return Ok(json!({ "pid": std::process::id(), "child": child.id() }));
    }
    if let Some(bytes) = payload["answer_bytes"].as_u64() {
        return Ok(Value::String("x".repeat(usize::try_from(bytes)?)));
    }
    if payload["environment"].as_bool() == Some(true) {
        let variables: serde_json::Map<String, Value> =
            std::env::vars().map(|(name, value)| (name, Value::String(value))).collect();
        return Ok(Value::Object(variables));
    }
    Ok(json!({
        "event": payload,
        "pid": std::process::id(),
        "request_id": context.request_id,
        "arn": context.invoked_function_arn,
        "deadline_ms": context.deadline,
        "trace_id": context.xray_trace_id,
        "client_context": context.client_context,
    }))
}
