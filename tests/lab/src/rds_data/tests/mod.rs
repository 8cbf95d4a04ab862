//! The server on a real PostgreSQL, driven by the AWS SDK and by raw HTTP.

mod batch;
mod calls;
mod errors;
mod outages;
mod parameters;
mod postgres;
mod results;
mod scanning;
mod timeouts;
mod transactions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::retry::RetryConfig;
use aws_sdk_rdsdata::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_rdsdata::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_rdsdata::operation::execute_statement::builders::ExecuteStatementFluentBuilder;
use aws_sdk_rdsdata::types::{Field, SqlParameter};

use super::{Backend, BackendError, RdsData, Settings, Writer, serve};
use postgres::Postgres;

const CLUSTER: &str = "arn:aws:rds:us-east-1:123456789012:cluster:orders";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!cluster-1-AbCdEf";
/// The longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server asks; tests change it as they go.
#[derive(Debug)]
struct Directory {
    writer: Mutex<Result<Writer, BackendError>>,
    secrets: Mutex<HashMap<String, String>>,
}

impl Directory {
    fn set_writer(&self, writer: Result<Writer, BackendError>) {
        *self.writer.lock().unwrap() = writer;
    }

    fn set_secret(&self, arn: &str, text: &str) {
        self.secrets.lock().unwrap().insert(arn.to_owned(), text.to_owned());
    }
}

impl Backend for Arc<Directory> {
    async fn writer(&self, cluster_arn: &str) -> Result<Writer, BackendError> {
        if cluster_arn != CLUSTER {
            return Err(BackendError::NoSuchCluster);
        }
        self.writer.lock().unwrap().clone()
    }

    async fn secret(&self, secret_arn: &str) -> Result<String, BackendError> {
        let secrets = self.secrets.lock().unwrap();
        secrets.get(secret_arn).cloned().ok_or(BackendError::NoSuchSecret)
    }
}

/// A database, the server in front of it and a client.
struct Lab {
    postgres: Postgres,
    directory: Arc<Directory>,
    server: RdsData,
    client: Client,
}

impl Lab {
    async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    async fn start_with(settings: Settings) -> Self {
        let postgres = Postgres::start().await;
        let directory =
            Arc::new(Directory { writer: Mutex::new(Ok(postgres.writer("orders-1"))), secrets: Mutex::default() });
        directory.set_secret(SECRET, &postgres.secret());
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = serve(listen, Arc::clone(&directory), settings).await.unwrap();
        let client = client(&server);
        Self { postgres, directory, server, client }
    }

    fn statement(&self, sql: &str) -> ExecuteStatementFluentBuilder {
        self.client.execute_statement().resource_arn(CLUSTER).secret_arn(SECRET).database("postgres").sql(sql)
    }

    async fn run(&self, sql: &str) -> ExecuteStatementOutput {
        self.statement(sql).send().await.unwrap()
    }

    /// The first row.
    async fn row(&self, sql: &str) -> Vec<Field> {
        self.run(sql).await.records().first().unwrap().clone()
    }

    async fn begin(&self) -> String {
        let begun = self
            .client
            .begin_transaction()
            .resource_arn(CLUSTER)
            .secret_arn(SECRET)
            .database("postgres")
            .send()
            .await
            .unwrap();
        begun.transaction_id().unwrap().to_owned()
    }

    /// Runs in a transaction.
    async fn run_in(&self, id: &str, sql: &str) -> ExecuteStatementOutput {
        self.statement(sql).transaction_id(id).send().await.unwrap()
    }

    /// The exception name and message of a statement that has to fail.
    async fn refusal(&self, sql: &str) -> (String, String) {
        refused(self.statement(sql).send().await)
    }

    /// Waits until the SQL, on a connection outside the server, returns true.
    async fn until(&self, sql: &str) {
        let admin = self.postgres.connect().await;
        let wait = async {
            loop {
                let row = admin.query_one(sql, &[]).await.unwrap();
                if row.get(0) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect(sql);
    }
}

fn client(server: &RdsData) -> Client {
    let config = aws_sdk_rdsdata::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("lab", "lab", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(format!("http://{}", server.address()))
        .build();
    Client::from_conf(config)
}

fn parameter(name: &str, value: Field) -> SqlParameter {
    SqlParameter::builder().name(name).value(value).build()
}

fn text(value: &str) -> Field {
    Field::StringValue(value.to_owned())
}

fn refused<T, E, R>(result: Result<T, SdkError<E, R>>) -> (String, String)
where
    E: ProvideErrorMetadata,
    T: std::fmt::Debug,
{
    let error = result.expect_err("the call has to fail");
    let service = error.as_service_error().expect("an answer of the service");
    (service.code().unwrap_or_default().to_owned(), service.message().unwrap_or_default().to_owned())
}
