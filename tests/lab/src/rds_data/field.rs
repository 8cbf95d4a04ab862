//! The `Field` union of a response.

use base64::Engine as _;
use serde_json::{Value, json};

/// One value of a result set.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Null,
    Boolean(bool),
    Long(i64),
    Double(f64),
    Text(String),
    Blob(Vec<u8>),
    Array(Array),
}

/// A one-dimensional array; its members may be NULL.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Array {
    Booleans(Vec<Option<bool>>),
    Longs(Vec<Option<i64>>),
    Doubles(Vec<Option<f64>>),
    Strings(Vec<Option<String>>),
}

impl Field {
    /// The union on the wire: an object with one member.
    pub(super) fn to_wire(&self) -> Value {
        match self {
            Self::Null => json!({ "isNull": true }),
            Self::Boolean(_) => json!({ "booleanValue": self.to_plain() }),
            Self::Long(_) => json!({ "longValue": self.to_plain() }),
            Self::Double(_) => json!({ "doubleValue": self.to_plain() }),
            Self::Text(_) => json!({ "stringValue": self.to_plain() }),
            Self::Blob(_) => json!({ "blobValue": self.to_plain() }),
            Self::Array(array) => json!({ "arrayValue": array.to_wire() }),
        }
    }

    /// The bare JSON value, as `formattedRecords` holds it.
    pub(super) fn to_plain(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => json!(value),
            Self::Long(value) => json!(value),
            Self::Double(value) => double(*value),
            Self::Text(value) => json!(value),
            Self::Blob(value) => json!(base64::engine::general_purpose::STANDARD.encode(value)),
            Self::Array(array) => array.to_plain(),
        }
    }
}

impl Array {
    fn to_wire(&self) -> Value {
        let name = match self {
            Self::Booleans(_) => "booleanValues",
            Self::Longs(_) => "longValues",
            Self::Doubles(_) => "doubleValues",
            Self::Strings(_) => "stringValues",
        };
        json!({ name: self.to_plain() })
    }

    fn to_plain(&self) -> Value {
        match self {
            Self::Booleans(members) => json!(members),
            Self::Longs(members) => json!(members),
            Self::Doubles(members) => members.iter().map(|member| member.map_or(Value::Null, double)).collect(),
            Self::Strings(members) => json!(members),
        }
    }
}

/// JSON has no number for these three; the AWS JSON protocols write them as strings.
fn double(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value == f64::INFINITY {
        json!("Infinity")
    } else if value == f64::NEG_INFINITY {
        json!("-Infinity")
    } else {
        json!(value)
    }
}
