use std::path::PathBuf;

use clap::Args;
use steadfast_infra::cost::{self, Load};

use super::{Outcome, read_plan, say};

#[derive(Debug, Args)]
pub(crate) struct Cost {
    /// What `terraform show -json` printed of a plan or of the state; `-` for standard input.
    plan: PathBuf,
    /// Aurora capacity units of each serverless instance, on average.
    #[arg(long, default_value_t = Load::default().acu)]
    acu: f64,
    /// GiB of data in Aurora.
    #[arg(long, default_value_t = Load::default().storage_gib)]
    storage: f64,
    /// Requests of Aurora's storage, in millions a month.
    #[arg(long, default_value_t = Load::default().million_requests)]
    requests: f64,
    /// GiB of logs a month.
    #[arg(long, default_value_t = Load::default().logs_gib)]
    logs: f64,
}

pub(crate) fn run(wanted: &Cost) -> Outcome {
    let plan = read_plan(&wanted.plan)?;
    let load =
        Load { acu: wanted.acu, storage_gib: wanted.storage, million_requests: wanted.requests, logs_gib: wanted.logs };
    let lines = cost::estimate(&plan, load);
    let mut text = String::new();
    for line in &lines {
        text.push_str(&format!("{:>10.2}  {:<26} {}\n", line.dollars, line.what, line.how));
    }
    let total: f64 = lines.iter().map(|line| line.dollars).sum();
    text.push_str(&format!("{total:>10.2}  US dollars a month, about\n\n"));
    text.push_str(
        "List prices of us-east-1 as remembered in 2026, not read from AWS; without taxes, discounts and traffic.\n\
         The load is assumed: see --help. Check it against the AWS Pricing Calculator.\n",
    );
    Ok(say(&text)?)
}
