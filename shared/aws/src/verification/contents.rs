//! What is looked at in a restored database.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_core::time::Timestamp;
use steadfast_core::verification::manifest::Assertion;
use steadfast_core::verification::run::Looked;
use steadfast_core::verification::{Check, Finding, Manifest};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::checks::finding;
use crate::clock;

/// Left of the invocation when no further relation is begun.
const MARGIN: Duration = Duration::from_secs(20);

const EXTENSIONS: &str = "SELECT extname::text FROM pg_catalog.pg_extension";
const SETTINGS: &str = "SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY ($1::text[])";
const CANARY: &str = "SELECT (extract(epoch FROM max(at)) * 1000)::bigint FROM steadfast.canary";

/// Whatever contradicts itself in the catalog. A relation without its file counts as empty, whatever the catalog says.
const CATALOG: &str = "\
    SELECT c.oid::regclass::text, 'its index is not valid' FROM pg_catalog.pg_index i \
      JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE NOT (i.indisvalid AND i.indisready) \
    UNION ALL SELECT i.indexrelid::text, 'an index without a relation' FROM pg_catalog.pg_index i \
      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = i.indrelid) \
        OR NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = i.indexrelid) \
    UNION ALL SELECT a.attrelid::text, 'columns without a relation' FROM pg_catalog.pg_attribute a \
      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = a.attrelid) GROUP BY a.attrelid \
    UNION ALL SELECT c.oid::regclass::text, 'it has ' || c.relnatts || ' columns, and the catalog knows others' \
      FROM pg_catalog.pg_class c WHERE c.relnatts <> (SELECT count(*) FROM pg_catalog.pg_attribute a \
        WHERE a.attrelid = c.oid AND a.attnum > 0) \
    UNION ALL SELECT c.oid::regclass::text, 'it belongs to no schema, or to nobody' FROM pg_catalog.pg_class c \
      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.oid = c.relnamespace) \
        OR NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = c.relowner) \
    UNION ALL SELECT c.oid::regclass::text, 'its file is missing or empty, and the catalog counts ' || c.relpages || ' pages' \
      FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'i', 'm', 't') AND c.relpersistence = 'p' \
        AND c.relpages > 0 AND pg_catalog.pg_relation_size(c.oid) = 0";

/// Tables and B-trees with a file of their own, in the order of their object ids.
const RELATIONS: &str = "\
    SELECT c.oid, c.oid::regclass::text, c.relkind = 'i' FROM pg_catalog.pg_class c \
      LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam \
    WHERE c.oid > $1 AND c.relpersistence = 'p' \
      AND (c.relkind IN ('r', 'm', 't') OR (c.relkind = 'i' AND m.amname = 'btree')) ORDER BY c.oid";
const HEAP: &str = "SELECT blkno, offnum, msg FROM verify_heapam(relation => $1::oid::regclass, on_error_stop => true)";
const BTREE: &str = "SELECT bt_index_check(index => $1::oid::regclass, heapallindexed => true)";

/// Extensions and settings.
pub(super) async fn furnishing(client: &Client, manifest: &Manifest) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let mut find = |about: &str, what: String| {
        findings.push(Finding { check: Check::Open, about: about.to_owned(), what });
    };
    let rows = client.query(EXTENSIONS, &[]).await?;
    let there = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    for missing in manifest.extensions.iter().filter(|wanted| !there.contains(wanted)) {
        find(missing, "the extension is missing".to_owned());
    }
    let names: Vec<&String> = manifest.settings.keys().collect();
    let mut set = BTreeMap::new();
    for row in client.query(SETTINGS, &[&names]).await? {
        set.insert(row.try_get::<_, String>(0)?, row.try_get::<_, Option<String>>(1)?.unwrap_or_default());
    }
    for (name, wanted) in &manifest.settings {
        match set.get(name) {
            Some(value) if value == wanted => {}
            Some(value) => find(name, format!("the setting is {value:?} in place of {wanted:?}")),
            None => find(name, "there is no such setting".to_owned()),
        }
    }
    Ok(findings)
}

/// The newest canary, by the clock of the server that committed it.
pub(super) async fn canary(client: &Client) -> Result<Looked, Error> {
    match client.query_one(CANARY, &[]).await {
        Ok(row) => {
            let at: Option<i64> = row.try_get(0)?;
            let canary_at = at.and_then(|at| u64::try_from(at).ok()).map(Timestamp::from_millis);
            Ok(Looked { canary_at, ..Looked::default() })
        }
        Err(error) => found(Check::Canary, "steadfast.canary", error),
    }
}

pub(super) async fn catalog(client: &Client) -> Result<Looked, Error> {
    let rows = match client.query(CATALOG, &[]).await {
        Ok(rows) => rows,
        Err(error) => return found(Check::Catalog, "pg_catalog", error),
    };
    let findings = rows.iter().map(|row| {
        Ok(Finding {
            check: Check::Catalog,
            about: row.try_get::<_, Option<String>>(0)?.unwrap_or_default(),
            what: row.try_get::<_, Option<String>>(1)?.unwrap_or_default(),
        })
    });
    Ok(Looked { findings: findings.collect::<Result<_, Error>>()?, ..Looked::default() })
}

