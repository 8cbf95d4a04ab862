//! Where the PostgreSQL server binaries are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::ClusterError;

const OLDEST_MAJOR: u32 = 15;
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// A directory with the server binaries of one PostgreSQL version.
#[derive(Debug, Clone)]
pub struct Binaries {
    directory: PathBuf,
    major: u32,
}

impl Binaries {
    /// Asks `pg_config --bindir`, then looks into the Debian layout, newest version first.
    ///
    /// # Errors
    /// [`ClusterError::NoPostgres`] when no version of at least 15 is found.
    pub fn find() -> Result<Self, ClusterError> {
        let mut found: Vec<Self> = candidates()
            .into_iter()
            .filter_map(Self::inspect)
            .filter(|binaries| binaries.major >= OLDEST_MAJOR)
            .collect();
        // Stable: among equal versions the one pg_config names stays first.
        found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
        found.into_iter().next().ok_or(ClusterError::NoPostgres { oldest: OLDEST_MAJOR })
    }

    /// The major version, for example 15.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The path of one program, for example `initdb`.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.directory.join(program)
    }

    fn inspect(directory: PathBuf) -> Option<Self> {
        for program in ["postgres", "initdb", "pg_rewind", "pg_basebackup", "pg_waldump"] {
            if !directory.join(program).is_file() {
                return None;
            }
        }
        let major = major(&directory.join("postgres"))?;
        Some(Self { directory, major })
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        let text = String::from_utf8_lossy(&output.stdout);
        directories.push(PathBuf::from(text.trim()));
    }
    if let Ok(entries) = std::fs::read_dir(DEBIAN_ROOT) {
        directories.extend(entries.flatten().map(|entry| entry.path().join("bin")));
    }
    directories
}

/// Parses "postgres (PostgreSQL) 15.18 (Debian …)".
fn major(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(2)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
