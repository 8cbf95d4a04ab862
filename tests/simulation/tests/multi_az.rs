//! Multi-AZ DB instances in worlds by chance: those among the plans of the campaign.

use steadfast_core::topology::Deployment;
use steadfast_simulation::chaos;
use steadfast_simulation::run::run;

const PLANS: usize = 1_500;

/// What the runs together have shown.
#[derive(Debug, Default)]
struct Seen {
    broken: Vec<String>,
    accepted: u64,
    refused: u64,
    /// Failovers that the platform began by itself.
    native: u64,
    /// Calls that met a failover which the platform had just finished, and moved the role back.
    flips: u64,
    people: usize,
}

#[test]
fn no_promise_is_broken_on_a_multi_az_instance_either() {
    let mut seen = Seen::default();
    let of_instances = (0_u64..).map(|seed| (seed, chaos::plan(seed)));
    let of_instances = of_instances.filter(|(_, plan)| plan.scenario.deployment == Deployment::Instance);
    for (seed, plan) in of_instances.take(PLANS) {
        let report = run(plan);
        seen.broken.extend(report.violations.iter().map(|violation| format!("make sim SEED={seed}: {violation}")));
        seen.accepted += report.accepted;
        // Calls are counted up to the end of the play, and what was accepted to the end of the run.
        seen.refused += report.calls.saturating_sub(report.accepted);
        seen.native += report.failovers.saturating_sub(report.accepted);
        seen.flips += report.flips;
        seen.people += report.people.len();
    }
    assert!(seen.broken.is_empty(), "{} broken promises:\n{}", seen.broken.len(), seen.broken.join("\n"));
    // All that must be tried has been tried, and often.
    let often = [seen.accepted, seen.refused, seen.native, seen.people as u64];
    assert!(often.iter().all(|times| *times >= 50), "{seen:?}");
    // Nothing stands between the last look and the call; that this meets the platform must stay rare.
    assert!(seen.flips * 50 <= seen.accepted, "{seen:?}");
}