/// Reads every table and B-tree after `after` to its last page, as far as time allows.
pub(super) async fn pages(client: &Client, after: u32, until: Timestamp) -> Result<Looked, Error> {
    // Installed on RDS by its master user; where it is there already, nothing is done.
    if let Err(error) = client.batch_execute("CREATE EXTENSION IF NOT EXISTS amcheck").await {
        return found(Check::Pages, "amcheck", error);
    }
    let mut looked = Looked { after: Some(after), ..Looked::default() };
    for row in client.query(RELATIONS, &[&after]).await? {
        if clock::now().plus(MARGIN) >= until {
            return Ok(looked);
        }
        let (oid, name, is_index): (u32, String, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let spoilt = if is_index { btree(client, oid).await } else { heap(client, oid).await };
        match spoilt {
            Ok(None) => {}
            Ok(Some(what)) => looked.findings.push(Finding { check: Check::Pages, about: name, what }),
            // Somebody else's temporary business, gone since the list was made.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {}
            Err(error) => looked.findings.push(finding(Check::Pages, &name, error)?),
        }
        looked.relations += 1;
        looked.after = Some(oid);
    }
    looked.after = None;
    Ok(looked)
}

async fn heap(client: &Client, oid: u32) -> Result<Option<String>, Error> {
    let rows = client.query(HEAP, &[&oid]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let (block, tuple): (Option<i64>, Option<i32>) = (row.try_get(0)?, row.try_get(1)?);
    let what: Option<String> = row.try_get(2)?;
    Ok(Some(format!(
        "block {}, tuple {}: {}",
        block.unwrap_or_default(),
        tuple.unwrap_or_default(),
        what.unwrap_or_default()
    )))
}

async fn btree(client: &Client, oid: u32) -> Result<Option<String>, Error> {
    client.query(BTREE, &[&oid]).await.map(|_| None)
}

/// The tables of the manifest. Counting reads all of them, past any index.
pub(super) async fn rows(client: &Client, manifest: &Manifest) -> Result<Looked, Error> {
    let mut looked = Looked::default();
    for (table, bounds) in &manifest.tables {
        let what = match count(client, table).await {
            Ok(None) => "the table is missing".to_owned(),
            Ok(Some(rows)) if bounds.hold(rows) => continue,
            Ok(Some(rows)) => {
                let most = bounds.at_most.map_or_else(|| "any number".to_owned(), |most| most.to_string());
                format!("it has {rows} rows, and {} to {most} are expected", bounds.at_least)
            }
            Err(error) => finding(Check::Rows, table, error)?.what,
        };
        looked.findings.push(Finding { check: Check::Rows, about: table.clone(), what });
    }
    Ok(looked)
}

async fn count(client: &Client, table: &str) -> Result<Option<u64>, Error> {
    // The server reads the name, and writes it again with the quotation marks it needs.
    let row = client.query_one("SELECT pg_catalog.to_regclass($1)::text", &[&table]).await?;
    let Some(name) = row.try_get::<_, Option<String>>(0)? else {
        return Ok(None);
    };
    let row = client.query_one(&format!("SELECT count(*) FROM ONLY {name}"), &[]).await?;
    Ok(Some(row.try_get::<_, i64>(0)?.unsigned_abs()))
}

/// The owner's own queries, each in a read-only transaction.
pub(super) async fn assertions(client: &Client, manifest: &Manifest) -> Result<Looked, Error> {
    let mut looked = Looked::default();
    for assertion in &manifest.assertions {
        client.batch_execute("BEGIN READ ONLY").await?;
        let answer = client.simple_query(&assertion.sql).await;
        client.batch_execute("ROLLBACK").await?;
        let what = match answer {
            Ok(messages) => match wrong(assertion, &messages) {
                Some(what) => what,
                None => continue,
            },
            Err(error) => finding(Check::Assertions, &assertion.name, error)?.what,
        };
        looked.findings.push(Finding { check: Check::Assertions, about: assertion.name.clone(), what });
    }
    Ok(looked)
}

fn wrong(assertion: &Assertion, messages: &[SimpleQueryMessage]) -> Option<String> {
    let first = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => None,
    });
    match first {
        None => Some(format!("no row, and {:?} is expected", assertion.expected)),
        Some(None) => Some(format!("NULL, and {:?} is expected", assertion.expected)),
        Some(Some(value)) if value == assertion.expected => None,
        Some(Some(value)) => Some(format!("{value:?}, and {:?} is expected", assertion.expected)),
    }
}

fn found(check: Check, about: &str, error: Error) -> Result<Looked, Error> {
    Ok(Looked { findings: vec![finding(check, about, error)?], ..Looked::default() })
}
