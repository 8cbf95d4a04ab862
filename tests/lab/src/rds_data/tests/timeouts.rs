use std::time::Duration;

use super::{Lab, refused};
use crate::rds_data::Settings;

/// Long enough to connect on a busy machine.
const SHORT: Duration = Duration::from_secs(3);

const SLEEPERS: &str = "SELECT count(*) = 0 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()";

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled() {
    let lab = Lab::start_with(Settings { statement_timeout: SHORT, ..Settings::default() }).await;
    let id = lab.begin().await;
    for call in [lab.statement("SELECT pg_sleep(3600)"), lab.statement("SELECT pg_sleep(3600)").transaction_id(&id)] {
        let error = call.send().await.unwrap_err().into_service_error();
        let aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementError::StatementTimeoutException(timeout) =
            error
        else {
            panic!("{error:?}");
        };
        assert!(timeout.db_connection_id() > 0);
        lab.until(SLEEPERS).await;
    }
}

#[tokio::test]
async fn continue_after_timeout() {
    let lab = Lab::start_with(Settings { statement_timeout: SHORT, ..Settings::default() }).await;
    let admin = lab.postgres.connect().await;
    admin.batch_execute("SELECT pg_advisory_lock(1)").await.unwrap();
    let call =
        lab.statement("CREATE TABLE t AS SELECT 1 AS a FROM pg_advisory_xact_lock(1)").continue_after_timeout(true);
    assert_eq!(refused(call.send().await).0, "StatementTimeoutException");
    admin.batch_execute("SELECT pg_advisory_unlock(1)").await.unwrap();
    lab.until("SELECT to_regclass('t') IS NOT NULL").await;
}

#[tokio::test]
async fn an_idle_transaction_expires() {
    let lab = Lab::start_with(Settings { transaction_idle_timeout: SHORT, ..Settings::default() }).await;
    let id = lab.begin().await;
    lab.run_in(&id, "CREATE TABLE t (a int4)").await;
    lab.until("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'rds-data-api'").await;
    let late = lab.statement("SELECT 1").transaction_id(&id).send().await;
    assert_eq!(refused(late).0, "TransactionNotFoundException");
    lab.until("SELECT to_regclass('t') IS NULL").await;
}

#[tokio::test]
async fn an_old_transaction_ends_even_while_it_works() {
    let lab = Lab::start_with(Settings { transaction_lifetime: SHORT, ..Settings::default() }).await;
    let id = lab.begin().await;
    let call = lab.statement("SELECT pg_sleep(3600)").transaction_id(&id);
    let (code, message) = refused(call.send().await);
    assert_eq!(code, "DatabaseErrorException");
    assert!(message.ends_with("; SQLState: 08006"), "{message}");
    let late = lab.statement("SELECT 1").transaction_id(&id).send().await;
    assert_eq!(refused(late).0, "TransactionNotFoundException");
}
