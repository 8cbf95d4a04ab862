//! What a client is told: where, as whom, and how long.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::event::Event;

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// DNS name or address. The server's certificate must be for it.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// `port` is usually 5432.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// Name and password. The password is never logged; the name is where a server names it in a refusal.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The role.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What a resolver promises.
pub type Addresses = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// Turns an endpoint into addresses, anew for every connection.
pub type Resolve = dyn Fn(Endpoint) -> Addresses + Send + Sync;

/// How long things may take, and how many there may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Until a session is ready, TCP and TLS included. Default 2 s.
    pub connect: Duration,
    /// Until a statement is answered, the wait at the gate included. More than a gate stays closed (23 s with the
    /// limits that ship). Default 30 s.
    pub statement: Duration,
    /// Until a COMMIT is answered; then it is in doubt and asked for elsewhere. Default 10 s.
    pub commit: Duration,
    /// How often the writer proves itself by a commit, unless commits prove it anyway. Default 500 ms.
    pub prove_every: Duration,
    /// How long such a proof may take before calls are held. A promotion of a silent writer takes longer
    /// (Steadfast: 1.5 s and more). Default 1 s.
    pub silence: Duration,
    /// How long unacknowledged bytes may stay so (`TCP_USER_TIMEOUT`). Default 5 s.
    pub tcp_user: Duration,
    /// How long a call may take in all: holding, running, deciding, replaying. A COMMIT that is under way then is
    /// awaited for [`Self::commit`] beyond it. Default 60 s.
    pub call: Duration,
    /// How many calls may be held at once while there is no writer. Default 1000 (Vitess's buffer size).
    pub held: usize,
    /// How many sessions the pool keeps at most. Default 16.
    pub sessions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            statement: Duration::from_secs(30),
            commit: Duration::from_secs(10),
            prove_every: Duration::from_millis(500),
            silence: Duration::from_secs(1),
            tcp_user: Duration::from_secs(5),
            call: Duration::from_secs(60),
            held: 1_000,
            sessions: 16,
        }
    }
}

/// The oldest key that a client still runs or asks for: 24 h, as Oracle's Transaction Guard keeps its outcomes. Rows
/// of the ledger live for twice as long at least (`steadfast.prune`), so a key whose row is gone is never run again.
pub const KEY_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How a client finds the instances.
#[derive(Clone, Debug)]
pub(crate) enum Instances {
    /// All of them are named.
    Listed(Vec<Endpoint>),
    /// The cluster endpoint leads to one, and that one names the others.
    Learned(Endpoint),
}

/// Everything that a client is told.
#[derive(Clone)]
pub struct Config {
    pub(crate) instances: Instances,
    pub(crate) database: String,
    pub(crate) credentials: Arc<RwLock<Credentials>>,
    pub(crate) application: String,
    pub(crate) tls: ClientConfig,
    pub(crate) limits: Limits,
    pub(crate) resolve: Arc<Resolve>,
    pub(crate) listener: Arc<dyn Fn(&Event) + Send + Sync>,
    pub(crate) process: Option<uuid::Uuid>,
}

impl Config {
    /// With the endpoints of all instances, of whatever role. DNS moves with no failover then.
    pub fn instances(
        endpoints: impl IntoIterator<Item = Endpoint>,
        database: impl Into<String>,
        credentials: Credentials,
        tls: ClientConfig,
    ) -> Self {
        Self::new(Instances::Listed(endpoints.into_iter().collect()), database.into(), credentials, tls)
    }

    /// With the cluster endpoint of an Aurora cluster; the instances are learned by SQL
    /// (`aurora_replica_status`) from whichever instance it leads to, and again whenever a writer is searched for: an
    /// instance that was added later is found.
    pub fn cluster(
        endpoint: Endpoint,
        database: impl Into<String>,
        credentials: Credentials,
        tls: ClientConfig,
    ) -> Self {
        Self::new(Instances::Learned(endpoint), database.into(), credentials, tls)
    }

    fn new(instances: Instances, database: String, credentials: Credentials, tls: ClientConfig) -> Self {
        Self {
            instances,
            database,
            credentials: Arc::new(RwLock::new(credentials)),
            application: "steadfast-client".to_owned(),
            tls,
            limits: Limits::default(),
            resolve: Arc::new(|endpoint| Box::pin(system_addresses(endpoint))),
            listener: Arc::new(|_| {}),
            process: None,
        }
    }

    /// The name shown in `pg_stat_activity` and in `steadfast.client`.
    #[must_use]
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.application = name.into();
        self
    }

    /// Who this process is in `steadfast.client`, across its restarts; a new one each time unless given. Needed with
    /// [`crate::Client::keep_since`], so that who comes back after a crash releases what it held back; a journal keeps
    /// one. No two processes may have the same at a time.
    #[must_use]
    pub fn process(mut self, id: uuid::Uuid) -> Self {
        self.process = Some(id);
        self
    }

    /// Other limits than the defaults.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Another resolver than the system's.
    #[must_use]
    pub fn resolve(mut self, resolve: impl Fn(Endpoint) -> Addresses + Send + Sync + 'static) -> Self {
        self.resolve = Arc::new(resolve);
        self
    }

    /// Hears of everything that happens to the writer and to calls. It must return at once.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listener = Arc::new(listener);
        self
    }

    pub(crate) fn current_credentials(&self) -> Credentials {
        self.credentials.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn tell(&self, event: &Event) {
        event.trace();
        (self.listener)(event);
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Config").field("instances", &self.instances).finish_non_exhaustive()
    }
}

/// Why a certificate file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {cause}; it must be a PEM bundle, such as that of the RDS certificate authorities")]
pub struct CertificateError {
    file: String,
    cause: String,
}

/// TLS that trusts only the certificates of one PEM file, with aws-lc-rs.
///
/// # Errors
///
/// When the file cannot be read or holds no certificate.
pub fn tls(ca_file: &Path) -> Result<ClientConfig, CertificateError> {
    let unusable = |cause: String| CertificateError { file: ca_file.display().to_string(), cause };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("no certificate in it".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

async fn system_addresses(endpoint: Endpoint) -> std::io::Result<Vec<SocketAddr>> {
    tokio::net::lookup_host((endpoint.host, endpoint.port)).await.map(Iterator::collect)
}
