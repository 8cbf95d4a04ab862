use std::path::PathBuf;

use aws_config::SdkConfig;
use aws_sdk_rdsdata::config::retry::RetryConfig;
use clap::Args;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::postgres::Connector;
use steadfast_aws::resolver::Resolver;
use steadfast_aws::{clients, secret};
use steadfast_core::topology::{ClusterId, Deployment};
use steadfast_infra::bootstrap::{self, Connection, DataApi, Login};

use super::Outcome;

#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    /// ARN of the DB cluster; its Data API must be enabled.
    #[arg(long, required_unless_present = "instance", conflicts_with = "instance")]
    cluster_arn: Option<String>,
    /// Identifier of the Multi-AZ DB instance; it must be reached from here.
    #[arg(long, requires = "ca_file")]
    instance: Option<String>,
    /// PEM bundle of the RDS certificate authorities, for a Multi-AZ DB instance.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// ARN of the secret of a role that may create schemas and roles.
    #[arg(long)]
    admin_secret_arn: String,
    /// Name of the database.
    #[arg(long)]
    database: String,
    /// ARN of the prober's secret: its user is created with its password.
    #[arg(long)]
    prober_secret_arn: String,
    /// ARN of the drainer's secret: its user is created with its password. A Multi-AZ DB instance has no drainer.
    #[arg(long, required_unless_present = "instance")]
    drainer_secret_arn: Option<String>,
    /// ARN of the application probe's secret, where there is one: its user is created with its password.
    #[arg(long)]
    application_probe_secret_arn: Option<String>,
}

pub(crate) async fn run(wanted: Bootstrap) -> Outcome {
    let config = clients::shared().await;
    let secrets = clients::secretsmanager(&config);
    let prober = secret::credentials(&secrets, &wanted.prober_secret_arn).await?;
    let mut logins = vec![Login { credentials: prober, group: "steadfast_probe" }];
    if let Some(drainer) = &wanted.drainer_secret_arn {
        logins.push(Login { credentials: secret::credentials(&secrets, drainer).await?, group: "steadfast_drain" });
    }
    if let Some(probe) = &wanted.application_probe_secret_arn {
        logins.push(Login { credentials: secret::credentials(&secrets, probe).await?, group: "steadfast_transfer" });
    }
    match (&wanted.cluster_arn, &wanted.instance, &wanted.ca_file) {
        (Some(cluster_arn), _, _) => bootstrap::bootstrap(&data_api(&config, cluster_arn, &wanted), &logins).await?,
        (None, Some(instance), Some(ca_file)) => {
            let topology = Rds::new(clients::rds(&config), Deployment::Instance);
            let topology = topology.describe(&ClusterId::new(instance)).await?;
            let connector = Connector::new(ca_file, Resolver::new(None)?)?;
            let admin = secret::credentials(&secrets, &wanted.admin_secret_arn).await?;
            let (host, port) = (topology.endpoint, topology.port);
            let database = Connection::open(&connector, host, port, &wanted.database, &admin).await?;
            bootstrap::bootstrap(&database, &logins).await?;
        }
        (None, _, _) => return Err("name a --cluster-arn, or an --instance with its --ca-file".into()),
    }
    tracing::info!(database = wanted.database, "the schema and the roles are in place");
    Ok(())
}

fn data_api(config: &SdkConfig, cluster_arn: &str, wanted: &Bootstrap) -> DataApi {
    // A statement of the Data API may run for 45 s, and a retried one would run twice.
    let once = aws_sdk_rdsdata::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .timeout_config(aws_config::timeout::TimeoutConfig::disabled())
        .build();
    DataApi {
        client: aws_sdk_rdsdata::Client::from_conf(once),
        cluster_arn: cluster_arn.to_owned(),
        admin_secret_arn: wanted.admin_secret_arn.clone(),
        name: wanted.database.clone(),
    }
}
