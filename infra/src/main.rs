//! `infra`: makes an installation ready.

use aws_sdk_rdsdata::config::retry::RetryConfig;
use clap::{Parser, Subcommand};
use steadfast_aws::{clients, log, secret};
use steadfast_infra::bootstrap::{self, Database, Login};

/// Makes an installation of Steadfast ready.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create or complete the database schema and the functions' roles, through the RDS Data API.
    Bootstrap {
        /// ARN of the DB cluster; its Data API must be enabled.
        #[arg(long)]
        cluster_arn: String,
        /// ARN of the secret of a role that may create schemas and roles.
        #[arg(long)]
        admin_secret_arn: String,
        /// Name of the database.
        #[arg(long)]
        database: String,
        /// ARN of the prober's secret: its user is created with its password.
        #[arg(long)]
        prober_secret_arn: String,
        /// ARN of the drainer's secret: its user is created with its password.
        #[arg(long)]
        drainer_secret_arn: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    log::start();
    if let Err(error) = run(Arguments::parse().command).await {
        log::fatal(&error);
        std::process::exit(1);
    }
}

async fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    let Command::Bootstrap { cluster_arn, admin_secret_arn, database, prober_secret_arn, drainer_secret_arn } = command;
    let config = clients::shared().await;
    let secrets = clients::secretsmanager(&config);
    let logins = [
        Login { credentials: secret::credentials(&secrets, &prober_secret_arn).await?, group: "steadfast_probe" },
        Login { credentials: secret::credentials(&secrets, &drainer_secret_arn).await?, group: "steadfast_drain" },
    ];
    // A statement of the Data API may run for 45 s, and a retried one would run twice.
    let once = aws_sdk_rdsdata::config::Builder::from(&config)
        .retry_config(RetryConfig::disabled())
        .timeout_config(aws_config::timeout::TimeoutConfig::disabled())
        .build();
    let client = aws_sdk_rdsdata::Client::from_conf(once);
    let database = Database { cluster_arn, admin_secret_arn, name: database };
    bootstrap::bootstrap(&client, &database, &logins).await?;
    tracing::info!(database = database.name, "the schema and the roles are in place");
    Ok(())
}
