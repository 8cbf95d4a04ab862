//! The same ledger through the RDS Data API.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_rdsdata::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_rdsdata::types::{Field, SqlParameter};
use steadfast_client::{Fate, Key, Outcome, StatementError};
use steadfast_client_data_api::{Applied, DataApi, Database, Error, Limits, Statement};
use steadfast_lab::rds_data::{Backend, BackendError, RdsData, Settings, Writer, serve};
use support::{Lab, entries};

/// The longest that anything is waited for: a machine may stand still for seconds.
const GENEROUS: Duration = Duration::from_secs(120);
const CLUSTER: &str = "arn:aws:rds:eu-central-1:123456789012:cluster:orders";

/// Finds the writer and the application's secret.
struct Directory {
    cluster: Arc<steadfast_lab::postgres::Cluster>,
    tls: Arc<rustls::ClientConfig>,
    secret: String,
}

impl Backend for Directory {
    async fn writer(&self, _cluster_arn: &str) -> Result<Writer, BackendError> {
        let instance = self.cluster.writer().to_owned();
        let address = self.cluster.proxy_address(0, &instance).map_err(|_| BackendError::NoInstance)?;
        let server_name = format!("{instance}.c0ffee.eu-central-1.rds.amazonaws.com");
        Ok(Writer { address, server_name, tls: Some(Arc::clone(&self.tls)), instance })
    }

    async fn secret(&self, _secret_arn: &str) -> Result<String, BackendError> {
        Ok(self.secret.clone())
    }
}

async fn service(lab: &Lab, secret: String) -> (Builder, RdsData) {
    let directory = Directory {
        cluster: Arc::clone(&lab.payments.cluster),
        tls: Arc::new(steadfast_client::tls(lab.payments.cluster.ca_file()).unwrap()),
        secret,
    };
    let server = serve("127.0.0.1:0".parse().unwrap(), directory, Settings::default()).await.unwrap();
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("lab", "lab", None, None, "test"))
        .endpoint_url(format!("http://{}", server.address()));
    (config, server)
}

async fn api(lab: &Lab, limits: Limits) -> (DataApi, RdsData) {
    let (config, server) = service(lab, lab.payments.secret()).await;
    let database =
        Database { cluster_arn: CLUSTER.to_owned(), secret_arn: "secret".to_owned(), name: "postgres".to_owned() };
    (DataApi::new(config, database, limits), server)
}

