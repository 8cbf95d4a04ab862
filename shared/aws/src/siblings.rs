//! Our other functions, woken through Lambda.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde::Serialize;
use steadfast_core::ports::CallError;

use crate::control_plane::call_error;

/// One function by name or ARN.
#[derive(Clone, Debug)]
pub struct Sibling {
    client: Client,
    name: String,
}

impl Sibling {
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
