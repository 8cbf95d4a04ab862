//! One statement, read word by word.

use std::time::Duration;

use crate::error::Complaint;
use crate::nearest;
use crate::scenario::{Bound, Place, Zone};
use crate::vocabulary::{Vocabulary, ZONES};

/// Nothing in a scenario takes longer than a day.
const LONGEST: Duration = Duration::from_secs(86_400);
/// An Aurora cluster has at most 15 readers.
pub(crate) const READERS_MAX: u8 = 15;
const UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Readers of any number are read by [`Words::reader`]; the two of an ordinary cluster are listed for remedies.
const PLACES: &[(&str, Place)] = &[
    ("writer", Place::Writer),
    ("old-writer", Place::OldWriter),
    ("target", Place::Target),
    ("reader-1", Place::Reader(1)),
    ("reader-2", Place::Reader(2)),
];

/// What is left of a statement, and the word before it.
pub(crate) struct Words<'t> {
    rest: &'t str,
    last: &'t str,
}

impl<'t> Words<'t> {
    /// A statement without its comment.
    pub(crate) fn new(statement: &'t str) -> Self {
        Self { rest: statement.trim(), last: "" }
    }

    /// The next word, left where it is.
    pub(crate) fn peek(&self) -> Option<&'t str> {
        self.rest.split_whitespace().next()
    }

    /// The next word; `wanted` says what is missing when there is none.
    pub(crate) fn next(&mut self, wanted: &str) -> Result<&'t str, Complaint> {
        let Some(word) = self.peek() else {
            return Err(Complaint::new(self.last, "the line ends here", format!("add {wanted}")));
        };
        self.rest = self.rest.trim_start().strip_prefix(word).unwrap_or_default().trim_start();
        self.last = word;
        Ok(word)
    }

    /// The rest of the line as it stands.
    pub(crate) fn remainder(&mut self) -> &'t str {
        std::mem::take(&mut self.rest).trim()
    }

    /// The value that stands for the next word.
    pub(crate) fn choose<T: Copy>(&mut self, what: &str, table: &[(&str, T)]) -> Result<T, Complaint> {
        let known: Vec<&str> = table.iter().map(|(word, _)| *word).collect();
        let word = self.next(&format!("{what}: {}", known.join(", ")))?;
        table
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, value)| *value)
            .ok_or_else(|| Complaint::new(word, format!("is not {what}"), nearest::remedy(word, &known)))
    }

    /// A word of a closed set.
    pub(crate) fn named<T: Vocabulary>(&mut self) -> Result<T, Complaint> {
        self.choose(T::WHAT, T::WORDS)
    }

    /// Exactly these words.
    pub(crate) fn literally(&mut self, words: &[&str]) -> Result<(), Complaint> {
        for wanted in words {
            let word = self.next(&format!("`{}`", words.join(" ")))?;
            if word != *wanted {
                return Err(Complaint::new(word, "is not expected here", format!("write `{}`", words.join(" "))));
            }
        }
        Ok(())
    }

    /// Takes the next word if it is this one.
    pub(crate) fn take(&mut self, wanted: &str) -> bool {
        self.peek() == Some(wanted) && self.next(wanted).is_ok()
    }

    /// A time with its unit.
    pub(crate) fn duration(&mut self) -> Result<Duration, Complaint> {
        let word = self.next("a time such as 500ms, 12s, 5m or 1h")?;
        let split = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        let (digits, unit) = word.split_at(split);
        let factor = UNITS.iter().find(|(known, _)| *known == unit).map(|(_, factor)| *factor);
        let (Ok(amount), Some(factor)) = (digits.parse::<u64>(), factor) else {
            let remedy = "write a whole number with its unit: 500ms, 12s, 5m or 1h";
            return Err(Complaint::new(word, "is not a time", remedy));
        };
        let time = Duration::from_millis(amount.saturating_mul(factor));
        if time > LONGEST {
            return Err(Complaint::new(word, "is too long", "nothing in a scenario takes longer than 24h"));
        }
        Ok(time)
    }

    /// A time, if the next word begins like one.
    pub(crate) fn optional_duration(&mut self) -> Result<Duration, Complaint> {
        match self.peek() {
            Some(word) if word.starts_with(|c: char| c.is_ascii_digit()) => self.duration(),
            Some(_) | None => Ok(Duration::ZERO),
        }
    }

    /// A time that is not nothing.
    pub(crate) fn some_time(&mut self) -> Result<Duration, Complaint> {
        let word = self.peek().unwrap_or_default();
        let time = self.duration()?;
        if time.is_zero() {
            return Err(Complaint::new(word, "is no time at all", "write more than 0s"));
        }
        Ok(time)
    }

    /// A whole number up to `most`.
    pub(crate) fn number(&mut self, what: &str, most: u64) -> Result<u64, Complaint> {
        let word = self.next(what)?;
        word.parse()
            .ok()
            .filter(|number| *number <= most && word.starts_with(|c: char| c.is_ascii_digit()))
            .ok_or_else(|| Complaint::new(word, format!("is not {what}"), format!("write a number from 0 to {most}")))
    }

    /// `3` or `at most 3`.
    pub(crate) fn bound(&mut self, what: &str) -> Result<Bound, Complaint> {
        if self.take("at") {
            self.literally(&["most"])?;
            return self.number(what, u64::from(u32::MAX)).map(Bound::AtMost);
        }
        self.number(what, u64::from(u32::MAX)).map(Bound::Exactly)
    }

    /// `writer`, `old-writer`, `target` or `reader-1`.
    pub(crate) fn place(&mut self) -> Result<Place, Complaint> {
        if let Some(reader) = self.reader() {
            return reader.map(Place::Reader);
        }
        self.choose("an instance", PLACES)
    }

    /// A reader by its number, if the next word looks like one.
    pub(crate) fn reader(&mut self) -> Option<Result<u8, Complaint>> {
        let word = self.peek()?;
        let number = word.strip_prefix("reader-")?;
        let read = number.parse().ok().filter(|reader| (1..=READERS_MAX).contains(reader) && !number.starts_with('+'));
        Some(self.next("a reader").and_then(|word| {
            read.ok_or_else(|| {
                let remedy = format!("readers are counted from reader-1 to reader-{READERS_MAX} at most");
                Complaint::new(word, "is not a reader", remedy)
            })
        }))
    }

    /// `az-a`, `az-b` or `az-c`.
    pub(crate) fn zone(&mut self) -> Result<Zone, Complaint> {
        self.choose("an Availability Zone", ZONES)
    }

    /// Nothing more.
    pub(crate) fn end(&mut self) -> Result<(), Complaint> {
        match self.peek() {
            None => Ok(()),
            Some(word) => {
                let remedy = format!("end the line after `{}`, or put a # before the rest", self.last);
                Err(Complaint::new(word, "is not expected here", remedy))
            }
        }
    }
}
