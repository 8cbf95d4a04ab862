//! Binary results as fields.

use tokio_postgres::types::{FromSql, Kind, Type};

use super::error::{ApiError, Code};
use super::field::{Array, Field};
use super::request::ResultOptions;
use super::{datetime, numeric};

/// Bytes that do not have the form of their type.
#[derive(Debug)]
pub(super) struct Malformed;

/// The bytes of a column, whatever its type.
#[derive(Debug)]
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads big-endian values from the front of a slice.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        Self(raw)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }
}

/// Converts one value.
///
/// # Errors
/// `UnsupportedResultException` for types and array forms that the Data API does not return.
pub(super) fn field(ty: &Type, raw: &[u8], options: ResultOptions) -> Result<Field, ApiError> {
    let ty = base(ty);
    let field = if let Kind::Array(member) = ty.kind() {
        if options.as_json {
            return Err(unsupported(ty.name()));
        }
        array(base(member), raw)?
    } else {
        scalar(ty, raw, options)?
    };
    field.ok_or_else(|| unsupported(ty.name()))
}

impl From<Malformed> for ApiError {
    fn from(_: Malformed) -> Self {
        Self::new(Code::InternalServerErrorException, "PostgreSQL sent a value that does not have the form of its type")
    }
}

/// The type under a domain.
fn base(ty: &Type) -> &Type {
    if let Kind::Domain(inner) = ty.kind() { base(inner) } else { ty }
}

fn unsupported(name: &str) -> ApiError {
    ApiError::new(
        Code::UnsupportedResultException,
        format!("The result contains the unsupported data type {name}; cast it to text"),
    )
}

/// The member of the `Field` union that a type is returned in.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Boolean,
    Long,
    Double,
    Text,
    Blob,
}

/// `None` if the type is not supported.
fn shape(ty: &Type) -> Option<Shape> {
    if let Kind::Enum(_) = ty.kind() {
        return Some(Shape::Text);
    }
    match *ty {
        Type::BOOL => Some(Shape::Boolean),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => Some(Shape::Long),
        Type::FLOAT4 | Type::FLOAT8 => Some(Shape::Double),
        Type::BYTEA => Some(Shape::Blob),
        Type::NUMERIC
        | Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::CHAR
        | Type::UNKNOWN
        | Type::VOID
        | Type::JSON
        | Type::JSONB
        | Type::UUID
        | Type::DATE
        | Type::TIME
        | Type::TIMESTAMP
        | Type::TIMESTAMPTZ => Some(Shape::Text),
        _ => None,
    }
}

/// `None` if the type is not supported.
fn scalar(ty: &Type, raw: &[u8], options: ResultOptions) -> Result<Option<Field>, Malformed> {
    let field = match shape(ty) {
        None => return Ok(None),
        Some(Shape::Boolean) => Field::Boolean(boolean(raw)?),
        Some(Shape::Long) if options.long_as_string => Field::Text(long(ty, raw)?.to_string()),
        Some(Shape::Long) => Field::Long(long(ty, raw)?),
        Some(Shape::Double) => Field::Double(double(ty, raw)?),
        Some(Shape::Blob) => Field::Blob(raw.to_vec()),
        Some(Shape::Text) if *ty == Type::NUMERIC && options.decimal_as_number => number(numeric::text(raw)?),
        Some(Shape::Text) => Field::Text(text(ty, raw)?),
    };
    Ok(Some(field))
}

fn boolean(raw: &[u8]) -> Result<bool, Malformed> {
    Ok(Reader::new(raw).array::<1>()? != [0])
}

fn long(ty: &Type, raw: &[u8]) -> Result<i64, Malformed> {
    let mut reader = Reader::new(raw);
    Ok(match *ty {
        Type::INT2 => i16::from_be_bytes(reader.array()?).into(),
        Type::INT4 => i32::from_be_bytes(reader.array()?).into(),
        Type::OID => u32::from_be_bytes(reader.array()?).into(),
        _ => i64::from_be_bytes(reader.array()?),
    })
}

