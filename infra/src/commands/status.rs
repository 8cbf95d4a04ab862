use clap::Args;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::state::Table;
use steadfast_aws::{clients, clock};
use steadfast_core::topology::{ClusterId, Deployment};
use steadfast_infra::status;

use super::{Outcome, say};

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Name of the state table, which is the installation's.
    #[arg(long)]
    table: String,
    /// Identifier of the DB cluster.
    #[arg(long, required_unless_present = "instance", conflicts_with = "instance")]
    cluster: Option<String>,
    /// Identifier of the RDS Multi-AZ DB instance.
    #[arg(long)]
    instance: Option<String>,
}

pub(crate) async fn run(wanted: &Status) -> Outcome {
    let (id, deployment) = match (&wanted.cluster, &wanted.instance) {
        (Some(cluster), _) => (ClusterId::new(cluster), Deployment::Cluster),
        (None, Some(instance)) => (ClusterId::new(instance), Deployment::Instance),
        (None, None) => return Err("name a --cluster or an --instance".into()),
    };
    let config = clients::shared().await;
    let table = Table::new(clients::dynamodb(&config), wanted.table.clone());
    let rds = Rds::new(clients::rds(&config), deployment);
    let (state, topology) = tokio::join!(table.load(&id), rds.describe(&id));
    let topology = topology.map_err(|error| error.to_string());
    Ok(say(&status::print(&id, &state?, &topology, clock::now()))?)
}
