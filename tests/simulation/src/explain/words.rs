//! Small turns of phrase.

use serde::Serialize;
use serde_json::Value;
use steadfast_core::time::Timestamp;

/// The longest foreign text that is shown, in characters.
const SHOWN_MAX: usize = 160;

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

/// A foreign text as it may stand on a terminal: no control characters, and not too long.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// A text field, as it may be shown.
pub(super) fn field(data: &Value, pointer: &str) -> Option<String> {
    match data.pointer(pointer)? {
        Value::Null => None,
        Value::String(text) => Some(shown(text)),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(shown(&other.to_string()))
        }
    }
}

/// Seconds from `zero` to `at`, also when it lies before.
pub(super) fn relative(zero: Timestamp, at: Timestamp) -> String {
    let (sign, apart) = if at < zero { ('-', zero.since(at)) } else { ('+', at.since(zero)) };
    format!("{sign}{:.3} s", apart.as_secs_f64())
}
