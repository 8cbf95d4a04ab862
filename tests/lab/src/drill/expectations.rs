//! What a scenario expects, against what one run has shown.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use steadfast_core::episode::RecoveredBy;
use steadfast_scenario::{Bound, Expectation, Who};

use crate::assembly::names;

/// One expectation and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// As the scenario words it.
    pub expectation: String,
    /// Whether it held. None when the scenario's platform was replaced by another, so that it says
    /// nothing.
    pub held: Option<bool>,
    /// What was seen.
    pub seen: String,
}

/// What one run has shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// The rules that decided.
    pub(super) rules: BTreeSet<u16>,
    /// Calls of `FailoverDBCluster` by Steadfast.
    pub(super) calls: u64,
    /// Episodes that were opened.
    pub(super) episodes: u64,
    /// The writer of the start.
    pub(super) old_writer: String,
    /// The instance that has the role at the end, if its server runs.
    pub(super) writer: Option<String>,
    /// The longest gap between two acknowledged commits of all clients together.
    pub(super) outage: Duration,
    /// From the first fault to the opening of the first episode.
    pub(super) detected: Option<Duration>,
    /// Acknowledged writes that are not there.
    pub(super) lost: u64,
    /// Writes that an application saw fail, or whose outcome it did not learn.
    pub(super) errors: u64,
    /// Who ended the last episode.
    pub(super) recovered_by: Option<RecoveredBy>,
    /// For each client that stays with the old writer, how often its session there was ended.
    pub(super) evicted: Vec<u64>,
    /// Subjects of the messages that call a person now.
    pub(super) people: Vec<String>,
    /// Whether the last episode is open; None without one.
    pub(super) open: Option<bool>,
}

/// Whether it held, and what was seen.
pub(super) fn judge(expectation: Expectation, shown: &Shown) -> Judged {
    let rules = || format!("rules {}", list(shown.rules.iter()));
    let (held, seen) = match expectation {
        Expectation::Rule(id) => (shown.rules.contains(&id), rules()),
        Expectation::NoRule(id) => (!shown.rules.contains(&id), rules()),
        Expectation::Calls(bound) => (within(bound, shown.calls), format!("calls {}", shown.calls)),
        Expectation::Episodes(bound) => (within(bound, shown.episodes), format!("episodes {}", shown.episodes)),
        Expectation::Writer(who) => {
            let writer = shown.writer.as_deref();
            (
                writer.is_some_and(|writer| is(who, writer, &shown.old_writer)),
                format!("writer {}", writer.unwrap_or("none")),
            )
        }
        Expectation::OutageAtMost(limit) => {
            (shown.outage <= limit, format!("outage {:.3}s", shown.outage.as_secs_f64()))
        }
        Expectation::DetectedWithin(limit) => match shown.detected {
            Some(after) => (after <= limit, format!("detected after {:.3}s", after.as_secs_f64())),
            None => (false, "not detected".to_owned()),
        },
        Expectation::Lost(bound) => (within(bound, shown.lost), format!("lost {}", shown.lost)),
        Expectation::Errors(bound) => (within(bound, shown.errors), format!("errors {}", shown.errors)),
        Expectation::RecoveredBy(by) => {
            let seen = shown.recovered_by.map_or("nobody".to_owned(), |by| format!("{by:?}").to_lowercase());
            (shown.recovered_by == Some(by), format!("recovered by {seen}"))
        }
        Expectation::SessionsEvicted => {
            let held = !shown.evicted.is_empty() && shown.evicted.iter().all(|times| *times > 0);
            (held, format!("sessions evicted by client: {}", list(shown.evicted.iter())))
        }
        Expectation::PersonCalled(rule) => {
            let ending = format!("rule {rule}");
            (shown.people.iter().any(|subject| subject.ends_with(&ending)), people(shown))
        }
        Expectation::NobodyCalled => (shown.people.is_empty(), people(shown)),
        Expectation::Open(open) => {
            let seen = match shown.open {
                Some(true) => "episode open",
                Some(false) => "episode closed",
                None => "no episode",
            };
            (shown.open == Some(open), seen.to_owned())
        }
    };
    Judged { expectation: expectation.to_string(), held: Some(held), seen }
}