fn double(ty: &Type, raw: &[u8]) -> Result<f64, Malformed> {
    let mut reader = Reader::new(raw);
    if *ty == Type::FLOAT4 {
        // The double with the same shortest decimal text: 1.1 stays 1.1.
        let value = f32::from_be_bytes(reader.array()?);
        return Ok(value.to_string().parse().unwrap_or_else(|_| value.into()));
    }
    Ok(f64::from_be_bytes(reader.array()?))
}

/// A decimal without a fraction becomes a long if it fits, any other a double.
fn number(text: String) -> Field {
    if let Ok(value) = text.parse::<i64>() {
        return Field::Long(value);
    }
    match text.parse::<f64>() {
        Ok(value) => Field::Double(value),
        Err(_) => Field::Text(text),
    }
}

fn text(ty: &Type, raw: &[u8]) -> Result<String, Malformed> {
    let mut reader = Reader::new(raw);
    match *ty {
        Type::NUMERIC => numeric::text(raw),
        Type::UUID => Ok(uuid::Uuid::from_bytes(reader.array()?).to_string()),
        Type::DATE => Ok(datetime::date(i32::from_be_bytes(reader.array()?))),
        Type::TIME => Ok(datetime::time(i64::from_be_bytes(reader.array()?))),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => Ok(datetime::timestamp(i64::from_be_bytes(reader.array()?))),
        // The first byte is the version of the format, 1.
        Type::JSONB => utf8(raw.get(1..).ok_or(Malformed)?),
        // One byte of any value; PostgreSQL writes those outside ASCII in octal.
        Type::CHAR => match raw {
            [0] => Ok(String::new()),
            [byte] if byte.is_ascii() => Ok(char::from(*byte).to_string()),
            [byte] => Ok(format!("\\{byte:03o}")),
            _ => Err(Malformed),
        },
        _ => utf8(raw),
    }
}

fn utf8(raw: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(raw).map(str::to_owned).map_err(|_| Malformed)
}

/// `None` if the member type is not supported.
fn array(member: &Type, raw: &[u8]) -> Result<Option<Field>, ApiError> {
    let Some(values) = members(raw)? else {
        return Err(ApiError::new(
            Code::UnsupportedResultException,
            "The result contains a multidimensional array; cast it to text",
        ));
    };
    let array = match shape(member) {
        None | Some(Shape::Blob) => return Ok(None),
        Some(Shape::Boolean) => Array::Booleans(each(&values, boolean)?),
        Some(Shape::Long) => Array::Longs(each(&values, |raw| long(member, raw))?),
        Some(Shape::Double) => Array::Doubles(each(&values, |raw| double(member, raw))?),
        Some(Shape::Text) => Array::Strings(each(&values, |raw| text(member, raw))?),
    };
    Ok(Some(Field::Array(array)))
}

fn each<T>(
    values: &[Option<&[u8]>],
    convert: impl Fn(&[u8]) -> Result<T, Malformed>,
) -> Result<Vec<Option<T>>, Malformed> {
    values.iter().map(|value| value.map(&convert).transpose()).collect()
}

/// The raw members, `None` if there is more than one dimension.
fn members(raw: &[u8]) -> Result<Option<Vec<Option<&[u8]>>>, Malformed> {
    let mut reader = Reader::new(raw);
    let dimensions = i32::from_be_bytes(reader.array()?);
    let _has_nulls: [u8; 4] = reader.array()?;
    let _member_type: [u8; 4] = reader.array()?;
    match dimensions {
        0 => return Ok(Some(Vec::new())),
        1 => {}
        _ => return Ok(None),
    }
    let length = i32::from_be_bytes(reader.array()?);
    let _lower_bound: [u8; 4] = reader.array()?;
    let mut values = Vec::new();
    for _ in 0..length {
        let size = i32::from_be_bytes(reader.array()?);
        values.push(match usize::try_from(size) {
            Ok(size) => Some(reader.take(size)?),
            Err(_) => None,
        });
    }
    Ok(Some(values))
}
