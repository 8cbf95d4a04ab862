use std::path::PathBuf;

use clap::Args;
use steadfast_infra::generate;

use super::{Outcome, say};

#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// The module's folder of generated files.
    #[arg(long, default_value = "infra/module/generated")]
    directory: PathBuf,
    /// Write nothing, and fail if a file is stale.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(wanted: &Generate) -> Outcome {
    if wanted.check {
        return Ok(generate::check(&wanted.directory)?);
    }
    let written = generate::write(&wanted.directory)?;
    let said =
        if written.is_empty() { "nothing was stale".to_owned() } else { format!("wrote {}", written.join(", ")) };
    Ok(say(&format!("{said}\n"))?)
}
