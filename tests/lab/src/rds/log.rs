//! What a drill reads afterwards.

use std::collections::BTreeMap;

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct ApiCall {
    /// When it arrived, Unix epoch milliseconds.
    pub at_ms: u64,
    /// When the answer was ready, Unix epoch milliseconds.
    pub answered_ms: u64,
    /// Name of the action; empty if the request named none.
    pub action: String,
    /// All other parameters, by their names on the wire.
    pub parameters: BTreeMap<String, String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Request id, also in the answer.
    pub request_id: String,
    /// The caller's `User-Agent`.
    pub user_agent: String,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Carried out and answered with 200.
    Answered,
    /// Refused with an error, nothing was done.
    Refused {
        /// HTTP status.
        status: u16,
        /// Error code on the wire.
        code: String,
    },
    /// The connection was reset before anything was done.
    Reset,
    /// Not answered, nothing was done.
    Silence,
    /// Carried out, then the connection was reset in place of the answer.
    ReplyLost,
    /// Carried out, then answered with 500 `InternalFailure`.
    ErrorAfterEffect,
}

/// Who started a failover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A `FailoverDBCluster` call.
    Api,
    /// The platform itself.
    Native,
}

/// One failover, from its start on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// Who started it.
    pub trigger: Trigger,
    /// The instance to become writer.
    pub target: String,
    /// The writer before.
    pub old_writer: String,
    /// Accepted at, Unix epoch milliseconds.
    pub started_ms: u64,
    /// The target accepted writes at, Unix epoch milliseconds.
    pub writable_ms: Option<u64>,
    /// The cluster was `available` again at, Unix epoch milliseconds.
    pub finished_ms: Option<u64>,
    /// How it ended.
    pub result: PromotionResult,
}

/// How a failover ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromotionResult {
    /// It has not ended.
    Running,
    /// The target is the writer.
    Completed,
    /// The target was the writer for a while, then the old writer was promoted again.
    Reversed,
    /// The target could not be promoted, for this reason.
    Failed(String),
}
