//! The fault campaign: the writer is killed, frozen and moved under load, hundreds of times, and afterwards the
//! database is asked what became of every transaction.

mod control;
mod fault;
mod summary;
mod truth;
mod workload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use steadfast_lab::postgres::ClusterError;

pub use control::{Control, control};
pub use fault::Fault;
pub use summary::Summary;

use crate::checker;
use crate::cluster::{Payments, SetUpError};
use fault::Injector;
use workload::{Diary, Workload};

/// The tables of the campaign. Nothing in them is unique: what is applied twice must show, not be refused.
pub const TABLES: &str = "CREATE TABLE effect (key uuid NOT NULL, attempt integer NOT NULL);
    CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL DEFAULT 0);
    INSERT INTO account SELECT generate_series(1, 100);
    CREATE TABLE list (id integer PRIMARY KEY, elements bigint[] NOT NULL);
    CREATE TABLE mark (n bigint NOT NULL);
    INSERT INTO mark VALUES (0)";

/// The longest that anything is waited for: a machine may stand still for seconds.
const GENEROUS: Duration = Duration::from_secs(120);
/// So often the nodes are brought back.
const RECOVERIES: usize = 3;

/// Why a campaign could not be carried to its end.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// There is no cluster.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// A fault could not be brought about, or mended.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The database did not answer at the end.
    #[error("the database does not say what became of the transactions: {0}")]
    Truth(#[from] tokio_postgres::Error),
    /// The client's pool.
    #[error("the client did not start: {0}")]
    Client(String),
    /// Nothing was acknowledged any more.
    #[error("nothing was acknowledged within {0:?} of a fault of kind {1:?}")]
    Stalled(Duration, Fault),
    /// A worker ended before its time.
    #[error("a worker of the load is lost: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

/// What the workers share.
struct Shared {
    stop: AtomicBool,
    round: AtomicI32,
    progress: workload::Progress,
}

/// Carries out so many faults under load, or fewer if they take longer than `limit` or `enough` says so, and judges the
/// result. `tell` hears of every round.
///
/// # Errors
///
/// [`CampaignError`].
pub async fn campaign(
    faults: usize,
    limit: Duration,
    enough: impl Fn() -> bool,
    tell: impl Fn(usize, Fault, Duration),
) -> Result<Summary, CampaignError> {
    let began = Instant::now();
    let payments = Payments::start(TABLES).await?;
    let shared =
        Arc::new(Shared { stop: AtomicBool::new(false), round: AtomicI32::new(0), progress: Default::default() });
    let workload = Workload::start(&payments, &shared)?;
    let mut injector = Injector::new(&payments);
    let mut stalls = Vec::new();
    for number in 0..faults {
        if began.elapsed() > limit || enough() {
            tracing::error!(number, "the campaign ends before all faults are done");
            break;
        }
        shared.round.store(i32::try_from(number).unwrap_or(i32::MAX), Ordering::Relaxed);
        shared.progress.more(GENEROUS, 20).await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..60))).await;
        let fault = Fault::draw();
        shared.progress.watch();
        injector.inject(fault).await?;
        if !shared.progress.more(GENEROUS, 5).await {
            return Err(CampaignError::Stalled(GENEROUS, fault));
        }
        injector.afterwards(fault).await;
        let stall = shared.progress.longest();
        stalls.push((fault, stall));
        tell(number, fault, stall);
        if let Err(error) = recovered(&payments).await {
            tracing::error!(number, %error, "the campaign ends with what there is: a node does not come back");
            break;
        }
    }
    shared.stop.store(true, Ordering::Relaxed);
    let diary: Diary = workload.stop().await?;
    let truth = truth::ask(&payments).await?;
    let anomalies = checker::check(&truth.history(&diary));
    Ok(Summary::new(faults, &stalls, &diary, &truth, &injector, anomalies, began.elapsed()))
}

/// A machine that stands still for seconds is no reason to lose an hour of faults.
async fn recovered(payments: &Payments) -> Result<(), ClusterError> {
    for _ in 1..RECOVERIES {
        match payments.cluster.recover_all().await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::error!(%error, "a node does not come back; it is tried again"),
        }
    }
    payments.cluster.recover_all().await
}
