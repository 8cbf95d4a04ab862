//! How late the machine itself is: a failure on a machine that stands still must be told apart from a bug.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two tries.
const PACE: Duration = Duration::from_millis(100);
/// What is written each time: a page, as a small commit is.
const PAGE: [u8; 8_192] = [0; 8_192];

/// A thread that wants to wake up and write a page to the disk, and notes how long that takes at worst. Dropping
/// it ends it.
pub(super) struct Lateness {
    worst_us: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Lateness {
    /// Measures from now on, with a file in `folder`.
    ///
    /// # Errors
    ///
    /// When the file cannot be made.
    pub(super) fn begin(folder: &Path) -> std::io::Result<Self> {
        let mut file = File::create(folder.join("lateness"))?;
        let lateness = Self { worst_us: Arc::default(), stop: Arc::default() };
        let (worst, stop) = (Arc::clone(&lateness.worst_us), Arc::clone(&lateness.stop));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::park_timeout(PACE);
                if let Err(error) = write(&mut file) {
                    tracing::warn!(%error, "how late the disk is cannot be measured any more");
                    return;
                }
                let late = began.elapsed().saturating_sub(PACE);
                worst.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Ok(lateness)
    }

    /// The worst so far.
    pub(super) fn end(self) -> Duration {
        Duration::from_micros(self.worst_us.load(Ordering::Relaxed))
    }
}

fn write(file: &mut File) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&PAGE)?;
    file.sync_data()
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
