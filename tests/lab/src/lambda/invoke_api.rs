//! The Lambda Invoke API (version 2015-03-31), and what callers may read about functions.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::error::LambdaError;
use super::function::Function;
use super::name::LATEST;
use super::service::{Headers, Lambda};

/// Bodies are kept up to here, in bytes, one more than the largest payload; the rest is discarded.
const KEPT: usize = 6 * 1024 * 1024 + 1;
/// How long open connections may take to finish at shutdown.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
struct Parameters {
    #[serde(rename = "Qualifier")]
    qualifier: Option<String>,
}

/// Serves the Invoke API until `closing`.
pub(super) async fn serve(listener: TcpListener, lambda: Lambda, mut closing: watch::Receiver<bool>) {
    let router = Router::new()
        .route("/2015-03-31/functions", get(list))
        .route("/2015-03-31/functions/", get(list))
        .route("/2015-03-31/functions/{name}", get(describe))
        .route("/2015-03-31/functions/{name}/configuration", get(describe_configuration))
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(lambda);
    let listener = listener.tap_io(|connection| {
        // Without it an answer can wait for a delayed acknowledgement, up to 40 ms.
        let _unset = connection.set_nodelay(true);
    });
    let mut ending = closing.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        drop(ending.wait_for(|closing| *closing).await);
    });
    tokio::select! {
        _ = serving => {}
        () = async {
            drop(closing.wait_for(|closing| *closing).await);
            tokio::time::sleep(LINGER).await;
        } => {}
    }
}

async fn invoke(
    State(lambda): State<Lambda>,
    Path(name): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match invoke_function(&lambda, &name, parameters.qualifier.as_deref(), &headers, body).await {
        Ok(response) => response,
        Err(error) => refuse(&error),
    }
}

async fn invoke_function(
    lambda: &Lambda,
    name: &str,
    qualifier: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, LambdaError> {
    let payload = read(body).await?;
    let function = lambda.function(name, qualifier)?;
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let about = Headers {
        trace_id: text("x-amzn-trace-id").map(str::to_owned),
        client_context: text("x-amz-client-context").map(client_context).transpose()?,
    };
    match text("x-amz-invocation-type").unwrap_or("RequestResponse") {
        "RequestResponse" => {
            let tail = text("x-amz-log-type") == Some("Tail");
            let (request_id, answer) = lambda.invoke_now(&function, payload, about).await?;
            let mut named = vec![
                ("content-type", "application/json".to_owned()),
                ("x-amz-executed-version", LATEST.to_owned()),
                ("x-amzn-requestid", request_id),
            ];
            if let Some(function_error) = answer.function_error {
                named.push(("x-amz-function-error", function_error.to_owned()));
            }
            if tail {
                named.push(("x-amz-log-result", STANDARD.encode(&answer.log_tail)));
            }
            Ok(respond(StatusCode::OK, named, answer.payload))
        }
        "Event" => {
            let request_id = lambda.invoke_later(&function, payload, about)?;
            let named = vec![("x-amzn-requestid", request_id)];
            Ok(respond(StatusCode::ACCEPTED, named, Bytes::new()))
        }
        "DryRun" => {
            let named = vec![("x-amzn-requestid", new_request_id())];
            Ok(respond(StatusCode::NO_CONTENT, named, Bytes::new()))
        }
        other => Err(LambdaError::InvalidParameter(format!(
            "Value '{other}' at 'invocationType' failed to satisfy constraint: \
             Member must satisfy enum value set: [RequestResponse, Event, DryRun]"
        ))),
    }
}

/// The body; of one that is too large, only so much that it is seen to be too large.
async fn read(body: Body) -> Result<Bytes, LambdaError> {
    let mut kept = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| LambdaError::NotJson(error.to_string()))?;
        let room = KEPT.saturating_sub(kept.len()).min(chunk.len());
        kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
    }
    Ok(kept.into())
}

fn client_context(encoded: &str) -> Result<String, LambdaError> {
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.filter(|text| serde_json::from_str::<Value>(text).is_ok()).ok_or_else(|| {
        LambdaError::InvalidParameter("Client context must be a valid Base64-encoded JSON object".to_owned())
    })
}

