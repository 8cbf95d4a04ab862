//! Refusals in each service's own shape.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::trouble::Service;

/// Why a service refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Throttled,
    Internal,
    Denied,
}

/// The answer of a service that refuses an action.
///
/// Codes and statuses are those of the service models; `DynamoDB`'s `__type` carries the namespace
/// that the service sends with each.
pub(super) fn answer(service: Service, refusal: Refusal, action: &str) -> Response<Body> {
    match service {
        Service::StateTable => dynamodb(refusal, action),
        Service::Notifier => sns(refusal, action),
        Service::Invocations => lambda(refusal, action),
        Service::Names => route53(refusal, action),
    }
}

fn dynamodb(refusal: Refusal, action: &str) -> Response<Body> {
    let (status, kind, message) = match refusal {
        Refusal::Throttled => (
            400,
            "com.amazon.coral.availability#ThrottlingException",
            "Throughput exceeds the current capacity of your table or index.".to_owned(),
        ),
        Refusal::Internal => (
            500,
            "com.amazonaws.dynamodb.v20120810#InternalServerError",
            "The request processing has failed because of an unknown error, exception or failure.".to_owned(),
        ),
        Refusal::Denied => (400, "com.amazon.coral.service#AccessDeniedException", unauthorised("dynamodb", action)),
    };
    document(status, "application/x-amz-json-1.0", &json!({ "__type": kind, "message": message }), None)
}

fn lambda(refusal: Refusal, action: &str) -> Response<Body> {
    let action = if action == "Invoke" { "InvokeFunction" } else { action };
    let (status, kind, body) = match refusal {
        Refusal::Throttled => (
            429,
            "TooManyRequestsException",
            json!({ "Reason": "CallerRateLimitExceeded", "Type": "User", "message": "Rate Exceeded." }),
        ),
        Refusal::Internal => (
            500,
            "ServiceException",
            json!({ "Type": "Service", "Message": "An error occurred and the request cannot be processed." }),
        ),
        Refusal::Denied => (403, "AccessDeniedException", json!({ "Message": unauthorised("lambda", action) })),
    };
    document(status, "application/json", &body, Some(kind))
}

fn sns(refusal: Refusal, action: &str) -> Response<Body> {
    let (status, code, fault, message) = match refusal {
        Refusal::Throttled => (429, "Throttled", "Sender", "Rate exceeded".to_owned()),
        Refusal::Internal => (500, "InternalError", "Receiver", "An internal error has occurred".to_owned()),
        Refusal::Denied => (403, "AuthorizationError", "Sender", unauthorised("SNS", action)),
    };
    error_response("http://sns.amazonaws.com/doc/2010-03-31/", (status, code, fault), &message)
}

fn route53(refusal: Refusal, action: &str) -> Response<Body> {
    let (status, code, fault, message) = match refusal {
        Refusal::Throttled => (400, "Throttling", "Sender", "Rate exceeded".to_owned()),
        Refusal::Internal => (500, "InternalFailure", "Receiver", "An internal error has occurred".to_owned()),
        Refusal::Denied => (403, "AccessDenied", "Sender", unauthorised("route53", action)),
    };
    error_response("https://route53.amazonaws.com/doc/2013-04-01/", (status, code, fault), &message)
}

/// The error document that SNS and Route 53 share.
fn error_response(namespace: &str, error: (u16, &str, &str), message: &str) -> Response<Body> {
    let (status, code, fault) = error;
    let body = format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{fault}</Type><Code>{code}</Code><Message>{}</Message>\
         </Error><RequestId>{}</RequestId></ErrorResponse>",
        quick_xml::escape::escape(message),
        uuid::Uuid::new_v4(),
    );
    respond(status, "text/xml", body)
}

fn unauthorised(service: &str, action: &str) -> String {
    format!("User is not authorized to perform: {service}:{action}")
}

fn document(status: u16, kind: &'static str, body: &Value, error_type: Option<&'static str>) -> Response<Body> {
    let mut response = respond(status, kind, body.to_string());
    if let Some(error_type) = error_type {
        response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(error_type));
    }
    response
}

fn respond(status: u16, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
