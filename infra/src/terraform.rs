//! Drives `terraform`: plans, applies with progress, destroys.
//!
//! Source: Terraform "Machine-Readable UI": one JSON object for each line.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A folder with a root module.
#[derive(Clone, Debug)]
pub struct Terraform {
    /// The folder.
    pub directory: PathBuf,
}

/// Why a run of Terraform failed.
#[derive(Debug, thiserror::Error)]
pub enum TerraformError {
    /// It could not be started.
    #[error("cannot start terraform: {0}; install Terraform 1.11 or newer and have it on the PATH")]
    NotStarted(std::io::Error),
    /// It failed.
    #[error("terraform {what} failed in {directory}:\n{errors}")]
    Failed {
        /// Its subcommand.
        what: &'static str,
        /// Where.
        directory: PathBuf,
        /// Its own words.
        errors: String,
    },
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Resources that are done.
    pub done: usize,
    /// Resources that are to be done.
    pub of: usize,
}

/// What a plan is going to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// Resources to make.
    pub add: usize,
    /// Resources to change.
    pub change: usize,
    /// Resources to destroy.
    pub remove: usize,
}

impl Planned {
    /// Whether nothing is going to happen.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl Terraform {
    /// Makes the folder ready, if it is not yet.
    ///
    /// # Errors
    ///
    /// When Terraform fails.
    pub fn init(&self) -> Result<(), TerraformError> {
        if self.directory.join(".terraform").is_dir() {
            return Ok(());
        }
        self.output("init", &["-input=false", "-no-color"]).map(|_| ())
    }

    /// Plans into `file`, with progress told to `tell`.
    ///
    /// # Errors
    ///
    /// When Terraform fails.
    pub fn plan(
        &self,
        file: &Path,
        destroy: bool,
        arguments: &[String],
        tell: &mut dyn FnMut(&str),
    ) -> Result<Planned, TerraformError> {
        let mut all = vec!["-input=false".to_owned(), "-json".to_owned(), format!("-out={}", file.display())];
        if destroy {
            all.push("-destroy".to_owned());
        }
        all.extend(arguments.iter().cloned());
        let mut planned = Planned::default();
        self.stream("plan", &all, &mut |message| {
            if message["type"] == "change_summary" {
                planned = summary(message);
                tell(message["@message"].as_str().unwrap_or_default());
            }
        })?;
        Ok(planned)
    }

    /// What a plan file holds, as JSON.
    ///
    /// # Errors
    ///
    /// When Terraform fails.
    pub fn show(&self, file: &Path) -> Result<String, TerraformError> {
        self.output("show", &["-json", &file.display().to_string()])
    }

    /// What was applied, as JSON; without values if nothing was.
    ///
    /// # Errors
    ///
    /// When Terraform fails.
    pub fn show_state(&self) -> Result<String, TerraformError> {
        self.output("show", &["-json"])
    }

    /// Takes resources out of the state: they stay as they are, and Terraform knows them no more.
    ///
    /// # Errors
    ///
    /// When Terraform fails, for one that the state does not have.
    pub fn forget(&self, addresses: &[String]) -> Result<(), TerraformError> {
        let all: Vec<&str> = std::iter::once("rm").chain(addresses.iter().map(String::as_str)).collect();
        self.output("state", &all).map(|_| ())
    }

    /// Applies a plan file of `planned` changes, with progress told to `tell`.
    ///
    /// # Errors
    ///
    /// When a resource fails; those before it are made, and another apply goes on there.
    pub fn apply(&self, file: &Path, planned: Planned, tell: &mut dyn FnMut(&str)) -> Result<(), TerraformError> {
        let all = ["-input=false".to_owned(), "-json".to_owned(), file.display().to_string()];
        let mut progress = Progress { of: planned.add + planned.change + planned.remove, done: 0 };
        self.stream("apply", &all, &mut |message| {
            if let Some(line) = progress.take(message) {
                tell(&line);
            }
        })
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new("terraform");
        command.arg(format!("-chdir={}", self.directory.display())).arg(what).stdin(Stdio::null());
        command
    }

