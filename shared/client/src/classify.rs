//! What an error of the driver means for a transaction.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// What an error says of the transaction it came to, before COMMIT was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The session is of no more use, or never was: nothing was applied, and elsewhere it may work.
    Lost,
    /// The server took the transaction back because of another one (40001, 40P01).
    Conflict,
    /// The key stands in the ledger already.
    Duplicate,
    /// Somebody cancelled the statement, or its time was up: once more may do.
    Cancelled,
    /// The server's answer to what was asked; it would answer so again.
    Definite,
}

/// Before COMMIT was sent.
pub(crate) fn classify(error: &Error) -> Class {
    let Some(answer) = error.as_db_error() else {
        return if broken(error) { Class::Lost } else { Class::Definite };
    };
    let code = answer.code();
    if ends_session(answer) || *code == SqlState::READ_ONLY_SQL_TRANSACTION || outdated(answer) {
        Class::Lost
    } else if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
        Class::Conflict
    } else if *code == SqlState::UNIQUE_VIOLATION && is_of_ledger(answer) {
        Class::Duplicate
    } else if *code == SqlState::QUERY_CANCELED {
        Class::Cancelled
    } else {
        Class::Definite
    }
}

/// Whether the answer to a COMMIT leaves it open whether it took effect. An ERROR is an answer: PostgreSQL rolled
/// back. Whatever ends the session is none.
pub(crate) fn leaves_commit_open(error: &Error) -> bool {
    error.as_db_error().is_none_or(ends_session)
}

/// The primary key of `steadfast.ledger`: a table of the application may have one of the same name.
fn is_of_ledger(answer: &DbError) -> bool {
    (answer.schema(), answer.table(), answer.constraint()) == (Some("steadfast"), Some("ledger"), Some("ledger_pkey"))
}

fn ends_session(answer: &DbError) -> bool {
    match answer.parsed_severity() {
        Some(Severity::Error) => ["57P", "08"].iter().any(|class| answer.code().code().starts_with(class)),
        Some(Severity::Fatal | Severity::Panic) => true,
        // Warnings and less are never errors; a severity in another language may be anything.
        _ => answer.severity() != "ERROR",
    }
}

/// What the session had prepared is no more: DDL changed it, or somebody deallocated it.
fn outdated(answer: &DbError) -> bool {
    *answer.code() == SqlState::INVALID_SQL_STATEMENT_NAME
        || (*answer.code() == SqlState::FEATURE_NOT_SUPPORTED && answer.routine() == Some("RevalidateCachedQuery"))
}

/// What the driver could not put into a message (a NUL in a text) is an error of input or output too, and the
/// session is none the worse for it.
fn broken(error: &Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    error.is_closed() || io.is_some_and(|io| io.kind() != std::io::ErrorKind::InvalidInput)
}
