//! The RDS Data API (REST JSON, service model 2018-08-01) on top of a real PostgreSQL writer.
//!
//! Served: `POST /Execute`, `/BatchExecute`, `/BeginTransaction`, `/CommitTransaction` and
//! `/RollbackTransaction`, as Aurora Serverless v2 and provisioned clusters answer them. Each
//! statement outside a transaction uses a connection of its own. Request signatures (SigV4) are
//! not checked: any caller that reaches the loopback address is trusted.

mod bind;
mod datetime;
mod decode;
mod error;
mod field;
mod http;
mod metadata;
mod numeric;
mod operations;
mod request;
mod scan;
mod session;
mod statement;
mod transaction;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where the Data API finds the current writer and the credentials.
pub trait Backend: Send + Sync + 'static {
    /// The writer of the cluster at this moment.
    fn writer(&self, cluster_arn: &str) -> impl Future<Output = Result<Writer, BackendError>> + Send;

    /// The JSON text of a secret; it has to hold `username` and `password`.
    fn secret(&self, secret_arn: &str) -> impl Future<Output = Result<String, BackendError>> + Send;
}

/// The instance that takes the statements of a cluster.
#[derive(Clone, Debug)]
pub struct Writer {
    /// Where PostgreSQL listens.
    pub address: SocketAddr,
    /// The name that the server's certificate is checked against.
    pub server_name: String,
    /// `None` connects without TLS.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The instance identifier. An open transaction ends when it changes.
    pub instance: String,
}

/// Why the backend has no answer, each with the exception that the caller sees.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackendError {
    /// `HttpEndpointNotEnabledException`, which is also what AWS says of an ARN that matches no
    /// cluster.
    #[error("no cluster has this ARN; check the resourceArn")]
    NoSuchCluster,
    /// `HttpEndpointNotEnabledException`.
    #[error("the Data API is off for this cluster; turn it on with EnableHttpEndpoint")]
    HttpEndpointDisabled,
    /// `DatabaseNotFoundException`.
    #[error("the cluster has no instance; add one")]
    NoInstance,
    /// `DatabaseResumingException`.
    #[error("the cluster is resuming after a pause; try again in a few seconds")]
    Resuming,
    /// `DatabaseUnavailableException`, what a failover looks like from here.
    #[error("the cluster has no writer at this moment; try again")]
    Unavailable,
    /// `InvalidResourceStateException`, with the state.
    #[error("the cluster is in the state {0}; wait until it is available")]
    InvalidState(String),
    /// `SecretsErrorException`.
    #[error("no secret has this ARN; check the secretArn")]
    NoSuchSecret,
    /// `SecretsErrorException`, with the reason.
    #[error("the secret cannot be read: {0}; check its key and its policy")]
    SecretUnreadable(String),
    /// `AccessDeniedException`, with the reason.
    #[error("access denied: {0}; check the caller's policy")]
    AccessDenied(String),
    /// `ServiceUnavailableError`.
    #[error("the Data API itself is unavailable; try again")]
    ServiceUnavailable,
}

/// The limits of the service. The defaults are those of AWS.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a call may take: 45 s.
    pub statement_timeout: Duration,
    /// A transaction is rolled back after this time without a call: 3 minutes.
    pub transaction_idle_timeout: Duration,
    /// A transaction is rolled back at this age: 24 hours.
    pub transaction_lifetime: Duration,
    /// How long a connection attempt to the writer may take: 5 s, a choice of the lab.
    pub connect_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            statement_timeout: Duration::from_secs(45),
            transaction_idle_timeout: Duration::from_secs(180),
            transaction_lifetime: Duration::from_secs(24 * 3600),
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is outside 127.0.0.0/8.
    #[error("the RDS Data API may not listen on {0}; choose an address in 127.0.0.0/8")]
    NotLoopback(SocketAddr),
    /// The address cannot be bound.
    #[error("the RDS Data API cannot listen on {address}: {source}; choose a free port")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Starts the server. Port 0 picks a free port, see [`RdsData::address`].
///
/// # Errors
/// [`ServeError`] if the address is not loopback or cannot be bound.
pub async fn serve<B: Backend>(listen: SocketAddr, backend: B, settings: Settings) -> Result<RdsData, ServeError> {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => {}
        IpAddr::V4(_) | IpAddr::V6(_) => return Err(ServeError::NotLoopback(listen)),
    }
    let bind_error = |source| ServeError::Bind { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(bind_error)?;
    let address = listener.local_addr().map_err(bind_error)?;
    let (stop, stopped) = watch::channel(false);
    let service = Arc::new(operations::Service::new(backend, settings, stopped.clone()));
    let sweeper = tokio::spawn(transaction::sweep(service.transactions(), stopped.clone()));
    let server = tokio::spawn(http::run(listener, service, stopped));
    Ok(RdsData { address, stop, tasks: vec![server, sweeper] })
}

/// The running server. Dropping it ends it and all its connections.
#[derive(Debug)]
pub struct RdsData {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl RdsData {
    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the database connections, answers the calls under way and ends the server. Open
    /// transactions are rolled back.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let grace = Duration::from_secs(5);
        for mut task in std::mem::take(&mut self.tasks) {
            if tokio::time::timeout(grace, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for RdsData {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
    }
}
