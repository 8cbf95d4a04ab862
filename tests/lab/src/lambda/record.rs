//! What happened, one record per attempt.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::lock;

/// Older records are dropped beyond this many.
const KEPT: usize = 100_000;

/// How an invocation was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvocationKind {
    /// The caller waits for the answer.
    Synchronous,
    /// The event goes through the function's queue.
    Asynchronous,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function answered.
    Succeeded,
    /// The function reported an error.
    FunctionError {
        /// The `errorType` that it reported.
        error_type: String,
    },
    /// The function's timeout passed; its process was killed.
    TimedOut,
    /// The process ended during the invocation.
    Exited,
    /// The process never became ready.
    InitFailed,
    /// The reserved concurrency was used up; no process saw the event.
    Throttled,
    /// No environment could be provided; no process saw the event.
    PlatformError,
}

/// One attempt to run a function on an event.
#[derive(Clone, Debug)]
pub struct InvocationRecord {
    /// The function's name.
    pub function: String,
    /// The same for every attempt on one event.
    pub request_id: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// How the invocation was asked for.
    pub kind: InvocationKind,
    /// Whether a new environment was started for it.
    pub cold_start: bool,
    /// When the event arrived, in Unix epoch milliseconds.
    pub queued_ms: u64,
    /// When the attempt was given to a process (or refused), in Unix epoch milliseconds.
    pub started_ms: u64,
    /// When the attempt ended, in Unix epoch milliseconds.
    pub ended_ms: u64,
    /// How long a cold start's init phase took, in milliseconds.
    pub init_ms: Option<f64>,
    /// How the attempt ended.
    pub outcome: Outcome,
    /// After anything but success: the error answer and the last lines the process wrote.
    pub detail: Option<String>,
}

/// The records so far, oldest first.
#[derive(Debug, Default)]
pub(super) struct Records(Mutex<VecDeque<InvocationRecord>>);

impl Records {
    pub(super) fn add(&self, record: InvocationRecord) {
        let mut kept = lock(&self.0);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(record);
    }

    pub(super) fn all(&self) -> Vec<InvocationRecord> {
        lock(&self.0).iter().cloned().collect()
    }
}
