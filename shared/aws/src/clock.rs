//! The system clock: the only place where time enters.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use steadfast_core::time::Timestamp;

/// Now, in milliseconds since the Unix epoch.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::default().plus(since)
}
