//! A writer for the answers: elements in order, text escaped.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NAMESPACE: &str = "http://rds.amazonaws.com/doc/2014-10-31/";

#[derive(Debug, Default)]
pub(super) struct Xml(String);

impl Xml {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// The same with more elements before the last `end`.
    pub(super) fn inserted(mut self, end: &str, more: &Self) -> Self {
        if let Some(at) = self.0.rfind(end) {
            self.0.insert_str(at, &more.0);
        }
        self
    }

    /// The outermost element, with the service's namespace.
    pub(super) fn root(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.0.push_str(&format!("<{name} xmlns=\"{NAMESPACE}\">"));
        fill(self);
        self.0.push_str(&format!("</{name}>"));
    }

    pub(super) fn group(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.0.push_str(&format!("<{name}>"));
        fill(self);
        self.0.push_str(&format!("</{name}>"));
    }

    pub(super) fn text(&mut self, name: &str, value: impl Display) {
        let value: String = value.to_string().chars().map(allowed).collect();
        let escaped = quick_xml::escape::escape(value.as_str());
        self.0.push_str(&format!("<{name}>{escaped}</{name}>"));
    }

    pub(super) fn time(&mut self, name: &str, at_ms: u64) {
        self.text(name, iso8601(at_ms));
    }

    /// A list of plain texts.
    pub(super) fn texts<T: Display>(&mut self, name: &str, entry: &str, values: impl IntoIterator<Item = T>) {
        self.group(name, |list| {
            for value in values {
                list.text(entry, value);
            }
        });
    }

    pub(super) fn tags(&mut self, tags: &[(String, String)]) {
        self.group("TagList", |list| {
            for (key, value) in tags {
                list.group("Tag", |tag| {
                    tag.text("Key", key);
                    tag.text("Value", value);
                });
            }
        });
    }
}

/// Wraps an action's result the way the Query protocol does.
pub(super) fn response(action: &str, request_id: &str, result: &Xml) -> String {
    let mut xml = Xml::new();
    xml.root(&format!("{action}Response"), |response| {
        response.group(&format!("{action}Result"), |inner| inner.0.push_str(&result.0));
        response.group("ResponseMetadata", |metadata| {
            metadata.text("RequestId", request_id);
        });
    });
    xml.into_string()
}

/// XML 1.0 has no way to write most control characters.
fn allowed(character: char) -> char {
    match character {
        '\t' | '\n' | '\r' => character,
        '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        _ => character,
    }
}

/// `2018-10-06T12:26:13.882Z`, always with three decimals.
pub(super) fn iso8601(at_ms: u64) -> String {
    // Year 9999 ends here; later times cannot be written.
    let at_ms = at_ms.min(253_402_300_799_999);
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(at_ms)).to_string()
}

pub(super) fn now_ms() -> u64 {
    epoch_ms(SystemTime::now())
}

pub(super) fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
