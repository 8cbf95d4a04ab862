//! One client of the bank.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use steadfast_aws::clock;
use steadfast_aws::secret::Credentials;
use steadfast_core::gate;
use steadfast_core::time::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::config::{LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client as Session, Config, Error};

use super::{Diary, Route, Shared, hosts, schema};
use crate::assembly::{credentials, names};

/// One host of several may hang: the next is tried after this.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// A connection attempt over all hosts.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// A client without a deadline would not notice a host that vanished.
const STATEMENT_DEADLINE: Duration = Duration::from_secs(1);
/// Between two connection attempts.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// How long a client that uses the gate waits there before it connects anew. Nothing is lost by that.
const GATE_DEADLINE: Duration = Duration::from_secs(5);
/// How long it makes a transfer again that has failed for certain, before its application hears of it. More
/// than a gate stays closed.
const HOLD: Duration = Duration::from_secs(30);

/// What became of a transfer, as the client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// COMMIT was answered.
    Acknowledged,
    /// It failed before COMMIT was sent, or COMMIT was answered with an error: not applied.
    Failed,
    /// COMMIT was sent and not answered: nobody knows yet.
    InDoubt,
}

/// One transfer.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Its unique key.
    pub key: String,
    /// What became of it.
    pub fate: Fate,
    /// When that was known.
    pub at: Timestamp,
}

pub(super) struct Client {
    shared: Arc<Shared>,
    run: String,
    think: Duration,
    diary: Diary,
    /// Since when the transfer that is made again has failed.
    held: Option<Timestamp>,
    /// Whether the present session has been refused a write because it is on a reader.
    on_reader: bool,
}

/// A session, and how its connection ends.
struct Connected {
    session: Session,
    connection: JoinHandle<Result<(), Error>>,
    began: Instant,
}

impl Connected {
    fn is_old(&self, lasts: Option<Duration>) -> bool {
        lasts.is_some_and(|lasts| self.began.elapsed() >= lasts)
    }
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>, client: usize, route: Route, run: &str, think: Duration) -> Self {
        let diary = Diary {
            client,
            route,
            transfers: Vec::new(),
            refused_connections: 0,
            authentication_failures: 0,
            evicted: 0,
        };
        Self { shared, run: run.to_owned(), think, diary, held: None, on_reader: false }
    }

    /// Transfers until told to stop.
    pub(super) async fn work(mut self) -> Diary {
        let mut session = None;
        while !self.shared.stop.load(Ordering::Relaxed) {
            let Some(connected) = session.take() else {
                session = self.connect().await;
                if session.is_none() {
                    self.diary.refused_connections += 1;
                    sleep(RECONNECT_PAUSE).await;
                }
                continue;
            };
            if self.transfer(&connected.session).await {
                session = Some(connected).filter(|connected| !connected.is_old(self.shared.session_lasts));
            } else {
                self.note_end(connected).await;
            }
            sleep(self.think).await;
        }
        self.diary
    }

    async fn connect(&mut self) -> Option<Connected> {
        let credentials = self.known_credentials().await;
        let mut config = Config::new();
        config
            .user(&credentials.username)
            .password(&credentials.password)
            .dbname(names::DATABASE)
            .application_name(format!("bank-{}", self.diary.client))
            .port(names::PORT)
            .ssl_mode(SslMode::Require)
            .connect_timeout(CONNECT_TIMEOUT)
            .target_session_attrs(match self.diary.route {
                Route::Instances | Route::ClusterEndpoint => TargetSessionAttrs::ReadWrite,
                Route::Pinned => TargetSessionAttrs::Any,
            })
            .load_balance_hosts(LoadBalanceHosts::Random);
        for host in hosts(self.diary.route, self.shared.deployment) {
            let address = self.shared.resolver.addresses(&host).await.ok()?.into_iter().next()?;
            config.host(host).hostaddr(address);
        }
        match timeout(CONNECT_LIMIT, config.connect(self.shared.tls.clone())).await.ok()? {
            // The connection ends when the session is dropped or it breaks.
            Ok((session, connection)) => {
                Some(Connected { session, connection: tokio::spawn(connection), began: Instant::now() })
            }
            Err(error) => {
                if error.code().is_some_and(|code| code.code().starts_with("28")) {
                    tracing::warn!(%error, user = credentials.username, "a client is refused");
                    self.diary.authentication_failures += 1;
                }
                if error.code() == Some(&SqlState::INVALID_PASSWORD) {
                    self.renew_password(&credentials).await;
                }
                None
            }
        }
    }

    /// As the secret says now, for clients whose sessions do not last.
    async fn known_credentials(&self) -> Credentials {
        let mut known = self.shared.credentials.lock().await;
        if self.shared.session_lasts.is_some() {
            match credentials(&self.shared.aws, &self.shared.secret_arn).await {
                Ok(current) => *known = current,
                Err(error) => tracing::warn!(%error, "the application's secret cannot be read"),
            }
        }
        known.clone()
    }

    /// Reads the secret again, unless another client has done so.
    async fn renew_password(&self, refused: &Credentials) {
        let mut known = self.shared.credentials.lock().await;
        if known.password != refused.password {
            return;
        }
        match credentials(&self.shared.aws, &self.shared.secret_arn).await {
            Ok(current) => *known = current,
            Err(error) => tracing::warn!(%error, "the application's secret cannot be read again"),
        }
    }

    /// A session that was of no more use: somebody may have ended it.
    async fn note_end(&mut self, connected: Connected) {
        if !std::mem::take(&mut self.on_reader) {
            return;
        }
        let Connected { session, connection, .. } = connected;
        drop(session);
        let ended = timeout(STATEMENT_DEADLINE, connection).await;
        let by_force = matches!(&ended, Ok(Ok(Err(error))) if error.code() == Some(&SqlState::ADMIN_SHUTDOWN));
        if by_force {
            self.diary.evicted += 1;
        }
    }

    /// Whether a session stays although a write was refused: one that never asks for the role does.
    async fn stays(&mut self, session: &Session, refused: bool) -> bool {
        if !refused || self.diary.route != Route::Pinned {
            return false;
        }
        self.on_reader = true;
        matches!(timeout(STATEMENT_DEADLINE, session.batch_execute("ROLLBACK")).await, Ok(Ok(())))
    }

    /// Everything of a transfer up to COMMIT; None when an answer does not come in time.
    async fn prepared(&self, session: &Session, key: &str, number: u64) -> Option<Result<(), Error>> {
        let gated = self.shared.gated;
        let patience = if gated { GATE_DEADLINE } else { STATEMENT_DEADLINE };
        if let Err(error) = timeout(patience, begin(session, gated)).await.ok()? {
            return Some(Err(error));
        }
        timeout(STATEMENT_DEADLINE, prepare(session, key, self.diary.client as u64, number)).await.ok()
    }

    /// One transfer; false when the session can no longer be used.
    async fn transfer(&mut self, session: &Session) -> bool {
        let number = self.diary.transfers.len() as u64;
        let key = format!("{}-{}-{number}", self.run, self.diary.client);
        let prepared = self.prepared(session, &key, number).await;
        let refused =
            matches!(&prepared, Some(Err(error)) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
        if self.stays(session, refused).await {
            return true;
        }
        let fate = match prepared {
            None | Some(Err(_)) => Fate::Failed,
            Some(Ok(())) => match timeout(STATEMENT_DEADLINE, session.batch_execute("COMMIT")).await {
                Ok(Ok(())) => Fate::Acknowledged,
                Ok(Err(error)) if error.as_db_error().is_some_and(|db| !is_fatal(db.code().code())) => Fate::Failed,
                Ok(Err(_)) | Err(_) => Fate::InDoubt,
            },
        };
        let at = clock::now();
        if fate == Fate::Failed && self.shared.gated && !self.shared.stop.load(Ordering::Relaxed) {
            let since = *self.held.get_or_insert(at);
            if at.since(since) < HOLD {
                return false;
            }
        }
        self.held = None;
        if fate == Fate::Acknowledged
            && let Some(latest) = self.shared.acknowledged.get(self.diary.client)
        {
            latest.store(at.as_millis(), Ordering::Relaxed);
        }
        self.diary.transfers.push(Transfer { key, fate, at });
        fate == Fate::Acknowledged
    }
}

