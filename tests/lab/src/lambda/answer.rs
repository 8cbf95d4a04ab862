//! What the caller of a function gets.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::environment::Ending;
use super::error::LambdaError;
use super::record::Outcome;
use super::runtime_api::LARGEST_RESPONSE;
use super::spec::FunctionSpec;

/// What the caller gets.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) payload: Bytes,
    pub(super) function_error: Option<&'static str>,
    pub(super) log_tail: String,
}

/// The answer and the outcome that an ending amounts to.
pub(super) fn answer(
    spec: &FunctionSpec,
    request_id: &str,
    ending: Ending,
    log_tail: String,
) -> Result<(Answer, Outcome), LambdaError> {
    let (payload, outcome) = match ending {
        Ending::Answered(payload) => (payload, Outcome::Succeeded),
        Ending::Reported(payload) => {
            let error_type = error_type(&payload);
            (payload, Outcome::FunctionError { error_type })
        }
        Ending::TooLarge => {
            let error_type = "Function.ResponseSizeTooLarge".to_owned();
            let message = format!(
                "Response payload size exceeded maximum allowed payload size \
                 ({LARGEST_RESPONSE} bytes)."
            );
            (document(&error_type, &message), Outcome::FunctionError { error_type })
        }
        Ending::Exited(how) => {
            let message = format!("RequestId: {request_id} Error: {how}");
            (document("Runtime.ExitError", &message), Outcome::Exited)
        }
        Ending::TimedOut => {
            let seconds = spec.timeout.as_secs_f64();
            let message = format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds");
            (document("Sandbox.Timedout", &message), Outcome::TimedOut)
        }
        Ending::Closing => return Err(LambdaError::Closing),
        Ending::Platform(reason) => {
            let function = spec.name.clone();
            return Err(LambdaError::Platform { function, reason });
        }
    };
    let function_error = (outcome != Outcome::Succeeded).then_some("Unhandled");
    Ok((Answer { payload, function_error, log_tail }, outcome))
}

fn document(error_type: &str, message: &str) -> Bytes {
    json!({ "errorType": error_type, "errorMessage": message }).to_string().into()
}

/// The `errorType` of an error document; `Unknown` when there is none.
pub(super) fn error_type(document: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(document).ok();
    let named = parsed.as_ref().and_then(|document| document.get("errorType")?.as_str());
    named.unwrap_or("Unknown").to_owned()
}
