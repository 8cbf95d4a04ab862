//! Text that could not be read, told once however long it is.

use std::fmt;

use super::super::words::shown;

/// So many characters of it are shown.
const EXCERPT: usize = 60;
/// So many bytes are looked at for it: what cannot be read may be a line of many megabytes.
const LOOKED_AT: usize = 4_096;

/// Unreadable text between two values.
#[derive(Debug)]
pub(super) struct Stretch {
    line: usize,
    last: usize,
    excerpt: String,
    failure: Option<String>,
}

impl Stretch {
    /// A stretch that begins with this text.
    pub(super) fn new(line: usize, text: &str) -> Self {
        let head = telling(text);
        let mut excerpt: String = head.chars().take(EXCERPT).collect();
        if head.chars().nth(EXCERPT).is_some() {
            excerpt.push('…');
        }
        Self { line, last: line, excerpt: shown(&excerpt), failure: None }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// It has come to this line.
    pub(super) fn reaches(&mut self, line: usize) {
        self.last = self.last.max(line);
    }

    /// What begins in `line` is broken. Only the first such is told: others are its parts.
    pub(super) fn went_wrong(&mut self, line: usize, error: &serde_json::Error) {
        self.failure.get_or_insert_with(|| {
            if error.is_eof() {
                return format!("what begins in line {line} is cut off");
            }
            let told = error.to_string();
            let what = told.rsplit_once(" at line ").map_or(told.as_str(), |(what, _)| what);
            format!("what begins in line {line} is no JSON in line {}: {what}", line + error.line().saturating_sub(1))
        });
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.excerpt)?;
        if self.last > self.line {
            write!(f, " and what follows, to line {}", self.last)?;
        }
        match &self.failure {
            Some(failure) => write!(f, ": {failure}; export it again, or complete it"),
            None => write!(f, " holds no JSON that can be explained; take it out, or export it again"),
        }
    }
}

/// The first line, and those behind it up to one that is more than brackets.
fn telling(text: &str) -> String {
    let mut head = String::new();
    let bound = (0..=text.len().min(LOOKED_AT)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let lines =
        text.get(..bound).unwrap_or_default().trim_start_matches(|c: char| c == ',' || c.is_whitespace()).lines();
    for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
        if !head.is_empty() {
            head.push(' ');
        }
        head.push_str(line);
        if line.contains(char::is_alphanumeric) {
            break;
        }
    }
    head
}