/// The first round trip: with the gate's lock, where it is used.
async fn begin(session: &Session, gated: bool) -> Result<(), Error> {
    if gated {
        session.batch_execute(&format!("BEGIN; {}", gate::ENTER)).await
    } else {
        session.batch_execute("BEGIN").await
    }
}

/// Everything of a transfer up to COMMIT. Accounts are locked in the order of their ids.
async fn prepare(session: &Session, key: &str, client: u64, number: u64) -> Result<(), Error> {
    let accounts = schema::ACCOUNTS.unsigned_abs();
    let source = (number.wrapping_mul(31).wrapping_add(client * 7)) % accounts;
    let target = (source + 1 + number % (accounts - 1)) % accounts;
    let (source, target) = (source.cast_signed() + 1, target.cast_signed() + 1);
    let amount = (number % 97).cast_signed() + 1;
    for (account, change) in
        if source < target { [(source, -amount), (target, amount)] } else { [(target, amount), (source, -amount)] }
    {
        session
            .query_typed(
                "UPDATE bank.accounts SET balance = balance + $1 WHERE id = $2",
                &[(&change, tokio_postgres::types::Type::INT8), (&account, tokio_postgres::types::Type::INT8)],
            )
            .await?;
    }
    session
        .query_typed(
            "INSERT INTO bank.transfers (key, source, target, amount) VALUES ($1, $2, $3, $4)",
            &[
                (&key, tokio_postgres::types::Type::TEXT),
                (&source, tokio_postgres::types::Type::INT8),
                (&target, tokio_postgres::types::Type::INT8),
                (&amount, tokio_postgres::types::Type::INT8),
            ],
        )
        .await?;
    Ok(())
}

/// An error that ends the session says nothing about the commit (57P01 to 57P03, class 08).
fn is_fatal(code: &str) -> bool {
    code.starts_with("57P") || code.starts_with("08")
}
