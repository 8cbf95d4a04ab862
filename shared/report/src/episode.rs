//! An episode, read out of its evidence.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use steadfast_core::evidence::{Entry, Head, Kind};
use steadfast_core::time::Timestamp;

use crate::chain::Chain;
use crate::decided::{self, Decided};
use crate::facts::Run;
use crate::phases::{self, seconds};
use crate::words::field;

/// An episode. All `_s` are seconds after the zero of its run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Episode {
    /// The cluster.
    pub cluster: String,
    /// Its number.
    pub epoch: u64,
    /// What had failed when it was opened.
    pub cause: String,
    /// The mode of Steadfast then.
    pub mode: String,
    /// The writer that failed.
    pub old_writer: String,
    /// The instance whose commit proved the recovery.
    pub new_writer: Option<String>,
    /// Who brought the writes back.
    pub recovered_by: Option<String>,
    /// The reason of the operator's order, of a switchover on purpose.
    pub order: Option<String>,
    /// Whether it was closed.
    pub closed: bool,
    /// The decisions in order.
    pub decisions: Vec<Decided>,
    /// What was asked of others, and what they answered.
    pub requests: Vec<Request>,
    /// What the witnesses' canaries held at the proof.
    pub canaries: Vec<CanaryCount>,
    /// Every entry.
    pub entries: Vec<Recorded>,
    /// Whether the entries verify.
    pub chain: Chain,
    /// The file that holds them, if there is one.
    pub file: Option<PathBuf>,
}

/// A request to the outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// When the intention was written.
    pub at_s: f64,
    /// What was asked.
    pub action: String,
    /// Of whom or with what, such as the target.
    pub about: String,
    /// The answer; None without one.
    pub answer: Option<String>,
    /// When the answer was written.
    pub answered_s: Option<f64>,
}

/// The canary of one witness at the proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CanaryCount {
    /// Its Availability Zone.
    pub az: String,
    /// Its acknowledged commits.
    pub acknowledged: u64,
    /// Of these, those that the new writer did not hold.
    pub lost: u64,
}

/// An entry of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recorded {
    /// Its number.
    pub seq: u64,
    /// When it was written, in UTC.
    pub at: String,
    /// The same in seconds after the zero.
    pub at_s: f64,
    /// Who wrote it.
    pub by: String,
    /// What kind it is.
    pub kind: String,
    /// What it says.
    pub says: String,
    /// Its hash.
    pub hash: String,
}

impl Episode {
    /// Reads it. `stored` is where the chain ends by the word of the state table, if that is known.
    pub fn read(entries: &[Entry], zero: Timestamp, stored: Option<&Head>, file: Option<PathBuf>) -> Option<Self> {
        let first = entries.first()?;
        let of = |kind: Kind| entries.iter().find(|entry| entry.kind == kind);
        let opened = |pointer| of(Kind::Opened).and_then(|entry| field(&entry.data, pointer));
        let closed = of(Kind::Closed).or_else(|| of(Kind::Proved));
        let word = |found: Option<String>| found.unwrap_or_else(|| "unknown".to_owned());
        let decisions = entries.iter().filter(|entry| entry.kind == Kind::Decided);
        Some(Self {
            cluster: first.cluster.to_string(),
            epoch: first.epoch,
            cause: word(opened("/cause")).replace('_', " "),
            mode: word(opened("/mode")),
            old_writer: word(opened("/old_writer")),
            new_writer: closed.and_then(|entry| field(&entry.data, "/writer")),
            recovered_by: closed.and_then(|entry| field(&entry.data, "/by")),
            order: opened("/plan/reason").or_else(|| opened("/plan/target").map(|_| "no reason given".to_owned())),
            closed: of(Kind::Closed).is_some(),
            decisions: decisions.map(|entry| decided::read(entry, zero)).collect(),
            requests: requests(entries, zero),
            canaries: of(Kind::Proved).map(canaries).unwrap_or_default(),
            entries: entries.iter().map(|entry| recorded(entry, zero)).collect(),
            chain: Chain::of(entries, stored),
            file,
        })
    }

    /// Acknowledged canary commits that the new writer did not hold.
    pub(crate) fn canary_lost(&self) -> u64 {
        self.canaries.iter().map(|canary| canary.lost).sum()
    }

    /// Whether anything proved the recovery.
    pub(crate) fn is_proved(&self) -> bool {
        self.new_writer.is_some()
    }
}

