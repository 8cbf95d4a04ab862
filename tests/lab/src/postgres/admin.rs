//! The lab's own superuser connection to a node, kept open.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, Row};

use super::error::ClusterError;
use super::settings::{ADMIN, Layout};
use crate::network::POSTGRES_PORT;

/// A healthy node answers within a millisecond; a frozen one never does.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Whoever waits for the roles meanwhile waits as long, unless it is a promotion that kills a node that has frozen.
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Admin {
    id: String,
    socket: PathBuf,
    log: PathBuf,
    open: Mutex<Option<Arc<Client>>>,
}

impl Admin {
    pub(super) fn new(id: &str, layout: &Layout, log: PathBuf) -> Self {
        Self { id: id.to_owned(), socket: layout.socket(), log, open: Mutex::new(None) }
    }

    /// A connection of the caller's own.
    pub(super) async fn connect(&self) -> Result<Client, ClusterError> {
        self.connect_as("postgres", "lab").await
    }

    /// The same, to another database than the one every server has.
    pub(super) async fn connect_to(&self, database: &str) -> Result<Client, ClusterError> {
        self.connect_as(database, "lab").await
    }

    /// The same, under a name of its own.
    pub(super) async fn connect_as(&self, database: &str, application: &str) -> Result<Client, ClusterError> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.socket).port(POSTGRES_PORT).user(ADMIN).dbname(database).application_name(application);
        // The lab's own work goes on where nobody else may write.
        config.options("-c default_transaction_read_only=off");
        let connecting = config.connect(NoTls);
        let (client, connection) = self.in_time(connecting).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "admin connection ended");
            }
        });
        Ok(client)
    }

    /// The kept connection, opened if need be.
    pub(super) async fn client(&self) -> Result<Arc<Client>, ClusterError> {
        let mut open = self.open.lock().await;
        if let Some(client) = open.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(self.connect().await?);
        *open = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Forgets the kept connection.
    pub(super) async fn close(&self) {
        self.open.lock().await.take();
    }

    pub(super) async fn query_one(&self, sql: &str) -> Result<Row, ClusterError> {
        let client = self.client().await?;
        self.in_time(client.query_one(sql, &[])).await
    }

    /// Whether every session has this value of a setting from its next statement on. The postmaster tells all its
    /// children of a reload before it accepts another connection, while the kept one may be told before the others.
    pub(super) async fn is_set_for_all(&self, setting: &str, value: &str) -> Result<bool, ClusterError> {
        let client = match self.connect().await {
            Err(ClusterError::Query { source, .. }) if source.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => {
                return Ok(false);
            }
            connected => connected?,
        };
        let row = self.in_time(client.query_one("SELECT current_setting($1)", &[&setting])).await?;
        let current: String = row.try_get(0).map_err(|source| self.error(source))?;
        Ok(current == value)
    }

    pub(super) async fn execute(&self, sql: &str) -> Result<(), ClusterError> {
        let client = self.client().await?;
        self.in_time(client.batch_execute(sql)).await
    }

    /// Writes all that is dirty to the disk, which may be slow or busy with another checkpoint.
    pub(super) async fn checkpoint(&self) -> Result<(), ClusterError> {
        let client = self.client().await?;
        self.in_limit(CHECKPOINT_LIMIT, client.batch_execute("CHECKPOINT")).await
    }

    /// The same in another database, on a connection that ends with it.
    pub(super) async fn execute_in(&self, database: &str, sql: &str) -> Result<(), ClusterError> {
        let client = self.connect_to(database).await?;
        self.in_time(client.batch_execute(sql)).await
    }

    /// A query error that names the node.
    pub(super) fn error(&self, source: tokio_postgres::Error) -> ClusterError {
        ClusterError::Query { id: self.id.clone(), source }
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, ClusterError> {
        self.in_limit(ANSWER_LIMIT, answer).await
    }

    async fn in_limit<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, ClusterError> {
        match tokio::time::timeout(limit, answer).await {
            Ok(result) => result.map_err(|source| self.error(source)),
            Err(_) => Err(ClusterError::Timeout {
                id: self.id.clone(),
                what: "an answer to an admin query",
                limit,
                log: self.log.clone(),
            }),
        }
    }
}
