//! What can go wrong, and what it means for what was asked.

use std::error::Error as _;
use std::time::Duration;

use crate::config::Endpoint;
use crate::key::Key;
use crate::statement::Refusal;

/// Why there is no session with an instance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It has no address, or TCP failed.
    #[error("{endpoint} cannot be reached: {cause}")]
    Unreachable {
        /// The instance.
        endpoint: Endpoint,
        /// The network's words.
        cause: std::io::Error,
    },
    /// Nothing answered in time.
    #[error("{endpoint} is silent: no session within {limit:?}")]
    Silent {
        /// The instance.
        endpoint: Endpoint,
        /// The limit.
        limit: Duration,
    },
    /// The host name cannot stand in a certificate.
    #[error("{endpoint} is no name that TLS can verify: {cause}")]
    Name {
        /// The instance.
        endpoint: Endpoint,
        /// The words of TLS.
        cause: String,
    },
    /// The server, or TLS, said no.
    #[error("{endpoint} refused: {}", words(.cause))]
    Refused {
        /// The instance.
        endpoint: Endpoint,
        /// The driver's words.
        cause: tokio_postgres::Error,
    },
    /// It is not the writer.
    #[error("{endpoint} is a reader")]
    Reader {
        /// The instance.
        endpoint: Endpoint,
    },
    /// It was the writer before another one was.
    #[error("{endpoint} is an old writer: its epoch is {epoch}, {seen} was seen")]
    Fenced {
        /// The instance.
        endpoint: Endpoint,
        /// Its epoch.
        epoch: i64,
        /// The highest one seen.
        seen: i64,
    },
    /// It claims to be the writer, and its commit was not acknowledged.
    #[error("{endpoint} claims to be the writer and did not prove it: {cause}")]
    Unproved {
        /// The instance.
        endpoint: Endpoint,
        /// What was seen.
        cause: String,
    },
    /// The schema is not there, or not for this role.
    #[error("{endpoint}: {}; run `infra bootstrap` and grant steadfast_application to the role", words(.cause))]
    Schema {
        /// The instance.
        endpoint: Endpoint,
        /// The server's words.
        cause: tokio_postgres::Error,
    },
    /// Commits would be acknowledged before they are safe.
    #[error("{endpoint} has synchronous_commit = {setting}: acknowledged commits could be lost; set it to on")]
    Unsafe {
        /// The instance.
        endpoint: Endpoint,
        /// Its setting.
        setting: String,
    },
    /// There is no proved writer at the moment.
    #[error("no instance has proved that it is the writer")]
    NoWriter,
}

impl ConnectError {
    /// Which instance it is about.
    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Unreachable { endpoint, .. }
            | Self::Silent { endpoint, .. }
            | Self::Name { endpoint, .. }
            | Self::Refused { endpoint, .. }
            | Self::Reader { endpoint }
            | Self::Fenced { endpoint, .. }
            | Self::Unproved { endpoint, .. }
            | Self::Schema { endpoint, .. }
            | Self::Unsafe { endpoint, .. } => Some(endpoint),
            Self::NoWriter => None,
        }
    }

    /// Whether it shows what to mend; an instance that is down or a reader does not.
    pub(crate) fn is_telling(&self) -> bool {
        match self {
            Self::Name { .. }
            | Self::Refused { .. }
            | Self::Fenced { .. }
            | Self::Unproved { .. }
            | Self::Schema { .. }
            | Self::Unsafe { .. } => true,
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Reader { .. } | Self::NoWriter => false,
        }
    }
}

/// Why a call got no session in time. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// Too many calls wait already.
    #[error("{calls} calls wait for a writer already; this one was turned away")]
    Full {
        /// How many wait.
        calls: usize,
    },
    /// The deadline passed.
    #[error("no session with a proved writer within {waited:?}{}", last_refusal(.refusal.as_deref()))]
    Expired {
        /// How long it was waited.
        waited: Duration,
        /// Which instance refused last, and why, if one did: wrong credentials, a missing grant, a setting.
        refusal: Option<String>,
    },
}

