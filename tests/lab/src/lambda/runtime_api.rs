//! The Lambda Runtime API, as one function process sees it (version 2018-06-01).

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// The largest response of a function, in bytes: 6 MB and 100 bytes, as Lambda's own messages say.
pub(super) const LARGEST_RESPONSE: usize = 6 * 1024 * 1024 + 100;

/// What the function process asks for.
#[derive(Debug)]
pub(super) enum Call {
    /// It is ready for the next event.
    Next { reply: oneshot::Sender<Result<Event, Refusal>> },
    /// It has dealt with an event.
    Done { request_id: String, submission: Submission, reply: Reply },
    /// It cannot become ready.
    InitError { body: Bytes, reply: Reply },
}

/// How the environment answers a post.
pub(super) type Reply = oneshot::Sender<Result<(), Refusal>>;

/// The result of an invocation, as posted.
#[derive(Debug)]
pub(super) enum Submission {
    /// The answer.
    Response(Bytes),
    /// The answer was larger than [`LARGEST_RESPONSE`].
    TooLarge,
    /// The function's error document.
    Error(Bytes),
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// The id is not the one of the invocation under way.
    UnknownRequest,
    /// The call does not fit the state of the environment.
    NotNow,
    /// The response is too large.
    TooLarge,
}

/// One event, as handed to the process.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) request_id: String,
    pub(super) deadline_ms: u64,
    pub(super) arn: String,
    pub(super) trace_id: String,
    pub(super) client_context: Option<String>,
    pub(super) payload: Bytes,
}

/// Serves one environment's Runtime API until the task is aborted.
pub(super) async fn serve(listener: TcpListener, calls: mpsc::Sender<Call>) {
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .fallback(unknown)
        .with_state(calls);
    let listener = listener.tap_io(|connection| {
        // Without it an answer can wait for a delayed acknowledgement, up to 40 ms.
        let _unset = connection.set_nodelay(true);
    });
    let _never: std::io::Result<()> = axum::serve(listener, router).await;
}

async fn next(State(calls): State<mpsc::Sender<Call>>) -> Response {
    let (reply, event) = oneshot::channel();
    if calls.send(Call::Next { reply }).await.is_err() {
        return ended();
    }
    match event.await {
        Ok(Ok(event)) => deliver(event),
        Ok(Err(refusal)) => refuse(refusal),
        Err(_) => ended(),
    }
}

fn deliver(event: Event) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let named = [
        ("lambda-runtime-aws-request-id", Some(event.request_id)),
        ("lambda-runtime-deadline-ms", Some(event.deadline_ms.to_string())),
        ("lambda-runtime-invoked-function-arn", Some(event.arn)),
        ("lambda-runtime-trace-id", Some(event.trace_id)),
        ("lambda-runtime-client-context", event.client_context),
    ];
    for (name, value) in named {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    (headers, event.payload).into_response()
}

async fn response(State(calls): State<mpsc::Sender<Call>>, Path(request_id): Path<String>, body: Body) -> Response {
    let submission = match read(body).await {
        Ok(Some(body)) => Submission::Response(body),
        Ok(None) => Submission::TooLarge,
        Err(refused) => return *refused,
    };
    post_to(&calls, |reply| Call::Done { request_id, submission, reply }).await
}

async fn error(State(calls): State<mpsc::Sender<Call>>, Path(request_id): Path<String>, body: Body) -> Response {
    let submission = match read(body).await {
        Ok(Some(body)) => Submission::Error(body),
        Ok(None) => Submission::TooLarge,
        Err(refused) => return *refused,
    };
    post_to(&calls, |reply| Call::Done { request_id, submission, reply }).await
}

async fn init_error(State(calls): State<mpsc::Sender<Call>>, body: Body) -> Response {
    match read(body).await {
        Ok(Some(body)) => post_to(&calls, |reply| Call::InitError { body, reply }).await,
        Ok(None) => refuse(Refusal::TooLarge),
        Err(refused) => *refused,
    }
}

async fn unknown() -> Response {
    let message = "No such call in the Lambda Runtime API 2018-06-01";
    answer(StatusCode::NOT_FOUND, json!({ "errorType": "NotFound", "errorMessage": message }))
}

/// The whole body, `None` when it is too large; then its rest is read too, as a client that still
/// writes would take the answer for a broken connection.
async fn read(body: Body) -> Result<Option<Bytes>, Box<Response>> {
    let mut kept = Vec::new();
    let mut total = 0_usize;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            let message = format!("The body could not be read: {error}");
            let told = json!({ "errorType": "BadRequest", "errorMessage": message });
            Box::new(answer(StatusCode::BAD_REQUEST, told))
        })?;
        total = total.saturating_add(chunk.len());
        if total <= LARGEST_RESPONSE {
            kept.extend_from_slice(&chunk);
        }
    }
    Ok((total <= LARGEST_RESPONSE).then(|| kept.into()))
}

async fn post_to(calls: &mpsc::Sender<Call>, call: impl FnOnce(Reply) -> Call) -> Response {
    let (reply, answered) = oneshot::channel();
    if calls.send(call(reply)).await.is_err() {
        return ended();
    }
    match answered.await {
        Ok(Ok(())) => answer(StatusCode::ACCEPTED, json!({ "status": "OK" })),
        Ok(Err(refusal)) => refuse(refusal),
        Err(_) => ended(),
    }
}

fn refuse(refusal: Refusal) -> Response {
    let (status, kind, message) = match refusal {
        Refusal::UnknownRequest => (StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID".to_owned()),
        Refusal::NotNow => {
            (StatusCode::FORBIDDEN, "InvalidStateTransition", "State transition is not allowed".to_owned())
        }
        Refusal::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!("Exceeded maximum allowed payload size ({LARGEST_RESPONSE} bytes)."),
        ),
    };
    answer(status, json!({ "errorType": kind, "errorMessage": message }))
}

fn ended() -> Response {
    let message = "The execution environment has ended";
    let told = json!({ "errorType": "ContainerError", "errorMessage": message });
    answer(StatusCode::INTERNAL_SERVER_ERROR, told)
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, axum::Json(body)).into_response()
}
