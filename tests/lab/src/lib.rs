//! The lab.

/// Local AWS services in a process of their own.
pub mod emulator;
