//! Audit lines and metrics: raw JSON objects on standard output, one per line.
//!
//! Lambda's JSON log format passes lines that are JSON objects already; a tracing layer would
//! nest them and break the embedded metric format. Everything else goes through `tracing` to
//! standard error, where it is never mistaken for either.

use std::io::Write as _;

use serde_json::{Value, json};
use steadfast_core::metric::{self, Metric};
use tracing_subscriber::filter::LevelFilter;

use crate::clock;

/// Sends `tracing` to standard error as JSON, at the level of `AWS_LAMBDA_LOG_LEVEL` (default info).
pub fn start() {
    let level = level(&std::env::var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default());
    let started = tracing_subscriber::fmt().json().with_max_level(level).with_writer(std::io::stderr).try_init();
    if started.is_err() {
        tracing::debug!("a tracing subscriber is already in place");
    }
}

/// Lambda's words for levels are those of `tracing`, and FATAL, which it has none for.
fn level(word: &str) -> LevelFilter {
    match word.to_ascii_lowercase().as_str() {
        "" => LevelFilter::INFO,
        "fatal" => LevelFilter::ERROR,
        known => known.parse().unwrap_or(LevelFilter::INFO),
    }
}

/// One audit line of this function.
pub fn audit(function: &str, what: &str, data: &Value) {
    line(&json!({ "audit": what, "at": clock::now(), "function": function, "data": data }));
}

/// An audit line for what the code rules out; `level` is what log filters and alarms look for.
pub fn error(function: &str, what: &str, data: &Value) {
    line(&json!({ "audit": what, "level": "ERROR", "at": clock::now(), "function": function, "data": data }));
}

/// One metrics line in embedded metric format.
pub fn measure(dimensions: &[(&str, &str)], metrics: &[(Metric, u64)]) {
    line(&metric::document(clock::now(), dimensions, metrics));
}

/// The last line of a start that failed.
pub fn fatal(error: &dyn std::fmt::Display) {
    let mut err = std::io::stderr().lock();
    // Nobody is left to tell when standard error is closed.
    let _closed = writeln!(err, "{error}");
}

fn line(value: &Value) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{value}").and_then(|()| out.flush()) {
        tracing::warn!(%error, "standard output does not take the line");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_of_lambda_is_known_and_any_other_word_is_info() {
        let words = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "", "verbose"];
        let expected = [
            LevelFilter::TRACE,
            LevelFilter::DEBUG,
            LevelFilter::INFO,
            LevelFilter::WARN,
            LevelFilter::ERROR,
            LevelFilter::ERROR,
            LevelFilter::INFO,
            LevelFilter::INFO,
        ];
        assert_eq!(words.map(level), expected);
    }
}
