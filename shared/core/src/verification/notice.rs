//! What people are told of a verification.

use super::run::{Run, Source};
use crate::notice::{Notice, Severity};

/// The verdict.
pub fn verdict(run: &Run) -> Notice {
    let verified = run.is_verified();
    let (severity, word) = if verified { (Severity::Info, "verified") } else { (Severity::Critical, "NOT verified") };
    Notice {
        severity,
        subject: format!("{}: backup {word}", run.database),
        body: format!(
            "Run {} restored {} of {} as {}: {word}. {} Achieved RPO {}, achieved RTO {}. {} Evidence: partition \
             evidence#{}#{} of the state table.",
            run.id,
            source(&run.source),
            run.database,
            run.restored_id(),
            opened(run),
            seconds(run.achieved_rpo()),
            seconds(run.achieved_rto()),
            what_is_wrong(run),
            Run::evidence_of(&run.database),
            run.id
        ),
    }
}

/// What the janitor deleted.
pub fn leaked(database: &str, ids: &[String]) -> Notice {
    Notice {
        severity: Severity::Warning,
        subject: format!("{database}: a verification left something behind"),
        body: format!("Deleted: {}. Each carried the tag of the verifier, and no open run needed it.", ids.join(", ")),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Snapshot { id, taken_at, .. } => format!("snapshot {id} (taken {})", taken_at.rfc3339()),
        Source::PointInTime { to } => format!("the point in time {}", to.rfc3339()),
    }
}

/// A backup may hold more databases than the one that is looked through.
fn opened(run: &Run) -> String {
    match &run.opened {
        Some(name) => format!("Of its databases {name} was opened, and no other."),
        None => "No database of it was opened.".to_owned(),
    }
}

fn seconds(of: Option<std::time::Duration>) -> String {
    of.map_or_else(|| "unknown".to_owned(), |of| format!("{} s", of.as_secs()))
}

fn what_is_wrong(run: &Run) -> String {
    let findings = run.findings.iter().take(10);
    let findings: Vec<String> =
        findings.map(|finding| format!("[{}] {}: {}", finding.check.as_str(), finding.about, finding.what)).collect();
    match (&run.failed, findings.is_empty()) {
        (Some(because), _) => {
            format!("It was given up: {because}. A backup that cannot be restored and opened is none: act now.")
        }
        (None, true) if run.only_read > 0 => format!(
            "Every check is done, and nothing was found. {} indexes are too large to be compared with their tables in one \
             invocation: their pages were read, no more.",
            run.only_read
        ),
        (None, true) => "Every check is done, and nothing was found.".to_owned(),
        (None, false) => format!(
            "Found ({} in all): {}. Look whether production shows the same, and take a new snapshot.",
            run.found,
            findings.join("; ")
        ),
    }
}
