//! Small turns of phrase.

use serde::Serialize;
use serde_json::Value;
use steadfast_core::time::Timestamp;
pub(super) use steadfast_report::{field, shown};

/// The name that a value has in our JSON, such as `fail_over`; what a variant holds stands behind it.
pub(super) fn name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        Ok(Value::Object(fields)) if fields.len() == 1 => fields
            .iter()
            .map(|(name, held)| match held.as_str() {
                Some(text) => format!("{name} {}", shown(text)),
                None => format!("{name} {held}"),
            })
            .collect(),
        Ok(other) => shown(&other.to_string()),
        Err(error) => error.to_string(),
    }
}

/// Seconds from `zero` to `at`, also when it lies before.
pub(super) fn relative(zero: Timestamp, at: Timestamp) -> String {
    let (sign, apart) = if at < zero { ('-', zero.since(at)) } else { ('+', at.since(zero)) };
    format!("{sign}{:.3} s", apart.as_secs_f64())
}
