//! A decision as the evidence has it: the rule, the votes and the candidates.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use steadfast_core::candidate::Refused;
use steadfast_core::decision::matching;
use steadfast_core::diagnosis::{Ignored, Vote};
use steadfast_core::evidence::Entry;
use steadfast_core::facts::Facts;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::InstanceId;

use crate::phases::seconds;
use crate::words::{field, name};

/// What one witness said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Said {
    /// Its Availability Zone.
    pub az: String,
    /// What it saw of the writer, such as `unreachable`.
    pub outcome: String,
    /// For how long it had seen it so, in seconds.
    pub lasted_s: f64,
    /// Why it did not count.
    pub ignored: Option<String>,
}

/// An instance that was in question as the next writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Which.
    pub instance: String,
    /// Whether it was the target.
    pub chosen: bool,
    /// Why it was refused; None for the target and for those that were fit as well.
    pub refused: Option<String>,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decided {
    /// The number of its entry.
    pub seq: u64,
    /// When.
    pub at_s: f64,
    /// The number of the rule.
    pub rule: u64,
    /// What it orders, such as `fail over`.
    pub verdict: String,
    /// The rule's sentence, as it was recorded.
    pub says: String,
    /// The instance that it was about.
    pub writer: Option<String>,
    /// The state of the writer, as a quorum of witnesses has it.
    pub state: String,
    /// What each witness said.
    pub votes: Vec<Said>,
    /// Who could take over, and who could not.
    pub candidates: Vec<Candidate>,
    /// Whether the rules of this build decide the same from the recorded facts. None when the facts cannot be read.
    pub same_today: Option<bool>,
}

/// Reads a decision out of its entry.
pub(crate) fn read(entry: &Entry, zero: Timestamp) -> Decided {
    let data = &entry.data;
    let text = |pointer| field(data, pointer).unwrap_or_else(|| "?".to_owned());
    let rule = data.pointer("/rule").and_then(Value::as_u64).unwrap_or_default();
    let facts: Option<Facts> = part(data, "/facts");
    Decided {
        seq: entry.seq,
        at_s: seconds(zero, entry.at),
        rule,
        verdict: text("/verdict").replace('_', " "),
        says: text("/says"),
        writer: field(data, "/diagnosis/presumed"),
        state: text("/diagnosis/writer").replace('_', " "),
        votes: part::<Vec<Vote>>(data, "/diagnosis/votes")
            .unwrap_or_default()
            .iter()
            .map(|vote| said(vote, entry.at))
            .collect(),
        candidates: candidates(data),
        same_today: facts.map(|facts| u64::from(matching(&facts).id) == rule),
    }
}

fn part<T: DeserializeOwned>(data: &Value, pointer: &str) -> Option<T> {
    T::deserialize(data.pointer(pointer)?).ok()
}

fn said(vote: &Vote, at: Timestamp) -> Said {
    let ignored = vote.ignored.map(|why| match why {
        Ignored::Stale => "its report is too old",
        Ignored::Blind => "it sees no instance at all",
        Ignored::Abstained => "it has nothing to say of this instance",
    });
    Said {
        az: vote.az.to_string(),
        outcome: name(&vote.outcome),
        lasted_s: at.since(vote.since).as_secs_f64(),
        ignored: ignored.map(str::to_owned),
    }
}

fn candidates(data: &Value) -> Vec<Candidate> {
    let fit = |instance: InstanceId, chosen| Candidate { instance: instance.to_string(), chosen, refused: None };
    let target: Option<InstanceId> = part(data, "/target");
    let spare: Vec<InstanceId> = part(data, "/spare").unwrap_or_default();
    let refused: Vec<Refused> = part(data, "/refused").unwrap_or_default();
    let unfit = refused.into_iter().map(|refused| Candidate {
        instance: refused.instance.to_string(),
        chosen: false,
        refused: Some(refused.because.to_string()),
    });
    let fit = target.into_iter().map(|id| fit(id, true)).chain(spare.into_iter().map(|id| fit(id, false)));
    fit.chain(unfit).collect()
}
