//! The folder of scenarios.

use std::path::{Path, PathBuf};

use crate::error::ParseErrors;
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
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |cause| LoadError::Unreadable { path, cause }
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        paths.push(entry.map_err(unreadable(folder))?.path());
    }
    paths.sort();
    let mut scenarios = Vec::new();
    let mut wrong = Vec::new();
    for path in paths {
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if file == REFERENCE || file.starts_with('.') {
            continue;
        }
        let Some(name) = file.strip_suffix(".txt") else {
            return Err(LoadError::Stranger { path });
        };
        let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
        match parse(name, &text) {
            Ok(scenario) => scenarios.push(scenario),
            Err(errors) => wrong.push(errors),
        }
    }
    if !wrong.is_empty() {
        return Err(LoadError::Wrong(wrong));
    }
    scenarios.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(scenarios)
}
