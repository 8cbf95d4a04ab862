use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use steadfast_aws::functions;
use steadfast_infra::package;

use super::{Outcome, tell};

#[derive(Debug, Args)]
pub(crate) struct Package {
    /// Pack what was built before, from this folder with NAME/bootstrap, instead of building for Lambda.
    #[arg(long)]
    built: Option<PathBuf>,
    /// Build for x86_64 instead of arm64.
    #[arg(long, conflicts_with = "built")]
    x86_64: bool,
    /// Where the packages go: NAME/bootstrap.zip.
    #[arg(long, default_value = "target/lambda")]
    output: PathBuf,
    /// RDS's certificate authorities, global-bundle.pem, to pack for a layer.
    #[arg(long)]
    ca_bundle: Option<PathBuf>,
}

pub(crate) fn run(wanted: &Package) -> Outcome {
    let built = match &wanted.built {
        Some(built) => built.clone(),
        None => build(wanted.x86_64)?,
    };
    let mut packages = package::functions(&built, &wanted.output)?;
    if let Some(bundle) = &wanted.ca_bundle {
        packages.push(package::ca_bundle(bundle, &wanted.output)?);
    }
    for package in packages {
        tell(&format!("{}  {:>9}  {}", package.digest, package.bytes, package.path.display()));
    }
    Ok(())
}

/// Builds every function that ships, and returns the folder where cargo-lambda puts them.
fn build(x86_64: bool) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let architecture = if x86_64 { "--x86-64" } else { "--arm64" };
    let names = functions::ALL.iter().flat_map(|function| ["--package", function.name]);
    let status = Command::new("cargo")
        .args(["lambda", "build", "--locked", "--release", architecture])
        .args(names)
        .status()
        .map_err(|error| format!("cannot start cargo: {error}; run this in a checkout with Rust on the PATH"))?;
    if !status.success() {
        return Err("cargo lambda failed; `make setup` installs it into .venv/bin, which has to be on the PATH".into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    Ok(target.join("lambda"))
}
