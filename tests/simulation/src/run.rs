//! One run, from its plan to its report.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use steadfast_core::episode::RecoveredBy;
use steadfast_core::evidence::Entry;

use crate::invariant::Violation;
use crate::kernel::Handle;
use crate::plan::Plan;
use crate::world::{MS, World};

/// What was seen in one run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// One line for everything that happened, if the plan wanted it.
    pub trace: Vec<String>,
    /// All evidence, by episode and number.
    pub evidence: Vec<Entry>,
    /// SHA-256 over all evidence and everything counted here: the same seed gives the same hash.
    pub hash: String,
    /// Rules that decided, with how often they came up anew.
    pub rules: BTreeMap<u16, u64>,
    /// Rules for which a person was called.
    pub people: Vec<u16>,
    /// Our promotion calls that reached the control plane.
    pub calls: u64,
    /// Failovers that the platform began, whoever asked.
    pub failovers: u64,
    /// Calls of ours that met a failover which the platform had just finished.
    pub flips: u64,
    /// Episodes that were opened.
    pub episodes: u64,
    /// The longest time without an acknowledged commit of any client, after the first fault, in milliseconds.
    pub outage_ms: u64,
    /// From the first fault to the opening of the first episode, in milliseconds.
    pub detected_ms: Option<u64>,
    /// Acknowledged transactions that are not in the ledger.
    pub lost: u64,
    /// Who writes when the play is over, before everything is mended: 0 is the writer of the start.
    pub writer: Option<usize>,
    /// Whether an episode is open then.
    pub open: bool,
    /// Who brought the writes back, by the last episode.
    pub recovered_by: Option<RecoveredBy>,
    /// How many requests the coordinators made of their ports.
    pub port_calls: u64,
    /// How much virtual time has passed, in milliseconds.
    pub took_ms: u64,
}

/// Runs a plan to its end.
pub fn run(plan: Plan) -> Report {
    let handle = Handle::new(|root| World::new(plan, root));
    handle.world().begin();
    handle.run(World::is_over);
    report(&mut handle.world())
}

fn report(world: &mut World) -> Report {
    let curtain = world.supervision.curtain.clone();
    let first = world.faults.first;
    let opened = world.watch.milestones.get(&steadfast_scenario::Milestone::Opened).copied();
    let closed = world.table.episode.as_ref().and_then(|episode| episode.closed.as_ref());
    let mut report = Report {
        evidence: world.table.evidence.values().cloned().collect(),
        hash: String::new(),
        rules: world.watch.rules.clone(),
        people: world.watch.people.clone(),
        calls: world.watch.calls,
        failovers: world.watch.failovers,
        flips: world.watch.flips,
        episodes: world.table.opened,
        outage_ms: world.watch.outage / MS,
        detected_ms: first.zip(opened).map(|(first, opened)| opened.saturating_sub(first) / MS),
        lost: world.watch.lost,
        writer: curtain.as_ref().and_then(|curtain| curtain.writer),
        open: curtain.as_ref().is_some_and(|curtain| curtain.open),
        recovered_by: closed.map(|closed| closed.by),
        port_calls: world.watch.port_calls,
        took_ms: world.agenda.now() / MS,
        violations: std::mem::take(&mut world.watch.violations),
        trace: std::mem::take(&mut world.watch.trace),
    };
    report.hash = hash(&report);
    report
}

fn hash(report: &Report) -> String {
    let mut hasher = Sha256::new();
    for entry in &report.evidence {
        hasher.update(entry.hash.as_bytes());
    }
    let Report { rules, calls, failovers, episodes, outage_ms, port_calls, took_ms, .. } = report;
    hasher.update(format!("{rules:?} {calls} {failovers} {episodes} {outage_ms} {port_calls} {took_ms}").as_bytes());
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
