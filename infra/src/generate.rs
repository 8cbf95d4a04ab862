//! What the code knows, as the JSON files that the Terraform module reads.

mod alarms;
mod dashboard;
mod events;
mod functions;
mod iam;
mod metrics;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Stands in the files for the identifier of what is watched; the module fills it in.
const DATABASE: &str = "${database}";
/// Stands for the name of the installation.
const NAME: &str = "${name}";

/// One generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Its name in the module's `generated` folder.
    pub name: &'static str,
    /// What it should hold.
    pub text: String,
}

/// Why the files were not written.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The folder or a file cannot be written.
    #[error("cannot write {path}: {source}; run this in a checkout, or name another folder with --directory")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Files that differ from the code.
    #[error("stale: {}; run `infra generate` and commit what it writes", .0.join(", "))]
    Stale(Vec<String>),
}

/// All files, as the code has them now.
pub fn all() -> Vec<Generated> {
    let files: [(&'static str, Value); 6] = [
        ("alarms.json", alarms::all()),
        ("dashboard.json", dashboard::all()),
        ("events.json", events::all()),
        ("functions.json", functions::all()),
        ("iam.json", iam::all()),
        ("metrics.json", metrics::all()),
    ];
    // The alternate form of a JSON value is its pretty one.
    files.into_iter().map(|(name, value)| Generated { name, text: format!("{value:#}\n") }).collect()
}

/// Every alarm by its key, as in `alarms.json`.
pub(crate) fn alarms() -> Value {
    alarms::all()
}

/// Every pattern by the key of its rule, as in `events.json`.
pub(crate) fn events() -> Value {
    events::all()
}

/// Writes the files that differ, and returns their names.
///
/// # Errors
///
/// [`GenerateError::Unwritable`]; files before it are written.
pub fn write(directory: &Path) -> Result<Vec<&'static str>, GenerateError> {
    let mut written = Vec::new();
    for file in stale(directory) {
        let path = directory.join(file.name);
        std::fs::write(&path, &file.text).map_err(|source| GenerateError::Unwritable { path, source })?;
        written.push(file.name);
    }
    Ok(written)
}

/// Compares the files with the code.
///
/// # Errors
///
/// [`GenerateError::Stale`] with the names of those that differ or are not there.
pub fn check(directory: &Path) -> Result<(), GenerateError> {
    let stale: Vec<String> = stale(directory).iter().map(|file| file.name.to_owned()).collect();
    if stale.is_empty() { Ok(()) } else { Err(GenerateError::Stale(stale)) }
}

fn stale(directory: &Path) -> Vec<Generated> {
    let differs =
        |file: &Generated| std::fs::read_to_string(directory.join(file.name)).ok().as_ref() != Some(&file.text);
    all().into_iter().filter(differs).collect()
}
