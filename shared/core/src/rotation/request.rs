//! What Secrets Manager asks of a rotation function.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::step::Step;

/// One step for one version of a secret. Other fields, such as `RotationToken`, are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    /// The step.
    pub step: Step,
    /// ARN of the secret.
    pub secret_id: String,
    /// The version that is to become current.
    pub client_request_token: String,
}

impl Request {
    /// Reads a payload that names a step. None for any other.
    ///
    /// # Errors
    ///
    /// The field that is missing or not understood, which holds no secret.
    pub fn read(payload: &Value) -> Option<Result<Self, serde_json::Error>> {
        payload.get("Step").map(|_| Self::deserialize(payload))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rotation::step::STEPS;

    #[test]
    fn each_step_is_read_by_the_name_that_secrets_manager_gives_it() {
        let sent =
            |step: &str| json!({ "Step": step, "SecretId": "arn", "ClientRequestToken": "v2", "RotationToken": "r" });
        for (name, step) in ["createSecret", "setSecret", "testSecret", "finishSecret"].into_iter().zip(STEPS) {
            let request = Request::read(&sent(name)).expect("a step").expect("understood");
            assert_eq!(
                (request.step, request.secret_id.as_str(), request.client_request_token.as_str()),
                (step, "arn", "v2")
            );
        }
        assert!(Request::read(&sent("dropSecret")).expect("a step").is_err());
        assert!(Request::read(&json!({ "Step": "setSecret" })).expect("a step").is_err());
        assert!(Request::read(&json!({ "hint": "tick" })).is_none());
    }
}
