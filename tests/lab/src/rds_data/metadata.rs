//! `columnMetadata`, in the terms of JDBC as the service returns it.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio_postgres::Column;
use tokio_postgres::types::{Kind, Type};

use super::error::ApiError;
use super::session::Session;

/// `ResultSetMetaData.columnNoNulls`, `columnNullable`, `columnNullableUnknown`.
const NO_NULLS: i32 = 0;
const NULLABLE: i32 = 1;
const NULLABLE_UNKNOWN: i32 = 2;
/// The header that PostgreSQL adds to a type modifier.
const MODIFIER_HEADER: i32 = 4;

/// What the catalog says of a table column.
#[derive(Debug)]
struct TableColumn {
    table: String,
    not_null: bool,
    auto_increment: bool,
}

/// Describes each column, with its table where it has one.
pub(super) async fn describe(session: &Session, columns: &[Column]) -> Result<Value, ApiError> {
    let tables = table_columns(session, columns).await?;
    Ok(columns
        .iter()
        .map(|column| {
            let key = column.table_oid().zip(column.column_id());
            describe_column(column, key.and_then(|key| tables.get(&key)))
        })
        .collect())
}

async fn table_columns(session: &Session, columns: &[Column]) -> Result<HashMap<(u32, i16), TableColumn>, ApiError> {
    let mut oids: Vec<u32> = columns.iter().filter_map(Column::table_oid).collect();
    oids.sort_unstable();
    oids.dedup();
    if oids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT a.attrelid, a.attnum, c.relname::text, a.attnotnull,
                      a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false)
               FROM pg_catalog.pg_attribute a
               JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
               LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
               WHERE a.attrelid = ANY($1)";
    let failed = |error: tokio_postgres::Error| session.broken(&error);
    let rows = session.client.query(sql, &[&oids]).await.map_err(failed)?;
    let mut found = HashMap::new();
    for row in rows {
        let key = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        let column = TableColumn {
            table: row.try_get(2).map_err(failed)?,
            not_null: row.try_get(3).map_err(failed)?,
            auto_increment: row.try_get(4).map_err(failed)?,
        };
        found.insert(key, column);
    }
    Ok(found)
}

fn describe_column(column: &Column, table: Option<&TableColumn>) -> Value {
    let ty = column.type_();
    let (precision, scale) = precision(ty, column.type_modifier());
    let nullable = match table {
        None => NULLABLE_UNKNOWN,
        Some(table) if table.not_null => NO_NULLS,
        Some(_) => NULLABLE,
    };
    let member = if let Kind::Array(member) = ty.kind() { jdbc_type(member) } else { 0 };
    json!({
        "arrayBaseColumnType": member,
        "isAutoIncrement": table.is_some_and(|table| table.auto_increment),
        "isCaseSensitive": !is_number(ty) && !is_moment(ty) && *ty != Type::BOOL,
        "isCurrency": *ty == Type::MONEY,
        "isSigned": is_number(ty),
        "label": column.name(),
        "name": column.name(),
        "nullable": nullable,
        "precision": precision,
        "scale": scale,
        "schemaName": "",
        "tableName": table.map_or("", |table| table.table.as_str()),
        "type": jdbc_type(ty),
        "typeName": ty.name(),
    })
}

fn is_number(ty: &Type) -> bool {
    matches!(*ty, Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC)
}

fn is_moment(ty: &Type) -> bool {
    matches!(*ty, Type::DATE | Type::TIME | Type::TIMETZ | Type::TIMESTAMP | Type::TIMESTAMPTZ)
}

/// The constants of `java.sql.Types`.
fn jdbc_type(ty: &Type) -> i32 {
    if let Kind::Array(_) = ty.kind() {
        return 2003;
    }
    if let Kind::Enum(_) = ty.kind() {
        return 12;
    }
    if let Kind::Composite(_) = ty.kind() {
        return 2002;
    }
    match *ty {
        Type::BOOL => -7,
        Type::INT2 => 5,
        Type::INT4 => 4,
        Type::INT8 | Type::OID => -5,
        Type::FLOAT4 => 7,
        Type::FLOAT8 | Type::MONEY => 8,
        Type::NUMERIC => 2,
        Type::CHAR | Type::BPCHAR => 1,
        Type::TEXT | Type::VARCHAR | Type::NAME => 12,
        Type::BYTEA => -2,
        Type::DATE => 91,
        Type::TIME | Type::TIMETZ => 92,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => 93,
        _ => 1111,
    }
}

/// Precision and scale, as the PostgreSQL JDBC driver computes them.
fn precision(ty: &Type, modifier: i32) -> (i32, i32) {
    let declared = (modifier >= MODIFIER_HEADER).then(|| modifier - MODIFIER_HEADER);
    match *ty {
        Type::INT2 => (5, 0),
        Type::INT4 | Type::OID => (10, 0),
        Type::INT8 => (19, 0),
        Type::FLOAT4 => (8, 8),
        Type::FLOAT8 => (17, 17),
        Type::BOOL | Type::CHAR => (1, 0),
        Type::NUMERIC => declared.map_or((0, 0), |d| (d >> 16 & 0xffff, d & 0xffff)),
        Type::VARCHAR | Type::BPCHAR => (declared.unwrap_or(i32::MAX), 0),
        Type::DATE => (13, 0),
        Type::TIME => (15, 6),
        Type::TIMESTAMP => (29, 6),
        Type::TIMESTAMPTZ => (35, 6),
        _ => (i32::MAX, 0),
    }
}
