//! Numbers and names as people read them.

use serde::Serialize;
use serde_json::Value;

/// The longest foreign text that is shown, in characters.
const SHOWN_MAX: usize = 240;

/// A duration in a sentence, such as `1.06 s`, `38 ms` or `2 min 5 s`.
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 0.1 {
        format!("{:.0} ms", seconds * 1_000.0)
    } else if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else if seconds < 119.95 {
        format!("{seconds:.1} s")
    } else {
        let whole = seconds.round();
        format!("{:.0} min {:.0} s", (whole / 60.0).floor(), whole % 60.0)
    }
}

/// A moment in a table, such as `+0.693`; the unit stands in the head of the column.
pub(crate) fn moment(seconds: f64) -> String {
    // No "-0.000".
    if seconds.abs() < 0.0005 { "0.000".to_owned() } else { format!("{seconds:+.3}").replace('-', "\u{2212}") }
}

/// A number with a space between thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `1 write`, `2 writes`.
pub(crate) fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { several })
}

/// The name that a value has in our JSON, with spaces: `bad credentials`.
pub(crate) fn name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name.replace('_', " "),
        Ok(other) => shown(&other.to_string()),
        Err(error) => error.to_string(),
    }
}

/// A foreign text as it may be shown: no control characters, and not too long.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// A text, number or flag within foreign JSON.
pub fn field(data: &Value, pointer: &str) -> Option<String> {
    match data.pointer(pointer)? {
        Value::Null => None,
        Value::String(text) => Some(shown(text)),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(shown(&other.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_fits_and_no_digits_that_mean_nothing() {
        for (seconds, words) in [
            (-1.0, "0 ms"),
            (0.0381, "38 ms"),
            (0.25, "0.25 s"),
            (1.064, "1.06 s"),
            (31.27, "31.3 s"),
            (119.99, "2 min 0 s"),
            (125.0, "2 min 5 s"),
        ] {
            assert_eq!(duration(seconds), words);
        }
        assert_eq!([moment(0.6917), moment(-0.25), moment(-0.0001)], ["+0.692", "\u{2212}0.250", "0.000"]);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567)],
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
        assert_eq!(counted(1, "write", "writes"), "1 write");
    }

    #[test]
    fn foreign_text_is_cut_and_holds_no_control_characters() {
        assert_eq!(shown("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
        assert_eq!(shown(&"x".repeat(1_000)).chars().count(), SHOWN_MAX + 1);
    }
}
