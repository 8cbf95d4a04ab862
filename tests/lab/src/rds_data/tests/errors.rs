use super::{CLUSTER, Lab, SECRET, refused};
use crate::rds_data::BackendError;

#[tokio::test]
async fn sql_errors_end_with_their_state() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a int4 PRIMARY KEY)").await;
    lab.run("INSERT INTO t VALUES (1)").await;
    let cases = [
        ("SELECT * FROM absent", "ERROR: relation \"absent\" does not exist; Position: 15; SQLState: 42P01"),
        (
            "INSERT INTO t VALUES (1)",
            "ERROR: duplicate key value violates unique constraint \"t_pkey\"; SQLState: 23505",
        ),
        ("SELECT 1 / 0", "ERROR: division by zero; SQLState: 22012"),
        ("SELECT $1", "ERROR: bind message supplies 0 parameters, but the statement requires 1; SQLState: 08P01"),
        ("SET transaction_read_only = on", ""),
    ];
    for (sql, expected) in cases {
        if expected.is_empty() {
            lab.run(sql).await;
            continue;
        }
        let (code, message) = lab.refusal(sql).await;
        assert_eq!((code.as_str(), message.as_str()), ("DatabaseErrorException", expected));
    }
    // The setting ended with its connection.
    lab.run("INSERT INTO t VALUES (2)").await;
}

#[tokio::test]
async fn statements_that_are_refused_before_they_run() {
    let lab = Lab::start().await;
    let expect = |result: (String, String), text: &str| {
        assert_eq!(result.0, "ValidationException");
        assert!(result.1.contains(text), "{result:?}");
    };
    expect(lab.refusal("SELECT 1; SELECT 2").await, "Multistatements aren't supported.");
    lab.run("SELECT ';' /* ; */; ").await;
    let schema = lab.statement("SELECT 1").schema("public").send().await;
    expect(refused(schema), "The schema parameter isn't supported");
    let long = format!("SELECT '{}'", "x".repeat(65_536));
    expect(lab.refusal(&long).await, "shorten it");
    let id = "a".repeat(193);
    let call = lab.statement("SELECT 1").transaction_id(id).send().await;
    expect(refused(call), "transactionId");
    let (code, message) = lab.refusal("SELECT '\0'").await;
    assert_eq!(code, "DatabaseErrorException");
    assert!(message.ends_with("SQLState: 22021"), "{message}");
}

#[tokio::test]
async fn credentials_and_databases() {
    let lab = Lab::start().await;
    let by_default = lab.client.execute_statement().resource_arn(CLUSTER).secret_arn(SECRET).sql("SELECT 1");
    let (code, message) = refused(by_default.clone().send().await);
    assert_eq!(code, "DatabaseErrorException");
    assert_eq!(message, "FATAL: database \"steadfast\" does not exist; SQLState: 3D000");
    lab.run("CREATE DATABASE steadfast").await;
    by_default.send().await.unwrap();

    let secrets = [
        (r#"{"username":"steadfast","password":"wrong"}"#, "DatabaseErrorException", "28P01"),
        (r#"{"username":"steadfast"}"#, "InvalidSecretException", "username and password"),
        (r#"{"username":"","password":"x"}"#, "InvalidSecretException", "empty"),
        ("not JSON: hunter2", "InvalidSecretException", "JSON"),
    ];
    for (secret, expected, text) in secrets {
        lab.directory.set_secret(SECRET, secret);
        let (code, message) = lab.refusal("SELECT 1").await;
        assert_eq!(code, expected);
        assert!(message.contains(text) && !message.contains("hunter2"), "{message}");
    }
    let absent = lab.statement("SELECT 1").secret_arn("arn:absent").send().await;
    assert_eq!(refused(absent).0, "SecretsErrorException");
}

#[tokio::test]
async fn what_the_backend_says_becomes_the_exception() {
    let lab = Lab::start().await;
    let absent = lab.statement("SELECT 1").resource_arn("arn:absent").send().await;
    assert_eq!(refused(absent).0, "HttpEndpointNotEnabledException");
    for (error, expected) in [
        (BackendError::HttpEndpointDisabled, "HttpEndpointNotEnabledException"),
        (BackendError::NoInstance, "DatabaseNotFoundException"),
        (BackendError::Resuming, "DatabaseResumingException"),
        (BackendError::Unavailable, "DatabaseUnavailableException"),
        (BackendError::InvalidState("renaming".into()), "InvalidResourceStateException"),
        (BackendError::AccessDenied("no".into()), "AccessDeniedException"),
        (BackendError::ServiceUnavailable, "ServiceUnavailableError"),
    ] {
        lab.directory.set_writer(Err(error));
        assert_eq!(lab.refusal("SELECT 1").await.0, expected);
    }
}

#[tokio::test]
async fn copy_is_refused_and_ends_the_session() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a int4)").await;
    let id = lab.begin().await;
    for call in [
        lab.statement("COPY t FROM STDIN"),
        lab.statement("COPY t TO STDOUT"),
        lab.statement("COPY t FROM STDIN").transaction_id(&id),
    ] {
        let (code, message) = refused(call.send().await);
        assert_eq!(code, "DatabaseErrorException");
        assert!(message.ends_with("; SQLState: 0A000"), "{message}");
    }
    lab.until("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'rds-data-api'").await;
    let after = lab.statement("SELECT 1").transaction_id(&id).send().await;
    assert_eq!(refused(after).0, "TransactionNotFoundException");
}
