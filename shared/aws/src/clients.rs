//! AWS SDK clients with the time limits and retry rules of a failover.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// The configuration shared by all clients: region, credentials and endpoints as the AWS SDK
/// reads them from the environment. One HTTP client for all.
///
/// Limits: 1 s to connect, 2 s for an attempt, 5 s for an operation with its three attempts. The
/// operation limit stays below the part of a lease that is left before any call.
pub async fn shared() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(2))
                .operation_timeout(Duration::from_secs(5))
                .build(),
        )
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(3)
                .with_initial_backoff(Duration::from_millis(100))
                .with_max_backoff(Duration::from_secs(1)),
        )
        .load()
        .await
}

/// DynamoDB.
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(config)
}

/// RDS. `FailoverDBCluster` overrides the retries itself.
pub fn rds(config: &SdkConfig) -> aws_sdk_rds::Client {
    aws_sdk_rds::Client::new(config)
}

/// The RDS Data API.
pub fn rds_data(config: &SdkConfig) -> aws_sdk_rdsdata::Client {
    aws_sdk_rdsdata::Client::new(config)
}

/// Route 53.
pub fn route53(config: &SdkConfig) -> aws_sdk_route53::Client {
    aws_sdk_route53::Client::new(config)
}

/// SNS.
pub fn sns(config: &SdkConfig) -> aws_sdk_sns::Client {
    aws_sdk_sns::Client::new(config)
}

/// Lambda.
pub fn lambda(config: &SdkConfig) -> aws_sdk_lambda::Client {
    aws_sdk_lambda::Client::new(config)
}

/// Secrets Manager.
pub fn secretsmanager(config: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(config)
}

/// FIS.
pub fn fis(config: &SdkConfig) -> aws_sdk_fis::Client {
    aws_sdk_fis::Client::new(config)
}
