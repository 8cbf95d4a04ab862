//! Rotation of a database password: two users take turns, so that no password in use is ever changed.
//!
//! Secrets Manager asks for four steps (Secrets Manager guide, "Lambda function rotation"). Each judges itself from
//! the observed world, so that any of them may be repeated, and whoever dies anywhere is followed by the next one.
//! A rotation and an episode exclude each other through the state table: a rotation is announced there only while
//! no episode is open and nobody holds the lease, and a planned switchover waits while one is announced. An
//! unplanned failover waits for nobody: a rotation that it meets finds nothing changed that anybody uses.

pub mod alternate;
pub mod blocked;
pub mod document;
pub mod executor;
pub mod observed;
pub mod request;
pub mod row;
pub mod step;
pub mod sweep;

pub use alternate::alternate;
pub use blocked::Blocked;
pub use document::{Document, DocumentError};
pub use observed::{Database, Login, Observed, Role, Seated, Server};
pub use request::Request;
pub use row::{Effect, Phase, Rotation};
pub use step::{Action, Progress, Step};
