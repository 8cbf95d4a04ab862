//! What was protected, and what was not, and why.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::statement::Refusal;

/// Statements that a report names; beyond these only the counts grow.
const NAMED_STATEMENTS: usize = 200;
/// Of a statement, the report shows so many letters.
const SHOWN_LETTERS: usize = 200;

/// Counts what this process does.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    protected: AtomicU64,
    unprotected: AtomicU64,
    in_doubt: AtomicU64,
    replays: AtomicU64,
    statements: Mutex<BTreeMap<(String, Refusal, bool), u64>>,
}

/// What this process committed since it began, and what of it was protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CoverageReport {
    /// Commits of protected transactions that were acknowledged.
    pub protected: u64,
    /// Transactions that were committed through [`crate::Client::unprotected`].
    pub unprotected: u64,
    /// COMMITs that were in doubt for a while.
    pub in_doubt: u64,
    /// Attempts beyond the first of a call.
    pub replays: u64,
    /// Statements that were refused, or kept their transaction from being replayed.
    pub statements: Vec<UncoveredStatement>,
}

/// A statement that was refused, or kept its transaction from being replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UncoveredStatement {
    /// Its text, or what was said of the side effect; the first 200 letters.
    pub text: String,
    /// Why.
    pub reason: Refusal,
    /// Whether it was refused; otherwise it ran, and only the replay is ruled out.
    pub refused: bool,
    /// How often.
    pub times: u64,
}

impl CoverageReport {
    /// The protected share of commits, from 0 to 1; None before the first.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn share(&self) -> Option<f64> {
        let all = self.protected + self.unprotected;
        (all > 0).then(|| self.protected as f64 / all as f64)
    }
}

impl Coverage {
    pub(crate) fn protected(&self) {
        self.protected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unprotected(&self) {
        self.unprotected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn in_doubt(&self) {
        self.in_doubt.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn replayed(&self) {
        self.replays.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, text: &str, reason: Refusal) {
        self.note(text, reason, true);
    }

    pub(crate) fn not_replayable(&self, text: &str, reason: Refusal) {
        self.note(text, reason, false);
    }

    pub(crate) fn report(&self) -> CoverageReport {
        let statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        let statements = statements.iter().map(|((text, reason, refused), times)| UncoveredStatement {
            text: text.clone(),
            reason: *reason,
            refused: *refused,
            times: *times,
        });
        CoverageReport {
            protected: self.protected.load(Ordering::Relaxed),
            unprotected: self.unprotected.load(Ordering::Relaxed),
            in_doubt: self.in_doubt.load(Ordering::Relaxed),
            replays: self.replays.load(Ordering::Relaxed),
            statements: statements.collect(),
        }
    }

    fn note(&self, text: &str, reason: Refusal, refused: bool) {
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        let mut name: String = text.chars().take(SHOWN_LETTERS).collect();
        if statements.len() >= NAMED_STATEMENTS && !statements.contains_key(&(name.clone(), reason, refused)) {
            "other statements".clone_into(&mut name);
        }
        *statements.entry((name, reason, refused)).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_bounded_and_counts_all() {
        let coverage = Coverage::default();
        assert_eq!(coverage.report().share(), None);
        for number in 0..500 {
            coverage.refused(&format!("COPY t{number} FROM STDIN"), Refusal::Copy);
        }
        coverage.protected();
        coverage.protected();
        coverage.protected();
        coverage.unprotected();
        let report = coverage.report();
        assert_eq!(report.share(), Some(0.75));
        assert_eq!(report.statements.len(), NAMED_STATEMENTS + 1);
        assert_eq!(report.statements.iter().map(|statement| statement.times).sum::<u64>(), 500);
    }
}
