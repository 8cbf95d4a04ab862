//! The lab.

/// AWS Lambda on this machine: functions as processes behind the real Runtime and Invoke APIs.
pub mod lambda;
