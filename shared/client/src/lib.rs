//! What applications embed: protected transactions that always have an outcome and are applied once.
//!
//! A protected transaction carries a [`Key`]. Its first round trip begins it, takes the gate's shared lock and writes
//! a row with the key into the ledger, so the row commits with it or not at all. A COMMIT whose answer is lost is
//! decided on the writer of the day by writing the same key: the key is unique, so either the row is found, or no
//! earlier attempt can commit any more. The decision is always a commit, never a read, and never `pg_xact_status`: after
//! a failover a transaction id can be another transaction's.

mod call;
mod classify;
mod client;
mod commit;
mod config;
mod coverage;
mod decide;
mod error;
mod event;
mod hold;
#[cfg(feature = "journal")]
pub mod journal;
mod key;
mod lent;
mod network;
mod outcome;
mod pool;
mod session;
mod source;
mod statement;
mod topology;
mod transaction;

pub use client::Client;
pub use commit::{Parameter, Step};
pub use config::{Addresses, CertificateError, Config, Credentials, Endpoint, KEY_AGE_MAX, Limits, Resolve, tls};
pub use coverage::{CoverageReport, UncoveredStatement};
pub use error::{Cause, ConnectError, Error, HoldError, StatementError};
pub use event::Event;
pub use key::Key;
pub use lent::LentSession;
pub use outcome::{Fate, Isolation, Options, Outcome, Replay};
pub use pool::WriterSessions;
pub use session::Session;
pub use statement::Refusal;
pub use transaction::Tx;
