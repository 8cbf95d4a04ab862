//! The lab.

/// DNS of the lab.
pub mod dns;
/// Local AWS services in a process of their own.
pub mod emulator;
/// Lambda functions behind the real Runtime and Invoke APIs.
pub mod lambda;
/// The loopback addresses of one lab.
pub mod network;
/// A three-node PostgreSQL cluster.
pub mod postgres;
/// TCP proxies that inject faults.
pub mod proxy;
/// The RDS control plane on top of real database nodes.
pub mod rds;
/// The RDS Data API on top of real PostgreSQL.
pub mod rds_data;
