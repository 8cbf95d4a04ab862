//! What can go wrong around a function; what goes wrong inside one is a result, not an error.

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Why Lambda could not do what it was asked.
#[derive(Debug, Error)]
pub enum LambdaError {
    /// The Invoke API endpoint could not be opened.
    #[error("cannot listen on {address}: {source}; choose a free 127.0.0.0/8 address and port")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The endpoint was to be reachable from other machines.
    #[error("{0} is not a loopback address; use one in 127.0.0.0/8")]
    NotLoopback(SocketAddr),
    /// The log folder cannot be written.
    #[error("cannot use {path} for function logs: {source}; choose a folder that can be written")]
    LogFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread of the service could not be started.
    #[error("cannot start the {name} thread: {source}; raise the limit on threads")]
    Thread {
        /// What the thread is for.
        name: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// `setpriv`, which ties every function process to the lab, is missing.
    #[error("setpriv is in no folder of PATH; install util-linux")]
    NoSetpriv,
    /// A value of a function's specification is out of range.
    #[error("function {function}: {setting} is {value}; {remedy}")]
    InvalidSetting {
        /// The function's name.
        function: String,
        /// The field of the specification.
        setting: &'static str,
        /// The value found.
        value: String,
        /// What is allowed.
        remedy: &'static str,
    },
    /// The bootstrap cannot be started.
    #[error("function {function}: bootstrap {path} cannot be run: {problem}; build it first")]
    Bootstrap {
        /// The function's name.
        function: String,
        /// The path of the bootstrap.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A function of this name is there already.
    #[error("Function already exist: {0}")]
    Exists(String),
    /// No such function, or no such version of it.
    #[error("Function not found: {0}")]
    NotFound(String),
    /// The payload is not JSON.
    #[error("Could not parse request body into json: {0}")]
    NotJson(String),
    /// The payload is larger than the invocation type allows.
    #[error("{bytes} byte payload is too large for the {kind} invocation type (limit {limit} bytes)")]
    TooLarge {
        /// Size of the payload, in bytes; when it was not read to its end, what was read.
        bytes: usize,
        /// `RequestResponse` or `Event`.
        kind: &'static str,
        /// The largest size allowed, in bytes.
        limit: usize,
    },
    /// The reserved concurrency is used up.
    #[error("Rate Exceeded.")]
    Throttled,
    /// A request parameter has a value that the API does not know.
    #[error("{0}")]
    InvalidParameter(String),
    /// The service is ending.
    #[error("Lambda is shutting down; start it again")]
    Closing,
    /// The environment could not be provided, for a reason outside the function.
    #[error("no execution environment for {function}: {reason}")]
    Platform {
        /// The function's name.
        function: String,
        /// What failed.
        reason: String,
    },
}