/// A report's runs out of evidence alone, one for each episode.
pub fn of_evidence(episodes: &[(Vec<Entry>, Option<PathBuf>)]) -> Vec<Run> {
    let known = episodes.iter().zip(1_u32..).filter_map(|((entries, file), number)| {
        let failed = entries.iter().find_map(|entry| entry.data.get("failed_since")?.as_u64());
        let failed = failed.map(Timestamp::from_millis);
        let zero_at = failed.or_else(|| entries.first().map(|entry| entry.at))?;
        let episode = Episode::read(entries, zero_at, None, file.clone())?;
        let planned = episode.order.is_some();
        let zero = match failed {
            _ if planned => "the order",
            Some(_) => "the moment when a quorum had first seen the failure",
            None => "the first entry",
        };
        Some(Run {
            number,
            zero_at,
            zero: zero.to_owned(),
            outage: None,
            phases: phases::of_evidence(entries, zero_at, planned),
            injected: Vec::new(),
            load: None,
            counts: None,
            recovered: Some(episode.closed),
            episodes: vec![episode],
            calls: Vec::new(),
            expectations: Vec::new(),
            machine_late_s: None,
        })
    });
    known.collect()
}

fn canaries(proof: &Entry) -> Vec<CanaryCount> {
    let witnesses = proof.data.get("witnesses").and_then(Value::as_array);
    let read = |witness: &Value| {
        Some(CanaryCount {
            az: field(witness, "/az")?,
            acknowledged: witness.pointer("/canary/acknowledged")?.as_u64()?,
            lost: witness.pointer("/canary/lost")?.as_u64()?,
        })
    };
    witnesses.into_iter().flatten().filter_map(read).collect()
}

fn requests(entries: &[Entry], zero: Timestamp) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for entry in entries {
        let action = field(&entry.data, "/action").unwrap_or_else(|| "?".to_owned());
        if entry.kind == Kind::Intended {
            let at_s = seconds(zero, entry.at);
            requests.push(Request { at_s, action, about: about(&entry.data), answer: None, answered_s: None });
        } else if entry.kind == Kind::Answered {
            let asked = requests.iter_mut().rev().find(|asked| asked.action == action && asked.answer.is_none());
            let Some(asked) = asked else { continue };
            asked.answer = Some(answer(&entry.data));
            asked.answered_s = Some(seconds(zero, entry.at));
        }
    }
    requests
}

/// Of whom something is asked, or with what.
fn about(data: &Value) -> String {
    let named = [("/target", "target"), ("/writer", "on"), ("/demoted", "demoted"), ("/rule", "rule")];
    let held = named.into_iter().filter_map(|(pointer, word)| Some(format!("{word} {}", field(data, pointer)?)));
    held.collect::<Vec<_>>().join(", ")
}

/// What came of a request; of closing the gate, whether it is closed.
fn answer(data: &Value) -> String {
    if data.pointer("/result/gate").is_none() {
        return field(data, "/result").unwrap_or_else(|| "?".to_owned());
    }
    let stragglers = data.pointer("/result/stragglers").and_then(Value::as_array).map_or(0, Vec::len);
    match field(data, "/result/because") {
        Some(because) => format!("the gate is open: {because}; {stragglers} stragglers"),
        None => format!("the gate is closed; {stragglers} stragglers"),
    }
}

fn recorded(entry: &Entry, zero: Timestamp) -> Recorded {
    let kind = match entry.kind {
        Kind::Opened => "opened",
        Kind::Adopted => "adopted",
        Kind::Decided => "decided",
        Kind::Intended => "intended",
        Kind::Answered => "answered",
        Kind::Proved => "proved",
        Kind::Closed => "closed",
    };
    Recorded {
        seq: entry.seq,
        at: entry.at.rfc3339(),
        at_s: seconds(zero, entry.at),
        by: entry.by.to_string(),
        kind: kind.to_owned(),
        says: says(entry),
        hash: entry.hash.clone(),
    }
}

/// What the first entry of an episode says: what was ordered, or what has failed.
pub fn opened(data: &Value) -> String {
    let part = |pointer: &str| field(data, pointer).unwrap_or_else(|| "?".to_owned());
    if data.pointer("/plan").is_some_and(Value::is_object) {
        return format!(
            "a switchover from {} to {} was ordered: {}; mode {}",
            part("/old_writer"),
            part("/plan/target"),
            part("/plan/reason"),
            part("/mode")
        );
    }
    let cause = part("/cause").replace('_', " ");
    format!("writer {} has failed: {cause}; mode {}", part("/old_writer"), part("/mode"))
}

fn says(entry: &Entry) -> String {
    let data = &entry.data;
    let part = |pointer: &str| field(data, pointer).unwrap_or_else(|| "?".to_owned());
    match entry.kind {
        Kind::Opened => opened(data),
        Kind::Adopted => format!("taken up with the lease of epoch {}", part("/lease_epoch")),
        Kind::Decided => format!("rule {}: {}", part("/rule"), part("/says")),
        Kind::Intended => {
            [part("/action"), about(data)].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
        }
        Kind::Answered => format!("{}: {}", part("/action"), answer(data)),
        Kind::Proved => format!("a commit on {}, brought back by {}", part("/writer"), part("/by")),
        Kind::Closed => format!("{} writes, brought back by {}", part("/writer"), part("/by")),
    }
}
