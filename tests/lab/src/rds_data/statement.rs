//! Runs one statement in a session and collects its result.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tokio_postgres::{Column, RowStream, Statement};

use super::bind::{Bound, bind};
use super::decode::{Raw, field};
use super::error::{ApiError, Code};
use super::field::Field;
use super::metadata;
use super::request::{ResultOptions, SqlParameter};
use super::scan::Scanned;
use super::session::Session;

/// The largest row in bytes, as PostgreSQL sends it.
const MAX_ROW: usize = 64 << 10;
/// The largest result in bytes, as PostgreSQL sends it.
const MAX_RESULT: usize = 1 << 20;

/// Runs `sql` once and returns the body of an `ExecuteStatement` response.
pub(super) async fn execute(
    session: &mut Session,
    sql: &Scanned,
    parameters: &[SqlParameter],
    options: ResultOptions,
) -> Result<Value, ApiError> {
    let result = execute_inner(session, sql, parameters, options).await;
    session.failed |= result.is_err();
    result
}

async fn execute_inner(
    session: &Session,
    sql: &Scanned,
    parameters: &[SqlParameter],
    options: ResultOptions,
) -> Result<Value, ApiError> {
    let bound = bind(&sql.names, parameters)?;
    let statement = prepare(session, &sql.text, &bound).await?;
    let rows = run(session, &statement, &bound).await?;
    let columns = statement.columns();
    let (records, affected) = collect(session, rows, columns, options).await?;
    if columns.is_empty() {
        return Ok(json!({ "generatedFields": [], "numberOfRecordsUpdated": affected }));
    }
    let mut body = json!({ "numberOfRecordsUpdated": 0 });
    if options.as_json {
        body["formattedRecords"] = formatted(columns, &records)?.into();
        return Ok(body);
    }
    body["records"] = records.iter().map(|record| record.iter().map(Field::to_wire).collect::<Value>()).collect();
    if options.metadata {
        body["columnMetadata"] = metadata::describe(session, columns).await?;
    }
    Ok(body)
}

/// Runs `sql` once for each set and returns the body of a `BatchExecuteStatement` response.
pub(super) async fn execute_batch(
    session: &mut Session,
    sql: &Scanned,
    sets: &[Vec<SqlParameter>],
) -> Result<Value, ApiError> {
    let result = execute_batch_inner(session, sql, sets).await;
    session.failed |= result.is_err();
    result
}

async fn execute_batch_inner(session: &Session, sql: &Scanned, sets: &[Vec<SqlParameter>]) -> Result<Value, ApiError> {
    let mut prepared: Option<(Vec<_>, Statement)> = None;
    let mut results = Vec::with_capacity(sets.len());
    for set in sets {
        let bound = bind(&sql.names, set)?;
        let statement = match &prepared {
            Some((types, statement)) if *types == bound.types => statement.clone(),
            Some(_) | None => {
                let statement = prepare(session, &sql.text, &bound).await?;
                prepared = Some((bound.types.clone(), statement.clone()));
                statement
            }
        };
        let mut rows = pin!(run(session, &statement, &bound).await?);
        // What a batch returns is not part of its result.
        while rows.try_next().await.map_err(|error| session.broken(&error))?.is_some() {}
        results.push(json!({ "generatedFields": [] }));
    }
    Ok(json!({ "updateResults": results }))
}

async fn prepare(session: &Session, text: &str, bound: &Bound) -> Result<Statement, ApiError> {
    let statement = session.client.prepare_typed(text, &bound.types).await.map_err(|error| session.broken(&error))?;
    // More than were bound: the text itself holds a `$n`.
    if statement.params().len() != bound.values.len() {
        return Err(ApiError::sql(
            &format!(
                "ERROR: bind message supplies {} parameters, but the statement requires {}",
                bound.values.len(),
                statement.params().len()
            ),
            "08P01",
        ));
    }
    Ok(statement)
}

async fn run(session: &Session, statement: &Statement, bound: &Bound) -> Result<RowStream, ApiError> {
    session.client.query_raw(statement, &bound.values).await.map_err(|error| session.broken(&error))
}

/// Reads to the end even after a row that cannot be returned, so that the session stays usable.
async fn collect(
    session: &Session,
    rows: RowStream,
    columns: &[Column],
    options: ResultOptions,
) -> Result<(Vec<Vec<Field>>, u64), ApiError> {
    let mut rows = pin!(rows);
    let mut records = Ok(Vec::new());
    let mut size = 0_usize;
    while let Some(row) = rows.try_next().await.map_err(|error| session.broken(&error))? {
        let Ok(kept) = &mut records else { continue };
        size += row.raw_size_bytes();
        let record = if row.raw_size_bytes() > MAX_ROW {
            Err(too_large("Packet for query is too large", "row", MAX_ROW))
        } else if size > MAX_RESULT {
            Err(too_large("Database response exceeded size limit", "result", MAX_RESULT))
        } else {
            record(&row, columns, options)
        };
        match record {
            Ok(record) => kept.push(record),
            Err(error) => records = Err(error),
        }
    }
    Ok((records?, rows.rows_affected().unwrap_or(0)))
}

fn too_large(text: &str, what: &str, limit: usize) -> ApiError {
    ApiError::new(Code::UnsupportedResultException, format!("{text}: a {what} may have {limit} bytes; select less"))
}

fn record(row: &tokio_postgres::Row, columns: &[Column], options: ResultOptions) -> Result<Vec<Field>, ApiError> {
    let mut record = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let raw: Option<Raw<'_>> = row.try_get(index).map_err(|error| ApiError::running(&error))?;
        record.push(match raw {
            None => Field::Null,
            Some(Raw(bytes)) => field(column.type_(), bytes, options)?,
        });
    }
    Ok(record)
}

/// `formattedRecords`: an array of objects, members in the order of the columns.
fn formatted(columns: &[Column], records: &[Vec<Field>]) -> Result<String, ApiError> {
    for (index, column) in columns.iter().enumerate() {
        if columns.iter().take(index).any(|c| c.name() == column.name()) {
            return Err(ApiError::new(
                Code::UnsupportedResultException,
                format!("two columns are named {}; give one an alias", column.name()),
            ));
        }
    }
    let object = |record: &Vec<Field>| {
        let members: Vec<String> = columns
            .iter()
            .zip(record)
            .map(|(column, field)| format!("{}:{}", json!(column.name()), field.to_plain()))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    let objects: Vec<String> = records.iter().map(object).collect();
    Ok(format!("[{}]", objects.join(",")))
}
