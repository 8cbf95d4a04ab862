//! What the lab's tests share.

use std::path::Path;

use steadfast_lab::assembly::LabConfig;
use tokio::sync::{Mutex, MutexGuard};

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Two labs at once would measure each other on a small machine.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().await
}

/// The lab of this checkout, with logs of its own and none of an earlier run. A machine whose disk or processor stands
/// still for seconds does not drive it to failovers of its own.
pub(crate) fn config(name: &str) -> LabConfig {
    let coordinator = LabConfig::patient();
    LabConfig { coordinator, ..shipped(name) }
}

/// The same with the coordinator's thresholds as they ship.
pub(crate) fn shipped(name: &str) -> LabConfig {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut config = LabConfig::of_checkout(&root);
    config.logs = config.logs.join(name);
    match std::fs::remove_dir_all(&config.logs) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            panic!("{}: {error}", config.logs.display())
        }
        Ok(()) | Err(_) => config,
    }
}
