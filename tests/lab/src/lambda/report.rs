//! The lines that Lambda itself writes to a function's log.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::error_type;
use super::environment::Ending;

/// The line that Lambda adds to the log of an invocation that did not end by itself.
pub(super) fn complaint(ending: &Ending, request_id: &str, timeout: Duration) -> Option<String> {
    match ending {
        Ending::Exited(how) => Some(format!("RequestId: {request_id} Error: {how}")),
        Ending::TimedOut => Some(format!("{request_id} Task timed out after {:.2} seconds", timeout.as_secs_f64())),
        Ending::Answered(_) | Ending::Reported(_) | Ending::TooLarge | Ending::Closing | Ending::Platform(_) => None,
    }
}

/// The numbers of a `REPORT` line.
pub(super) struct Report<'a> {
    pub(super) took: Duration,
    pub(super) init_ms: Option<f64>,
    pub(super) memory_mb: u32,
    pub(super) peak_mb: u64,
    pub(super) ending: &'a Ending,
}

impl Report<'_> {
    pub(super) fn line(&self) -> String {
        let milliseconds = self.took.as_secs_f64() * 1000.0;
        // Init is billed too, for every kind of function since August 2025.
        let billed = (milliseconds + self.init_ms.unwrap_or(0.0)).ceil();
        let mut line = format!(
            "Duration: {milliseconds:.2} ms\tBilled Duration: {billed:.0} ms\t\
             Memory Size: {} MB\tMax Memory Used: {} MB",
            self.memory_mb, self.peak_mb
        );
        if let Some(init_ms) = self.init_ms {
            line.push_str(&format!("\tInit Duration: {init_ms:.2} ms"));
        }
        match self.ending {
            Ending::TimedOut => line.push_str("\tStatus: timeout"),
            Ending::Exited(_) => line.push_str("\tStatus: error\tError Type: Runtime.ExitError"),
            Ending::Answered(_) | Ending::Reported(_) | Ending::TooLarge | Ending::Closing | Ending::Platform(_) => {}
        }
        line
    }
}

/// The line about an init phase that failed.
pub(super) fn init_report(begun: Instant, phase: &str, ending: &Ending) -> String {
    let (status, kind) = match ending {
        Ending::TimedOut => ("timeout", String::new()),
        Ending::Exited(_) => ("error", "\tError Type: Runtime.ExitError".to_owned()),
        Ending::Reported(document) => ("error", format!("\tError Type: {}", error_type(document))),
        Ending::Answered(_) | Ending::TooLarge | Ending::Closing | Ending::Platform(_) => ("error", String::new()),
    };
    format!(
        "INIT_REPORT Init Duration: {:.2} ms\tPhase: {phase}\tStatus: {status}{kind}",
        begun.elapsed().as_secs_f64() * 1000.0
    )
}
