//! The operator's console: one screen with all that matters about one installation, and the three orders.
//!
//! It needs `dynamodb:Query` and `dynamodb:GetItem` on the state table, `rds:DescribeDBClusters` and
//! `rds:DescribeDBInstances`, and for orders `lambda:InvokeFunction` on the coordinator. It writes nothing itself: an
//! order is an invocation of the coordinator, with the operator's name as its reason.

mod draw;
mod look;
mod order;
mod paint;
mod practice;
mod screen;
mod seen;
mod terminal;

use std::io::IsTerminal as _;

use aws_config::SdkConfig;
use clap::Args;
use steadfast_aws::clients;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::siblings::Sibling;
use steadfast_aws::state::Table;
use steadfast_core::topology::{ClusterId, Deployment};

pub use draw::draw;
pub use order::Order;
pub use paint::Line;
pub use screen::{Action, Screen};
pub use seen::Seen;

/// What is watched.
#[derive(Debug, Args)]
pub struct Watch {
    /// Identifier of the DB cluster.
    #[arg(long, env = "STEADFAST_CLUSTER", required_unless_present = "instance", conflicts_with = "instance")]
    cluster: Option<String>,
    /// Identifier of the Multi-AZ DB instance.
    #[arg(long, env = "STEADFAST_INSTANCE")]
    instance: Option<String>,
    /// Name of the state table.
    #[arg(long, env = "STEADFAST_TABLE")]
    table: String,
    /// Name or ARN of the coordinator; without it nothing can be ordered.
    #[arg(long, env = "STEADFAST_COORDINATOR")]
    coordinator: Option<String>,
    /// Print one look as text and end: for a pipe, or a log.
    #[arg(long)]
    once: bool,
}

/// All that the console reaches.
pub(crate) struct Reach {
    pub(crate) id: ClusterId,
    pub(crate) deployment: Deployment,
    pub(crate) rds: Rds,
    pub(crate) table: Table,
    pub(crate) coordinator: Option<Sibling>,
}

/// Why the console could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Neither a cluster nor an instance was named.
    #[error("nothing to watch: name a --cluster or an --instance")]
    Nothing,
    /// There is no terminal.
    #[error("the console needs a terminal on its input and output; --once prints one look as text")]
    NoTerminal,
    /// The terminal refused.
    #[error("terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Shows the console until the operator leaves it. Dropping it leaves the terminal as it is: cancel with `q`.
///
/// # Errors
///
/// When nothing is named, or there is no terminal. What AWS refuses is shown on the screen.
pub async fn watch(config: &SdkConfig, wanted: Watch) -> Result<(), WatchError> {
    let once = wanted.once;
    let reach = reach(config, wanted)?;
    if once {
        return terminal::print(&reach).await;
    }
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Err(WatchError::NoTerminal);
    }
    terminal::show(reach).await
}

fn reach(config: &SdkConfig, wanted: Watch) -> Result<Reach, WatchError> {
    let (id, deployment) = match (wanted.cluster, wanted.instance) {
        (Some(cluster), _) => (cluster, Deployment::Cluster),
        (None, Some(instance)) => (instance, Deployment::Instance),
        (None, None) => return Err(WatchError::Nothing),
    };
    let coordinator = wanted.coordinator.map(|name| Sibling::new(clients::lambda(config), name));
    Ok(Reach {
        id: ClusterId::new(id),
        deployment,
        rds: Rds::new(clients::rds(config), deployment),
        table: Table::new(clients::dynamodb(config), wanted.table),
        coordinator,
    })
}
