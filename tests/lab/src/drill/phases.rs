//! When what happened, read from the evidence and the control plane's log.

use std::ops::RangeInclusive;

use serde::Serialize;
use serde_json::Value;
use steadfast_core::episode::Episode;
use steadfast_core::evidence::{Entry, Kind};
use steadfast_core::time::Timestamp;

use super::milestones::is_ours;
use crate::assembly::Lab;
use crate::rds::{Promotion, Trigger};

/// Points in time of one episode; None for what did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Phases {
    /// A quorum of witnesses was recognised and the episode opened.
    pub(super) detected: Option<Timestamp>,
    /// The decision to promote was written.
    pub(super) decided: Option<Timestamp>,
    /// `FailoverDBCluster` reached the control plane.
    pub(super) called: Option<Timestamp>,
    /// The new writer accepted writes, by the platform's own word.
    pub(super) promoted: Option<Timestamp>,
    /// A canary commit on the new writer was acknowledged.
    pub(super) proved: Option<Timestamp>,
}

/// From the fault to the end of the run, in milliseconds since the Unix epoch. What Steadfast does once the lab mends
/// everything in order to count is no part of a run.
pub(super) type Span = RangeInclusive<u64>;

/// Reads them.
pub(super) fn phases(lab: &Lab, run: &Span, episode: &Episode, evidence: &[Entry]) -> Phases {
    // Another episode of the same run may have had a call and a promotion before.
    let own = episode.opened_at.as_millis()..=*run.end();
    let call = lab.rds.calls().into_iter().find(|call| is_ours(call) && own.contains(&call.at_ms));
    let promoted = lab.rds.promotions().into_iter().find_map(|promotion| {
        let ours = run.contains(&promotion.started_ms) && promotion.old_writer == episode.old_writer.as_str();
        promotion.writable_ms.filter(|_| ours)
    });
    Phases {
        detected: opened(evidence),
        decided: evidence.iter().find(|entry| verdict(entry) == Some("fail_over")).map(|entry| entry.at),
        called: call.map(|call| Timestamp::from_millis(call.at_ms)),
        promoted: promoted.map(Timestamp::from_millis),
        proved: episode.proved_at,
    }
}

/// When the episode was opened.
pub(super) fn opened(evidence: &[Entry]) -> Option<Timestamp> {
    evidence.iter().find(|entry| entry.kind == Kind::Opened).map(|entry| entry.at)
}

/// How often Steadfast called `FailoverDBCluster` in the run.
pub(super) fn calls(lab: &Lab, run: &Span) -> u64 {
    lab.rds.calls().iter().filter(|call| is_ours(call) && run.contains(&call.at_ms)).count() as u64
}

/// How many failovers that Steadfast called for in the run have moved the role.
pub(super) fn took_effect(lab: &Lab, run: &Span) -> u64 {
    let calls = lab.rds.calls();
    // One that a person called for begins while that call is answered.
    let by_hand = |started: u64| {
        let others = calls.iter().filter(|call| call.action == "FailoverDBCluster" && !is_ours(call));
        others.into_iter().any(|call| (call.at_ms..=call.answered_ms).contains(&started))
    };
    let ours = |promotion: &&Promotion| {
        let begun = promotion.started_ms;
        promotion.trigger == Trigger::Api && run.contains(&begun) && !by_hand(begun)
    };
    lab.rds.promotions().iter().filter(ours).filter(|promotion| promotion.writable_ms.is_some()).count() as u64
}

fn verdict(entry: &Entry) -> Option<&str> {
    (entry.kind == Kind::Decided).then(|| entry.data.get("verdict").and_then(Value::as_str)).flatten()
}
