use std::path::PathBuf;

use clap::{Args, ValueEnum};
use steadfast_infra::check::{self, Finding, Format, Level};

use super::{Outcome, read_plan, say};

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// What `terraform show -json` printed of a plan or of the state; `-` for standard input.
    #[arg(required_unless_present = "rules")]
    plan: Option<PathBuf>,
    /// How findings are written.
    #[arg(long, value_enum, default_value_t = Written::Human)]
    format: Written,
    /// Warnings fail too.
    #[arg(long)]
    strict: bool,
    /// Print the rules and check nothing.
    #[arg(long)]
    rules: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Written {
    /// For people.
    Human,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

pub(crate) fn run(wanted: &Check) -> Outcome {
    if wanted.rules {
        return Ok(say(&list())?);
    }
    let Some(path) = &wanted.plan else {
        return Err("name the plan to check".into());
    };
    let plan = read_plan(path)?;
    let findings = check::findings(&plan);
    let format = match wanted.format {
        Written::Human => Format::Human,
        Written::Json => Format::Json,
        Written::Sarif => Format::Sarif,
    };
    say(&check::print(format, &findings, plan.len(), &path.display().to_string()))?;
    failing(&findings, wanted.strict)
}

/// Fails if a finding stops an apply.
pub(super) fn failing(findings: &[Finding], strict: bool) -> Outcome {
    let stops = |finding: &&Finding| strict || finding.level == Level::Error;
    match findings.iter().filter(stops).count() {
        0 => Ok(()),
        count => Err(format!("{count} findings stop the apply").into()),
    }
}

fn list() -> String {
    let rule =
        |rule: &check::Rule| format!("{}  {}\n       {}\n       {}\n", rule.id, rule.title, rule.why, rule.remedy);
    check::rules().iter().map(rule).collect()
}
