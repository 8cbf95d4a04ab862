//! Whether a run has met its scenario's expectations.

use std::time::Duration;

use steadfast_scenario::{Bound, Expectation, Scenario, Who};

use crate::run::Report;

/// One expectation, and what was seen when it did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What was expected.
    pub expectation: Expectation,
    /// What was seen instead; None when it held.
    pub instead: Option<String>,
}

/// Judges all of them, in their order.
pub fn judge(scenario: &Scenario, report: &Report) -> Vec<Judgement> {
    let judged =
        |expectation: &Expectation| Judgement { expectation: *expectation, instead: instead(*expectation, report) };
    scenario.expectations.iter().map(judged).collect()
}

fn instead(expectation: Expectation, report: &Report) -> Option<String> {
    let rules = || format!("rules {:?} decided", report.rules.keys().collect::<Vec<_>>());
    let outage = Duration::from_millis(report.outage_ms);
    let (held, seen) = match expectation {
        Expectation::Rule(rule) => (report.rules.contains_key(&rule), rules()),
        Expectation::NoRule(rule) => (!report.rules.contains_key(&rule), rules()),
        Expectation::Calls(bound) => (within(bound, report.calls), format!("{} calls", report.calls)),
        Expectation::Episodes(bound) => (within(bound, report.episodes), format!("{} episodes", report.episodes)),
        Expectation::Lost(bound) => (within(bound, report.lost), format!("{} lost", report.lost)),
        Expectation::Writer(who) => (is_writer(who, report.writer), format!("the writer is {:?}", report.writer)),
        Expectation::OutageAtMost(limit) => (outage <= limit, format!("an outage of {outage:?}")),
        Expectation::DetectedWithin(limit) => {
            let detected = report.detected_ms.map(Duration::from_millis);
            (detected.is_some_and(|after| after <= limit), format!("detected after {detected:?}"))
        }
        // Clients with the ledger make a transaction again until it is applied: no application hears of an error.
        Expectation::Errors(bound) => (within(bound, 0), "0 errors".to_owned()),
        Expectation::RecoveredBy(by) => {
            (report.recovered_by == Some(by), format!("recovered by {:?}", report.recovered_by))
        }
        Expectation::SessionsEvicted => (report.evicted > 0, format!("{} sessions evicted", report.evicted)),
        Expectation::PersonCalled(rule) => (report.people.contains(&rule), people(report)),
        Expectation::NobodyCalled => (report.people.is_empty(), people(report)),
        Expectation::Open(open) => (report.open == open, format!("open: {}", report.open)),
    };
    (!held).then_some(seen)
}

fn people(report: &Report) -> String {
    format!("a person was called for rules {:?}", report.people)
}

fn within(bound: Bound, seen: u64) -> bool {
    match bound {
        Bound::Exactly(number) => seen == number,
        Bound::AtMost(limit) => seen <= limit,
    }
}

fn is_writer(who: Who, writer: Option<usize>) -> bool {
    match who {
        Who::Same => writer == Some(0),
        Who::Other => writer.is_some_and(|nth| nth > 0),
        Who::Reader(nth) => writer == Some(usize::from(nth)),
    }
}

/// What a disturbance of the coordinator made worse, beside broken promises: it may cost time, and nothing else.
pub fn worse(disturbed: &Report, undisturbed: &Report) -> Vec<String> {
    let mut worse = Vec::new();
    if disturbed.lost > 0 {
        worse.push(format!("{} acknowledged writes are lost", disturbed.lost));
    }
    // Of two calls one may find the work done, but a second that is accepted moves the role once more.
    if disturbed.accepted > undisturbed.accepted.max(1) {
        worse.push(format!("{} promotions are accepted, {} without it", disturbed.accepted, undisturbed.accepted));
    }
    if disturbed.open && !undisturbed.open {
        worse.push("the episode is left open".to_owned());
    }
    worse
}
