//! Request parameters as PostgreSQL parameters. All values travel in text format.

use std::collections::HashMap;
use std::error::Error;

use base64::Engine as _;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use super::error::ApiError;
use super::request::{InputDouble, InputField, NamedDouble, SqlParameter, TypeHint};

/// A parameter in PostgreSQL's text format; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) Option<String>);

/// The types and values of one parameter set, in the order of the names.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) types: Vec<Type>,
    pub(super) values: Vec<Text>,
}

/// Looks up each name. Parameters that the SQL does not name are not used.
pub(super) fn bind(names: &[String], parameters: &[SqlParameter]) -> Result<Bound, ApiError> {
    let mut by_name = HashMap::new();
    for parameter in parameters {
        let name = parameter.name.as_deref().unwrap_or_default();
        by_name.insert(name, convert(name, parameter)?);
    }
    let mut bound = Bound { types: Vec::with_capacity(names.len()), values: Vec::with_capacity(names.len()) };
    for name in names {
        let (ty, value) =
            by_name.get(name.as_str()).ok_or_else(|| ApiError::validation(format!("Cannot find parameter: {name}")))?;
        bound.types.push(ty.clone());
        bound.values.push(value.clone());
    }
    Ok(bound)
}

fn convert(name: &str, parameter: &SqlParameter) -> Result<(Type, Text), ApiError> {
    let wrong = |what: &str| ApiError::validation(format!("parameter {name}: {what}"));
    let field = parameter.value.as_ref().ok_or_else(|| wrong("the value is missing"))?;
    let InputField { is_null, boolean_value, long_value, double_value, string_value, blob_value, array_value } = field;
    if array_value.is_some() {
        return Err(wrong("Array parameters are not supported."));
    }
    let mut given = Vec::new();
    match is_null {
        // PostgreSQL infers the type of a parameter that is sent as unknown.
        Some(true) => given.push((Type::UNKNOWN, None)),
        Some(false) => return Err(wrong("isNull may only be true")),
        None => {}
    }
    if let Some(value) = boolean_value {
        given.push((Type::BOOL, Some(value.to_string())));
    }
    if let Some(value) = long_value {
        given.push((Type::INT8, Some(value.to_string())));
    }
    if let Some(value) = double_value {
        given.push((Type::FLOAT8, Some(double_text(*value))));
    }
    if let Some(value) = string_value {
        given.push((hinted(parameter.type_hint), Some(value.clone())));
    }
    if let Some(value) = blob_value {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(value)
            .map_err(|error| wrong(&format!("blobValue is not base64: {error}")))?;
        given.push((Type::BYTEA, Some(bytea_text(&bytes))));
    }
    match <[_; 1]>::try_from(given) {
        Ok([(ty, text)]) => Ok((ty, Text(text))),
        Err(_) => Err(wrong("exactly one member of the value must be set")),
    }
}

fn hinted(hint: Option<TypeHint>) -> Type {
    match hint {
        None => Type::VARCHAR,
        Some(TypeHint::Json) => Type::JSON,
        Some(TypeHint::Uuid) => Type::UUID,
        Some(TypeHint::Timestamp) => Type::TIMESTAMP,
        Some(TypeHint::Date) => Type::DATE,
        Some(TypeHint::Time) => Type::TIME,
        Some(TypeHint::Decimal) => Type::NUMERIC,
    }
}

fn double_text(value: InputDouble) -> String {
    match value {
        InputDouble::Number(number) => format!("{number:?}"),
        InputDouble::Named(NamedDouble::NaN) => "NaN".to_owned(),
        InputDouble::Named(NamedDouble::Infinity) => "Infinity".to_owned(),
        InputDouble::Named(NamedDouble::NegativeInfinity) => "-Infinity".to_owned(),
    }
}

fn bytea_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(ty, out)
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }
}
