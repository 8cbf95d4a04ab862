//! The tables of the manifest, counted.

use std::time::Duration;

use steadfast_core::verification::manifest::Bounds;
use steadfast_core::verification::run::Looked;
use steadfast_core::verification::{Check, Finding, Manifest, Part, Place};
use tokio_postgres::{Client, Error};

use super::checks::finding;
use super::portion::{Done, Portion};

/// Blocks that are counted at once: 1 GiB.
const BLOCKS: u32 = 131_072;

/// The server reads the name, and writes it again with the quotation marks it needs.
const TABLE: &str = "SELECT c.oid::regclass::text, c.relkind::text, \
    coalesce(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::bigint \
    FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)";

struct Table {
    name: String,
    /// Whether its rows stand in blocks of its own.
    has_blocks: bool,
    is_partitioned: bool,
    blocks: u32,
}

/// How far the count of one table has come.
enum Counted {
    /// To its end, and what is wrong.
    Done(Option<String>),
    /// To the block of this part.
    To(Part),
    /// The invocation's time was too short.
    Cut,
}

/// Counts what follows on `place`, as far as time allows. Counting reads the table itself, past any index.
pub(super) async fn rows(portion: &Portion<'_>, manifest: &Manifest, place: Place) -> Result<Looked, Error> {
    let mut looked = Looked { goes_on: Some(place), ..Looked::default() };
    for (number, (table, bounds)) in (0_u32..).zip(&manifest.tables) {
        if number < place.after {
            continue;
        }
        let mut part = place.part_of(number).unwrap_or(Part { of: number, ..Part::default() });
        loop {
            if !portion.has_time() {
                return Ok(looked);
            }
            match count(portion, table, *bounds, part).await {
                Ok(Counted::Cut) => return Ok(looked),
                Ok(Counted::To(next)) => {
                    part = next;
                    looked.goes_on = looked.goes_on.map(|place| place.with(part));
                }
                Ok(Counted::Done(wrong)) => {
                    looked.findings.extend(wrong.map(|what| Finding {
                        check: Check::Rows,
                        about: table.clone(),
                        what,
                    }));
                    break;
                }
                Err(error) => {
                    looked.findings.push(finding(Check::Rows, table, error)?);
                    break;
                }
            }
        }
        looked.goes_on = Some(Place::behind(number.saturating_add(1)));
        looked.relations += 1;
    }
    looked.goes_on = None;
    Ok(looked)
}

async fn count(portion: &Portion<'_>, name: &str, bounds: Bounds, part: Part) -> Result<Counted, Error> {
    let Some(table) = find(portion.client, name).await? else {
        return Ok(Counted::Done(Some("the table is missing".to_owned())));
    };
    let next = part.block.saturating_add(BLOCKS);
    let rows = match portion.spend(table.count(portion.client, part.block, next)).await? {
        Done::Fully(rows) => part.rows.saturating_add(rows),
        Done::Cut => return Ok(Counted::Cut),
        Done::TooLong(had) => return Ok(Counted::Done(Some(too_long(had)))),
    };
    if table.has_blocks && next < table.blocks {
        return Ok(Counted::To(Part { block: next, rows, ..part }));
    }
    Ok(Counted::Done((!bounds.hold(rows)).then(|| unexpected(rows, bounds))))
}

async fn find(client: &Client, name: &str) -> Result<Option<Table>, Error> {
    let Some(row) = client.query_opt(TABLE, &[&name]).await? else {
        return Ok(None);
    };
    let (kind, blocks): (String, i64) = (row.try_get(1)?, row.try_get(2)?);
    Ok(Some(Table {
        name: row.try_get(0)?,
        has_blocks: matches!(kind.as_str(), "r" | "m"),
        is_partitioned: kind == "p",
        blocks: u32::try_from(blocks).unwrap_or(u32::MAX),
    }))
}

impl Table {
    /// The rows from block `first` to the one before `next`, or all of them where it has no blocks of its own.
    async fn count(&self, client: &Client, first: u32, next: u32) -> Result<u64, Error> {
        let name = &self.name;
        let sql = if self.has_blocks {
            format!("SELECT count(*) FROM ONLY {name} WHERE ctid >= '({first},0)' AND ctid < '({next},0)'")
        } else if self.is_partitioned {
            // It has no rows but those of its partitions.
            format!("SELECT count(*) FROM {name}")
        } else {
            format!("SELECT count(*) FROM ONLY {name}")
        };
        let row = client.query_one(&sql, &[]).await?;
        Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
    }
}

fn unexpected(rows: u64, bounds: Bounds) -> String {
    let most = bounds.at_most.map_or_else(|| "any number".to_owned(), |most| most.to_string());
    format!("it has {rows} rows, and {} to {most} are expected", bounds.at_least)
}

fn too_long(had: Duration) -> String {
    format!("its rows were not counted within {} s; name its partitions in its place, or leave it out", had.as_secs())
}
