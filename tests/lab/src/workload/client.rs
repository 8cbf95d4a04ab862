//! One client of the bank.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use steadfast_aws::clock;
use steadfast_core::gate;
use steadfast_core::time::Timestamp;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::{LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client as Session, Config, Error};

use super::{Diary, Route, Shared, hosts, schema};
use crate::assembly::names;

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
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>, client: usize, route: Route, run: &str, think: Duration) -> Self {
        let diary = Diary { client, route, transfers: Vec::new(), refused_connections: 0 };
        Self { shared, run: run.to_owned(), think, diary, held: None }
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
            if self.transfer(&connected).await {
                session = Some(connected);
            }
            sleep(self.think).await;
        }
        self.diary
    }

    async fn connect(&self) -> Option<Session> {
        let mut config = Config::new();
        config
            .user(&self.shared.credentials.username)
            .password(&self.shared.credentials.password)
            .dbname(names::DATABASE)
            .application_name(format!("bank-{}", self.diary.client))
            .port(names::PORT)
            .ssl_mode(SslMode::Require)
            .connect_timeout(CONNECT_TIMEOUT)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .load_balance_hosts(LoadBalanceHosts::Random);
        for host in hosts(self.diary.route) {
            let address = self.shared.resolver.addresses(&host).await.ok()?.into_iter().next()?;
            config.host(host).hostaddr(address);
        }
        let (session, connection) = timeout(CONNECT_LIMIT, config.connect(self.shared.tls.clone())).await.ok()?.ok()?;
        // Ends when the session is dropped or the connection breaks.
        tokio::spawn(connection);
        Some(session)
    }

    /// One transfer; false when the session can no longer be used.
    async fn transfer(&mut self, session: &Session) -> bool {
        let number = self.diary.transfers.len() as u64;
        let key = format!("{}-{}-{number}", self.run, self.diary.client);
        let prepared = async {
            timeout(
                if self.shared.gated { GATE_DEADLINE } else { STATEMENT_DEADLINE },
                begin(session, self.shared.gated),
            )
            .await
            .ok()?
            .ok()?;
            let prepared = prepare(session, &key, self.diary.client as u64, number);
            timeout(STATEMENT_DEADLINE, prepared).await.ok()?.ok()
        };
        let fate = match prepared.await {
            None => Fate::Failed,
            Some(()) => match timeout(STATEMENT_DEADLINE, session.batch_execute("COMMIT")).await {
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
