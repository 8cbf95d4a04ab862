//! `infra`: packages, plans, checks, applies and destroys an installation, makes its database ready, and says how it is.

mod commands;

use clap::{Parser, Subcommand};
use steadfast_aws::{clients, log};
use steadfast_infra::watch;

use commands::{Outcome, bootstrap, check, cost, generate, package, status, terraform};

/// Packages, plans, checks, applies and destroys an installation of Steadfast, makes its database ready, and says how
/// it is.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the functions and pack them for Lambda: the same input gives the same bytes.
    Package(package::Package),
    /// Plan what Terraform is going to do, and check it.
    Plan(terraform::Plan),
    /// Plan, check, ask, apply, and check what is there then.
    Apply(terraform::Apply),
    /// Plan the destruction, say what is lost for good and what is kept, ask, and destroy.
    Destroy(terraform::Destroy),
    /// Find what weakens availability or protection in a plan, or in what was applied.
    Check(check::Check),
    /// Create or complete the database schema and the functions' roles: of a cluster through the RDS Data API, of a
    /// Multi-AZ DB instance over a connection.
    Bootstrap(bootstrap::Bootstrap),
    /// Write the module's generated files, or say which are stale.
    Generate(generate::Generate),
    /// Mode, episode, lease, witnesses' last reports, and who writes.
    Status(status::Status),
    /// The operator's console: roles, witnesses, mode, the open episode; arm, pause, switch over.
    Watch(watch::Watch),
    /// Estimate what a plan costs in a month.
    Cost(cost::Cost),
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let command = Arguments::parse().command;
    // Log lines would run over the console's picture.
    if !matches!(command, Command::Watch(_)) {
        log::start();
    }
    if let Err(error) = run(command).await {
        log::fatal(&error);
        std::process::exit(1);
    }
}

async fn run(command: Command) -> Outcome {
    match command {
        Command::Package(wanted) => package::run(&wanted),
        Command::Plan(wanted) => terraform::plan(&wanted),
        Command::Apply(wanted) => terraform::apply(&wanted),
        Command::Destroy(wanted) => terraform::destroy(&wanted),
        Command::Check(wanted) => check::run(&wanted),
        Command::Bootstrap(wanted) => bootstrap::run(wanted).await,
        Command::Generate(wanted) => generate::run(&wanted),
        Command::Status(wanted) => status::run(&wanted).await,
        Command::Watch(wanted) => Ok(watch::watch(&clients::shared().await, wanted).await?),
        Command::Cost(wanted) => cost::run(&wanted),
    }
}
