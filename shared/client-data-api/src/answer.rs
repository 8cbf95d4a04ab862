//! What an answer of the service means for a transaction.

use aws_sdk_rdsdata::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(crate) struct Failure {
    words: String,
    /// The SQLSTATE of the database's error, if that is what it was.
    state: Option<String>,
}

impl Failure {
    pub(crate) fn of<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug,
        SdkError<E, R>: std::error::Error,
    {
        let answer = error.as_service_error();
        let from_database = answer.filter(|answer| answer.code() == Some("DatabaseErrorException"));
        let state = from_database.and_then(ProvideErrorMetadata::message).and_then(state);
        Self { words: DisplayErrorContext(error).to_string(), state }
    }

    pub(crate) fn unanswered(words: &str) -> Self {
        Self { words: words.to_owned(), state: None }
    }

    /// The key stands in the ledger already.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.state.as_deref() == Some("23505")
    }

    /// Whether it is the database's word that the transaction was rolled back. What ended its session is none: the
    /// COMMIT may have taken effect before (classes 08 and 57).
    pub(crate) fn is_rollback(&self) -> bool {
        self.state.as_deref().is_some_and(|state| !state.starts_with("08") && !state.starts_with("57"))
    }
}

/// `ERROR: …; SQLState: 23505`, as the service words it.
fn state(message: &str) -> Option<String> {
    let (_, state) = message.rsplit_once("; SQLState: ")?;
    (state.len() == 5).then(|| state.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_databases_own_word_is_a_rollback() {
        let failure = |state: Option<&str>| Failure { words: String::new(), state: state.map(str::to_owned) };
        assert!(failure(Some("23505")).is_rollback() && failure(Some("40001")).is_rollback());
        for open in [None, Some("08006"), Some("57P01")] {
            assert!(!failure(open).is_rollback(), "{open:?}");
        }
        assert_eq!(state("ERROR: x; SQLState: 25P02").as_deref(), Some("25P02"));
        assert_eq!(state("Transaction 1 is not found"), None);
    }
}
