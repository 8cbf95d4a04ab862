//! The exceptions of the Data API and how they look on the wire.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::BackendError;

/// The exception names, as in the service model. The last four are those of every AWS service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    AccessDeniedException,
    BadRequestException,
    DatabaseErrorException,
    DatabaseNotFoundException,
    DatabaseResumingException,
    DatabaseUnavailableException,
    HttpEndpointNotEnabledException,
    InternalServerErrorException,
    InvalidResourceStateException,
    InvalidSecretException,
    SecretsErrorException,
    ServiceUnavailableError,
    StatementTimeoutException,
    TransactionNotFoundException,
    UnsupportedResultException,
    RequestEntityTooLargeException,
    SerializationException,
    UnknownOperationException,
    ValidationException,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::BadRequestException
            | Self::DatabaseErrorException
            | Self::DatabaseResumingException
            | Self::HttpEndpointNotEnabledException
            | Self::InvalidResourceStateException
            | Self::InvalidSecretException
            | Self::SecretsErrorException
            | Self::StatementTimeoutException
            | Self::UnsupportedResultException
            | Self::SerializationException
            | Self::ValidationException => StatusCode::BAD_REQUEST,
            Self::AccessDeniedException => StatusCode::FORBIDDEN,
            Self::DatabaseNotFoundException | Self::TransactionNotFoundException | Self::UnknownOperationException => {
                StatusCode::NOT_FOUND
            }
            Self::RequestEntityTooLargeException => StatusCode::PAYLOAD_TOO_LARGE,
            Self::InternalServerErrorException => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServiceUnavailableError => StatusCode::SERVICE_UNAVAILABLE,
            Self::DatabaseUnavailableException => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// One exception.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub(super) code: Code,
    pub(super) message: String,
    connection_id: Option<i64>,
}

impl ApiError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), connection_id: None }
    }

    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::ValidationException, message)
    }

    pub(super) fn unavailable() -> Self {
        Self::new(Code::DatabaseUnavailableException, "The writer instance in the DB cluster isn't available.")
    }

    pub(super) fn transaction_not_found(id: &str) -> Self {
        Self::new(Code::TransactionNotFoundException, format!("Transaction {id} is not found"))
    }

    pub(super) fn timed_out(connection_id: i64) -> Self {
        Self {
            code: Code::StatementTimeoutException,
            message: "Request timed out".to_owned(),
            connection_id: Some(connection_id),
        }
    }

    pub(super) fn backend(error: BackendError, resource_arn: &str) -> Self {
        let code = match error {
            BackendError::NoSuchCluster | BackendError::HttpEndpointDisabled => {
                return Self::new(
                    Code::HttpEndpointNotEnabledException,
                    format!("HttpEndpoint is not enabled for resource {resource_arn}"),
                );
            }
            BackendError::Unavailable => return Self::unavailable(),
            BackendError::NoInstance => Code::DatabaseNotFoundException,
            BackendError::Resuming => Code::DatabaseResumingException,
            BackendError::InvalidState(_) => Code::InvalidResourceStateException,
            BackendError::NoSuchSecret | BackendError::SecretUnreadable(_) => Code::SecretsErrorException,
            BackendError::AccessDenied(_) => Code::AccessDeniedException,
            BackendError::ServiceUnavailable => Code::ServiceUnavailableError,
        };
        Self::new(code, error.to_string())
    }

    /// A failed connection attempt. What the server refuses by name (password, database) is an
    /// error of the database; anything else means that the writer is not there.
    pub(super) fn connecting(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) if !db.code().code().starts_with("57P") => Self::database(db),
            Some(_) | None => {
                tracing::debug!(%error, source = ?std::error::Error::source(error), "no connection to the writer");
                Self::unavailable()
            }
        }
    }

    /// A failure while a statement ran. A connection that broke says nothing of the outcome; it
    /// gets SQLSTATE 08006 (`connection_failure`).
    pub(super) fn running(error: &tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self::database(db);
        }
        let io = std::error::Error::source(error).is_some_and(|s| s.is::<std::io::Error>());
        if error.is_closed() || io {
            return Self::sql("FATAL: An I/O error occurred while sending to the backend.", "08006");
        }
        Self::sql(&format!("ERROR: this statement cannot run here: {error}"), "0A000")
    }

    /// An SQL error in the wording of the Data API.
    pub(super) fn sql(text: &str, state: &str) -> Self {
        Self::new(Code::DatabaseErrorException, format!("{text}; SQLState: {state}"))
    }

    fn database(db: &tokio_postgres::error::DbError) -> Self {
        // exec_parse_message refuses several commands in one statement; its text may be localised.
        if db.code().code() == "42601" && db.routine() == Some("exec_parse_message") {
            return Self::validation("Multistatements aren't supported.");
        }
        let mut text = format!("{}: {}", db.severity(), db.message());
        if let Some(tokio_postgres::error::ErrorPosition::Original(position)) = db.position() {
            text.push_str(&format!("; Position: {position}"));
        }
        Self::sql(&text, db.code().code())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = json!({ "message": self.message });
        if let Some(id) = self.connection_id {
            body["dbConnectionId"] = id.into();
        }
        let headers = [
            (header::CONTENT_TYPE, "application/json".to_owned()),
            (HeaderName::from_static("x-amzn-errortype"), format!("{:?}", self.code)),
        ];
        (self.code.status(), headers, body.to_string()).into_response()
    }
}
