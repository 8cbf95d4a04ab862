//! The lab.

/// The RDS Data API on top of the real writer.
pub mod rds_data;
