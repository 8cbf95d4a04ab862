//! A real three-node PostgreSQL cluster with quorum-synchronous replication.
//!
//! Node 1 to 3 stand in AZ 1 to 3. The cluster is only what Aurora's storage and control plane
//! would be: it never decides to fail over, it carries out what it is told.

mod account;
mod admin;
mod aurora;
mod backup;
mod binaries;
mod certificates;
mod cluster;
mod directory;
mod error;
mod faults;
mod node;
mod process;
mod promotion;
mod quorum;
mod rejoin;
mod salvage;
mod settings;
mod standby;
mod start;

pub use backup::{BaseBackup, Damage, RestoredServer};
pub use binaries::Binaries;
pub use cluster::{Cluster, ClusterConfig, ClusterNames};
pub use error::ClusterError;
pub use node::NodeState;
pub use promotion::{Fence, Promotion, Source};
pub use rejoin::{Rejoin, RejoinMethod};
pub use standby::Lsn;

#[cfg(test)]
mod tests;
