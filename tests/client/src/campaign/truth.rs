//! What really happened, asked of the database when everything has ended.

use std::collections::{BTreeMap, HashMap};

use steadfast_client::Key;
use uuid::Uuid;

use super::workload::{Diary, Entry};
use crate::cluster::Payments;
use crate::history::{Element, History, List, Told, Transaction};

/// The tables at the end.
pub(super) struct Truth {
    /// For every key the attempts that were applied.
    pub(super) effects: HashMap<Uuid, Vec<i32>>,
    pub(super) lists: BTreeMap<List, Vec<Element>>,
    pub(super) money: i64,
}

/// Clients' knowledge against the database's.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) phantom: u64,
    pub(super) resolved_wrong: u64,
}

pub(super) async fn ask(payments: &Payments) -> Result<Truth, super::CampaignError> {
    let admin = payments.cluster.admin(payments.cluster.writer()).await?;
    let mut effects: HashMap<Uuid, Vec<i32>> = HashMap::new();
    for row in admin.query("SELECT key::text, attempt FROM payments.effect", &[]).await? {
        let key: String = row.try_get(0)?;
        effects.entry(key.parse().unwrap_or_default()).or_default().push(row.try_get(1)?);
    }
    let mut lists = BTreeMap::new();
    for row in admin.query("SELECT id, elements FROM payments.list", &[]).await? {
        lists.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let money = admin.query_one("SELECT sum(balance)::bigint FROM payments.account", &[]).await?.try_get(0)?;
    Ok(Truth { effects, lists, money })
}

impl Truth {
    pub(super) fn applied(&self, key: Key) -> &[i32] {
        self.effects.get(&key.as_uuid()).map_or(&[], Vec::as_slice)
    }

    pub(super) fn judge(&self, diary: &Diary) -> Verdict {
        let mut verdict = Verdict::default();
        for entry in &diary.entries {
            let applied = self.applied(entry.key);
            verdict.duplicated += (applied.len() as u64).saturating_sub(1);
            match entry.told {
                Told::Applied if applied.is_empty() => verdict.lost += 1,
                Told::NotApplied if !applied.is_empty() => verdict.phantom += 1,
                Told::Applied | Told::NotApplied | Told::Nothing => {}
            }
            if let Some((_, decided)) = diary.doubts.get(&entry.key)
                && !fits(entry, *decided, applied)
            {
                verdict.resolved_wrong += 1;
            }
        }
        verdict
    }

    /// The transactions that used lists, each with the attempt that was applied.
    pub(super) fn history(&self, diary: &Diary) -> History {
        let listed = diary.entries.iter().filter(|entry| !entry.operations.is_empty());
        let transactions = listed.map(|entry| {
            let attempt = entry.attempt.map_or(0, |(attempt, _)| attempt);
            let operations = entry.operations.get(&attempt).or(entry.operations.get(&0)).cloned().unwrap_or_default();
            Transaction { operations, told: entry.told }
        });
        History { transactions: transactions.collect(), lists: self.lists.clone() }
    }
}

/// Whether what was decided of a COMMIT in doubt is what the database shows.
fn fits(entry: &Entry, decided: Option<bool>, applied: &[i32]) -> bool {
    match (decided, entry.told, entry.attempt) {
        // Decided as applied: an earlier attempt than the last, which found it.
        (Some(true), Told::Applied, Some((attempt, attempts))) => {
            applied.len() == 1
                && (attempt < attempts || applied == [1])
                && applied.first() == Some(&attempt.cast_signed())
        }
        (Some(true), Told::Applied, None) => applied.len() == 1,
        // Decided as not applied, and made again: the last attempt.
        (Some(false), Told::Applied, Some((attempt, _))) => applied == [attempt.cast_signed()],
        (Some(false), Told::Applied, None) => applied.len() == 1,
        (Some(false), Told::NotApplied, _) => applied.is_empty(),
        (Some(true), Told::NotApplied | Told::Nothing, _) => false,
        // Undecided by its own call, and decided by the one that asked afterwards.
        (None, Told::Applied, _) => applied.len() == 1,
        (None, Told::NotApplied, _) => applied.is_empty(),
        (Some(false) | None, Told::Nothing, _) => false,
    }
}
