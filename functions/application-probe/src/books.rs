//! What stands in the database. A session is safe to ask: whoever acknowledged a transfer of this client has raised its
//! fencing epoch, and no node with a lower one is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_aws::clock;
use steadfast_client::{Client, HoldError};
use steadfast_core::application::{Audit, Report};
use tokio::time::timeout;

/// Transfers and rows of the ledger that nobody asks for any more are deleted, so many at most each time.
const FORGET: &str = "SELECT steadfast.forget_transfers()";

/// Why the books are not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BooksError {
    #[error(transparent)]
    Hold(#[from] HoldError),
    #[error("they cannot be read: {0}")]
    Database(#[from] tokio_postgres::Error),
}

/// Looks into the books for what this report says of its run. Safe to cancel.
pub(crate) async fn audit(client: &Client, report: &Report) -> Result<Audit, BooksError> {
    let (at, epoch) = (clock::now(), client.epoch());
    let session = client.session().await?;
    let counted = "SELECT number, count(*) FROM steadfast.application_transfer WHERE run = $1 GROUP BY number";
    let rows = session.plain().query(counted, &[&report.run]).await?;
    let number = |value: i64| u64::try_from(value).unwrap_or_default();
    let rows: BTreeMap<u64, u64> = rows.iter().map(|row| (number(row.get(0)), number(row.get(1)))).collect();
    let summed = "SELECT coalesce(sum(balance), 0)::bigint FROM steadfast.application_account";
    let balance: i64 = session.plain().query_one(summed, &[]).await?.get(0);
    Ok(report.audit(at, epoch, &rows, balance))
}

/// Deletes what is old, for so long at most: the next run goes on.
pub(crate) async fn forget(client: &Client, limit: Duration) {
    match timeout(limit, client.unprotected(FORGET, &[])).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "old transfers stay until the next run"),
        Err(_) => tracing::warn!("old transfers are not deleted in time"),
    }
}
