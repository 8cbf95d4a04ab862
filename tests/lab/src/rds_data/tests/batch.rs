use aws_sdk_rdsdata::operation::batch_execute_statement::builders::BatchExecuteStatementFluentBuilder;
use aws_sdk_rdsdata::types::Field;

use super::{CLUSTER, Lab, SECRET, parameter, refused, text};

fn batch(lab: &Lab, sql: &str) -> BatchExecuteStatementFluentBuilder {
    lab.client.batch_execute_statement().resource_arn(CLUSTER).secret_arn(SECRET).database("postgres").sql(sql)
}

#[tokio::test]
async fn a_batch_runs_once_for_each_set() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a int4, b text)").await;
    let result = batch(&lab, "INSERT INTO t VALUES (:a, :b)")
        .parameter_sets(vec![parameter("a", Field::LongValue(1)), parameter("b", text("x"))])
        .parameter_sets(vec![parameter("a", Field::LongValue(2)), parameter("b", text("y"))])
        .parameter_sets(vec![parameter("a", Field::IsNull(true)), parameter("b", text("z"))])
        .send()
        .await
        .unwrap();
    assert_eq!(result.update_results().len(), 3);
    assert!(result.update_results()[0].generated_fields().is_empty());
    let count = lab.row("SELECT count(*), count(a) FROM t").await;
    assert_eq!(count, [Field::LongValue(3), Field::LongValue(2)]);
    let none = batch(&lab, "INSERT INTO t VALUES (9)").send().await.unwrap();
    assert!(none.update_results().is_empty());
    let twice = batch(&lab, "INSERT INTO t VALUES (9, 'w') RETURNING a").parameter_sets(vec![]).parameter_sets(vec![]);
    assert_eq!(twice.send().await.unwrap().update_results().len(), 2);
    assert_eq!(lab.row("SELECT count(*) FROM t").await, [Field::LongValue(5)]);
}

#[tokio::test]
async fn a_batch_that_fails_leaves_nothing() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a int4 PRIMARY KEY)").await;
    let failing = |id: Option<String>| {
        batch(&lab, "INSERT INTO t VALUES (:a)")
            .parameter_sets(vec![parameter("a", Field::LongValue(1))])
            .parameter_sets(vec![parameter("a", Field::LongValue(1))])
            .set_transaction_id(id)
    };
    let (code, message) = refused(failing(None).send().await);
    assert_eq!(code, "DatabaseErrorException");
    assert!(message.ends_with("; SQLState: 23505"), "{message}");
    assert_eq!(lab.row("SELECT count(*) FROM t").await, [Field::LongValue(0)]);

    let id = lab.begin().await;
    refused(failing(Some(id.clone())).send().await);
    let after = lab.statement("SELECT 1").transaction_id(&id).send().await;
    let (_, message) = refused(after);
    assert!(message.ends_with("; SQLState: 25P02"), "{message}");
}
