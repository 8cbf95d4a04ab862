//! What is about to be changed by the platform or by people.

use aws_sdk_rds::Client;
use steadfast_core::topology::{ClusterId, InstanceId};

use crate::grant::{Call, Calls, On};

/// Maintenance and blue/green deployments.
#[derive(Clone, Debug)]
pub struct Changes {
    client: Client,
}

impl Changes {
    /// What [`Self::pending`] calls. Both list all that the account has.
    pub const PENDING: Calls = &[
        Call::new("rds:DescribePendingMaintenanceActions", On::Nothing),
        Call::new("rds:DescribeBlueGreenDeployments", On::Nothing),
    ];

    /// Takes a client of [`crate::clients`].
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// What is pending for what is watched and for its members; None when it cannot be known.
    pub(super) async fn pending(&self, watched: &ClusterId, members: &[InstanceId]) -> Option<Vec<String>> {
        let (maintenance, deployments) = tokio::join!(
            self.client.describe_pending_maintenance_actions().send(),
            self.client.describe_blue_green_deployments().send(),
        );
        let is_ours = |arn: &str| {
            let name = arn.rsplit(':').next().unwrap_or_default();
            name == watched.as_str() || members.iter().any(|member| member.as_str() == name)
        };
        let mut found = Vec::new();
        for resource in maintenance.ok()?.pending_maintenance_actions.unwrap_or_default() {
            let actions = resource.pending_maintenance_action_details.unwrap_or_default();
            if is_ours(resource.resource_identifier.as_deref().unwrap_or_default()) {
                found.extend(actions.into_iter().filter_map(|action| action.action));
            }
        }
        let deployments = deployments.ok()?.blue_green_deployments.unwrap_or_default();
        let ours = deployments.into_iter().filter(|it| it.source.as_deref().is_some_and(is_ours));
        found.extend(ours.filter_map(|deployment| deployment.blue_green_deployment_name));
        Some(found)
    }
}