fn insert(table: &str, id: i64) -> Statement {
    let parameter = SqlParameter::builder().name("id").value(Field::LongValue(id)).build();
    Statement { sql: format!("INSERT INTO {table} VALUES (:id)"), parameters: vec![parameter] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_applied_once_on_either_way() {
    let lab = Lab::start().await;
    let (api, _server) = api(&lab, Limits::default()).await;
    let key = Key::fresh();
    assert_eq!(api.transaction(key, &[insert("entry", 1), insert("entry", 2)]).await.unwrap(), Applied::Now);
    assert_eq!(api.transaction(key, &[insert("entry", 3)]).await.unwrap(), Applied::Before);
    // The other way knows it, and the other way round.
    assert_eq!(lab.client.outcome(key).await.unwrap(), Fate::Applied);
    let key = Key::fresh();
    let outcome = lab
        .client
        .transaction(key, |tx| async move { tx.execute("INSERT INTO entry VALUES (4)", &[]).await.map(drop) });
    assert_eq!(outcome.await.unwrap(), Outcome::Applied { value: (), attempts: 1 });
    assert_eq!(api.transaction(key, &[insert("entry", 5)]).await.unwrap(), Applied::Before);
    let spent = Key::fresh();
    assert_eq!(lab.client.abandon(spent).await.unwrap(), Fate::Abandoned);
    assert!(matches!(api.transaction(spent, &[insert("entry", 6)]).await, Err(Error::Abandoned(key)) if key == spent));
    // A statement that fails applies nothing and leaves the key free.
    let key = Key::fresh();
    let failed = api.transaction(key, &[insert("entry", 7), insert("entry", 1)]).await;
    assert!(matches!(failed, Err(Error::NotApplied { spent: false, .. })), "{failed:?}");
    assert_eq!(api.transaction(key, &[insert("entry", 7)]).await.unwrap(), Applied::Now);
    assert_eq!(entries(&lab).await, 4);
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3 * 24 * 3_600);
    let old = Key::of_request(long_ago, "transfer", "1");
    let forgotten = api.transaction(old, &[insert("entry", 8)]).await;
    assert!(matches!(forgotten, Err(Error::Forgotten { .. })), "{forgotten:?}");
    assert_eq!(entries(&lab).await, 4);
    let none: Result<Outcome<()>, steadfast_client::Error<StatementError>> =
        lab.client.transaction(key, |_tx| async { Ok(()) }).await;
    assert_eq!(none.unwrap(), Outcome::AlreadyApplied { value: () });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_in_doubt_is_decided_by_the_ledger() {
    let lab = Lab::start().await;
    let (api, _server) = api(&lab, Limits { call: Duration::from_secs(3), total: GENEROUS }).await;
    // The backend dies in its COMMIT, before it takes effect.
    let admin = lab.payments.cluster.admin("orders-1").await.unwrap();
    let fatal = "SET ROLE payments; SET search_path = payments;
        CREATE TABLE fatal (id bigint);
        CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN PERFORM pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid()); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER die AFTER INSERT ON fatal DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION die()";
    admin.batch_execute(fatal).await.unwrap();
    let key = Key::fresh();
    let lost = api.transaction(key, &[insert("entry", 1), insert("fatal", 1)]).await;
    assert!(matches!(lost, Err(Error::NotApplied { spent: true, .. })), "{lost:?}");
    assert_eq!((entries(&lab).await, lab.client.outcome(key).await.unwrap()), (0, Fate::Abandoned));

    // It takes effect, and its answer is lost with the writer.
    let cluster = &lab.payments.cluster;
    lab.client.ready().await.unwrap();
    cluster.stall_commits("orders-1").await.unwrap();
    // The proof of a writer by its own session is no concern here; only this COMMIT is waited for.
    let key = Key::fresh();
    let (statement, waiting) = (
        [insert("entry", 2)],
        "SELECT count(*) FROM pg_stat_activity \
        WHERE usename = 'payments' AND wait_event = 'SyncRep' AND query ILIKE 'commit%'",
    );
    let failover = async {
        let stalled = async {
            while admin.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(GENEROUS, stalled).await.unwrap();
        cluster.kill_postgres("orders-1").await.unwrap();
        cluster.promote("orders-2").await.unwrap();
    };
    let (found, ()) = tokio::join!(api.transaction(key, &statement), failover);
    assert_eq!(found.unwrap(), Applied::Now);
    assert_eq!(entries(&lab).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bootstrap_applies_the_schema_and_may_be_repeated() {
    let lab = Lab::start().await;
    let admin = lab.payments.cluster.admin("orders-1").await.unwrap();
    // What RDS lets a master user do; it is no superuser.
    for sql in ["CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'x'", "CREATE DATABASE fresh OWNER master"] {
        admin.batch_execute(sql).await.unwrap();
    }
    // The groups exist for the whole server, and the master user did not make them.
    admin.batch_execute("GRANT pg_signal_backend, pg_read_all_stats TO master WITH ADMIN OPTION").await.unwrap();
    let secret = r#"{"username": "master", "password": "x"}"#.to_owned();
    let (config, _server) = service(&lab, secret).await;
    let database = steadfast_infra::bootstrap::DataApi {
        client: aws_sdk_rdsdata::Client::from_conf(config.build()),
        cluster_arn: CLUSTER.to_owned(),
        admin_secret_arn: "secret".to_owned(),
        name: "fresh".to_owned(),
    };
    for _ in 0..2 {
        steadfast_infra::bootstrap::bootstrap(&database, &[]).await.unwrap();
    }
    let fresh = lab.payments.cluster.admin_to("orders-1", "fresh").await.unwrap();
    let ready = "SELECT steadfast.prove(gen_random_uuid(), 'test', NULL), steadfast.prune()";
    let row = fresh.query_one(ready, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 0));
}
