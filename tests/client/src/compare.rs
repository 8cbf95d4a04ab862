//! What an application sees when the writer fails: with the client and without, beside each other in one fault.
//!
//! Without means tokio-postgres with all instances in one connection string, `target_session_attrs=read-write`, a deadline
//! of 1 s for statements, and a new connection after every error: what a careful application does by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use steadfast_client::{Client, Key, StatementError};
use steadfast_core::gate;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::campaign::{CampaignError, TABLES};
use crate::cluster::Payments;

const WORKERS: usize = 4;
const STATEMENT_DEADLINE: Duration = Duration::from_secs(1);
const THINK: Duration = Duration::from_millis(5);
const GENEROUS: Duration = Duration::from_secs(60);

/// What happens to the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// Its host vanishes, and another instance is promoted.
    KillHost,
    /// It is frozen, and another instance is promoted.
    Frozen,
    /// The gate is closed, then the role moves.
    PlannedSwitchover,
}

/// What one kind of application saw of all faults of a kind.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sight {
    /// Transactions that were acknowledged.
    pub acknowledged: u64,
    /// Transactions that came back with an error.
    pub errors: u64,
    /// Of these, with a COMMIT of unknown outcome.
    pub in_doubt: u64,
    /// The longest time between two acknowledgements of one worker, for each fault, in milliseconds.
    pub longest_stall_ms: Vec<u64>,
}

/// Both of them.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// What happened.
    pub happening: Happening,
    /// With tokio-postgres alone.
    pub without_client: Sight,
    /// With the client.
    pub with_client: Sight,
}

/// Lets each happen so often.
///
/// # Errors
///
/// [`CampaignError`].
pub async fn compare(repetitions: usize) -> Result<Vec<Seen>, CampaignError> {
    let payments = Arc::new(Payments::start(TABLES).await?);
    let mut all = Vec::new();
    for happening in [Happening::KillHost, Happening::Frozen, Happening::PlannedSwitchover] {
        let mut seen = Seen { happening, without_client: Sight::default(), with_client: Sight::default() };
        for _ in 0..repetitions {
            let [without, with] = once(&payments, happening).await?;
            seen.without_client.add(&without);
            seen.with_client.add(&with);
            payments.cluster.recover_all().await?;
        }
        all.push(seen);
    }
    Ok(all)
}

impl Sight {
    fn add(&mut self, worker: &Self) {
        self.acknowledged += worker.acknowledged;
        self.errors += worker.errors;
        self.in_doubt += worker.in_doubt;
        self.longest_stall_ms.extend(&worker.longest_stall_ms);
    }
}

async fn once(payments: &Arc<Payments>, happening: Happening) -> Result<[Sight; 2], CampaignError> {
    let client = Client::start(payments.config()).map_err(|error| CampaignError::Client(error.to_string()))?;
    let shared = [Arc::new(Load::default()), Arc::new(Load::default())];
    let mut workers = JoinSet::new();
    let [without, with] = &shared;
    for _ in 0..WORKERS {
        workers.spawn(plain(Arc::clone(payments), Arc::clone(without)));
        workers.spawn(protected(client.clone(), Arc::clone(with)));
    }
    for load in &shared {
        load.more(40).await;
    }
    happen(payments, happening).await?;
    for load in &shared {
        load.more(40).await;
        load.stop.store(true, Ordering::Relaxed);
    }
    while let Some(done) = workers.join_next().await {
        done?;
    }
    Ok(shared.map(|load| load.sight()))
}

async fn happen(payments: &Payments, happening: Happening) -> Result<(), CampaignError> {
    let cluster = &payments.cluster;
    let writer = cluster.writer().to_owned();
    let target = payments.reader();
    match happening {
        Happening::KillHost => {
            cluster.kill_host(&writer).await?;
            cluster.promote(target).await?;
        }
        Happening::Frozen => {
            cluster.freeze(&writer).await?;
            cluster.promote(target).await?;
        }
        Happening::PlannedSwitchover => {
            let drainer = cluster.admin(&writer).await?;
            drainer.batch_execute("BEGIN").await?;
            drainer.batch_execute(gate::CLOSE).await?;
            cluster.switch(target).await?;
        }
    }
    Ok(())
}

/// What the workers of one kind count together.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    errors: AtomicU64,
    in_doubt: AtomicU64,
    longest_ms: AtomicU64,
}

impl Load {
    async fn more(&self, count: u64) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + count;
        let reached = async {
            while self.acknowledged.load(Ordering::Relaxed) < goal {
                tokio::time::sleep(THINK).await;
            }
        };
        if timeout(GENEROUS, reached).await.is_err() {
            tracing::error!("nothing is acknowledged any more");
        }
    }

    fn acknowledged(&self, latest: &mut Instant) {
        let gap = u64::try_from(latest.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.longest_ms.fetch_max(gap, Ordering::Relaxed);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        *latest = Instant::now();
    }

    fn sight(&self) -> Sight {
        Sight {
            acknowledged: self.acknowledged.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            in_doubt: self.in_doubt.load(Ordering::Relaxed),
            longest_stall_ms: vec![self.longest_ms.load(Ordering::Relaxed)],
        }
    }
}

async fn protected(client: Client, load: Arc<Load>) {
    let mut latest = Instant::now();
    while !load.stop.load(Ordering::Relaxed) {
        let key = Key::fresh();
        let outcome = client
            .transaction(key, |tx| async move {
                tx.execute("INSERT INTO effect VALUES ($1, 1)", &[&key]).await?;
                Ok::<(), StatementError>(())
            })
            .await;
        match outcome {
            Ok(_) => load.acknowledged(&mut latest),
            Err(error) => {
                tracing::error!(%error, "a protected transaction failed");
                load.errors.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(THINK).await;
    }
}

async fn plain(payments: Arc<Payments>, load: Arc<Load>) {
    let (mut latest, mut connection) = (Instant::now(), None);
    while !load.stop.load(Ordering::Relaxed) {
        let Some(mut client) = connection.take() else {
            connection = timeout(2 * STATEMENT_DEADLINE, payments.plain_to_any()).await.ok().and_then(Result::ok);
            tokio::time::sleep(THINK).await;
            continue;
        };
        match transfer(&mut client).await {
            Ok(()) => {
                load.acknowledged(&mut latest);
                connection = Some(client);
            }
            Err(in_doubt) => {
                load.errors.fetch_add(1, Ordering::Relaxed);
                load.in_doubt.fetch_add(u64::from(in_doubt), Ordering::Relaxed);
            }
        }
        tokio::time::sleep(THINK).await;
    }
}

/// An error says whether the COMMIT was sent.
async fn transfer(client: &mut tokio_postgres::Client) -> Result<(), bool> {
    let transaction = timeout(STATEMENT_DEADLINE, client.transaction()).await.map_err(|_| false)?.map_err(|_| false)?;
    let key = Key::fresh();
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&key];
    let insert = transaction.execute("INSERT INTO effect VALUES ($1, 1)", &parameters);
    timeout(STATEMENT_DEADLINE, insert).await.map_err(|_| false)?.map_err(|_| false)?;
    match timeout(STATEMENT_DEADLINE, transaction.commit()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.as_db_error().is_none_or(|answer| answer.code().code().starts_with("57P"))),
        Err(_) => Err(true),
    }
}
