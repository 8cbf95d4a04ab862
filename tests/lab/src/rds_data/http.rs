//! Routes, body limit and response headers.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::Backend;
use super::error::{ApiError, Code};
use super::operations::Service;

/// The largest request body in bytes.
const MAX_REQUEST: usize = 4 << 20;

/// Serves until `stopped` turns true.
pub(super) async fn run<B: Backend>(
    listener: TcpListener,
    service: Arc<Service<B>>,
    mut stopped: watch::Receiver<bool>,
) {
    let router = Router::new().fallback(answer::<B>).with_state(service);
    let until = async move {
        // An error means that the sender is gone, which also ends the server.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    // Small answers would otherwise wait for the peer's delayed acknowledgement.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
    });
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
        tracing::error!(%error, "the RDS Data API server ended");
    }
}

async fn answer<B: Backend>(State(service): State<Arc<Service<B>>>, request: Request) -> Response {
    let mut response = match handle(service, request).await {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => error.into_response(),
    };
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

async fn handle<B: Backend>(service: Arc<Service<B>>, request: Request) -> Result<String, ApiError> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if parts.method != Method::POST || !Service::<B>::serves(&path) {
        return Err(ApiError::new(
            Code::UnknownOperationException,
            format!("{} {path} is no operation of the RDS Data API", parts.method),
        ));
    }
    let body = to_bytes(body, MAX_REQUEST).await.map_err(|error| {
        ApiError::new(
            Code::RequestEntityTooLargeException,
            format!("the request cannot be read or is larger than {MAX_REQUEST} bytes: {error}"),
        )
    })?;
    // A task of its own: a call goes on when its caller hangs up, as on AWS.
    let call = tokio::spawn(async move { service.call(&path, &body).await });
    match call.await {
        Ok(result) => result.map(|body| body.to_string()),
        Err(error) => {
            tracing::error!(%error, "a Data API call ended without a result");
            Err(ApiError::new(Code::InternalServerErrorException, "the call ended without a result"))
        }
    }
}
