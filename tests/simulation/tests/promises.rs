//! The numbered invariants, tried from all sides: by chance, with the coordinator killed at every port call,
//! and in worlds that break them on purpose, so that a check that sees nothing shows.

#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use steadfast_scenario::Scenario;
use steadfast_simulation::chaos;
use steadfast_simulation::invariant::Invariant;
use steadfast_simulation::judge::worse;
use steadfast_simulation::plan::{Crash, Flaw, Noise, Plan, When};
use steadfast_simulation::run::run;

/// Any seeds do; more are run by `make sim`.
const SEEDS: std::ops::Range<u64> = 9_000_000..9_000_400;

/// Between them they reach every action of the executor.
const DISTURBED: [&str; 9] = [
    "kill-host",
    "kill-postgres",
    "writer-frozen-but-accepting",
    "platform-goes-first",
    "restart-in-place",
    "planned-switchover",
    "switchover-is-refused",
    "no-healthy-candidate",
    "shadow-mode-only-watches",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn scenario(name: &str) -> Scenario {
    let path = root().join("tests/scenarios").join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    steadfast_scenario::parse(name, &text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Invariant 10, liveness, is checked at the end of each run, and with it all the others.
#[test]
fn no_seed_breaks_a_promise() {
    let broken: Vec<String> = SEEDS
        .flat_map(|seed| run(chaos::plan(seed)).violations.into_iter().map(move |v| format!("seed {seed}: {v}")))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_evidence() {
    for seed in SEEDS.take(40) {
        let (first, second) = (run(chaos::plan(seed)), run(chaos::plan(seed)));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.evidence, second.evidence, "seed {seed}");
    }
}

#[test]
fn the_seeds_see_failovers() {
    let calls: u64 = SEEDS.map(|seed| run(chaos::plan(seed)).calls).sum();
    assert!(calls > 100, "only {calls} calls in {} seeds: the plans are too kind", SEEDS.count());
}

/// At each port call in turn the coordinator dies before or after the effect, loses the answer, stands still, is
/// paused, or meets another one that is woken at that very moment: run twice, crashed after each effect, done by
/// somebody else meanwhile.
#[test]
fn anything_may_happen_to_a_coordinator_at_any_port_call() {
    let mut broken = Vec::new();
    let mut tried = 0;
    for name in DISTURBED {
        let scenario = scenario(name);
        let plan = Plan::disturbed(scenario, None);
        let undisturbed = run(plan.clone());
        for call in 1..=undisturbed.port_calls.min(200) {
            for when in When::ALL {
                let crash = Crash { call, when };
                let report = run(Plan { crash: Some(crash), ..plan.clone() });
                tried += 1;
                let again = format!("make sim SCENARIO={name} DISTURB={crash}");
                broken.extend(report.violations.iter().map(|violation| format!("{again}: {violation}")));
                broken.extend(worse(&report, &undisturbed).iter().map(|worse| format!("{again}: {worse}")));
            }
        }
    }
    assert!(tried > 1_000, "only {tried} disturbances");
    assert!(broken.is_empty(), "{} of {tried}:\n{}", broken.len(), broken.join("\n"));
}

fn broken(plan: Plan) -> BTreeSet<Invariant> {
    run(plan).violations.iter().map(|violation| violation.invariant).collect()
}

fn broken_in(name: &str, flaw: Flaw) -> BTreeSet<Invariant> {
    broken(Plan { flaw: Some(flaw), ..Plan::of(scenario(name)) })
}

/// Each effect is missed by itself, and the chain of what is left does not verify either.
#[test]
fn a_table_that_drops_intentions_is_found_out() {
    for (name, effect) in [
        ("kill-host", "orders-2 is promoted"),
        ("kill-host", "an eviction is ordered"),
        ("planned-switchover", "a gate is closed"),
        ("switchover-is-refused", "a gate is opened"),
        ("no-healthy-candidate", "a person is called"),
    ] {
        let report = run(Plan { flaw: Some(Flaw::ForgetsEvidence), ..Plan::of(scenario(name)) });
        let told: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
        assert!(
            told.iter().any(|told| told.contains(&format!("{effect} and no evidence says so"))),
            "{name}: {told:?}"
        );
        assert!(report.violations.iter().any(|broken| broken.invariant == Invariant::NoError), "{name}: {told:?}");
    }
}

#[test]
fn a_call_that_is_made_twice_is_found_out() {
    let broken = broken_in("kill-host", Flaw::CallsTwice);
    assert!(broken.contains(&Invariant::OneCall), "{broken:?}");
}

#[test]
fn a_promotion_on_the_word_of_one_zone_is_found_out() {
    let broken = broken_in("writer-cut-from-one-zone", Flaw::EchoesOneWitness);
    assert!(broken.contains(&Invariant::Quorum), "{broken:?}");
}

#[test]
fn a_recovery_that_no_commit_proved_is_found_out() {
    let text = "# The new writer stalls.\nat 0s kill-host writer\nafter called stall-commits target\nexpect lost 0\n";
    let stalls = steadfast_scenario::parse("new-writer-stalls", text).unwrap_or_else(|errors| panic!("{errors}"));
    let broken = broken(Plan { flaw: Some(Flaw::StallsAreCommits), ..Plan::of(stalls) });
    assert!(broken.contains(&Invariant::Proof), "{broken:?}");
}

#[test]
fn whoever_does_not_hear_of_the_mode_is_found_out() {
    let broken = broken_in("shadow-mode-only-watches", Flaw::DeafToMode);
    assert!(broken.contains(&Invariant::HandsOff), "{broken:?}");
}

#[test]
fn a_cluster_that_nobody_cares_for_is_found_out() {
    let broken = broken(Plan { flaw: Some(Flaw::NobodyWakes), unmended: true, ..Plan::of(scenario("kill-host")) });
    assert!(broken.contains(&Invariant::Liveness), "{broken:?}");
}

fn broken_by(flaw: Flaw) -> BTreeSet<Invariant> {
    let reports = SEEDS.map(|seed| run(Plan { flaw: Some(flaw), ..chaos::plan(seed) }));
    reports.flat_map(|report| report.violations).map(|violation| violation.invariant).collect()
}

/// Tries invariant 6.
#[test]
fn a_world_without_a_storage_fence_applies_twice_or_loses() {
    assert!(broken_by(Flaw::NoStorageFence).contains(&Invariant::NoLoss));
}

#[test]
fn a_world_that_loses_commits_with_the_writer_is_found_out() {
    assert!(broken_by(Flaw::LosesCommits).contains(&Invariant::NoLoss));
}

/// Tries invariant 4.
#[test]
fn a_table_without_conditions_lets_two_act() {
    // Whoever stands still between its look and its write acts on what is no longer so, and an accepted call does
    // not show at once.
    let noise = Noise {
        doubles: 1_000,
        state_table: 200,
        start_late_max: Duration::from_millis(200),
        stall_max: Duration::from_secs(2),
        promotion_max: Duration::from_secs(8),
        shown_late_max: Duration::from_secs(5),
        ..Noise::default()
    };
    let broken: BTreeSet<Invariant> = SEEDS
        .map(|seed| Plan {
            seed,
            noise: noise.clone(),
            flaw: Some(Flaw::Unconditional),
            ..Plan::of(scenario("kill-host"))
        })
        .flat_map(|plan| run(plan).violations)
        .map(|violation| violation.invariant)
        .collect();
    assert!(broken.contains(&Invariant::UnderLease), "{broken:?}");
}

/// Tries invariant 1.
#[test]
fn a_second_failover_beside_the_first_is_found_out() {
    assert!(broken_by(Flaw::SecondFailover).contains(&Invariant::OneFailover));
}

/// Tries invariant 8.
#[test]
fn a_gate_that_sticks_is_found_out() {
    assert!(broken_by(Flaw::GateSticks).contains(&Invariant::BlocksEnd));
}

#[test]
fn a_gate_that_is_closed_in_word_alone_is_found_out() {
    let broken = broken_in("planned-switchover", Flaw::HollowGate);
    assert!(broken.contains(&Invariant::NobodyInside), "{broken:?}");
}

/// Tries invariant 12.
#[test]
fn a_drainer_that_asks_nobody_for_the_role_ends_sessions_on_the_writer() {
    let broken = broken_in("roles-move-back-while-the-drainer-watches", Flaw::DrainsBlindly);
    assert!(broken.contains(&Invariant::ReadersAlone), "{broken:?}");
}
