//! AWS Lambda on this machine: compiled `bootstrap` binaries as processes behind the real
//! Runtime API, invoked through the real Invoke API.
//!
//! One execution environment is one process with a Runtime API endpoint of its own. It serves one
//! invocation at a time, is frozen (`SIGSTOP`) between invocations, and is reused newest first.
//! Memory size and CPU share are not enforced, only reported.

mod answer;
mod environment;
mod error;
mod faults;
mod function;
mod invoke_api;
mod log;
mod name;
mod process;
mod queue;
mod record;
mod report;
mod runtime_api;
mod service;
mod spec;
mod variables;

#[cfg(test)]
mod tests;

pub use error::LambdaError;
pub use log::LogLine;
pub use record::{InvocationKind, InvocationRecord, Outcome};
pub use service::{Invocation, Lambda};
pub use spec::{FailureDestination, FunctionSpec, Settings};

/// Now, in Unix epoch milliseconds.
fn epoch_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Locks `mutex`, also after a holder panicked: every critical section here leaves valid data.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
