//! The functions' sources as a graph: who calls whom, and which operations of AWS are at its ends.
//!
//! Receivers are told apart by the types of the fields and parameters that have their names. What cannot be told apart
//! is reported, never passed over.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a source that cannot be read fails its test, and syntax that is not looked at has no end"
)]

mod graph;
mod read;

pub(crate) use graph::{Reached, reached};
pub(crate) use read::Sources;
