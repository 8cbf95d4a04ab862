//! The lab.

/// The RDS control plane on top of real database nodes.
pub mod rds;
