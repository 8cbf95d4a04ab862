//! Scenarios on real parts: faults under load, nothing lost, and all that the scenario expects.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::path::Path;
use std::time::Duration;

use steadfast_core::episode::RecoveredBy;
use steadfast_lab::assembly::{LabConfig, names};
use steadfast_lab::drill::{AllPlan, DrillError, DrillPlan, DrillResult, Progress, drill, drill_all, render_all};
use steadfast_scenario::{find, parse};

struct Quiet;

impl Progress for Quiet {
    fn say(&self, line: &str) {
        tracing::info!(line);
    }
}

/// Drills a scenario that ships, and checks all that it expects.
async fn drilled(name: &str, folder: &str, change: impl FnOnce(&mut DrillPlan)) -> DrillResult {
    drilled_in(support::shipped(folder), name, change).await
}

async fn drilled_in(config: LabConfig, name: &str, change: impl FnOnce(&mut DrillPlan)) -> DrillResult {
    let _alone = support::alone().await;
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let scenario = find(&scenarios, name).unwrap_or_else(|error| panic!("{error}"));
    let mut plan = DrillPlan::new(scenario, &config.logs.join("drill"));
    change(&mut plan);
    let result = drill(&config, &plan, &Quiet).await.expect("the drill is carried out");
    assert_eq!(result.failures, Vec::<String>::new(), "{result:#?}");
    for run in &result.runs {
        assert!(run.audit.acknowledged > 100, "the load was real: {:?}", run.audit);
        assert_eq!(run.expectations.len(), plan.scenario.expectations.len());
    }
    result
}

fn all_held(result: &DrillResult) -> bool {
    result.runs.iter().flat_map(|run| &run.expectations).all(|judged| judged.held == Some(true))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_is_replaced_with_one_call_and_nothing_lost() {
    let result = drilled("kill-postgres", "kill-postgres", |_| {}).await;
    assert!(all_held(&result), "{result:#?}");
    assert_eq!(result.runs[0].recovered_by, Some(RecoveredBy::Steadfast));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_host_is_replaced_with_one_call_although_the_coordinator_is_invoked_twice() {
    let result = drilled("kill-host", "kill-host", |plan| {
        plan.duplicate = true;
        plan.repeat = 2;
    })
    .await;
    assert!(all_held(&result), "{result:#?}");
    for run in &result.runs {
        assert_eq!(run.failover_calls, 1);
        assert_ne!(run.new_writer.as_deref(), Some(run.old_writer.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_thaws_after_its_successor_was_promoted_loses_nothing() {
    let result = drilled("frozen-writer-thaws-after-the-promotion", "thaws", |_| {}).await;
    assert!(all_held(&result), "{result:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multi_az_instance_is_rebooted_with_failover_once_when_its_platform_is_mute() {
    let result = drilled("multi-az-host-killed-and-platform-mute", "multi-az-mute", |_| {}).await;
    assert!(all_held(&result), "{result:#?}");
    assert_eq!(result.runs[0].new_writer.as_deref(), Some(names::HOSTS[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multi_az_instance_that_its_platform_fails_over_is_left_to_it() {
    let result = drilled("multi-az-platform-fails-over-by-itself", "multi-az-native", |_| {}).await;
    assert!(all_held(&result), "{result:#?}");
    assert_eq!(result.runs[0].recovered_by, Some(RecoveredBy::Platform));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_blind_zone_opens_nothing() {
    let result = drilled_in(support::config("blind"), "one-zone-is-blind", |_| {}).await;
    assert!(all_held(&result), "{result:#?}");
    assert_eq!((result.runs[0].detected_s, result.runs[0].rules.len()), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_candidate_a_person_is_called_and_the_faults_end_with_the_run() {
    let result = drilled("no-healthy-candidate", "no-candidate", |_| {}).await;
    assert!(all_held(&result), "{result:#?}");
    let run = &result.runs[0];
    assert!(!run.recovered && run.audit.is_clean(), "the writer was restarted and asked: {run:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_platform_than_the_scenarios_is_awaited_and_proved_without_a_call() {
    let result = drilled("kill-postgres", "native", |plan| plan.native = Some(Duration::from_secs(4))).await;
    let run = &result.runs[0];
    assert_eq!(run.failover_calls, 0);
    assert_eq!(run.recovered_by, Some(RecoveredBy::Platform));
    assert!(run.proved_s.is_some());
    assert!(run.rules.contains(&550), "{:?}", run.rules);
    assert!(run.expectations.iter().all(|judged| judged.held.is_none()), "{:?}", run.expectations);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expectation_that_does_not_hold_fails_the_drill_by_name() {
    let _alone = support::alone().await;
    let config = support::config("not-held");
    let text = "# Two of these do not hold.\nat 0s kill-postgres writer\nexpect calls 1\nexpect no rule 640\nexpect writer same\n";
    let scenario = parse("not-held", text).unwrap_or_else(|errors| panic!("{errors}"));
    let plan = DrillPlan::new(scenario, &config.logs.join("drill"));
    let result = drill(&config, &plan, &Quiet).await.expect("the drill is carried out");
    let failures = &result.failures;
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].starts_with("run 1: expected `no rule 640`, seen: rules "), "{failures:?}");
    assert!(failures[1].starts_with("run 1: expected `writer same`, seen: writer orders-"), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lab_cannot_do_is_refused_before_anything_starts() {
    let config = support::config("unable");
    let text = "# The lab cannot skew a clock.\nat 0s coordinator ahead 900ms\nexpect lost 0\n";
    let scenario = parse("unable", text).unwrap_or_else(|errors| panic!("{errors}"));
    let error = drill(&config, &DrillPlan::new(scenario, &config.logs), &Quiet).await.expect_err("refused");
    assert!(matches!(&error, DrillError::Unable(told) if told.starts_with("unable.txt:2: ")), "{error}");
    assert!(!config.logs.exists(), "nothing was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_is_drilled_although_one_cannot_be_and_another_does_not_hold() {
    let _alone = support::alone().await;
    let config = support::config("all");
    let read = |name: &str, text: &str| parse(name, text).unwrap_or_else(|errors| panic!("{errors}"));
    let scenarios = vec![
        read("elsewhere", "# Not for the lab.\nonly simulation: it is\nexpect calls 0\n"),
        read("unable", "# The lab cannot skew a clock.\nat 0s coordinator ahead 900ms\nexpect lost 0\n"),
        read("missed", "# It does not hold.\nat 0s kill-postgres writer\nexpect calls 1\nexpect writer same\n"),
    ];
    let output = config.logs.join("drill");
    let results = drill_all(&config, &AllPlan { scenarios, runs: 3, output: output.clone() }, &Quiet).await;
    let results = results.expect("the files are written");
    let failures: Vec<(&str, usize, usize)> =
        results.iter().map(|result| (result.fault.as_str(), result.runs.len(), result.failures.len())).collect();
    assert_eq!(failures, [("unable", 0, 1), ("missed", 1, 1)], "{results:#?}");
    assert_eq!(results[1].summary.failover_calls, 1);
    let json = std::fs::read_to_string(output.join("all.json")).expect("all.json");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(2));
    assert_eq!(json.pointer("/1/fault").and_then(|name| name.as_str()), Some("missed"));
    let table = std::fs::read_to_string(output.join("all.md")).expect("all.md");
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.lines().nth(3).is_some_and(|row| row.starts_with("| missed | 1 |") && row.contains("FAILED: 1")));
    assert!(render_all(&results).ends_with("0 of 2 scenarios met all that they expect\n"));
}
