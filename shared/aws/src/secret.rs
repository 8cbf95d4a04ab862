//! Database credentials from Secrets Manager. They are never printed.

use std::fmt;

use aws_sdk_secretsmanager::Client;
use serde::Deserialize;

use crate::control_plane::call_error;
use crate::grant::{Call, Calls, On};

/// What [`credentials`] calls.
pub const CREDENTIALS: Calls = &[Call::new("secretsmanager:GetSecretValue", On::Secret)];

/// A user with a password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Credentials {
    /// The role to log in as.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).field("password", &"***").finish()
    }
}

/// Why a secret could not be used. Names the secret, never its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It could not be read.
    #[error("secret {id} cannot be read: {cause}")]
    Unreadable {
        /// The secret.
        id: String,
        /// What Secrets Manager said.
        cause: String,
    },
    /// It holds no JSON with `username` and `password`.
    #[error("secret {id} is no JSON object with the texts \"username\" and \"password\"")]
    Malformed {
        /// The secret.
        id: String,
    },
}

/// Reads the current version of a secret.
///
/// # Errors
///
/// When it cannot be read or is no JSON object with user and password.
pub async fn credentials(client: &Client, id: &str) -> Result<Credentials, SecretError> {
    let answer = client.get_secret_value().secret_id(id).send().await.map_err(|error| SecretError::Unreadable {
        id: id.to_owned(),
        cause: call_error("GetSecretValue", &error).to_string(),
    })?;
    parse(id, answer.secret_string().unwrap_or_default())
}

fn parse(id: &str, text: &str) -> Result<Credentials, SecretError> {
    // The parser's own error would quote the secret.
    serde_json::from_str(text).map_err(|_| SecretError::Malformed { id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_and_no_debug_output_shows_the_secret() {
        for text in ["hunter2", "{\"username\":\"u\",\"password\":7,\"x\":\"hunter2\"}", "[\"hunter2\"]", ""] {
            let error = parse("db/prober", text).expect_err("malformed");
            assert!(!error.to_string().contains("hunter2"));
            assert!(error.to_string().contains("db/prober"));
        }
        let credentials = parse("x", r#"{"username":"u","password":"hunter2","host":"h"}"#).expect("parses");
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
