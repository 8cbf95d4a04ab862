//! The environment variables of a `provided.al2023` execution environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use super::name::LATEST;
use super::spec::{FunctionSpec, Settings};

/// Names that AWS does not let a function define (Lambda guide, defined runtime variables).
const RESERVED: [&str; 18] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// The first of `variables` that only Lambda may set.
pub(super) fn reserved(variables: &BTreeMap<String, String>) -> Option<&str> {
    variables.keys().map(String::as_str).find(|name| RESERVED.contains(name))
}

/// All variables of one environment; nothing is inherited from this process.
pub(super) fn of_environment(
    settings: &Settings,
    spec: &FunctionSpec,
    runtime_api: SocketAddr,
    log_stream: &str,
) -> BTreeMap<String, String> {
    let task_root = spec.bootstrap.parent().unwrap_or(Path::new("/"));
    let own = [
        ("_HANDLER", "bootstrap".to_owned()),
        // The emulator takes a key of twelve digits as the account's id.
        ("AWS_ACCESS_KEY_ID", settings.account.clone()),
        ("AWS_DEFAULT_REGION", settings.region.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", spec.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", LATEST.to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", spec.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream.to_owned()),
        ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string()),
        ("AWS_REGION", settings.region.clone()),
        ("AWS_SECRET_ACCESS_KEY", "lab".to_owned()),
        ("AWS_SESSION_TOKEN", "lab".to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("LAMBDA_TASK_ROOT", task_root.display().to_string()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ];
    let mut variables: BTreeMap<String, String> =
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    variables.extend(spec.environment.clone());
    variables
}
