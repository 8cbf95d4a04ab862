//! What plans by chance must reach: a situation that no seed comes to is one that nobody has tried.

#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use steadfast_core::rules::TABLE;
use steadfast_simulation::chaos;
use steadfast_simulation::plan::Plan;
use steadfast_simulation::run::{Report, run};

/// Every rule and every situation below is met within so many seeds; most within the first few dozen.
const SEEDS: std::ops::Range<u64> = 9_000_000..9_006_000;

/// Situations, by the words they are counted under.
const SITUATIONS: [&str; 22] = [
    // Clients that go by the cluster endpoint.
    "an answer of DNS is outdated",
    "endpoint leads a client to a reader",
    "endpoint leads a client to a dead old writer",
    "session kept on a server that does not write",
    // Evictions, and the drainers that are late, doubled and tried again.
    "evicted after a stale endpoint",
    "evicted from a demoted writer",
    "evicted from a writer that had frozen",
    "evicted by a drainer that was tried again",
    "drainer beside another",
    "drainer tried again",
    "drainer of an earlier episode leaves",
    "drainer finds the writer and leaves it alone",
    "roles move between two statements of a drainer",
    // Runs of probers that overlap.
    "prober beside its successor",
    "prober invoked twice by one tick",
    "prober superseded by its successor",
    "late report refused",
    // Passwords that are rotated, and clusters that had paused themselves.
    "prober reads a rotated password",
    "instance resumes for whoever connects",
    "call while the writer resumes",
    // A stable name.
    "the name was set",
    "the name was moved",
];

/// What is still to be met: rules by their number, situations by their words.
struct Missing {
    rules: BTreeSet<u16>,
    situations: BTreeSet<&'static str>,
}

impl Missing {
    fn all() -> Self {
        Self { rules: TABLE.iter().map(|rule| rule.id).collect(), situations: SITUATIONS.into() }
    }

    fn strike_out(&mut self, report: &Report) {
        self.rules.retain(|rule| !report.rules.contains_key(rule));
        self.situations.retain(|situation| !report.met.contains_key(*situation));
    }

    fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.situations.is_empty()
    }
}

/// The rule for what no rule knows is left out: a decision by it is an error in every run.
#[test]
fn every_rule_decides_and_every_situation_is_met() {
    let mut missing = Missing::all();
    for seed in SEEDS {
        if missing.is_empty() {
            break;
        }
        missing.strike_out(&run(chaos::plan(seed)));
    }
    let Missing { rules, situations } = &missing;
    assert!(missing.is_empty(), "not met within {} seeds: rules {rules:?}, {situations:?}", SEEDS.count());
}

fn met(name: &str) -> BTreeMap<String, u64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let scenario = steadfast_scenario::parse(name, &text).unwrap_or_else(|errors| panic!("{errors}"));
    run(Plan::of(scenario)).met
}

#[test]
fn clients_of_an_endpoint_that_stays_behind_end_up_on_the_demoted_writer_and_are_evicted() {
    let met = met("cluster-endpoint-stays-behind");
    for situation in ["endpoint leads a client to a reader", "evicted after a stale endpoint"] {
        assert!(met.contains_key(situation), "{situation}: {met:?}");
    }
}

#[test]
fn probers_of_a_rotated_password_are_refused_and_read_the_new_one() {
    let met = met("password-is-rotated-in-an-episode");
    assert!(met.contains_key("prober reads a rotated password"), "{met:?}");
}
