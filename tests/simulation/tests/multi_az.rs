//! Multi-AZ DB instances in worlds by chance: the plans of the campaign, with what only clusters have left out.

use steadfast_core::topology::Deployment;
use steadfast_scenario::{Event, Fault, OperatorDeed, Place, PlatformDeed, Service, View};
use steadfast_simulation::chaos;
use steadfast_simulation::plan::Plan;
use steadfast_simulation::run::run;

const SEEDS: u64 = 1_500;

/// The same plan for a Multi-AZ DB instance.
fn of_an_instance(seed: u64) -> Plan {
    let mut plan = chaos::plan(seed);
    plan.scenario.deployment = Deployment::Instance;
    plan.scenario.gated = false;
    // Aurora alone pauses.
    plan.asleep = None;
    // A standby that dies with the writer leaves nobody to take over.
    plan.unmended = false;
    plan.scenario.timeline.retain(|event| !is_of_clusters(&event.fault));
    for event in &mut plan.scenario.timeline {
        *event = Event { fault: renamed(&event.fault), ..event.clone() };
    }
    plan
}

fn is_of_clusters(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Lag(..)
            | Fault::Cut(Place::Reader(_), View::Zone(_) | View::Everyone | View::Clients)
            | Fault::Operator(OperatorDeed::SwitchesOver)
            | Fault::Platform(PlatformDeed::PausesCluster | PlatformDeed::SwitchesBlueGreen)
    )
}

fn renamed(fault: &Fault) -> Fault {
    let Fault::Fail(Service::Rds, trouble, Some(action)) = *fault else {
        return *fault;
    };
    let action = match action {
        "FailoverDBCluster" => "RebootDBInstance",
        "DescribeDBClusters" => "DescribeDBInstances",
        other => other,
    };
    Fault::Fail(Service::Rds, trouble, Some(action))
}

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
    for seed in 0..SEEDS {
        let report = run(of_an_instance(seed));
        seen.broken.extend(report.violations.iter().map(|violation| format!("seed {seed}: {violation}")));
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
