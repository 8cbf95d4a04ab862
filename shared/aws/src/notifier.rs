//! People, through SNS.

use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use steadfast_core::notice::Notice;
use steadfast_core::ports::CallError;

use crate::control_plane::call_error;
use crate::grant::{Call, Calls, On};

/// A message must not hold up what it is about.
const LIMIT: Duration = Duration::from_millis(1_500);

/// SNS takes 256 KB; a foreign event's own text may be longer.
const BODY_CHARS_MAX: usize = 60_000;

/// One topic. Subscribers filter by the message attribute `severity`.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// What [`Self::notify`] calls.
    pub const NOTIFY: Calls = &[Call::new("sns:Publish", On::Topic)];

    /// A topic by its ARN.
    pub fn new(client: Client, arn: String) -> Self {
        Self { client, arn }
    }

    /// Publishes the notice; returns when SNS has accepted it.
    ///
    /// # Errors
    ///
    /// When SNS refused it or did not answer.
    pub async fn notify(&self, notice: &Notice) -> Result<(), CallError> {
        let severity = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(notice.severity.as_str())
            .build()
            .map_err(|error| CallError::Unanswered { action: "Publish", cause: error.to_string() })?;
        let publish = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(notice.sns_subject())
            .message(clipped(&notice.body))
            .message_attributes("severity", severity);
        match tokio::time::timeout(LIMIT, publish.send()).await {
            Ok(answer) => answer.map(|_| ()).map_err(|error| call_error("Publish", &error)),
            Err(_) => Err(CallError::Unanswered { action: "Publish", cause: format!("no answer in {LIMIT:?}") }),
        }
    }
}

/// Four bytes a character at most, so it fits whatever the script.
fn clipped(body: &str) -> String {
    body.chars().take(BODY_CHARS_MAX).collect()
}
