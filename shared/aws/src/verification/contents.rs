//! What is looked at in a restored database.

use std::collections::BTreeMap;

use steadfast_core::time::Timestamp;
use steadfast_core::verification::run::Looked;
use steadfast_core::verification::{Check, Finding, Manifest};
use tokio_postgres::{Client, Error};

use super::checks::finding;

const EXTENSIONS: &str = "SELECT extname::text FROM pg_catalog.pg_extension";
// Not `setting`: the session bounds its own statements.
const SETTINGS: &str = "SELECT name, reset_val FROM pg_catalog.pg_settings WHERE name = ANY ($1::text[])";
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

pub(super) fn found(check: Check, about: &str, error: Error) -> Result<Looked, Error> {
    Ok(Looked { findings: vec![finding(check, about, error)?], ..Looked::default() })
}
