//! Connections to PostgreSQL: TLS always, the address asked anew each time, every wait limited.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::resolver::Resolver;
use crate::secret::Credentials;
use crate::settings::SettingError;

/// Whoever waits for a lock of a commit that stands still gives up, so that stalled commits do not
/// eat one connection after the other. It does not end a commit itself, as a statement timeout could.
const LOCK_TIMEOUT: &str = "-c lock_timeout=500ms";

/// Where and as whom to connect.
#[derive(Clone, Debug)]
pub struct Target {
    /// DNS name; the certificate must be for it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database name.
    pub database: String,
    /// Shown in `pg_stat_activity`.
    pub application: &'static str,
}

/// How long connecting may take.
#[derive(Clone, Copy, Debug)]
pub struct ConnectLimits {
    /// Until TCP is connected.
    pub tcp: Duration,
    /// Until the session is ready, TCP included.
    pub total: Duration,
}

/// Why there is no session. The names are those of the silences.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("{host} has no address: {cause}")]
    Unresolved {
        /// The name.
        host: String,
        /// The resolver's words.
        cause: String,
    },
    /// TCP did not connect in time.
    #[error("{address} is unreachable: {cause}")]
    Unreachable {
        /// The address tried.
        address: SocketAddr,
        /// The network's words.
        cause: String,
    },
    /// TCP was refused or reset.
    #[error("{address} refuses: {cause}")]
    Refused {
        /// The address tried.
        address: SocketAddr,
        /// The network's words.
        cause: String,
    },
    /// TCP is connected and nothing answers.
    #[error("{address} is silent: no session within {limit:?}")]
    Silent {
        /// The address tried.
        address: SocketAddr,
        /// The limit.
        limit: Duration,
    },
    /// The server, or TLS, said no.
    #[error("{address}: {cause}")]
    Answered {
        /// The address tried.
        address: SocketAddr,
        /// The answer.
        cause: tokio_postgres::Error,
    },
}

impl ConnectError {
    /// The address that was tried, if there was one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unresolved { .. } => None,
            Self::Unreachable { address, .. }
            | Self::Refused { address, .. }
            | Self::Silent { address, .. }
            | Self::Answered { address, .. } => Some(*address),
        }
    }
}

/// An open session. Dropping it closes the connection.
pub struct Session {
    /// Runs queries.
    pub client: Client,
    /// The address it is connected to.
    pub address: SocketAddr,
    closed: watch::Receiver<bool>,
    driver: JoinHandle<()>,
}

impl Session {
    /// Returns when the connection has ended, for whatever reason. Safe to cancel.
    pub async fn closed(&self) {
        let mut closed = self.closed.clone();
        // An error means that the driver is gone, which is the same.
        let _gone = closed.wait_for(|closed| *closed).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Makes sessions.
#[derive(Clone)]
pub struct Connector {
    tls: MakeRustlsConnect,
    resolver: Resolver,
}

impl Connector {
    /// Trusts only the certificates of `ca_file` (PEM): RDS certificates chain to Amazon's own roots.
    ///
    /// # Errors
    ///
    /// When the file holds no certificate.
    pub fn new(ca_file: &Path, resolver: Resolver) -> Result<Self, SettingError> {
        let tls = MakeRustlsConnect::new(tls_config(ca_file)?);
        Ok(Self { tls, resolver })
    }

    /// Opens a session with the first address of the target that takes one. Safe to cancel.
    ///
    /// # Errors
    ///
    /// What the last address tried said.
    pub async fn connect(
        &self,
        target: &Target,
        credentials: &Credentials,
        limits: ConnectLimits,
    ) -> Result<Session, ConnectError> {
        let unresolved = |cause: String| ConnectError::Unresolved { host: target.host.clone(), cause };
        let addresses = timeout(limits.total, self.resolver.addresses(&target.host))
            .await
            .map_err(|_| unresolved("no answer in time".to_owned()))?
            .map_err(unresolved)?;
        let mut failure = unresolved("an empty answer".to_owned());
        for address in addresses {
            let address = SocketAddr::new(address, target.port);
            match self.connect_to(address, target, credentials, limits).await {
                Ok(session) => return Ok(session),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        target: &Target,
        credentials: &Credentials,
        limits: ConnectLimits,
    ) -> Result<Session, ConnectError> {
        let stream = match timeout(limits.tcp, TcpStream::connect(address)).await {
            Err(_) => return Err(ConnectError::Unreachable { address, cause: "no answer in time".to_owned() }),
            Ok(Err(error)) => return Err(network_error(address, &error)),
            Ok(Ok(stream)) => stream,
        };
        tune(&stream).map_err(|error| network_error(address, &error))?;
        let rest = limits.total.saturating_sub(limits.tcp);
        match timeout(rest, self.start(stream, address, target, credentials)).await {
            Err(_) => Err(ConnectError::Silent { address, limit: limits.total }),
            Ok(started) => started,
        }
    }

    async fn start(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        target: &Target,
        credentials: &Credentials,
    ) -> Result<Session, ConnectError> {
        let mut config = Config::new();
        config
            .user(&credentials.username)
            .password(&credentials.password)
            .dbname(&target.database)
            .application_name(target.application)
            .options(LOCK_TIMEOUT)
            .ssl_mode(tokio_postgres::config::SslMode::Require);
        let mut make_tls = self.tls.clone();
        let tls = <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<TcpStream>>::make_tls_connect(
            &mut make_tls,
            &target.host,
        )
        .map_err(|error| ConnectError::Unresolved { host: target.host.clone(), cause: error.to_string() })?;
        let (client, connection) =
            config.connect_raw(stream, tls).await.map_err(|cause| answer_or_reset(address, cause))?;
        let (closing, closed) = watch::channel(false);
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a database connection ended");
            }
            closing.send_replace(true);
        });
        Ok(Session { client, address, closed, driver })
    }
}

/// TLS that trusts only the certificates of one PEM file.
///
/// # Errors
///
/// When the file cannot be read or holds no certificate.
pub fn tls_config(ca_file: &Path) -> Result<ClientConfig, SettingError> {
    let unusable = |cause: String| SettingError::Unusable(format!("{}: {cause}", ca_file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("no certificate in it; it must be the PEM bundle of the RDS authorities".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// A dead peer must show within seconds also when no query is waiting (Aurora's fast failover
/// guide: keepalive after 1 s, every 1 s, 5 times).
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let second = Duration::from_secs(1);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(second).with_interval(second).with_retries(5))?;
    socket.set_tcp_user_timeout(Some(Duration::from_secs(5)))
}

fn network_error(address: SocketAddr, error: &io::Error) -> ConnectError {
    let cause = error.to_string();
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotConnected
    ) {
        ConnectError::Refused { address, cause }
    } else {
        ConnectError::Unreachable { address, cause }
    }
}

fn answer_or_reset(address: SocketAddr, error: tokio_postgres::Error) -> ConnectError {
    if error.as_db_error().is_some() {
        return ConnectError::Answered { address, cause: error };
    }
    if error.is_closed() {
        return ConnectError::Refused { address, cause: error.to_string() };
    }
    let io = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    match io.map(|io| network_error(address, io)) {
        Some(refused @ ConnectError::Refused { .. }) => refused,
        Some(_) | None => ConnectError::Answered { address, cause: error },
    }
}
