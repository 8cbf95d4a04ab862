//! What really happened, asked of the database.

use std::collections::HashMap;

use serde::Serialize;

use super::client::Fate;
use super::{Diary, schema};
use crate::assembly::{AssemblyError, Lab, names};

/// The clients' knowledge against the database's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Transfers whose COMMIT was answered.
    pub acknowledged: u64,
    /// Of these, not in the database.
    pub lost: u64,
    /// Transfers in the database more than once.
    pub duplicated: u64,
    /// Transfers whose COMMIT was not answered.
    pub in_doubt: u64,
    /// Of these, in the database: a blind retry would have doubled each.
    pub in_doubt_committed: u64,
    /// Transfers that failed for certain.
    pub failed: u64,
    /// Of these, in the database all the same.
    pub failed_but_applied: u64,
    /// Whether the balances still add up to what there was at the start, and to the transfers.
    pub money_conserved: bool,
}

impl Audit {
    /// Whether nothing acknowledged is lost, nothing is there twice, and all money is.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.failed_but_applied == 0 && self.money_conserved
    }

    /// Transfers the application did not get an acknowledgement for.
    pub fn errors(&self) -> u64 {
        self.failed + self.in_doubt
    }
}

/// Compares the diaries with the writer's tables.
///
/// # Errors
///
/// When the writer does not answer.
pub async fn audit(lab: &Lab, diaries: &[Diary], run: &str) -> Result<Audit, AssemblyError> {
    let client = lab.cluster.admin_to(lab.cluster.writer(), names::DATABASE).await?;
    let rows = client
        .query(
            "SELECT key, count(*) FROM bank.transfers WHERE starts_with(key, $1) GROUP BY key",
            &[&format!("{run}-")],
        )
        .await?;
    let mut applied: HashMap<String, i64> = HashMap::new();
    for row in rows {
        applied.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let mut audit = Audit { money_conserved: money_is_conserved(&client).await?, ..Audit::default() };
    audit.duplicated = applied.values().filter(|count| **count > 1).map(|count| count.unsigned_abs() - 1).sum();
    for transfer in diaries.iter().flat_map(|diary| &diary.transfers) {
        let present = u64::from(applied.contains_key(&transfer.key));
        match transfer.fate {
            Fate::Acknowledged => {
                audit.acknowledged += 1;
                audit.lost += 1 - present;
            }
            Fate::InDoubt => {
                audit.in_doubt += 1;
                audit.in_doubt_committed += present;
            }
            Fate::Failed => {
                audit.failed += 1;
                audit.failed_but_applied += present;
            }
        }
    }
    Ok(audit)
}

/// Every balance must be the opening one plus all transfers in, minus all transfers out.
async fn money_is_conserved(client: &tokio_postgres::Client) -> Result<bool, AssemblyError> {
    let row = client
        .query_one(
            "WITH moves AS (SELECT target AS id, amount FROM bank.transfers \
               UNION ALL SELECT source, -amount FROM bank.transfers), \
             expected AS (SELECT a.id, a.balance, $1::bigint + coalesce(sum(m.amount), 0)::bigint AS due \
               FROM bank.accounts a LEFT JOIN moves m USING (id) GROUP BY a.id, a.balance) \
             SELECT count(*) FILTER (WHERE balance <> due) = 0 AND sum(balance)::bigint = $2::bigint AND count(*) = $3::bigint FROM expected",
            &[
                &schema::OPENING_BALANCE,
                &opening_total(),
                &schema::ACCOUNTS,
            ],
        )
        .await?;
    Ok(row.try_get(0)?)
}

fn opening_total() -> i64 {
    schema::OPENING_BALANCE * schema::ACCOUNTS
}
