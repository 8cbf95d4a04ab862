//! All facts of a report, as they stand in its JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use steadfast_core::time::Timestamp;

use crate::episode::Episode;
use crate::headline::{self, Headline};
use crate::load::{Load, Pause};
use crate::phases::Phase;

/// What was reported about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A scenario in the lab.
    Drill,
    /// A planned experiment.
    GameDay,
    /// An episode, from its evidence alone.
    Episode,
}

/// What it is about, in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Subject {
    /// What was reported about.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What it tries or is, in sentences; may be empty.
    pub about: String,
    /// The installation or lab, such as the cluster's name.
    pub place: String,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What it is about.
    pub subject: Subject,
    /// What it comes to.
    pub headline: Headline,
    /// When it was made.
    pub made_at: Timestamp,
    /// What is wrong; empty when all that was expected held.
    pub failures: Vec<String>,
    /// The runs in order; of evidence, one for each episode.
    pub runs: Vec<Run>,
}

impl Report {
    /// A report about these runs.
    pub fn new(subject: Subject, made_at: Timestamp, failures: Vec<String>, runs: Vec<Run>) -> Self {
        let headline = headline::of(subject.kind, &failures, &runs);
        Self { subject, headline, made_at, failures, runs }
    }

    /// The run that the page shows in full: the one with the longest outage.
    pub fn shown(&self) -> Option<&Run> {
        self.runs.iter().max_by(|a, b| a.outage_s().total_cmp(&b.outage_s()))
    }
}

/// One run. All `_s` are seconds after `zero_at`, negative before it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Its number, from 1.
    pub number: u32,
    /// What seconds count from.
    pub zero_at: Timestamp,
    /// What that was, such as `the fault`.
    pub zero: String,
    /// The longest pause between two acknowledged commits of all clients together. None without a workload.
    pub outage: Option<Pause>,
    /// How it went from the failure to the proof.
    pub phases: Vec<Phase>,
    /// What was injected, in order.
    pub injected: Vec<Injected>,
    /// What the clients did.
    pub load: Option<Load>,
    /// What the audit of the database found.
    pub counts: Option<Counts>,
    /// The episodes in order.
    pub episodes: Vec<Episode>,
    /// What arrived at the control plane, in order.
    pub calls: Vec<Call>,
    /// What was expected, and what became of it.
    pub expectations: Vec<Expected>,
    /// Whether writes flowed at the end and no episode was open. None where nobody looked.
    pub recovered: Option<bool>,
    /// How late the machine of the lab was at worst, in seconds.
    pub machine_late_s: Option<f64>,
}

impl Run {
    /// How long writes stood still, as the clients saw it or else from the failure to the proof.
    pub(crate) fn outage_s(&self) -> f64 {
        let proved = || self.phases.iter().filter(|phase| phase.name == crate::phases::PROVED).map(|phase| phase.at_s);
        self.outage.map_or_else(|| proved().next_back().unwrap_or(0.0), |outage| outage.lasted_s())
    }

    /// Whether it was a switchover on purpose.
    pub(crate) fn is_planned(&self) -> bool {
        self.episodes.last().is_some_and(|episode| episode.order.is_some())
    }
}

/// Something that was made to fail, or that ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Injected {
    /// When.
    pub at_s: f64,
    /// What, in the scenario's words.
    pub what: String,
}

/// What the database holds, against what the clients know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Transfers whose COMMIT was answered.
    pub acknowledged: u64,
    /// Of these, not in the database.
    pub lost: u64,
    /// Transfers in the database more than once.
    pub duplicated: u64,
    /// Transfers whose COMMIT was not answered.
    pub in_doubt: u64,
    /// Of these, in the database.
    pub in_doubt_committed: u64,
    /// Transfers that failed for certain.
    pub failed: u64,
    /// Of these, in the database all the same.
    pub failed_but_applied: u64,
    /// Whether all balances add up.
    pub money_conserved: bool,
    /// Acknowledged canary commits that the new writer did not hold.
    pub canary_lost: u64,
}

/// One request at the control plane.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// When it arrived.
    pub at_s: f64,
    /// How long it took to answer, in milliseconds.
    pub took_ms: u64,
    /// The action.
    pub action: String,
    /// Its parameters, by their names on the wire.
    pub parameters: BTreeMap<String, String>,
    /// What came of it.
    pub outcome: String,
    /// Whether it changes anything.
    pub changes: bool,
}

/// One expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// As the scenario or the hypothesis words it.
    pub expectation: String,
    /// Whether it held; None when it was not asked.
    pub held: Option<bool>,
    /// What was seen.
    pub seen: String,
}
