//! Our other functions, woken through Lambda.

use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast_core::ports::CallError;

use crate::control_plane::call_error;
use crate::grant::{Call, Calls, On};

/// One function by name or ARN.
#[derive(Clone, Debug)]
pub struct Sibling {
    client: Client,
    name: String,
}

impl Sibling {
    /// What [`Self::wake`] calls.
    pub const WAKE: Calls = &[Call::new("lambda:InvokeFunction", On::Function)];
    /// What [`Self::ask`] calls.
    pub const ASK: Calls = &[Call::new("lambda:InvokeFunction", On::Function)];
    /// What [`Self::warm`] calls.
    pub const WARM: Calls = &[Call::new("lambda:InvokeFunction", On::Function)];

    /// A function by name or ARN.
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Queues an asynchronous invocation; returns when Lambda has accepted it.
    ///
    /// # Errors
    ///
    /// When Lambda refused it or did not answer.
    pub async fn wake<T: Serialize + Sync>(&self, payload: &T) -> Result<(), CallError> {
        let payload = serde_json::to_vec(payload)
            .map_err(|error| CallError::Unanswered { action: "Invoke", cause: error.to_string() })?;
        self.invoke(InvocationType::Event, payload).await
    }

    /// Invokes it and waits for its answer, for `limit` at most. It is asked once.
    ///
    /// # Errors
    ///
    /// When Lambda refused it or did not answer, or the function failed: what it has done is unknown then.
    pub async fn ask<T, A>(&self, payload: &T, limit: Duration) -> Result<A, CallError>
    where
        T: Serialize + Sync,
        A: DeserializeOwned,
    {
        let unanswered = |cause: String| CallError::Unanswered { action: "Invoke", cause };
        let payload = serde_json::to_vec(payload).map_err(|error| unanswered(error.to_string()))?;
        let times = TimeoutConfig::builder().operation_attempt_timeout(limit).operation_timeout(limit).build();
        let once = aws_sdk_lambda::Config::builder().retry_config(RetryConfig::disabled()).timeout_config(times);
        let answer = self
            .client
            .invoke()
            .function_name(&self.name)
            .invocation_type(InvocationType::RequestResponse)
            .payload(Blob::new(payload))
            .customize()
            .config_override(once)
            .send()
            .await
            .map_err(|error| call_error("Invoke", &error))?;
        let said = answer.payload.map(Blob::into_inner).unwrap_or_default();
        if let Some(error) = answer.function_error {
            return Err(unanswered(format!("{error}: {}", String::from_utf8_lossy(&said))));
        }
        serde_json::from_slice(&said).map_err(|error| unanswered(error.to_string()))
    }

    /// Opens the connection ahead of need: a dry run checks permission and runs nothing.
    ///
    /// The first TLS handshake is the expensive moment of a cold start, and init has a full core.
    ///
    /// # Errors
    ///
    /// When Lambda refused it or did not answer.
    pub async fn warm(&self) -> Result<(), CallError> {
        self.invoke(InvocationType::DryRun, b"{}".to_vec()).await
    }

    async fn invoke(&self, kind: InvocationType, payload: Vec<u8>) -> Result<(), CallError> {
        self.client
            .invoke()
            .function_name(&self.name)
            .invocation_type(kind)
            .payload(Blob::new(payload))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| call_error("Invoke", &error))
    }
}
