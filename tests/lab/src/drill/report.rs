//! The report of a drill: one page for people, and its facts as JSON.

use std::path::{Path, PathBuf};

use steadfast_aws::clock;
use steadfast_core::time::Timestamp;
use steadfast_report::{
    Call, Client, Counts, Episode, Expected, Injected, Kind, Load, Pause, Phase, Report, Run, Subject,
};

use super::expectations::Judged;
use super::result::{self, DrillResult, RunResult};
use super::run::{Ran, longest_pause, resumed_at};
use super::{DrillError, DrillPlan};
use crate::assembly::names;
use crate::rds::{ApiCall, Outcome};
use crate::workload::{Diary, Fate, Route};

/// The page.
pub(super) const PAGE: &str = "report.html";
/// Its facts.
const FACTS: &str = "report.json";

/// Writes both beside the result.
pub(super) fn write(plan: &DrillPlan, kind: Kind, result: &DrillResult) -> Result<PathBuf, DrillError> {
    let subject = Subject {
        kind,
        name: plan.scenario.name.clone(),
        about: plan.scenario.why.replace('\n', " "),
        place: format!("Cluster {} in the lab: real PostgreSQL, local AWS", names::CLUSTER),
    };
    let runs = result.runs.iter().filter_map(told).collect();
    let report = Report::new(subject, clock::now(), result.failures.clone(), runs);
    result::write_json(&plan.output.join(FACTS), &report)?;
    let page = plan.output.join(PAGE);
    result::write_text(&page, &steadfast_report::render(&report)?)?;
    Ok(page)
}

/// A page of an earlier drill must not be taken for this one's.
pub(super) fn remove(output: &Path) -> Result<(), DrillError> {
    result::remove(&output.join(PAGE))?;
    result::remove(&output.join(FACTS))
}

/// A run with what became of its expectations.
fn told(run: &RunResult) -> Option<Run> {
    let expected = |judged: &Judged| Expected {
        expectation: judged.expectation.clone(),
        held: judged.held,
        seen: judged.seen.clone(),
    };
    let told = run.told.clone()?;
    Some(Run { expectations: run.expectations.iter().map(expected).collect(), ..told })
}

impl Ran<'_> {
    /// All that this run has shown.
    pub(super) fn told(&self, number: u32, result: &RunResult, injected: &[(Timestamp, String)]) -> Run {
        let outage = longest_pause(self.diaries.iter(), self.fault_at, self.ended_at);
        let outage = outage.map(|(from, to)| self.pause(from, to));
        let flows = outage.filter(|_| result.recovered).map(|outage| outage.to_s);
        let planned = self.episode.as_ref().is_some_and(|episode| episode.plan.is_some());
        let phases = [
            ("detected", result.detected_s),
            ("decided", result.decided_s),
            ("called", result.called_s),
            ("promoted", result.promoted_s),
            ("proved", result.proved_s),
            ("writes flow", flows.filter(|_| result.detected_s.is_some())),
        ];
        Run {
            number,
            zero_at: self.fault_at,
            zero: if planned { "the order" } else { "the fault" }.to_owned(),
            outage,
            phases: Phase::reached(&phases, planned),
            injected: injected.iter().map(|(at, what)| self.injected(*at, what)).collect(),
            load: Some(self.load()),
            counts: Some(counts(result)),
            episodes: self.told_episodes(),
            calls: self.told_calls(),
            expectations: Vec::new(),
            recovered: Some(result.recovered || result.stays_open),
            machine_late_s: Some(result.machine_late_s),
        }
    }

    /// Seconds after the fault, negative before it.
    fn after(&self, at: Timestamp) -> f64 {
        if at < self.fault_at { -self.fault_at.since(at).as_secs_f64() } else { at.since(self.fault_at).as_secs_f64() }
    }

    fn pause(&self, from: Timestamp, to: Timestamp) -> Pause {
        Pause { from_s: self.after(from), to_s: self.after(to) }
    }

    fn injected(&self, at: Timestamp, what: &str) -> Injected {
        Injected { at_s: self.after(at), what: what.to_owned() }
    }

    fn load(&self) -> Load {
        let first = self.diaries.iter().filter_map(|diary| diary.transfers.first()).map(|transfer| transfer.at).min();
        Load {
            from_s: self.after(first.unwrap_or(self.fault_at)),
            to_s: self.after(self.ended_at),
            clients: self.diaries.iter().map(|diary| self.client(diary)).collect(),
        }
    }

    fn client(&self, diary: &Diary) -> Client {
        let at = |fate: Fate| {
            let those = diary.transfers.iter().filter(move |transfer| transfer.fate == fate);
            those.map(|transfer| self.after(transfer.at)).collect()
        };
        let resumed = resumed_at(diary, self.fault_at);
        Client {
            number: diary.client,
            route: route(diary.route).to_owned(),
            longest: longest_pause(std::iter::once(diary), self.fault_at, self.ended_at)
                .map(|(from, to)| self.pause(from, to)),
            first_good_commit_s: resumed.map(|at| self.after(at)),
            refused_connections: diary.refused_connections,
            evicted: diary.evicted,
            acknowledged_s: at(Fate::Acknowledged),
            failed_s: at(Fate::Failed),
            in_doubt_s: at(Fate::InDoubt),
        }
    }

    fn told_episodes(&self) -> Vec<Episode> {
        let last = self.episodes.len().saturating_sub(1);
        let told = |(number, entries): (usize, &Vec<_>)| {
            // The file holds the last one's, and the state table its end.
            let latest = number == last;
            let stored = self.episode.as_ref().filter(|_| latest).map(|episode| &episode.evidence);
            Episode::read(entries, self.fault_at, stored, latest.then(|| self.evidence_file.clone()))
        };
        self.episodes.iter().enumerate().filter_map(told).collect()
    }

    fn told_calls(&self) -> Vec<Call> {
        let within =
            |call: &ApiCall| call.at_ms >= self.fault_at.as_millis() && call.at_ms <= self.ended_at.as_millis();
        self.lab.rds.calls().into_iter().filter(within).map(|call| self.told_call(call)).collect()
    }

    fn told_call(&self, call: ApiCall) -> Call {
        Call {
            at_s: self.after(Timestamp::from_millis(call.at_ms)),
            took_ms: call.answered_ms.saturating_sub(call.at_ms),
            changes: !call.action.starts_with("Describe"),
            action: call.action,
            parameters: call.parameters,
            outcome: match call.outcome {
                Outcome::Answered => "carried out".to_owned(),
                Outcome::Refused { status, code } => format!("refused: {status} {code}"),
                Outcome::Reset => "connection reset, nothing done".to_owned(),
                Outcome::Silence => "not answered, nothing done".to_owned(),
                Outcome::ReplyLost => "carried out, answer lost".to_owned(),
                Outcome::ErrorAfterEffect => "carried out, answered with an error".to_owned(),
            },
        }
    }
}

fn counts(result: &RunResult) -> Counts {
    let audit = &result.audit;
    Counts {
        acknowledged: audit.acknowledged,
        lost: audit.lost,
        duplicated: audit.duplicated,
        in_doubt: audit.in_doubt,
        in_doubt_committed: audit.in_doubt_committed,
        failed: audit.failed,
        failed_but_applied: audit.failed_but_applied,
        money_conserved: audit.money_conserved,
        canary_lost: result.canary_lost,
    }
}

fn route(route: Route) -> &'static str {
    match route {
        Route::Instances => "all instance endpoints in one connection string",
        Route::ClusterEndpoint => "the cluster endpoint, by DNS",
        Route::Pinned => "one instance, whatever role it has",
    }
}
