//! The lab.

/// Local AWS services in a process of their own.
pub mod emulator;
/// The RDS control plane on top of real database nodes.
pub mod rds;
/// The RDS Data API on top of real PostgreSQL.
pub mod rds_data;