async fn list(State(lambda): State<Lambda>) -> Response {
    let functions: Vec<Value> = lambda.functions().iter().map(configuration).collect();
    as_json(StatusCode::OK, &json!({ "Functions": functions }))
}

async fn describe(
    State(lambda): State<Lambda>,
    Path(name): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    match lambda.function(&name, parameters.qualifier.as_deref()) {
        Ok(function) => {
            let location = format!("file://{}", function.spec.bootstrap.display());
            let mut body = json!({
                "Configuration": configuration(&function),
                "Code": { "RepositoryType": "file", "Location": location },
            });
            if let (Some(reserved), Some(fields)) = (function.spec.reserved_concurrency, body.as_object_mut()) {
                let concurrency = json!({ "ReservedConcurrentExecutions": reserved });
                fields.insert("Concurrency".to_owned(), concurrency);
            }
            as_json(StatusCode::OK, &body)
        }
        Err(error) => refuse(&error),
    }
}

async fn describe_configuration(
    State(lambda): State<Lambda>,
    Path(name): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    match lambda.function(&name, parameters.qualifier.as_deref()) {
        Ok(function) => as_json(StatusCode::OK, &configuration(&function)),
        Err(error) => refuse(&error),
    }
}

fn configuration(function: &Arc<Function>) -> Value {
    let spec = &function.spec;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let modified = humantime::format_rfc3339_millis(function.modified).to_string();
    json!({
        "FunctionName": spec.name,
        "FunctionArn": function.arn,
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "CodeSize": std::fs::metadata(&spec.bootstrap).map_or(0, |file| file.len()),
        "Timeout": spec.timeout.as_secs(),
        "MemorySize": spec.memory_mb,
        "LastModified": modified.replace('Z', "+0000"),
        "Version": LATEST,
        "Environment": { "Variables": spec.environment },
        "PackageType": "Zip",
        "Architectures": [architecture],
        "State": "Active",
        "LastUpdateStatus": "Successful",
    })
}

async fn unknown(method: Method, uri: Uri) -> Response {
    let message = format!("{method} {} is not part of this Lambda endpoint", uri.path());
    failure(StatusCode::NOT_FOUND, "UnknownOperationException", "User", &message)
}

fn refuse(error: &LambdaError) -> Response {
    let (status, kind, side) = match error {
        LambdaError::NotFound(_) => (404, "ResourceNotFoundException", "User"),
        LambdaError::Throttled => (429, "TooManyRequestsException", "User"),
        LambdaError::NotJson(_) => (400, "InvalidRequestContentException", "User"),
        LambdaError::TooLarge { .. } => (413, "RequestTooLargeException", "User"),
        LambdaError::InvalidParameter(_) => (400, "InvalidParameterValueException", "User"),
        LambdaError::Closing
        | LambdaError::Platform { .. }
        | LambdaError::Listen { .. }
        | LambdaError::NotLoopback(_)
        | LambdaError::LogFolder { .. }
        | LambdaError::Thread { .. }
        | LambdaError::NoSetpriv
        | LambdaError::InvalidSetting { .. }
        | LambdaError::Bootstrap { .. }
        | LambdaError::Exists(_) => (500, "ServiceException", "Service"),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    failure(status, kind, side, &error.to_string())
}

/// An error document. The API's model calls the message `message` or `Message`, depending on the
/// error; `errorType` and `errorMessage` are what `cargo lambda invoke` shows.
fn failure(status: StatusCode, kind: &'static str, side: &str, message: &str) -> Response {
    let mut body = json!({
        "Type": side,
        "Message": message,
        "message": message,
        "errorType": kind,
        "errorMessage": message,
    });
    if status == StatusCode::TOO_MANY_REQUESTS {
        body["Reason"] = "ReservedFunctionConcurrentInvocationLimitExceeded".into();
    }
    let mut response = as_json(status, &body);
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response
}

fn as_json(status: StatusCode, body: &Value) -> Response {
    let named = vec![("content-type", "application/json".to_owned()), ("x-amzn-requestid", new_request_id())];
    respond(status, named, body.to_string().into())
}

fn respond(status: StatusCode, named: Vec<(&'static str, String)>, body: Bytes) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in named {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn new_request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
