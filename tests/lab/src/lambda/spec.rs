//! What a function is, and how the service around it behaves.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use super::error::LambdaError;
use super::variables;

/// Where the on-failure record (the documented JSON) of an asynchronous event goes.
pub type FailureDestination = mpsc::UnboundedSender<serde_json::Value>;

/// One function, as `CreateFunction` and `PutFunctionEventInvokeConfig` describe it.
#[derive(Clone, Debug)]
pub struct FunctionSpec {
    /// 1 to 64 letters, digits, hyphens and underscores.
    pub name: String,
    /// The executable that speaks the Runtime API; its folder is the task root.
    pub bootstrap: PathBuf,
    /// The function's own variables: at most 4 KB in all, none of Lambda's reserved names.
    pub environment: BTreeMap<String, String>,
    /// Whole seconds, 1 to 900.
    pub timeout: Duration,
    /// 128 to 10,240 MB; told to the function and reported, not enforced.
    pub memory_mb: u32,
    /// At most this many invocations at once; 0 turns the function off. `None`: no limit.
    pub reserved_concurrency: Option<u32>,
    /// How often an asynchronous event is tried again after a function error: 0 to 2.
    pub retries: u32,
    /// How long an asynchronous event may wait in all: at most 6 hours.
    pub max_event_age: Duration,
    /// Receives the record of every asynchronous event given up.
    pub on_failure: Option<FailureDestination>,
}

impl FunctionSpec {
    /// A function with AWS's defaults: 3 s, 128 MB, two retries, six hours, no reserved concurrency.
    pub fn new(name: impl Into<String>, bootstrap: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            bootstrap: bootstrap.into(),
            environment: BTreeMap::new(),
            timeout: Duration::from_secs(3),
            memory_mb: 128,
            reserved_concurrency: None,
            retries: 2,
            max_event_age: Duration::from_secs(6 * 3600),
            on_failure: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), LambdaError> {
        let invalid = |setting: &'static str, value: String, remedy: &'static str| {
            Err(LambdaError::InvalidSetting { function: self.name.clone(), setting, value, remedy })
        };
        let name_is_valid = (1..=64).contains(&self.name.len())
            && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !name_is_valid {
            return invalid("name", self.name.clone(), "use 1 to 64 of a-z A-Z 0-9 - _");
        }
        let seconds = self.timeout.as_secs();
        if !(1..=900).contains(&seconds) || self.timeout.subsec_nanos() != 0 {
            return invalid("timeout", format!("{:?}", self.timeout), "use whole seconds, 1 to 900");
        }
        if !(128..=10_240).contains(&self.memory_mb) {
            return invalid("memory_mb", self.memory_mb.to_string(), "use 128 to 10240");
        }
        if self.retries > 2 {
            return invalid("retries", self.retries.to_string(), "use 0 to 2");
        }
        if self.max_event_age > Duration::from_secs(6 * 3600) {
            return invalid("max_event_age", format!("{:?}", self.max_event_age), "use at most 6 h");
        }
        if let Some(reserved) = variables::reserved(&self.environment) {
            return invalid("environment", reserved.to_owned(), "Lambda sets this variable itself");
        }
        let bytes: usize = self.environment.iter().map(|(n, v)| n.len() + v.len()).sum();
        if bytes > 4096 {
            return invalid("environment", format!("{bytes} bytes"), "use at most 4096 bytes");
        }
        self.check_bootstrap()
    }

    fn check_bootstrap(&self) -> Result<(), LambdaError> {
        let problem = match std::fs::metadata(&self.bootstrap) {
            Err(error) => error.to_string(),
            Ok(found) if !found.is_file() => "it is not a file".to_owned(),
            Ok(found) if found.permissions().mode() & 0o111 == 0 => "it is not executable: chmod +x it".to_owned(),
            Ok(_) => return Ok(()),
        };
        Err(LambdaError::Bootstrap { function: self.name.clone(), path: self.bootstrap.clone(), problem })
    }
}

/// The account, and AWS's own waiting times, which tests and drills may shorten.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Twelve digits.
    pub account: String,
    /// For example `eu-central-1`.
    pub region: String,
    /// Waits before the second and the third try of an event after a function error.
    pub retry_delays: [Duration; 2],
    /// The first wait after a throttle or a system error; it doubles up to `backoff_limit`.
    pub backoff: Duration,
    /// The longest wait after a throttle or a system error.
    pub backoff_limit: Duration,
    /// How long the init phase may take before it is started over inside the invocation.
    pub init_limit: Duration,
    /// An idle environment ends after at least this long, at most twice as long.
    pub idle_limit: Duration,
}

impl Default for Settings {
    /// AWS's documented values: 1 and 2 minutes, 1 s to 5 minutes, 10 s of init.
    fn default() -> Self {
        Self {
            account: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
            retry_delays: [Duration::from_secs(60), Duration::from_secs(120)],
            backoff: Duration::from_secs(1),
            backoff_limit: Duration::from_secs(300),
            init_limit: Duration::from_secs(10),
            idle_limit: Duration::from_secs(300),
        }
    }
}
