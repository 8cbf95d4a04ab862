//! RDS events on their way to the router, through the rule that an installation has.
//!
//! `PutEvents` refuses sources that begin with `aws.`, in the emulator as on AWS. So the lab, which
//! plays RDS here, asks EventBridge whether the rule's pattern matches and then invokes the rule's
//! target as EventBridge would: asynchronously.

use aws_config::SdkConfig;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use super::error::{AssemblyError, call};
use super::{deployed, names};
use crate::lambda::Lambda;

const RULE: &str = "steadfast-rds-events";

/// Creates the rule with the pattern that an installation has.
pub(super) async fn create_rule(aws: &SdkConfig) -> Result<(), AssemblyError> {
    let client = aws_sdk_eventbridge::Client::new(aws);
    let pattern = deployed::pattern("rds", names::CLUSTER)?;
    client.put_rule().name(RULE).event_pattern(pattern).send().await.map_err(call("PutRule"))?;
    Ok(())
}

/// The rule as it stands in EventBridge.
pub(super) struct Rule {
    client: aws_sdk_eventbridge::Client,
}

impl Rule {
    pub(super) fn new(aws: &SdkConfig) -> Self {
        Self { client: aws_sdk_eventbridge::Client::new(aws) }
    }

    async fn matches(&self, event: &Value) -> Result<bool, AssemblyError> {
        let rule = self.client.describe_rule().name(RULE).send().await.map_err(call("DescribeRule"))?;
        let pattern = rule.event_pattern().unwrap_or_default();
        let tested = self.client.test_event_pattern().event_pattern(pattern).event(event.to_string());
        Ok(tested.send().await.map_err(call("TestEventPattern"))?.result())
    }
}

/// Hands every event that the rule matches to the router, until no more can come.
pub(super) async fn hand_over(rule: Rule, mut due: UnboundedReceiver<Value>, lambda: Lambda) {
    while let Some(event) = due.recv().await {
        match rule.matches(&event).await {
            Ok(true) => {
                if let Err(error) = lambda.invoke_async(names::ROUTER, event.to_string().into_bytes()).await {
                    tracing::warn!(%error, "an event did not reach the router");
                }
            }
            Ok(false) => tracing::debug!(%event, "the rule does not match"),
            // Best effort, as on AWS: the event is lost.
            Err(error) => tracing::warn!(%error, "an event was lost"),
        }
    }
}
