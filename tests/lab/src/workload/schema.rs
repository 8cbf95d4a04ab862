//! The bank's tables. The key of a transfer is deliberately not unique: a transfer that was applied
//! twice must show, not be refused.

use crate::assembly::{AssemblyError, Lab, credentials, names, scram};

/// How many accounts there are.
pub const ACCOUNTS: i64 = 100;
/// What each account holds at the start.
pub(super) const OPENING_BALANCE: i64 = 1_000_000;

/// Creates the application's role and tables on the writer. Once per lab.
///
/// # Errors
///
/// When a statement fails.
pub async fn create(lab: &Lab) -> Result<(), AssemblyError> {
    let application = credentials(&lab.aws, &lab.resources.application_secret_arn).await?;
    let role = names::APPLICATION;
    let verifier = scram(&application);
    let client = lab.cluster.admin_to(lab.cluster.writer(), names::DATABASE).await?;
    client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{verifier}';
             CREATE SCHEMA bank AUTHORIZATION {role};
             CREATE TABLE bank.accounts (id bigint PRIMARY KEY, balance bigint NOT NULL);
             CREATE TABLE bank.transfers (key text NOT NULL, source bigint NOT NULL, target bigint NOT NULL,
               amount bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
             CREATE INDEX transfers_key ON bank.transfers (key);
             INSERT INTO bank.accounts SELECT id, {OPENING_BALANCE} FROM generate_series(1, {ACCOUNTS}) AS id;
             GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA bank TO {role};"
        ))
        .await?;
    Ok(())
}
