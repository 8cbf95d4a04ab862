//! The scenario language: small text files that say what fails when, and what is expected of it.
//!
//! A scenario is written once and run twice: by the simulation, in milliseconds of virtual time, and
//! by the lab, on real PostgreSQL with the real functions.

mod scenario;

pub use scenario::*;
