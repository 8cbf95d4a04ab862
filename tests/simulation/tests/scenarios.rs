//! Every scenario, in virtual time: its expectations, the promises, and the decisions as reviewed.

#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use steadfast_scenario::{Interpreter, Scenario};
use steadfast_simulation::judge::judge;
use steadfast_simulation::plan::Plan;
use steadfast_simulation::run::{Report, run};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn scenarios() -> Vec<Scenario> {
    let all = steadfast_scenario::load(&folder()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!all.is_empty(), "no scenario in {}", folder().display());
    all.into_iter().filter(|scenario| scenario.keeps_out(Interpreter::Simulation).is_none()).collect()
}

fn failures(scenario: &Scenario, report: &Report) -> Vec<String> {
    let broken = report.violations.iter().map(|violation| format!("{}: {violation}", scenario.name));
    let missed = judge(scenario, report).into_iter().filter_map(|judgement| {
        judgement.instead.map(|seen| format!("{}: {}, but {seen}", scenario.name, judgement.expectation))
    });
    broken.chain(missed).collect()
}

#[test]
fn every_scenario_meets_its_expectations_and_breaks_no_promise() {
    let failures: Vec<String> = scenarios()
        .into_iter()
        .flat_map(|scenario| {
            let report = run(Plan::of(scenario.clone()));
            failures(&scenario, &report)
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_decision_is_as_reviewed() {
    let mut changed = Vec::new();
    for scenario in scenarios() {
        let report = run(Plan::of(scenario.clone()));
        let mut text = String::new();
        for line in &report.decisions {
            writeln!(text, "{line}").expect("writes to memory");
        }
        let path = golden().join(format!("{}.txt", scenario.name));
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            std::fs::create_dir_all(golden()).expect("makes the folder");
            std::fs::write(&path, text).expect("writes");
            changed.push(scenario.name);
        }
    }
    assert!(
        changed.is_empty(),
        "decisions changed and were written anew; review and commit tests/simulation/tests/golden: {changed:?}"
    );
}

#[test]
fn no_decision_is_kept_for_a_scenario_that_is_gone() {
    let known: Vec<String> = scenarios().into_iter().map(|scenario| scenario.name).collect();
    let files = std::fs::read_dir(golden()).expect("the golden folder");
    for file in files {
        let name = file.expect("readable").path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
        assert!(name.as_ref().is_some_and(|name| known.contains(name)), "{name:?} belongs to no scenario; delete it");
    }
}

#[test]
fn every_fault_of_every_scenario_begins() {
    let missed: Vec<String> = scenarios()
        .into_iter()
        .filter_map(|scenario| {
            let missed = run(Plan::of(scenario.clone())).missed;
            (!missed.is_empty()).then(|| format!("{}: lines {missed:?}", scenario.name))
        })
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_fault_that_waits_for_what_never_comes_is_told() {
    let text =
        "# Nobody calls for a reader.\nat 0s kill-postgres reader-1\nafter called freeze writer\nexpect lost 0\n";
    let scenario = steadfast_scenario::parse("nobody-calls", text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(run(Plan::of(scenario)).missed, [3]);
}

#[test]
fn what_a_scenario_lasts_counts_from_its_first_fault() {
    let text =
        "# Long after the start.\nlasts 20s\nat 30s kill-postgres reader-1\nat 45s freeze reader-2\nexpect lost 0\n";
    let scenario = steadfast_scenario::parse("late", text).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(run(Plan::of(scenario)).missed.is_empty());
}
