//! The lab's directory in the temporary folder. It goes with its value; what a killed lab left is
//! removed by the next one.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::error::ClusterError;

const PREFIX: &str = "steadfast-lab-";
/// The file that a living lab keeps locked; the kernel ends the lock with the process.
const OWNER: &str = "owner";
const REMOVAL_TRIES: u32 = 40;
const REMOVAL_PAUSE: Duration = Duration::from_millis(25);

/// A directory that goes with its value.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    _owner: File,
}

impl Directory {
    /// Makes a new one, after removing those of labs that are dead.
    pub(super) fn create() -> Result<Self, ClusterError> {
        let place = std::env::temp_dir();
        remove_abandoned(&place);
        // Short: the path of a unix socket may have 107 bytes.
        let (name, _) = uuid::Uuid::new_v4().as_u64_pair();
        let path = place.join(format!("{PREFIX}{name:x}"));
        let failed = || ClusterError::io(format!("create {}", path.display()));
        std::fs::DirBuilder::new().mode(0o711).create(&path).map_err(failed())?;
        let owner = lock_new(&path).map_err(failed());
        let directory = owner.map(|owner| Self { path: path.clone(), _owner: owner });
        directory.inspect_err(|_| remove(&path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// The file gets its name when it is locked, so nobody finds it without its lock.
fn lock_new(directory: &Path) -> io::Result<File> {
    let draft = directory.join("owner.draft");
    let file = File::create_new(&draft)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    std::fs::rename(&draft, directory.join(OWNER))?;
    Ok(file)
}

/// Removes the directories of this user's labs whose processes are gone.
fn remove_abandoned(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else {
        return;
    };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let is_ours = entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == own);
        if !is_ours || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Without an owner's file it is only being made.
        let Ok(owner) = File::open(entry.path().join(OWNER)) else {
            continue;
        };
        if flock(&owner, FlockOperation::NonBlockingLockExclusive).is_ok() {
            tracing::info!(path = %entry.path().display(), "removing what a killed lab left");
            remove(&entry.path());
        }
    }
}

/// A program that was just killed may still be writing its last file.
fn remove(path: &Path) {
    for _ in 0..REMOVAL_TRIES {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(path = %path.display(), %error, "lab directory not removed yet");
                std::thread::park_timeout(REMOVAL_PAUSE);
            }
            Ok(()) | Err(_) => return,
        }
    }
    tracing::warn!(path = %path.display(), "lab directory not removed; remove it by hand");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_labs_directory_goes_and_a_living_ones_stays() {
        let place = std::env::temp_dir();
        let living = Directory::create().unwrap();
        let dead = place.join(format!("{PREFIX}dead-{}", uuid::Uuid::new_v4().simple()));
        let unfinished = place.join(format!("{PREFIX}unfinished-{}", uuid::Uuid::new_v4().simple()));
        for path in [&dead, &unfinished] {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("data"), "x").unwrap();
        }
        drop(lock_new(&dead).unwrap());
        remove_abandoned(&place);
        assert!(!dead.exists());
        assert!(unfinished.exists() && living.path.exists());
        std::fs::remove_dir_all(&unfinished).unwrap();
        let path = living.path.clone();
        drop(living);
        assert!(!path.exists());
    }
}
