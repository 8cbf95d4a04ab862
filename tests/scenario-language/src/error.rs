//! What is wrong with a file, where, and what to write instead.

use std::fmt;

/// One thing that is wrong in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: `{}`: {problem}; {remedy}", word.escape_debug())]
pub struct ParseError {
    /// The scenario's file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The word it is about, as written.
    pub word: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

/// Everything that is wrong in one file, in the order of its lines; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseErrors(pub(crate) Vec<ParseError>);

impl ParseErrors {
    /// The errors, by line.
    pub fn iter(&self) -> impl Iterator<Item = &ParseError> {
        self.0.iter()
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseErrors {}

/// What is wrong with a statement, before it is known where the statement stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) word: String,
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

impl Complaint {
    pub(crate) fn new(word: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { word: word.into(), problem: problem.into(), remedy: remedy.into() }
    }

    pub(crate) fn at(self, file: &str, line: usize) -> ParseError {
        let Self { word, problem, remedy } = self;
        ParseError { file: file.to_owned(), line, word, problem, remedy }
    }
}
