//! The RDS control plane: the AWS Query protocol (POST, form encoded, XML answers, version
//! 2014-10-31) and Aurora's platform behaviour, on top of real database nodes.
//!
//! What the platform does by itself, with its delays, is in [`Timing`]; what can be made to go
//! wrong is in [`FaultKind`] for a request and in [`Failovers`] for the platform. Every request is recorded ([`ApiCall`]), and so is every change of
//! the writer ([`Promotion`]).

mod actions;
mod beside;
mod condition;
mod config;
mod core;
mod error;
mod event;
mod failover;
mod fault;
mod form;
mod log;
mod nodes;
mod server;
mod watch;
mod xml;

#[cfg(test)]
mod tests;

pub use beside::{OWN_GROUP, RestoreFrom, Snapshot, Vault};
pub use condition::{Closure, FailoverRefused, Failovers, Pause};
pub use config::{InstanceConfig, PlatformConfig, Timing};
pub use core::PendingMaintenance;
pub use event::{RdsEvent, SourceType};
pub use fault::FaultKind;
pub use log::{ApiCall, Outcome, Promotion, PromotionResult, Trigger};
pub use nodes::{NodeHealth, Nodes, NodesError};
pub use server::{Rds, StartError};