/// Why a transaction was not applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// There was no writer for it.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// The database said no, or the connection was lost and the transaction could not be replayed.
    #[error("{}", words(.0))]
    Database(std::sync::Arc<tokio_postgres::Error>),
    /// The answer to a COMMIT came with a warning: it may not be replicated.
    #[error("the answer to COMMIT came with a warning")]
    Warned,
    /// A statement or the COMMIT was not answered in time, and the transaction could not be replayed.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// It may not stand in a protected transaction, nor be run with [`crate::Client::unprotected`]; nothing was sent.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The replay saw something else than the application saw before.
    #[error("statement {at} gave another result when it was replayed; the first error was: {original}")]
    Diverged {
        /// Number of the statement, from 0.
        at: usize,
        /// Why it was replayed.
        original: Box<Cause>,
    },
    /// It was lost, and must not be replayed.
    #[error("not replayed, since {reason}; the first error was: {original}")]
    NotReplayed {
        /// Why not.
        reason: Refusal,
        /// What happened.
        original: Box<Cause>,
    },
    /// A statement was begun and not awaited, or failed and its error was not returned.
    #[error("statement {at} failed or was not awaited, and the closure went on")]
    Unfinished {
        /// Number of the statement, from 0.
        at: usize,
    },
    /// A parameter does not fit its statement.
    #[error("{0}")]
    Parameters(String),
    /// The result cannot be recorded.
    #[error("the result cannot be recorded: {0}")]
    Result(serde_json::Error),
    /// The key is older than [`crate::KEY_AGE_MAX`], and not in the ledger: it was not applied, or its row is pruned.
    #[error("the key is {age:?} old and not in the ledger; whether it was applied may be forgotten")]
    Expired {
        /// Its age.
        age: Duration,
    },
}

/// What became of a call that did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The closure's own error. Nothing was applied, and no attempt of this call can be applied later. The key is
    /// free, unless an attempt before was in doubt: then it was given up.
    #[error("{0}")]
    Application(E),
    /// Nothing was applied, and no attempt of this call can be applied later.
    #[error("not applied: {cause}")]
    NotApplied {
        /// Why.
        cause: Cause,
        /// Whether the key was given up with it: then it is never applied, and another try needs another key.
        spent: bool,
    },
    /// The key was given up before, by this process or another. It was not applied and never will be.
    #[error("{0} was given up; it is not applied and never will be")]
    Abandoned(Key),
    /// It is not known yet, and the deadline has passed. Ask again with [`crate::Client::outcome`], or run it again
    /// with the same key; with another key it may be applied twice.
    #[error("{key} is undecided: {cause}; ask again with the same key")]
    Undecided {
        /// The key.
        key: Key,
        /// What stood in the way.
        cause: Cause,
    },
    /// The key is older than [`crate::KEY_AGE_MAX`], and not in the ledger. This call did nothing; an earlier one may have
    /// applied it, and its row be pruned. Compare with the application's own tables before another key is used.
    #[error("{key} is {age:?} old and not in the ledger: this call did nothing, and an earlier one may be forgotten")]
    Forgotten {
        /// The key.
        key: Key,
        /// Its age.
        age: Duration,
    },
    /// It is applied, but what it recorded is not of the type asked for.
    #[error("{key} is applied; its recorded result is not readable: {cause}")]
    Unreadable {
        /// The key.
        key: Key,
        /// Why not.
        cause: serde_json::Error,
    },
}

/// What a statement in a closure fails with. Return it: the client decides what follows, whatever it is turned into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The server's answer, or the driver's.
    #[error("{}", words(.0))]
    Database(std::sync::Arc<tokio_postgres::Error>),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// It may not stand in a protected transaction; nothing was sent.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The number of rows was not what was asked for.
    #[error("{rows} rows where one was asked for")]
    Rows {
        /// How many there were.
        rows: usize,
    },
    /// The attempt is over: it failed earlier, has ended, or the replay went another way. Return this error.
    #[error("this attempt of the transaction is over; return the error")]
    Over,
}

impl StatementError {
    /// The SQLSTATE, if the server answered.
    #[must_use]
    pub fn code(&self) -> Option<&tokio_postgres::error::SqlState> {
        match self {
            Self::Database(error) => error.code(),
            Self::Silent(_) | Self::Refused(_) | Self::Rows { .. } | Self::Over => None,
        }
    }
}

/// The driver's error with what is behind it: by itself it says no more than "db error".
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(answer), _) => format!("{}: {} ({})", answer.severity(), answer.message(), answer.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

fn last_refusal(refusal: Option<&str>) -> String {
    refusal.map(|words| format!("; the last refusal: {words}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_in_vain_is_told_what_the_server_said() {
        let waited = Duration::from_secs(60);
        let alone = HoldError::Expired { waited, refusal: None };
        assert_eq!(alone.to_string(), "no session with a proved writer within 60s");
        let refusal = Some("orders-1:5432 refused: no (28P01)".to_owned());
        let told = Cause::from(HoldError::Expired { waited, refusal }).to_string();
        assert!(told.ends_with("; the last refusal: orders-1:5432 refused: no (28P01)"), "{told}");
    }
}
