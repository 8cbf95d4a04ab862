//! What protection costs: plain tokio-postgres and the client in turns, in one run on one cluster.

use std::time::{Duration, Instant};

use serde::Serialize;
use steadfast_client::{Client, Key, Limits, StatementError, Step};
use steadfast_lab::postgres::ClusterError;
use steadfast_lab::proxy::Link;
use tokio::task::JoinSet;

use crate::cluster::{INSTANCES, Payments, SetUpError, limits};

const TABLES: &str = "CREATE TABLE item (id integer PRIMARY KEY, n bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50);
    INSERT INTO item SELECT generate_series(1, 256)";
const UPDATE: &str = "UPDATE item SET n = n + 1 WHERE id = $1";
const READ: &str = "SELECT n FROM item WHERE id = $1";
const CONNECTIONS: [usize; 3] = [1, 8, 64];
/// One way of the network, for the count of round trips.
const DELAY: Duration = Duration::from_millis(25);

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// One statement: autocommit against one flight.
    OneStatementFlight,
    /// One statement in a transaction.
    OneStatement,
    /// Four statements in a transaction, each awaited.
    FourStatements,
}

const SCHEMES: [Scheme; 3] = [Scheme::OneStatementFlight, Scheme::OneStatement, Scheme::FourStatements];

