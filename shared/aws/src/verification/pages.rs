//! Every page of every table and B-tree.

use std::time::Duration;

use steadfast_core::verification::run::Looked;
use steadfast_core::verification::{Check, Finding, Part, Place};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::checks::finding;
use super::contents::found;
use super::portion::{Done, Portion};

/// Blocks that are read at once, 128 MiB: seconds, and minutes where the storage has yet to load them.
const BLOCKS: u32 = 16_384;

/// Tables and B-trees with a file of their own, in the order of their object ids.
const RELATIONS: &str = "\
    SELECT c.oid, c.oid::regclass::text, c.relkind = 'i' FROM pg_catalog.pg_class c \
      LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam \
    WHERE c.oid > $1 AND c.relpersistence = 'p' \
      AND (c.relkind IN ('r', 'm', 't') OR (c.relkind = 'i' AND m.amname = 'btree')) ORDER BY c.oid";
const SIZE: &str = "SELECT pg_catalog.pg_relation_size($1::oid::regclass) \
    / pg_catalog.current_setting('block_size')::bigint";
const HEAP: &str = "SELECT blkno, offnum, msg FROM verify_heapam(relation => $1::oid::regclass, on_error_stop => true, \
    startblock => $2, endblock => $3)";
const BTREE: &str = "SELECT bt_index_check(index => $1::oid::regclass, heapallindexed => true)";
const READ: &str = "SELECT pg_prewarm($1::oid::regclass, 'buffer', 'main', $2, $3)";

struct Relation {
    oid: u32,
    name: String,
    is_index: bool,
}

/// How far one relation has come.
enum Read {
    /// To its end, and what is wrong with it. Damage ends it: its first is told.
    Done(Option<String>),
    /// To the block before this one.
    To(u32),
    /// The invocation's time was too short.
    Cut,
}

/// Reads what follows on `place`, as far as time allows.
pub(super) async fn pages(portion: &Portion<'_>, place: Place) -> Result<Looked, Error> {
    // Installed on RDS by its master user; where it is there already, nothing is done.
    if let Err(error) = portion.client.batch_execute("CREATE EXTENSION IF NOT EXISTS amcheck").await {
        return found(Check::Pages, "amcheck", error);
    }
    let mut looked = Looked { goes_on: Some(place), ..Looked::default() };
    for relation in relations(portion.client, place.after).await? {
        let mut from = place.part_of(relation.oid).map(|part| part.block);
        loop {
            if !portion.has_time() {
                return Ok(looked);
            }
            match relation.read(portion, from).await? {
                Read::Cut => return Ok(looked),
                Read::To(block) => {
                    if relation.is_index && from.is_none() {
                        looked.only_read.push(relation.name.clone());
                    }
                    from = Some(block);
                    let part = Part { of: relation.oid, block, rows: 0 };
                    looked.goes_on = looked.goes_on.map(|place| place.with(part));
                }
                Read::Done(spoilt) => {
                    let find = |what| Finding { check: Check::Pages, about: relation.name.clone(), what };
                    looked.findings.extend(spoilt.map(find));
                    looked.goes_on = Some(Place::behind(relation.oid));
                    looked.relations += 1;
                    break;
                }
            }
        }
    }
    looked.goes_on = None;
    Ok(looked)
}

async fn relations(client: &Client, after: u32) -> Result<Vec<Relation>, Error> {
    let rows = client.query(RELATIONS, &[&after]).await?;
    let relation = |row: &tokio_postgres::Row| {
        Ok(Relation { oid: row.try_get(0)?, name: row.try_get(1)?, is_index: row.try_get(2)? })
    };
    rows.iter().map(relation).collect()
}

impl Relation {
    /// Reads one part of it. An index begins as a whole, since only as a whole can it be compared with its table.
    async fn read(&self, portion: &Portion<'_>, from: Option<u32>) -> Result<Read, Error> {
        let read = match (self.is_index, from) {
            (true, None) => self.compare(portion).await,
            (_, from) => self.read_blocks(portion, from.unwrap_or_default()).await,
        };
        match read {
            // Somebody else's temporary business, gone since the list was made.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(Read::Done(None)),
            Err(error) => Ok(Read::Done(Some(finding(Check::Pages, &self.name, error)?.what))),
            Ok(read) => Ok(read),
        }
    }

    async fn compare(&self, portion: &Portion<'_>) -> Result<Read, Error> {
        Ok(match portion.spend(portion.client.query(BTREE, &[&self.oid])).await? {
            Done::Fully(_) => Read::Done(None),
            Done::Cut => Read::Cut,
            Done::TooLong(_) => Read::To(0),
        })
    }

    async fn read_blocks(&self, portion: &Portion<'_>, from: u32) -> Result<Read, Error> {
        let size: i64 = portion.client.query_one(SIZE, &[&self.oid]).await?.try_get(0)?;
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        if from >= size && from > 0 {
            return Ok(Read::Done(None));
        }
        let next = from.saturating_add(BLOCKS).min(size);
        // Of an empty one no block can be named; the server still opens its file.
        let range = (size > 0).then(|| (i64::from(from), i64::from(next) - 1));
        let spoilt = match portion.spend(self.verify(portion.client, range.unzip())).await? {
            Done::Fully(spoilt) => spoilt,
            Done::Cut => return Ok(Read::Cut),
            Done::TooLong(had) => Some(too_long(from, next, had)),
        };
        Ok(if spoilt.is_none() && next < size { Read::To(next) } else { Read::Done(spoilt) })
    }

    /// Reads the blocks from the first to the last; returns what is wrong in them.
    async fn verify(
        &self,
        client: &Client,
        (first, last): (Option<i64>, Option<i64>),
    ) -> Result<Option<String>, Error> {
        if self.is_index {
            // Through the buffers of the server, which look at header and checksum of each page.
            client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm").await?;
            return client.query(READ, &[&self.oid, &first, &last]).await.map(|_| None);
        }
        let rows = client.query(HEAP, &[&self.oid, &first, &last]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let (block, tuple): (Option<i64>, Option<i32>) = (row.try_get(0)?, row.try_get(1)?);
        let what: Option<String> = row.try_get(2)?;
        let (block, tuple) = (block.unwrap_or_default(), tuple.unwrap_or_default());
        Ok(Some(format!("block {block}, tuple {tuple}: {}", what.unwrap_or_default())))
    }
}

fn too_long(first: u32, next: u32, had: Duration) -> String {
    format!(
        "blocks {first} to {next} were not read within {} s; look at the storage of the restored database",
        had.as_secs()
    )
}
