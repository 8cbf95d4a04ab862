//! What was noticed during a run: broken promises, errors, milestones, and a trace.

use std::collections::{BTreeMap, BTreeSet};

use steadfast_core::topology::Owner;
use steadfast_scenario::Milestone;

use super::{MS, Micros, World};
use crate::check::Called;
use crate::invariant::{Invariant, Violation};

/// The notebook of one run.
#[derive(Default)]
pub(crate) struct Watch {
    keep_trace: bool,
    /// One line for everything that happened, if wanted.
    pub(crate) trace: Vec<String>,
    /// Broken promises.
    pub(crate) violations: Vec<Violation>,
    /// When each milestone was first reached.
    pub(crate) milestones: BTreeMap<Milestone, Micros>,
    /// Every decision that came up anew: when, whose, and what it was.
    pub(crate) decisions: Vec<(Micros, String)>,
    /// Rules that decided, with how often they came up anew.
    pub(crate) rules: BTreeMap<u16, u64>,
    /// Promotion calls that were sent, whatever became of them.
    pub(crate) calls: u64,
    /// Those that the control plane accepted.
    pub(crate) accepted: u64,
    /// Failovers that the platform carried out, whoever asked.
    pub(crate) failovers: u64,
    /// Calls of ours that undid a failover that the platform had finished meanwhile.
    pub(crate) flips: u64,
    /// Rules for which a person was called.
    pub(crate) people: Vec<u16>,
    /// The longest stretch after the first fault without an acknowledged commit of any client.
    pub(crate) outage: Micros,
    /// Acknowledged transactions that are not in the ledger.
    pub(crate) lost: u64,
    /// Owners whose living lease an operator has deleted.
    pub(crate) robbed: BTreeSet<Owner>,
    /// All calls, in their order.
    pub(crate) called: Vec<Called>,
    /// Intentions whose effect was sent, by episode and number.
    pub(crate) carried_out: BTreeSet<(u64, u64)>,
    /// How often what went wrong, to show what a campaign has tried.
    pub(crate) met: BTreeMap<String, u64>,
    /// How many requests coordinators have made of their ports.
    pub(crate) port_calls: u64,
}

impl Watch {
    pub(super) fn new(keep_trace: bool) -> Self {
        Self { keep_trace, ..Self::default() }
    }

    pub(super) fn note(&mut self, now: Micros, line: impl FnOnce() -> String) {
        if self.keep_trace {
            let ms = now / MS;
            self.trace.push(format!("{:>4}.{:03} {}", ms / 1_000, ms % 1_000, line()));
        }
    }
}

impl World {
    /// Writes down a broken promise.
    pub(crate) fn violate(&mut self, invariant: Invariant, what: impl Into<String>) {
        let violation = Violation { invariant, at_ms: self.agenda.now() / MS, what: what.into() };
        self.note(|| format!("BROKEN  {violation}"));
        self.watch.violations.push(violation);
    }

    /// Counts something that went wrong on purpose.
    pub(crate) fn count(&mut self, what: impl FnOnce() -> String) {
        *self.watch.met.entry(what()).or_default() += 1;
    }

    /// Counts it if it happened.
    pub(crate) fn count_if(&mut self, happened: bool, what: &str) {
        if happened {
            self.count(|| what.to_owned());
        }
    }

    /// A milestone is reached; whatever waited for it begins.
    pub(crate) fn reach(&mut self, milestone: Milestone) {
        let now = self.agenda.now();
        if self.watch.milestones.contains_key(&milestone) {
            return;
        }
        self.watch.milestones.insert(milestone, now);
        self.note(|| format!("reached {milestone:?}"));
        self.faults_after(milestone);
    }
}
