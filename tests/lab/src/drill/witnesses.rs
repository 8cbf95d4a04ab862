//! What the functions leave behind: evidence, decisions in their log, messages to people.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use steadfast_core::evidence::{Entry, Kind};
use steadfast_core::time::Timestamp;

use super::DrillError;
use crate::assembly::{AssemblyError, Lab, call, names};

/// How messages begin that call a person now.
const CRITICAL: &str = "[critical]";

/// The evidence of every episode after epoch `before`, the oldest first; none is empty.
pub(super) async fn evidence(lab: &Lab, before: u64) -> Result<Vec<Vec<Entry>>, DrillError> {
    let state = lab.state().await?;
    let lease = state.lease.map_or(before, |lease| lease.epoch);
    let latest = state.episode.map_or(lease, |episode| episode.epoch.max(lease));
    let mut episodes = Vec::new();
    for epoch in before.saturating_add(1)..=latest {
        let entries = lab.table.evidence(&lab.cluster_id(), epoch).await.map_err(AssemblyError::from)?;
        if !entries.is_empty() {
            episodes.push(entries);
        }
    }
    Ok(episodes)
}

/// The rules by which episodes were led, as the evidence has them.
pub(super) fn recorded_rules(evidence: &[Entry]) -> impl Iterator<Item = u16> {
    let decided = evidence.iter().filter(|entry| entry.kind == Kind::Decided);
    decided.filter_map(|entry| u16::try_from(entry.data.get("rule")?.as_u64()?).ok())
}

/// The rules that coordinators decided by, as their log has them: also those that left nothing to record.
pub(super) fn logged_rules(logs: &Path, from: Timestamp, to: Timestamp) -> Result<BTreeSet<u16>, DrillError> {
    let path = logs.join(format!("{}.log", names::COORDINATOR));
    let text = std::fs::read_to_string(&path).map_err(|source| DrillError::Read { path, source })?;
    Ok(text.lines().filter_map(|line| decision(line, from, to)).collect())
}

/// The rule of a line that logs a decision within this time.
fn decision(line: &str, from: Timestamp, to: Timestamp) -> Option<u16> {
    let (_, text) = line.split_once('{')?;
    let line: Value = serde_json::from_str(&format!("{{{text}")).ok()?;
    let at = Timestamp::from_millis(line.get("at")?.as_u64()?);
    let within = (from..=to).contains(&at) && line.get("audit")?.as_str()? == "decision";
    within.then(|| u16::try_from(line.pointer("/data/rule")?.as_u64()?).ok()).flatten()
}

/// Subjects of the messages so far that call a person now; each is read once.
pub(super) async fn people_called(lab: &Lab) -> Result<Vec<String>, DrillError> {
    let sqs = aws_sdk_sqs::Client::new(&lab.aws);
    let mut subjects = Vec::new();
    loop {
        let poll = sqs.receive_message().queue_url(&lab.resources.notices_url).max_number_of_messages(10);
        let answer = poll.send().await.map_err(call("ReceiveMessage"))?;
        if answer.messages().is_empty() {
            return Ok(subjects);
        }
        for message in answer.messages() {
            let body: Value = serde_json::from_str(message.body().unwrap_or_default()).unwrap_or_default();
            let subject = body.get("Subject").and_then(Value::as_str).unwrap_or_default();
            if subject.starts_with(CRITICAL) {
                subjects.push(subject.to_owned());
            }
            if let Some(handle) = message.receipt_handle() {
                let delete = sqs.delete_message().queue_url(&lab.resources.notices_url).receipt_handle(handle);
                delete.send().await.map_err(call("DeleteMessage"))?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_read_from_the_log_if_it_fell_within_the_run() {
        let line = |at: u64, audit: &str| {
            format!(r#"1700 1a2b3c4d {{"audit":"{audit}","at":{at},"function":"x","data":{{"rule":640}}}}"#)
        };
        let read = |line: &str| decision(line, Timestamp::from_millis(100), Timestamp::from_millis(200));
        assert_eq!(read(&line(150, "decision")), Some(640));
        for other in [line(99, "decision"), line(201, "decision"), line(150, "evidence"), "1700 x START {".to_owned()] {
            assert_eq!(read(&other), None, "{other}");
        }
    }
}
