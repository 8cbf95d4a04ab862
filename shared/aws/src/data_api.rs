//! Transactions over the RDS Data API. They outlive whoever began them, and end at their own limits.

use std::time::Duration;

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::retry::RetryConfig;
use aws_sdk_rdsdata::config::timeout::TimeoutConfig;
use aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementOutput;
use steadfast_core::ports::CallError;

use crate::control_plane::call_error;
use crate::grant::{Call, Calls, On};

/// The database of one cluster, as one role.
#[derive(Clone, Debug)]
pub struct DataApi {
    client: Client,
    cluster_arn: String,
    secret_arn: String,
    database: String,
}

impl DataApi {
    /// What [`Self::begin`] calls.
    pub const BEGIN: Calls = &[Call::new("rds-data:BeginTransaction", On::Cluster)];
    /// What [`Self::execute`] calls.
    pub const EXECUTE: Calls = &[Call::new("rds-data:ExecuteStatement", On::Cluster)];
    /// What [`Self::run`] and [`Self::number`] call.
    pub const RUN: Calls = Self::EXECUTE;
    /// The Data API reads the secret on behalf of whoever calls it.
    pub const SECRET: Calls = crate::secret::CREDENTIALS;
    /// What [`Self::roll_back`] calls.
    pub const ROLL_BACK: Calls = &[Call::new("rds-data:RollbackTransaction", On::Cluster)];

    /// Takes a client of [`crate::clients`]. It always reaches the instance that writes now.
    pub fn new(client: Client, cluster_arn: String, secret_arn: String, database: String) -> Self {
        Self { client, cluster_arn, secret_arn, database }
    }

    /// Begins a transaction; returns its id.
    ///
    /// # Errors
    ///
    /// When it was refused or not answered.
    pub async fn begin(&self) -> Result<String, CallError> {
        let action = "BeginTransaction";
        let begun = self
            .client
            .begin_transaction()
            .resource_arn(&self.cluster_arn)
            .secret_arn(&self.secret_arn)
            .database(&self.database)
            .send()
            .await
            .map_err(|error| call_error(action, &error))?;
        let without = || CallError::Unanswered { action, cause: "the answer has no transaction id".to_owned() };
        begun.transaction_id.ok_or_else(without)
    }

    /// Runs one statement in a transaction, once: it is never sent again. The answer is awaited for `limit`; the
    /// server's own limits must be shorter.
    ///
    /// # Errors
    ///
    /// When it failed or was not answered.
    pub async fn execute(&self, transaction: &str, sql: &str, limit: Duration) -> Result<(), CallError> {
        self.ask(Some(transaction), sql, limit).await.map(|_| ())
    }

    /// Runs one statement by itself, once.
    ///
    /// # Errors
    ///
    /// When it failed or was not answered.
    pub async fn run(&self, sql: &str, limit: Duration) -> Result<(), CallError> {
        self.ask(None, sql, limit).await.map(|_| ())
    }

    /// The number that a query answers with.
    ///
    /// # Errors
    ///
    /// When it failed, was not answered, or answered with something else.
    pub async fn number(&self, sql: &str, limit: Duration) -> Result<u64, CallError> {
        let records = self.ask(None, sql, limit).await?.records.unwrap_or_default();
        let field = records.first().and_then(|row| row.first());
        let number = field.and_then(|field| field.as_long_value().ok()).and_then(|number| u64::try_from(*number).ok());
        let without =
            || CallError::Unanswered { action: "ExecuteStatement", cause: "the answer is no number".to_owned() };
        number.ok_or_else(without)
    }

    async fn ask(
        &self,
        transaction: Option<&str>,
        sql: &str,
        limit: Duration,
    ) -> Result<ExecuteStatementOutput, CallError> {
        let times = TimeoutConfig::builder().operation_attempt_timeout(limit).operation_timeout(limit).build();
        let once = aws_sdk_rdsdata::Config::builder().retry_config(RetryConfig::disabled()).timeout_config(times);
        self.client
            .execute_statement()
            .resource_arn(&self.cluster_arn)
            .secret_arn(&self.secret_arn)
            .database(&self.database)
            .set_transaction_id(transaction.map(str::to_owned))
            .sql(sql)
            .customize()
            .config_override(once)
            .send()
            .await
            .map_err(|error| call_error("ExecuteStatement", &error))
    }

    /// Rolls a transaction back. One that has ended already is as good.
    ///
    /// # Errors
    ///
    /// When it was refused or not answered.
    pub async fn roll_back(&self, transaction: &str) -> Result<(), CallError> {
        let answer = self
            .client
            .rollback_transaction()
            .resource_arn(&self.cluster_arn)
            .secret_arn(&self.secret_arn)
            .transaction_id(transaction)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => match call_error("RollbackTransaction", &error) {
                CallError::Refused { code, .. } if has_ended(&code) => Ok(()),
                failed @ (CallError::Refused { .. } | CallError::Unanswered { .. }) => Err(failed),
            },
        }
    }
}

/// Source: the errors of `RollbackTransaction` in the RDS Data API reference.
fn has_ended(code: &str) -> bool {
    matches!(code, "TransactionNotFoundException" | "NotFoundException")
}