/// One line of `target/bench/client.json`: medians over the repetitions, protected by plain.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What is compared.
    pub scheme: Scheme,
    /// How many connections at once.
    pub connections: usize,
    /// Delay of the network in each direction, in milliseconds.
    pub one_way_ms: u64,
    /// Latency at the median.
    pub p50_ratio: f64,
    /// Latency at 99 of 100.
    pub p99_ratio: f64,
    /// Transactions per second.
    pub throughput_ratio: f64,
    /// Median latency in milliseconds, plain and protected.
    pub p50_ms: [f64; 2],
    /// The same at 99 of 100.
    pub p99_ms: [f64; 2],
    /// Transactions per second, plain and protected.
    pub per_second: [f64; 2],
    /// Round trips of a transaction, plain and protected, measured by the delay of the network.
    pub round_trips: [u64; 2],
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// There is no cluster.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// The network could not be delayed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A plain statement failed.
    #[error(transparent)]
    Plain(#[from] tokio_postgres::Error),
    /// A protected one did.
    #[error("{0}")]
    Protected(String),
    /// A worker was lost.
    #[error(transparent)]
    Lost(#[from] tokio::task::JoinError),
}

/// Measures everything: `repetitions` slices of `slice` for each of the two, in turns.
///
/// # Errors
///
/// The first failure: nothing fails on a healthy cluster.
pub async fn bench(repetitions: usize, slice: Duration, tell: impl Fn(&Line)) -> Result<Vec<Line>, BenchError> {
    let payments = Payments::start(TABLES).await?;
    let mut lines = Vec::new();
    for scheme in SCHEMES {
        let round_trips = [count(&payments, scheme, false).await?, count(&payments, scheme, true).await?];
        let delays = CONNECTIONS.map(|connections| (connections, Duration::ZERO));
        for (connections, delay) in delays.into_iter().chain([(8, Duration::from_millis(1))]) {
            delay_all(&payments, delay)?;
            let mut pairs = Vec::new();
            for _ in 0..repetitions {
                let plain = run(&payments, scheme, false, connections, slice).await?;
                pairs.push([plain, run(&payments, scheme, true, connections, slice).await?]);
            }
            let line = line(scheme, connections, delay, &pairs, round_trips);
            tell(&line);
            lines.push(line);
        }
        delay_all(&payments, Duration::ZERO)?;
    }
    Ok(lines)
}

fn delay_all(payments: &Payments, delay: Duration) -> Result<(), ClusterError> {
    let link = if delay.is_zero() { Link::Open } else { Link::Delay(delay) };
    INSTANCES.into_iter().try_for_each(|id| payments.cluster.set_link(0, id, link))
}

/// One slice: latencies in milliseconds, sorted, and how long it took.
struct Slice {
    latencies: Vec<f64>,
    took: Duration,
}

impl Slice {
    fn at(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index below the length"
        )]
        let index = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(index.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

async fn run(
    payments: &Payments,
    scheme: Scheme,
    protected: bool,
    connections: usize,
    slice: Duration,
) -> Result<Slice, BenchError> {
    let workers = workers(payments, scheme, protected, connections).await?;
    let (began, mut tasks) = (Instant::now(), JoinSet::new());
    for worker in workers {
        tasks.spawn(worker.work(began + slice));
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let took = began.elapsed();
    latencies.sort_by(f64::total_cmp);
    until_gone(payments).await?;
    Ok(Slice { latencies, took })
}

/// The server ends sessions behind their clients, and has a limit for all.
async fn until_gone(payments: &Payments) -> Result<(), BenchError> {
    let admin = payments.cluster.admin(payments.cluster.writer()).await?;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'payments'";
    while admin.query_one(sessions, &[]).await?.try_get::<_, i64>(0)? > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn workers(
    payments: &Payments,
    scheme: Scheme,
    protected: bool,
    connections: usize,
) -> Result<Vec<Worker>, BenchError> {
    let mut workers = Vec::new();
    if protected {
        let config = payments.config().limits(Limits { sessions: connections, ..limits() });
        let client = Client::start(config).map_err(|error| BenchError::Protected(error.to_string()))?;
        let warm = (0..connections).map(|_| client.session());
        futures_util::future::try_join_all(warm).await.map_err(|error| BenchError::Protected(error.to_string()))?;
        workers.extend((1..=connections).map(|row| Worker { scheme, row, kind: Kind::Protected(client.clone()) }));
    } else {
        for row in 1..=connections {
            let client = payments.plain(payments.cluster.writer()).await?;
            let (update, read) = (client.prepare(UPDATE).await?, client.prepare(READ).await?);
            workers.push(Worker { scheme, row, kind: Kind::Plain(Box::new(client), update, read) });
        }
    }
    for worker in &mut workers {
        worker.once().await?;
    }
    Ok(workers)
}

/// Round trips of one transaction: how much longer it takes when each takes longer.
async fn count(payments: &Payments, scheme: Scheme, protected: bool) -> Result<u64, BenchError> {
    let mut worker = workers(payments, scheme, protected, 1).await?;
    let mut medians = Vec::new();
    for delay in [Duration::ZERO, DELAY] {
        delay_all(payments, delay)?;
        let mut times = Vec::new();
        for worker in &mut worker {
            for _ in 0..9 {
                let began = Instant::now();
                worker.once().await?;
                times.push(began.elapsed());
            }
        }
        times.sort_unstable();
        medians.push(times.get(times.len() / 2).copied().unwrap_or_default());
    }
    delay_all(payments, Duration::ZERO)?;
    drop(worker);
    until_gone(payments).await?;
    let (none, some) = (medians.first().copied().unwrap_or_default(), medians.last().copied().unwrap_or_default());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    let trips = (some.saturating_sub(none).as_secs_f64() / (2.0 * DELAY.as_secs_f64())).round() as u64;
    Ok(trips)
}

struct Worker {
    scheme: Scheme,
    row: usize,
    kind: Kind,
}

enum Kind {
    Plain(Box<tokio_postgres::Client>, tokio_postgres::Statement, tokio_postgres::Statement),
    Protected(Client),
}

impl Worker {
    async fn work(mut self, until: Instant) -> Result<Vec<f64>, BenchError> {
        let mut latencies = Vec::new();
        while Instant::now() < until {
            let began = Instant::now();
            self.once().await?;
            latencies.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok(latencies)
    }

    async fn once(&mut self) -> Result<(), BenchError> {
        let row = i32::try_from(self.row).unwrap_or_default();
        match &mut self.kind {
            Kind::Plain(client, update, read) => Ok(plain(self.scheme, client, update, read, row).await?),
            Kind::Protected(client) => protected(self.scheme, client, row).await,
        }
    }
}

async fn plain(
    scheme: Scheme,
    client: &mut tokio_postgres::Client,
    update: &tokio_postgres::Statement,
    read: &tokio_postgres::Statement,
    row: i32,
) -> Result<(), tokio_postgres::Error> {
    if scheme == Scheme::OneStatementFlight {
        return client.execute(update, &[&row]).await.map(drop);
    }
    let transaction = client.transaction().await?;
    transaction.execute(update, &[&row]).await?;
    if scheme == Scheme::FourStatements {
        transaction.query(read, &[&row]).await?;
        transaction.execute(update, &[&(row + 100)]).await?;
        transaction.query(read, &[&(row + 100)]).await?;
    }
    transaction.commit().await
}

async fn protected(scheme: Scheme, client: &Client, row: i32) -> Result<(), BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::Protected(error.to_string());
    if scheme == Scheme::OneStatementFlight {
        let steps = [Step::new(UPDATE, vec![Box::new(row)])];
        return client.send(Key::fresh(), steps).await.map(drop).map_err(|error| failed(&error));
    }
    let outcome = client
        .transaction(Key::fresh(), |tx| async move {
            tx.execute(UPDATE, &[&row]).await?;
            if scheme == Scheme::FourStatements {
                tx.query(READ, &[&row]).await?;
                tx.execute(UPDATE, &[&(row + 100)]).await?;
                tx.query(READ, &[&(row + 100)]).await?;
            }
            Ok::<_, StatementError>(())
        })
        .await;
    outcome.map(drop).map_err(|error| failed(&error))
}

fn line(scheme: Scheme, connections: usize, delay: Duration, pairs: &[[Slice; 2]], round_trips: [u64; 2]) -> Line {
    let ratio = |of: &dyn Fn(&Slice) -> f64| median(pairs.iter().map(|[plain, protected]| of(protected) / of(plain)));
    let both = |of: &dyn Fn(&Slice) -> f64| {
        [median(pairs.iter().map(|[plain, _]| of(plain))), median(pairs.iter().map(|[_, protected]| of(protected)))]
    };
    let (half, most) = (|slice: &Slice| slice.at(0.5), |slice: &Slice| slice.at(0.99));
    Line {
        scheme,
        connections,
        one_way_ms: u64::try_from(delay.as_millis()).unwrap_or_default(),
        p50_ratio: ratio(&half),
        p99_ratio: ratio(&most),
        throughput_ratio: ratio(&Slice::per_second),
        p50_ms: both(&half),
        p99_ms: both(&most),
        per_second: both(&Slice::per_second),
        round_trips,
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
