use aws_sdk_rdsdata::types::Field;

use super::{CLUSTER, Lab, SECRET, refused};

async fn commit(lab: &Lab, id: &str) -> Result<String, (String, String)> {
    let call = lab.client.commit_transaction().resource_arn(CLUSTER).secret_arn(SECRET).transaction_id(id);
    match call.send().await {
        Ok(done) => Ok(done.transaction_status.unwrap()),
        Err(error) => Err(refused(Err::<(), _>(error))),
    }
}

async fn rollback(lab: &Lab, id: &str) -> Result<String, (String, String)> {
    let call = lab.client.rollback_transaction().resource_arn(CLUSTER).secret_arn(SECRET).transaction_id(id);
    match call.send().await {
        Ok(done) => Ok(done.transaction_status.unwrap()),
        Err(error) => Err(refused(Err::<(), _>(error))),
    }
}

async fn count(lab: &Lab) -> i64 {
    match lab.row("SELECT count(*) FROM t").await[..] {
        [Field::LongValue(count)] => count,
        _ => panic!("a count"),
    }
}

#[tokio::test]
async fn commit_and_rollback() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a int4)").await;
    let kept = lab.begin().await;
    let dropped = lab.begin().await;
    assert_ne!(kept, dropped);
    assert!(kept.len() <= 192);
    lab.run_in(&kept, "INSERT INTO t VALUES (1)").await;
    lab.run_in(&dropped, "INSERT INTO t VALUES (2)").await;
    assert_eq!(count(&lab).await, 0);
    assert_eq!(commit(&lab, &kept).await.unwrap(), "Transaction Committed");
    assert_eq!(rollback(&lab, &dropped).await.unwrap(), "Rollback Complete");
    assert_eq!(count(&lab).await, 1);
    for id in [&kept, &dropped] {
        let again = commit(&lab, id).await.unwrap_err();
        assert_eq!(again.0, "TransactionNotFoundException");
        assert_eq!(again.1, format!("Transaction {id} is not found"));
        let late = lab.statement("INSERT INTO t VALUES (3)").transaction_id(id);
        assert_eq!(refused(late.send().await).0, "TransactionNotFoundException");
    }
    assert_eq!(count(&lab).await, 1);
}

#[tokio::test]
async fn an_aborted_transaction_is_not_reported_as_committed() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a int4)").await;
    let id = lab.begin().await;
    lab.run_in(&id, "INSERT INTO t VALUES (1)").await;
    refused(lab.statement("SELECT 1/0").transaction_id(&id).send().await);
    let (code, message) = commit(&lab, &id).await.unwrap_err();
    assert_eq!(code, "DatabaseErrorException");
    assert!(message.ends_with("; SQLState: 25P02"), "{message}");
    assert_eq!(count(&lab).await, 0);

    // A savepoint repairs it.
    let id = lab.begin().await;
    lab.run_in(&id, "INSERT INTO t VALUES (1)").await;
    lab.run_in(&id, "SAVEPOINT s").await;
    refused(lab.statement("SELECT 1/0").transaction_id(&id).send().await);
    lab.run_in(&id, "ROLLBACK TO SAVEPOINT s").await;
    commit(&lab, &id).await.unwrap();
    assert_eq!(count(&lab).await, 1);
}

#[tokio::test]
async fn an_error_at_commit_is_reported() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a int4 UNIQUE DEFERRABLE INITIALLY DEFERRED)").await;
    let id = lab.begin().await;
    lab.run_in(&id, "INSERT INTO t VALUES (1), (1)").await;
    let (_, message) = commit(&lab, &id).await.unwrap_err();
    assert!(message.ends_with("; SQLState: 23505"), "{message}");
    assert_eq!(commit(&lab, &id).await.unwrap_err().0, "TransactionNotFoundException");
    assert_eq!(count(&lab).await, 0);
}

#[tokio::test]
async fn one_statement_at_a_time() {
    let lab = Lab::start().await;
    let admin = lab.postgres.connect().await;
    admin.batch_execute("SELECT pg_advisory_lock(1)").await.unwrap();
    let id = lab.begin().await;
    let waiting = tokio::spawn(lab.statement("SELECT pg_advisory_lock(1)").transaction_id(&id).send());
    lab.until("SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").await;
    let expected = ("DatabaseErrorException".to_owned(), "Transaction is still running a query".to_owned());
    let second = lab.statement("SELECT 1").transaction_id(&id).send().await;
    assert_eq!(refused(second), expected);
    assert_eq!(commit(&lab, &id).await.unwrap_err(), expected);
    admin.batch_execute("SELECT pg_advisory_unlock(1)").await.unwrap();
    waiting.await.unwrap().unwrap();
    commit(&lab, &id).await.unwrap();
}

#[tokio::test]
async fn a_transaction_belongs_to_its_cluster_and_database() {
    let lab = Lab::start().await;
    let id = lab.begin().await;
    let other = lab.statement("SELECT 1").transaction_id(&id).database("template1");
    assert_eq!(refused(other.send().await).0, "BadRequestException");
    let other = lab.statement("SELECT 1").transaction_id(&id).resource_arn("arn:other");
    assert_eq!(refused(other.send().await).0, "TransactionNotFoundException");
    let unknown = rollback(&lab, "AQIDBA==").await.unwrap_err();
    assert_eq!(unknown.0, "TransactionNotFoundException");
    rollback(&lab, &id).await.unwrap();
}

#[tokio::test]
async fn shutdown_rolls_back() {
    let lab = Lab::start().await;
    let id = lab.begin().await;
    lab.run_in(&id, "CREATE TABLE t (a int4)").await;
    let waiting = tokio::spawn(lab.statement("SELECT pg_sleep(3600)").send());
    lab.until("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'").await;
    let Lab { postgres, server, .. } = lab;
    server.shutdown().await;
    let (code, message) = refused(waiting.await.unwrap());
    assert_eq!(code, "DatabaseErrorException");
    assert!(message.ends_with("; SQLState: 08006"), "{message}");
    let admin = postgres.connect().await;
    let row = admin.query_one("SELECT to_regclass('t') IS NULL", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
}
