//! The cold start of a function.

use std::future::Future;

use crate::log;
use crate::settings::SettingError;

/// Starts the log and waits for the setup. A setting that is missing or malformed ends the process
/// with one line that names it, which Lambda shows as the reason of the failed init.
pub async fn ready<T>(setup: impl Future<Output = Result<T, SettingError>>) -> T {
    log::start();
    match setup.await {
        Ok(setup) => setup,
        Err(error) => {
            log::fatal(&error);
            std::process::exit(1);
        }
    }
}
