//! Simulated failovers per second on one core: the same seeds in every round, rounds interleaved with those of
//! one plain scenario, so that a noisy machine disturbs both alike.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench talks, and ends where its ground is missing")]

use std::time::Instant;

use steadfast_simulation::chaos;
use steadfast_simulation::plan::Plan;
use steadfast_simulation::run::run;

const ROUNDS: usize = 7;
const SEEDS: u64 = 500;
const SCENARIO: &str = include_str!("../../scenarios/kill-host.txt");

fn main() {
    let scenario = steadfast_scenario::parse("kill-host", SCENARIO).expect("a scenario of the repository");
    let (mut by_chance, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        by_chance.push(rate(|seed| run(chaos::plan(seed)).failovers));
        plain.push(rate(|seed| run(Plan { seed, ..Plan::of(scenario.clone()) }).failovers));
    }
    show("plans by chance", by_chance);
    show("kill-host alone", plain);
}

/// Failovers per second.
fn rate(failovers: impl Fn(u64) -> u64) -> f64 {
    let began = Instant::now();
    let count: u64 = (1..=SEEDS).map(failovers).sum();
    f64::from(u32::try_from(count).expect("few")) / began.elapsed().as_secs_f64()
}

fn show(what: &str, mut rates: Vec<f64>) {
    rates.sort_by(f64::total_cmp);
    let (low, middle, high) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
    println!("{what}: {low:.0} / {middle:.0} / {high:.0} failovers per second on one core (min / median / max)");
}
