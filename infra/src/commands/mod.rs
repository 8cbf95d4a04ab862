//! One file for each command: its arguments, and what it does with the library.

pub(crate) mod bootstrap;
pub(crate) mod check;
pub(crate) mod cost;
pub(crate) mod generate;
pub(crate) mod package;
pub(crate) mod status;
pub(crate) mod terraform;

use std::io::{Read as _, Write as _};
use std::path::Path;

use steadfast_infra::check::Plan;

/// How a command ends: with nothing, or with the one line that says why it failed.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Writes to standard output, where programs and people read.
pub(crate) fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes one line of progress.
pub(crate) fn tell(line: &str) {
    // Nobody reads any more: the run goes on all the same.
    let _closed = say(&format!("{line}\n"));
}

/// Reads a plan from a file, or from standard input for `-`.
pub(crate) fn read_plan(path: &Path) -> Result<Plan, Box<dyn std::error::Error>> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(path).map(|content| text = content)
    };
    read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(Plan::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?)
}
