//! A client that is broken on purpose: it repeats a transaction whose COMMIT was not answered, without a ledger. The
//! same checker and the same tables must show it, or a clean campaign would mean nothing.

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::CampaignError;
use crate::checker::{self, Anomaly};
use crate::cluster::{INSTANCES, Payments};
use crate::history::{Element, History, List, Operation, Told, Transaction};

const ROUNDS: usize = 3;
const CLIENTS: Element = 4;
const LIMIT: Duration = Duration::from_secs(30);

/// What became of the broken client.
#[derive(Clone, Debug, Serialize)]
pub struct Control {
    /// Faults of the writer.
    pub faults: u64,
    /// Transactions that were acknowledged.
    pub acknowledged: u64,
    /// Elements that were appended more than once.
    pub duplicated: u64,
    /// What the checker found.
    pub anomalies: Vec<Anomaly>,
}

impl Control {
    /// Whether the checker saw it.
    #[must_use]
    pub fn is_caught(&self) -> bool {
        self.duplicated > 0 && self.anomalies.iter().any(|anomaly| matches!(anomaly, Anomaly::Duplicate(..)))
    }
}

/// Kills the writer between a COMMIT and its answer, so often.
///
/// # Errors
///
/// [`CampaignError`].
pub async fn control() -> Result<Control, CampaignError> {
    let payments = Payments::start(super::TABLES).await?;
    let cluster = &payments.cluster;
    let mut transactions = Vec::new();
    for round in 0..ROUNDS {
        let writer = cluster.writer().to_owned();
        let target = INSTANCES.into_iter().find(|id| *id != writer).unwrap_or("orders-1");
        let list = List::try_from(round).unwrap_or_default();
        let appends =
            (0..CLIENTS).map(|number| append_blindly(&payments, list, Element::from(list) * CLIENTS + number));
        let fault = async {
            // They stand in their COMMITs, which the standbys have.
            cluster.stall_commits(&writer).await?;
            wait_for_commits(&payments, &writer).await?;
            cluster.kill_postgres(&writer).await?;
            cluster.promote(target).await?;
            cluster.recover_all().await?;
            Ok::<(), CampaignError>(())
        };
        let (done, fault) = tokio::join!(futures_util::future::join_all(appends), fault);
        fault?;
        transactions.extend(done);
    }
    let truth = super::truth::ask(&payments).await?;
    let acknowledged = transactions.iter().filter(|transaction| transaction.told == Told::Applied).count() as u64;
    let anomalies = checker::check(&History { transactions, lists: truth.lists });
    let duplicated = anomalies.iter().filter(|anomaly| matches!(anomaly, Anomaly::Duplicate(..))).count() as u64;
    Ok(Control { faults: ROUNDS as u64, acknowledged, duplicated, anomalies })
}

async fn append_blindly(payments: &Payments, list: List, element: Element) -> Transaction {
    let repeated = async {
        while try_append(payments, list, element).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let told = if timeout(LIMIT, repeated).await.is_ok() { Told::Applied } else { Told::Nothing };
    Transaction { operations: vec![Operation::Append(list, element)], told }
}

async fn try_append(payments: &Payments, list: List, element: Element) -> Result<(), tokio_postgres::Error> {
    let mut client = payments.plain(payments.cluster.writer()).await?;
    let transaction = client.transaction().await?;
    let append = "INSERT INTO list VALUES ($1, ARRAY[$2::bigint]) \
        ON CONFLICT (id) DO UPDATE SET elements = list.elements || excluded.elements";
    transaction.execute(append, &[&list, &element]).await?;
    transaction.commit().await
}

async fn wait_for_commits(payments: &Payments, writer: &str) -> Result<(), CampaignError> {
    let admin = payments.cluster.admin(writer).await?;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'payments' AND wait_event = 'SyncRep'";
    let waits = async {
        while admin.query_one(waiting, &[]).await?.try_get::<_, i64>(0)? == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<(), tokio_postgres::Error>(())
    };
    timeout(LIMIT, waits).await.map_or(Ok(()), |waited| waited.map_err(CampaignError::from))
}
