//! How it went from the failure to the proof.

use serde::Serialize;
use serde_json::Value;
use steadfast_core::evidence::{Entry, Kind};
use steadfast_core::time::Timestamp;

/// The phase that ends an outage.
pub(crate) const PROVED: &str = "proved";
/// The commit of a client after the outage.
pub(crate) const FLOWING: &str = "writes flow";

/// Names and sentences in their usual order.
const SAYS: [(&str, &str); 6] = [
    ("detected", "A quorum of Availability Zones agreed that the writer had failed, and the episode was opened."),
    ("decided", "A rule ordered the promotion, and the intention was written before anything was called."),
    ("called", "The call that moves the writer role reached the control plane."),
    ("promoted", "The new writer accepted writes, by the platform's own word."),
    (PROVED, "A canary commit on the new writer was acknowledged: only this counts as recovery."),
    (FLOWING, "The first commit of an application after the outage was acknowledged."),
];
/// What the first one means when nothing had failed.
const ORDERED: &str = "The operator's order was accepted after its preflight, and the episode was opened.";

/// A point on the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// Its name, such as `detected`.
    pub name: String,
    /// When, in seconds after the zero.
    pub at_s: f64,
    /// What it means.
    pub says: String,
}

impl Phase {
    /// Those that were reached, in the order of time. Names are those of `detected`, `decided`, `called`, `promoted`,
    /// `proved` and `writes flow`; others are passed over.
    pub fn reached(named: &[(&str, Option<f64>)], planned: bool) -> Vec<Self> {
        let at = |name: &str| named.iter().find(|(known, _)| *known == name).and_then(|(_, at)| *at);
        let mut phases: Vec<Self> = SAYS
            .into_iter()
            .filter_map(|(name, says)| {
                let ordered = planned && name == "detected";
                let (shown, says) = if ordered { ("ordered", ORDERED) } else { (name, says) };
                Some(Self { name: shown.to_owned(), at_s: at(name)?, says: says.to_owned() })
            })
            .collect();
        phases.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        phases
    }
}

/// The phases of an episode, as far as its evidence shows them.
pub(crate) fn of_evidence(entries: &[Entry], zero: Timestamp, planned: bool) -> Vec<Phase> {
    let find = |matches: &dyn Fn(&Entry) -> bool| entries.iter().find(|entry| matches(entry));
    let text = |entry: &Entry, name: &str| entry.data.get(name).and_then(Value::as_str).map(str::to_owned);
    let at = |entry: Option<&Entry>| entry.map(|entry| seconds(zero, entry.at));
    let moves = |entry: &Entry| text(entry, "action").is_some_and(|action| is_promotion(&action));
    let decided = find(&|entry| {
        entry.kind == Kind::Decided
            && text(entry, "verdict").is_some_and(|verdict| verdict == "fail_over" || verdict == "switch_over")
    });
    let proof = find(&|entry| entry.kind == Kind::Proved);
    // By the prober's clock; it says when the commit was, the entry when it was written down.
    let committed = proof.and_then(|entry| entry.data.get("committed_at")?.as_u64()).map(Timestamp::from_millis);
    Phase::reached(
        &[
            ("detected", at(find(&|entry| entry.kind == Kind::Opened))),
            ("decided", at(decided)),
            ("called", at(find(&|entry| entry.kind == Kind::Intended && moves(entry)))),
            (PROVED, committed.map(|committed| seconds(zero, committed)).or_else(|| at(proof))),
        ],
        planned,
    )
}

/// Whether an action moves the writer role.
pub(crate) fn is_promotion(action: &str) -> bool {
    matches!(action, "FailoverDBCluster" | "RebootDBInstance")
}

/// Seconds from `zero` to `at`, negative when it lies before.
pub(crate) fn seconds(zero: Timestamp, at: Timestamp) -> f64 {
    if at < zero { -zero.since(at).as_secs_f64() } else { at.since(zero).as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_stands_in_the_order_of_time() {
        let reached = Phase::reached(&[("proved", Some(1.0)), ("writes flow", Some(0.9)), ("called", None)], false);
        let names: Vec<&str> = reached.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["writes flow", "proved"]);
        let ordered = Phase::reached(&[("detected", Some(0.1))], true);
        assert_eq!(ordered.first().map(|phase| phase.name.as_str()), Some("ordered"));
    }

    #[test]
    fn moments_before_the_zero_are_negative() {
        let at = |millis| Timestamp::from_millis(millis);
        assert!((seconds(at(1_500), at(1_000)) + 0.5).abs() < 1e-9);
        assert!((seconds(at(1_000), at(1_500)) - 0.5).abs() < 1e-9);
    }
}
