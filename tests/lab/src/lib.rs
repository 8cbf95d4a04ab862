//! The lab: a real three-node PostgreSQL cluster, its control plane, local AWS and the real
//! function binaries, put together so that a function cannot tell it from an account.
//!
//! A function reaches it only through the AWS SDK, SQL and DNS.

pub mod assembly;
pub mod dns;
pub mod drill;
pub mod emulator;
mod endpoint;
pub mod fis;
pub mod lambda;
pub mod network;
pub mod postgres;
pub mod proxy;
pub mod rds;
pub mod rds_data;
pub mod secrets;
pub mod services;
pub mod workload;
