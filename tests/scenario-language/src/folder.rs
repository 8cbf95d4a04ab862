//! The folder of scenarios.

use std::path::{Path, PathBuf};

use crate::error::ParseErrors;
use crate::nearest;
use crate::parse::parse;
use crate::scenario::Scenario;

/// The language's reference may stand beside the scenarios.
const REFERENCE: &str = "README.md";

/// Why the scenarios of a folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder or a file in it cannot be read.
    #[error("{}: {cause}; scenarios are text files in one folder", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// No scenario has this name.
    #[error("{name:?} is no scenario in {}; {remedy}", folder.display())]
    Unknown {
        /// The name.
        name: String,
        /// The folder.
        folder: PathBuf,
        /// The name that was probably meant, or all there are.
        remedy: String,
    },
    /// Something else than a scenario lies there, and would be passed over in silence.
    #[error("{}: is no scenario; name it like `kill-host.txt`, or move it elsewhere", path.display())]
    Stranger {
        /// Which.
        path: PathBuf,
    },
    /// Files that do not say what a scenario may say.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<ParseErrors>),
}

/// Reads all scenarios of a folder, sorted by name. Files that begin with a dot are passed over.
///
/// # Errors
///
/// When the folder cannot be read, when it holds something else, or with everything that is wrong in
/// all files.
pub fn load(folder: &Path) -> Result<Vec<Scenario>, LoadError> {
    let mut scenarios = Vec::new();
    let mut wrong = Vec::new();
    for name in names(folder)? {
        match read(folder, &name) {
            Ok(scenario) => scenarios.push(scenario),
            Err(LoadError::Wrong(errors)) => wrong.extend(errors),
            Err(error) => return Err(error),
        }
    }
    if wrong.is_empty() { Ok(scenarios) } else { Err(LoadError::Wrong(wrong)) }
}

/// Reads one scenario of a folder. What is wrong with others does not matter.
///
/// # Errors
///
/// When the folder or the file cannot be read, when there is no such scenario, or with everything that
/// is wrong in it.
pub fn find(folder: &Path, name: &str) -> Result<Scenario, LoadError> {
    let names = names(folder)?;
    if names.iter().any(|known| known == name) {
        return read(folder, name);
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    Err(LoadError::Unknown { name: name.to_owned(), folder: folder.to_owned(), remedy: nearest::remedy(name, &known) })
}

/// The scenarios of a folder, sorted.
fn names(folder: &Path) -> Result<Vec<String>, LoadError> {
    let unreadable = |cause| LoadError::Unreadable { path: folder.to_owned(), cause };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if file == REFERENCE || file.starts_with('.') {
            continue;
        }
        match file.strip_suffix(".txt") {
            Some(name) => names.push(name.to_owned()),
            None => return Err(LoadError::Stranger { path: folder.join(file) }),
        }
    }
    names.sort();
    Ok(names)
}

fn read(folder: &Path, name: &str) -> Result<Scenario, LoadError> {
    let path = folder.join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).map_err(|cause| LoadError::Unreadable { path, cause })?;
    parse(name, &text).map_err(|errors| LoadError::Wrong(vec![errors]))
}
