//! One run, from its plan to its report.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use steadfast_core::episode::RecoveredBy;
use steadfast_core::evidence::Entry;

use crate::invariant::{Invariant, Violation};
use crate::kernel::Handle;
use crate::plan::Plan;
use crate::world::{MS, World};

/// What was seen in one run: up to the end of the play, before everything is mended; `violations`, `trace`,
/// `evidence`, `failovers`, `flips`, `evicted` and `lost` up to the very end.
#[derive(Clone, Debug)]
pub struct Report {
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// One line for everything that happened, if the plan wanted it.
    pub trace: Vec<String>,
    /// Every decision that came up anew, one line each, in seconds after the first fault. Empty in a campaign.
    pub decisions: Vec<String>,
    /// All evidence, by episode and number.
    pub evidence: Vec<Entry>,
    /// SHA-256 over all evidence and everything counted here: the same seed gives the same hash.
    pub hash: String,
    /// Rules that decided, with how often they came up anew.
    pub rules: BTreeMap<u16, u64>,
    /// Rules for which a person was called.
    pub people: Vec<u16>,
    /// Our promotion calls, whatever became of them.
    pub calls: u64,
    /// Those that the control plane accepted.
    pub accepted: u64,
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
    /// Lines of the scenario whose fault never began, or found no instance.
    pub missed: Vec<usize>,
    /// Who writes when the play is over, before everything is mended: 0 is the writer of the start.
    pub writer: Option<usize>,
    /// Whether an episode is open then.
    pub open: bool,
    /// Who brought the writes back, by the last episode.
    pub recovered_by: Option<RecoveredBy>,
    /// Sessions on a demoted instance that the drainer ended.
    pub evicted: u64,
    /// How many requests the coordinators made of their ports.
    pub port_calls: u64,
    /// How often what went wrong on purpose.
    pub met: BTreeMap<String, u64>,
    /// How much virtual time has passed, in milliseconds.
    pub took_ms: u64,
}

/// Runs a plan to its end.
pub fn run(plan: Plan) -> Report {
    let handle = Handle::new(|root| World::new(plan, root));
    handle.world().begin();
    let ended = handle.run(World::is_over);
    let mut world = handle.world();
    if !ended {
        world.violate(Invariant::NoError, "the run does not end");
    }
    report(&mut world)
}

fn report(world: &mut World) -> Report {
    let curtain = world.supervision.curtain.take().unwrap_or_default();
    let first = world.faults.first;
    let opened = world.watch.milestones.get(&steadfast_scenario::Milestone::Opened).copied();
    let mut report = Report {
        decisions: decisions(first, &curtain.decisions),
        evidence: world.table.evidence.values().cloned().collect(),
        hash: String::new(),
        rules: curtain.rules,
        people: curtain.people,
        calls: curtain.calls,
        accepted: world.watch.accepted,
        failovers: world.watch.failovers,
        flips: world.watch.flips,
        episodes: curtain.episodes,
        outage_ms: curtain.outage / MS,
        detected_ms: first.zip(opened).map(|(first, opened)| opened.saturating_sub(first) / MS),
        lost: world.watch.lost,
        missed: curtain.missed,
        writer: curtain.writer,
        open: curtain.open,
        recovered_by: curtain.recovered_by,
        evicted: world.drainers.evicted,
        port_calls: world.watch.port_calls,
        took_ms: world.agenda.now() / MS,
        met: std::mem::take(&mut world.watch.met),
        violations: std::mem::take(&mut world.watch.violations),
        trace: std::mem::take(&mut world.watch.trace),
    };
    report.hash = hash(&report);
    report
}

fn decisions(first: Option<u64>, kept: &[(u64, String)]) -> Vec<String> {
    let first = first.unwrap_or(0);
    let line = |(at, line): &(u64, String)| {
        let ms = at.saturating_sub(first) / MS;
        format!("{:>3}.{:03} {line}", ms / 1_000, ms % 1_000)
    };
    // What the next coordinator decides as well is not told again.
    let rule = |line: &str| line.split_once("rule ").map(|(_, rest)| rest.to_owned());
    let mut told: Vec<&(u64, String)> = Vec::new();
    for decision in kept {
        if told.last().is_none_or(|last| rule(&last.1) != rule(&decision.1)) {
            told.push(decision);
        }
    }
    told.into_iter().map(line).collect()
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
