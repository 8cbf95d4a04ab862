//! What it comes to, in one sentence.

use serde::Serialize;

use crate::facts::{Kind, Run};
use crate::words::{counted, duration};

/// A pause that nobody calls an outage: a client waits longer for its own think time and a busy disk.
const PAUSE_MAX_S: f64 = 0.25;

/// Whether it was as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was expected held.
    Passed,
    /// Something did not.
    Failed,
    /// Nothing was expected; the record is whole.
    Recorded,
}

/// The sentence and the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Headline {
    /// The sentence.
    pub sentence: String,
    /// Whether it was as it should be.
    pub verdict: Verdict,
}

/// What the runs come to.
pub(crate) fn of(kind: Kind, failures: &[String], runs: &[Run]) -> Headline {
    let unverified = runs.iter().flat_map(|run| &run.episodes).any(|episode| !episode.chain.verified);
    let verdict = match kind {
        _ if !failures.is_empty() || unverified => Verdict::Failed,
        Kind::Drill | Kind::GameDay => Verdict::Passed,
        Kind::Episode => Verdict::Recorded,
    };
    Headline { sentence: sentence(kind, failures, runs), verdict }
}

fn sentence(kind: Kind, failures: &[String], runs: &[Run]) -> String {
    let Some(worst) = runs.iter().max_by(|a, b| a.outage_s().total_cmp(&b.outage_s())) else {
        return match failures.first() {
            Some(_) => "It could not be carried out.".to_owned(),
            None => "Nothing was carried out.".to_owned(),
        };
    };
    match kind {
        Kind::Episode => recorded(runs, worst),
        Kind::Drill | Kind::GameDay => format!("{}; {}.", stood_still(runs, worst), losses(runs)),
    }
}

fn stood_still(runs: &[Run], worst: &Run) -> String {
    let outage = worst.outage_s();
    let most = if runs.len() > 1 { " at most" } else { "" };
    let back = runs.iter().all(|run| run.recovered != Some(false));
    let errors = runs.iter().filter_map(|run| run.counts).any(|counts| counts.failed + counts.in_doubt > 0);
    let paused = outage < PAUSE_MAX_S;
    match (worst.is_planned(), paused) {
        _ if !back => format!("Writes had not all come back when it ended; they stood still for {}", duration(outage)),
        (true, _) if !errors => {
            format!("Writes waited {}{most} while the writer moved; no application saw an error", duration(outage))
        }
        (true, _) => format!("Writes waited {}{most} while the writer moved", duration(outage)),
        (false, true) => format!("Writes went on; the longest pause was {}", duration(outage)),
        (false, false) => format!("Writes stood still for {}{most}", duration(outage)),
    }
}

/// What was lost, doubled or changed.
fn losses(runs: &[Run]) -> String {
    let sum = |of: fn(&Run) -> u64| runs.iter().map(of).sum::<u64>();
    let lost = sum(|run| run.counts.map_or(0, |counts| counts.lost));
    let twice = sum(|run| run.counts.map_or(0, |counts| counts.duplicated));
    let canary = sum(|run| run.counts.map_or(0, |counts| counts.canary_lost));
    let wrong = runs.iter().filter_map(|run| run.counts).any(|counts| !counts.money_conserved);
    let mut found = Vec::new();
    if lost > 0 {
        found.push(counted(lost, "acknowledged write was lost", "acknowledged writes were lost"));
    }
    if twice > 0 {
        found.push(counted(twice, "write was applied twice", "writes were applied twice"));
    }
    if canary > 0 {
        found.push(counted(canary, "canary commit was lost", "canary commits were lost"));
    }
    if wrong {
        found.push("balances do not add up".to_owned());
    }
    if runs.iter().all(|run| run.counts.is_none()) {
        return "losses were not counted".to_owned();
    }
    if found.is_empty() { "nothing was lost".to_owned() } else { found.join(", ") }
}

/// Of evidence alone: what the canaries say, and no more.
fn recorded(runs: &[Run], worst: &Run) -> String {
    let episodes: Vec<_> = runs.iter().flat_map(|run| &run.episodes).collect();
    let lost: u64 = episodes.iter().map(|episode| episode.canary_lost()).sum();
    let canary = match lost {
        _ if episodes.iter().all(|episode| episode.canaries.is_empty()) => "losses were not counted".to_owned(),
        0 => "no acknowledged canary commit was lost".to_owned(),
        lost => counted(lost, "acknowledged canary commit was lost", "acknowledged canary commits were lost"),
    };
    if episodes.iter().any(|episode| !episode.chain.verified) {
        return "The evidence does not verify; nothing that it says is proved.".to_owned();
    }
    let outage = duration(worst.outage_s());
    let proved = episodes.iter().all(|episode| episode.is_proved());
    match (episodes.len(), proved) {
        (_, false) => format!("No commit has proved the end of every episode; {canary}."),
        (1, true) if worst.is_planned() => format!("The writer moved on purpose within {outage}; {canary}."),
        (1, true) => format!("A commit proved writes again {outage} after the failure was seen; {canary}."),
        (several, true) => format!(
            "In {several} episodes a commit proved writes again, {outage} after the failure was seen at most; {canary}."
        ),
    }
}