    fn output(&self, what: &'static str, arguments: &[&str]) -> Result<String, TerraformError> {
        let output = self.command(what).args(arguments).output().map_err(TerraformError::NotStarted)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(self.failed(what, String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    fn stream(
        &self,
        what: &'static str,
        arguments: &[String],
        see: &mut dyn FnMut(&Value),
    ) -> Result<(), TerraformError> {
        let mut child =
            self.command(what).args(arguments).stdout(Stdio::piped()).spawn().map_err(TerraformError::NotStarted)?;
        let mut errors = Vec::new();
        for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines) {
            let message: Value = line.ok().and_then(|line| serde_json::from_str(&line).ok()).unwrap_or_default();
            errors.extend(error_of(&message));
            see(&message);
        }
        let status = child.wait().map_err(TerraformError::NotStarted)?;
        if status.success() { Ok(()) } else { Err(self.failed(what, errors.join("\n"))) }
    }

    fn failed(&self, what: &'static str, errors: String) -> TerraformError {
        TerraformError::Failed { what, directory: self.directory.clone(), errors }
    }
}

fn summary(message: &Value) -> Planned {
    let count = |name: &str| {
        message["changes"][name].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
    };
    Planned { add: count("add"), change: count("change"), remove: count("remove") }
}

fn error_of(message: &Value) -> Option<String> {
    (message["type"] == "diagnostic" && message["diagnostic"]["severity"] == "error").then(|| {
        let text = |name: &str| message["diagnostic"][name].as_str().unwrap_or_default().to_owned();
        let address = text("address");
        let at = if address.is_empty() { String::new() } else { format!("{address}: ") };
        format!("{at}{}. {}", text("summary"), text("detail"))
    })
}

impl Progress {
    /// The line that a message is worth, if any.
    fn take(&mut self, message: &Value) -> Option<String> {
        let address = message["hook"]["resource"]["addr"].as_str().unwrap_or_default();
        match message["type"].as_str()? {
            "apply_complete" => {
                self.done += 1;
                let seconds = message["hook"]["elapsed_seconds"].as_u64().unwrap_or_default();
                let action = message["hook"]["action"].as_str().unwrap_or_default();
                Some(format!("[{}/{}] {action} {address}, {seconds} s", self.done, self.of))
            }
            "apply_errored" => Some(format!("[{}/{}] failed {address}", self.done, self.of)),
            "change_summary" => message["@message"].as_str().map(str::to_owned),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn progress_counts_what_is_done() {
        let mut progress = Progress { of: 2, done: 0 };
        let done = |addr: &str| {
            json!({ "type": "apply_complete",
                "hook": { "action": "create", "elapsed_seconds": 3, "resource": { "addr": addr } } })
        };
        assert_eq!(progress.take(&json!({ "type": "apply_start" })), None);
        assert_eq!(progress.take(&done("a.b")).as_deref(), Some("[1/2] create a.b, 3 s"));
        assert_eq!(progress.take(&done("a.c")).as_deref(), Some("[2/2] create a.c, 3 s"));
    }

    #[test]
    fn errors_name_the_resource() {
        let message = json!({ "type": "diagnostic",
            "diagnostic": { "severity": "error", "summary": "No", "detail": "Why.", "address": "a.b" } });
        assert_eq!(error_of(&message).as_deref(), Some("a.b: No. Why."));
        assert_eq!(error_of(&json!({ "type": "diagnostic", "diagnostic": { "severity": "warning" } })), None);
    }

    #[test]
    fn a_plan_is_counted() {
        let message = json!({ "type": "change_summary", "changes": { "add": 3, "change": 1, "remove": 0 } });
        assert_eq!(summary(&message), Planned { add: 3, change: 1, remove: 0 });
        assert!(!summary(&message).is_empty() && Planned::default().is_empty());
    }
}
