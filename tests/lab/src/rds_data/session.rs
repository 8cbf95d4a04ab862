//! One database connection for the Data API.

use std::future::poll_fn;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Writer;
use super::error::{ApiError, Code};

/// What a secret has to hold. `dbname` is not used, as on AWS.
#[derive(Deserialize)]
pub(super) struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    pub(super) fn parse(secret: &str) -> Result<Self, ApiError> {
        let wrong = |what: String| ApiError::new(Code::InvalidSecretException, what);
        // The text of a parse error could repeat a part of the secret.
        let parsed: Self = serde_json::from_str(secret)
            .map_err(|_| wrong("the secret is not a JSON object with the strings username and password".into()))?;
        if parsed.username.is_empty() || parsed.username.contains('\0') {
            return Err(wrong("the username in the secret is empty or holds a zero byte".into()));
        }
        Ok(parsed)
    }
}

/// A connection. Dropping it closes it, which rolls back what is open.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    /// The process id of the backend, `dbConnectionId` of a timeout.
    pub(super) connection_id: i64,
    /// A statement failed, so that the open transaction may be aborted.
    pub(super) failed: bool,
    /// The transaction was committed or rolled back.
    pub(super) ended: bool,
    breaker: Breaker,
}

/// Ends the statement or the connection of a session that is in use.
#[derive(Clone)]
pub(super) struct Breaker {
    cancel: CancelToken,
    tls: Option<MakeRustlsConnect>,
    driver: AbortHandle,
    patience: Duration,
}

impl Session {
    /// Connects, at the latest after `patience`. The connection is cut when `stopped` turns true.
    pub(super) async fn open(
        writer: &Writer,
        credentials: &Credentials,
        database: Option<&str>,
        patience: Duration,
        stopped: watch::Receiver<bool>,
    ) -> Result<Self, ApiError> {
        let mut config = Config::new();
        config
            .host(&writer.server_name)
            .hostaddr(writer.address.ip())
            .port(writer.address.port())
            .user(&credentials.username)
            .password(&credentials.password)
            .dbname(database.unwrap_or(&credentials.username))
            .application_name("rds-data-api")
            .connect_timeout(patience);
        let tls = writer.tls.as_deref().map(|config| MakeRustlsConnect::new(config.clone()));
        let connecting = async {
            let (client, driver) =
                connect(&mut config, tls.clone(), stopped).await.map_err(|error| ApiError::connecting(&error))?;
            let row =
                client.query_one("SELECT pg_backend_pid()", &[]).await.map_err(|error| ApiError::connecting(&error))?;
            let pid: i32 = row.try_get(0).map_err(|error| ApiError::connecting(&error))?;
            Ok::<_, ApiError>((client, driver, pid))
        };
        // The limit of the driver covers the TCP handshake only.
        let (client, driver, pid) =
            tokio::time::timeout(patience, connecting).await.map_err(|_| ApiError::unavailable())??;
        let breaker = Breaker { cancel: client.cancel_token(), tls, driver: driver.abort_handle(), patience };
        Ok(Self { client, connection_id: pid.into(), failed: false, ended: false, breaker })
    }

    pub(super) fn breaker(&self) -> Breaker {
        self.breaker.clone()
    }

    /// The error of a statement, after which the connection may be of no more use.
    pub(super) fn broken(&self, error: &tokio_postgres::Error) -> ApiError {
        if error.as_db_error().is_none() {
            // The protocol may be out of step, as in a COPY that nobody feeds.
            self.breaker.cut();
        }
        ApiError::running(error)
    }
}

impl Breaker {
    /// Asks the server to stop the statement; cuts the connection if that does not end `work`.
    pub(super) async fn stop<T>(self, work: JoinHandle<T>) {
        let asked = match self.tls.clone() {
            Some(tls) => tokio::time::timeout(self.patience, self.cancel.cancel_query(tls)).await,
            None => tokio::time::timeout(self.patience, self.cancel.cancel_query(NoTls)).await,
        };
        if !matches!(asked, Ok(Ok(()))) {
            tracing::debug!("the writer did not take the request to cancel a statement");
        }
        if tokio::time::timeout(self.patience, work).await.is_err() {
            self.cut();
        }
    }

    /// Closes the connection at once.
    pub(super) fn cut(&self) {
        self.driver.abort();
    }
}

impl std::fmt::Debug for Breaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Breaker").finish_non_exhaustive()
    }
}

async fn connect(
    config: &mut Config,
    tls: Option<MakeRustlsConnect>,
    stopped: watch::Receiver<bool>,
) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
    match tls {
        Some(tls) => {
            let (client, connection) = config.ssl_mode(SslMode::Require).connect(tls).await?;
            Ok((client, tokio::spawn(drive(connection, stopped))))
        }
        None => {
            let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await?;
            Ok((client, tokio::spawn(drive(connection, stopped))))
        }
    }
}

/// Runs a connection until it ends, breaks, or `stopped` turns true.
async fn drive<S, T>(mut connection: Connection<S, T>, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let message = tokio::select! {
            message = poll_fn(|context| connection.poll_message(context)) => message,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        match message {
            None => return,
            Some(Ok(AsyncMessage::Notice(notice))) if leaves_commit_in_doubt(&notice) => {
                tracing::debug!(%notice, "a commit is in doubt; the connection is cut");
                return;
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "a connection of the Data API broke");
                return;
            }
        }
    }
}

/// Whether the wait for synchronous standbys was given up. PostgreSQL then reports success for a
/// commit that a failover may lose. Aurora's storage has no such state, so the answer must not
/// reach the caller.
fn leaves_commit_in_doubt(notice: &tokio_postgres::error::DbError) -> bool {
    notice.routine() == Some("SyncRepWaitForLSN")
}