fn within(bound: Bound, number: u64) -> bool {
    match bound {
        Bound::Exactly(wanted) => number == wanted,
        Bound::AtMost(most) => number <= most,
    }
}

fn is(who: Who, writer: &str, old_writer: &str) -> bool {
    match who {
        Who::Same => writer == old_writer,
        Who::Other => writer != old_writer,
        Who::Reader(number) => names::INSTANCES.get(usize::from(number)).is_some_and(|reader| *reader == writer),
    }
}

fn people(shown: &Shown) -> String {
    if shown.people.is_empty() { "nobody called".to_owned() } else { format!("called: {}", shown.people.join("; ")) }
}

fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use steadfast_scenario::parse;

    use super::*;

    fn failover() -> Shown {
        Shown {
            rules: [410, 640, 420, 330].into(),
            calls: 1,
            episodes: 1,
            old_writer: names::INSTANCES[0].to_owned(),
            writer: Some(names::INSTANCES[1].to_owned()),
            outage: Duration::from_millis(1_200),
            detected: Some(Duration::from_millis(700)),
            lost: 0,
            errors: 0,
            recovered_by: Some(RecoveredBy::Steadfast),
            evicted: vec![2, 1],
            people: vec!["[critical] orders: you are needed, rule 425".to_owned()],
            open: Some(false),
        }
    }

    fn held(statements: &str, shown: &Shown) -> Vec<Option<bool>> {
        let scenario = parse("judged", &format!("# why\n{statements}")).expect("a scenario");
        scenario.expectations.iter().map(|expectation| judge(*expectation, shown).held).collect()
    }

    #[test]
    fn each_expectation_holds_for_what_it_says_and_for_nothing_else() {
        for (holds, fails) in [
            ("expect rule 640", "expect rule 650"),
            ("expect no rule 650", "expect no rule 640"),
            ("expect calls 1", "expect calls 2"),
            ("expect calls at most 1", "expect calls at most 0"),
            ("expect episodes 1", "expect episodes at most 0"),
            ("expect writer other", "expect writer same"),
            ("expect writer reader-1", "expect writer reader-2"),
            ("expect outage at most 1200ms", "expect outage at most 1199ms"),
            ("expect detected within 700ms", "expect detected within 699ms"),
            ("expect lost 0", "expect lost 1"),
            ("expect recovered by steadfast", "expect recovered by platform"),
            ("expect person called by rule 425", "expect person called by rule 427"),
            ("expect episode closed", "expect episode open"),
        ] {
            assert_eq!(held(holds, &failover()), [Some(true)], "{holds}");
            assert_eq!(held(fails, &failover()), [Some(false)], "{fails}");
        }
        assert_eq!(held("expect nobody called", &failover()), [Some(false)]);
        assert_eq!(held("expect sessions evicted", &failover()), [Some(true)]);
        for kept in [vec![], vec![1, 0]] {
            assert_eq!(held("expect sessions evicted", &Shown { evicted: kept, ..failover() }), [Some(false)]);
        }
        assert_eq!(held("expect nobody called", &Shown { people: Vec::new(), ..failover() }), [Some(true)]);
    }

    #[test]
    fn without_an_episode_or_a_writer_nothing_is_said_of_either() {
        let nothing = Shown::default();
        for statement in [
            "expect episode open",
            "expect episode closed",
            "expect writer same",
            "expect writer other",
            "expect detected within 24h",
            "expect recovered by itself",
            "expect sessions evicted",
        ] {
            assert_eq!(held(statement, &nothing), [Some(false)], "{statement}");
        }
        let judged = judge(Expectation::Open(false), &nothing);
        assert_eq!((judged.expectation.as_str(), judged.seen.as_str()), ("episode closed", "no episode"));
    }
}
