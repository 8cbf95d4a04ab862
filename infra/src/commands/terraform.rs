use std::io::BufRead as _;
use std::path::{Path, PathBuf};

use clap::Args;
use steadfast_infra::check::{self, Format, Level, PlanError};
use steadfast_infra::destroy::Loss;
use steadfast_infra::terraform::{Planned, Terraform};

use super::check::failing;
use super::{Outcome, say, tell};

/// Where, and what Terraform is given besides.
#[derive(Debug, Args)]
struct Root {
    /// The folder with the root module.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Further arguments of `terraform plan`, after `--`, such as `-var`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    root: Root,
    /// Where the plan goes.
    #[arg(long, default_value = "steadfast.tfplan")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    root: Root,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Apply although findings stop it, and do not fail for what is there afterwards. They are printed all the same.
    #[arg(long)]
    despite_findings: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Destroy {
    #[command(flatten)]
    root: Root,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Have the databases' keys deleted too. Snapshots and backups open with them alone.
    #[arg(long)]
    with_keys: bool,
}

pub(crate) fn plan(wanted: &Plan) -> Outcome {
    let terraform = ready(&wanted.root)?;
    let out = std::path::absolute(&wanted.out)?;
    terraform.plan(&out, false, &wanted.root.arguments, &mut tell)?;
    checked(&terraform, &out)
}

pub(crate) fn apply(wanted: &Apply) -> Outcome {
    let terraform = ready(&wanted.root)?;
    let file = PlanFile::new()?;
    let planned = terraform.plan(&file.0, false, &wanted.root.arguments, &mut tell)?;
    if planned.is_empty() {
        return applied(&terraform, wanted.despite_findings);
    }
    match checked(&terraform, &file.0) {
        Err(error) if !wanted.despite_findings => return Err(error),
        Ok(()) | Err(_) => {}
    }
    confirm(wanted.yes, planned, "apply")?;
    terraform.apply(&file.0, planned, &mut tell)?;
    applied(&terraform, wanted.despite_findings)
}

pub(crate) fn destroy(wanted: &Destroy) -> Outcome {
    if let Some(state) = wanted.root.arguments.iter().find(|argument| argument.starts_with("-state")) {
        let why =
            "the keys would be taken out of the state of --directory: give that folder the backend of the other one";
        return Err(format!("{state} cannot be given to destroy: {why}").into());
    }
    let terraform = ready(&wanted.root)?;
    let file = PlanFile::new()?;
    let planned = terraform.plan(&file.0, true, &wanted.root.arguments, &mut tell)?;
    if planned.is_empty() {
        return Ok(());
    }
    let loss = Loss::of(&check::Plan::parse(&terraform.show(&file.0)?)?);
    say(&loss.print(wanted.with_keys))?;
    if !loss.refusals.is_empty() {
        return Err(format!("nothing was destroyed: {}", loss.refusals.join("; ")).into());
    }
    let kept = if wanted.with_keys { Vec::new() } else { loss.keys_of_databases() };
    let meant = Planned { remove: planned.remove.saturating_sub(kept.len()), ..planned };
    confirm(wanted.yes, meant, "destroy")?;
    if kept.is_empty() {
        return Ok(terraform.apply(&file.0, meant, &mut tell)?);
    }
    let destroyed = plan_without(&terraform, &file.0, &kept, meant, &wanted.root.arguments)
        .and_then(|()| Ok(terraform.apply(&file.0, meant, &mut tell)?));
    // An apply that knows nothing of the keys would make others, and replace the databases for it.
    destroyed.map_err(|error| {
        let imports = loss.imports();
        format!(
            "{error}\nthe databases' keys are no longer in the state; to go on destroying, run `infra destroy` again; \
                 before any apply bring them back:\n{imports}"
        )
        .into()
    })
}

/// Takes `kept` out of the state, and plans the rest again: a plan holds for the state alone over which it was made.
fn plan_without(terraform: &Terraform, file: &Path, kept: &[String], meant: Planned, arguments: &[String]) -> Outcome {
    terraform.forget(kept)?;
    // What is refreshed once is fresh, and a refresh stumbles on names of what is gone.
    let arguments = [arguments, &["-refresh=false".to_owned()]].concat();
    let again = terraform.plan(file, true, &arguments, &mut tell)?;
    if again == meant {
        return Ok(());
    }
    let (found, wanted) = (again.remove, meant.remove);
    Err(format!("{found} to destroy and not {wanted}: something has changed since; run `infra destroy` again").into())
}

fn ready(root: &Root) -> Result<Terraform, Box<dyn std::error::Error>> {
    if !root.directory.is_dir() {
        return Err(format!("there is no folder {}; name one with --directory", root.directory.display()).into());
    }
    let terraform = Terraform { directory: std::path::absolute(&root.directory)? };
    terraform.init()?;
    Ok(terraform)
}

/// A plan file that is removed in the end: it holds what the state holds.
struct PlanFile(PathBuf);

impl PlanFile {
    fn new() -> Result<Self, std::io::Error> {
        let name = format!("steadfast-{}.tfplan", std::process::id());
        Ok(Self(std::path::absolute(std::env::temp_dir().join(name))?))
    }
}

impl Drop for PlanFile {
    fn drop(&mut self) {
        // It may never have been written.
        let _absent = std::fs::remove_file(&self.0);
    }
}

fn checked(terraform: &Terraform, file: &Path) -> Outcome {
    let plan = check::Plan::parse(&terraform.show(file)?)?;
    let findings = check::findings(&plan);
    say(&check::print(Format::Human, &findings, plan.len(), &file.display().to_string()))?;
    failing(&findings, false)
}

/// Checks what is there. A plan does not know yet what it is going to write into policies that name what it makes.
fn applied(terraform: &Terraform, despite_findings: bool) -> Outcome {
    let state = check::Plan::parse(&terraform.show_state()?);
    if matches!(state, Err(PlanError::NoPlan)) {
        // A state that holds nothing has no values.
        return Ok(());
    }
    let state = state?;
    let findings = check::findings(&state);
    say(&check::print(Format::Human, &findings, state.len(), "state"))?;
    match findings.iter().filter(|finding| finding.level == Level::Error).count() {
        0 => Ok(()),
        _ if despite_findings => Ok(()),
        count => Err(format!("applied, with {count} findings in what is there now; mend them and apply again").into()),
    }
}

/// Asks for the word itself: a mere `y` slips out too easily.
fn confirm(yes: bool, planned: Planned, word: &str) -> Outcome {
    if yes {
        return Ok(());
    }
    let Planned { add, change, remove } = planned;
    say(&format!("{add} to add, {change} to change, {remove} to destroy. Type \"{word}\" to go on: "))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == word { Ok(()) } else { Err("not confirmed, nothing was done".into()) }
}
