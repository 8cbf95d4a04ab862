use std::path::Path;
use std::sync::Arc;

use super::postgres::{Postgres, own};
use super::{CLUSTER, Lab, SECRET, refused};
use crate::rds_data::BackendError;

#[tokio::test]
async fn a_crash_of_the_writer() {
    let mut lab = Lab::start().await;
    let id = lab.begin().await;
    let waiting = tokio::spawn(lab.statement("SELECT pg_sleep(3600)").send());
    lab.until("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'").await;
    lab.postgres.crash();
    let (code, message) = refused(waiting.await.unwrap());
    assert_eq!(code, "DatabaseErrorException");
    let state = message.rsplit(": ").next().unwrap();
    assert!(["57P01", "57P02", "08006"].contains(&state), "{message}");
    assert_eq!(lab.refusal("SELECT 1").await.0, "DatabaseUnavailableException");
    let begin = lab.client.begin_transaction().resource_arn(CLUSTER).secret_arn(SECRET);
    assert_eq!(refused(begin.send().await).0, "DatabaseUnavailableException");

    lab.postgres.launch().await;
    lab.run("SELECT 1").await;
    let late = lab.statement("SELECT 1").transaction_id(&id).send().await;
    assert_eq!(refused(late).0, "TransactionNotFoundException");
}

#[tokio::test]
async fn a_transaction_does_not_survive_a_failover() {
    let lab = Lab::start().await;
    let id = lab.begin().await;
    lab.run_in(&id, "CREATE TABLE t (a int4)").await;
    lab.directory.set_writer(Err(BackendError::Unavailable));
    let during = lab.statement("SELECT 1").transaction_id(&id).send().await;
    assert_eq!(refused(during).0, "DatabaseUnavailableException");
    lab.directory.set_writer(Ok(lab.postgres.writer("orders-2")));
    let after = lab.statement("SELECT 1").transaction_id(&id).send().await;
    assert_eq!(refused(after).0, "TransactionNotFoundException");
    lab.until("SELECT count(*) = 0 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'").await;
}

#[tokio::test]
async fn a_commit_without_its_standbys_is_not_acknowledged() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a int4)").await;
    let admin = lab.postgres.connect().await;
    for sql in ["ALTER SYSTEM SET synchronous_standby_names = 'absent'", "SELECT pg_reload_conf()"] {
        admin.batch_execute(sql).await.unwrap();
    }
    lab.until("SELECT setting = 'absent' FROM pg_settings WHERE name = 'synchronous_standby_names'").await;
    let waiting = tokio::spawn(lab.statement("INSERT INTO t VALUES (1)").send());
    lab.until("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'").await;
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    admin.batch_execute(cancel).await.unwrap();
    let (code, message) = refused(waiting.await.unwrap());
    assert_eq!(code, "DatabaseErrorException");
    assert!(message.ends_with("; SQLState: 08006"), "{message}");
}

/// Writes a certificate for `localhost` into the data directory.
fn certificate(data: &Path) -> (String, Option<Arc<rustls::ClientConfig>>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (name, text) in [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())] {
        let file = data.join(name);
        std::fs::write(&file, text).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, private).unwrap();
        own(&file);
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    ("ssl = on\n".to_owned(), Some(Arc::new(config)))
}

#[tokio::test]
async fn the_writer_is_checked_against_its_certificate() {
    let lab = Lab::start().await;
    let secure = Postgres::start_with(certificate).await;
    let mut writer = secure.writer("orders-1");
    lab.directory.set_writer(Ok(writer.clone()));
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = lab.row(sql).await;
    assert_eq!(row, [aws_sdk_rdsdata::types::Field::BooleanValue(true)]);
    writer.server_name = "other.example".to_owned();
    lab.directory.set_writer(Ok(writer));
    assert_eq!(lab.refusal(sql).await.0, "DatabaseUnavailableException");
}
