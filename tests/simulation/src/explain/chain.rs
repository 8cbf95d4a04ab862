//! The evidence of each episode, entry by entry, and whether it verifies.

use serde_json::Value;
use steadfast_core::evidence::{self, Entry, Kind};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::ClusterId;

use super::decision;
use super::words::{field, name, relative, shown};

/// The episodes in the order in which they turned up.
#[derive(Debug, Default)]
pub(super) struct Chains {
    episodes: Vec<Episode>,
}

#[derive(Debug)]
struct Episode {
    cluster: ClusterId,
    epoch: u64,
    entries: Vec<Entry>,
    repeated: usize,
}

impl Chains {
    /// Puts an entry to its episode. The same entry twice, say from the table and from the log, is one.
    pub(super) fn add(&mut self, entry: Entry) {
        let known =
            self.episodes.iter().position(|known| (&known.cluster, known.epoch) == (&entry.cluster, entry.epoch));
        let Some(episode) = known.and_then(|at| self.episodes.get_mut(at)) else {
            let (cluster, epoch) = (entry.cluster.clone(), entry.epoch);
            return self.episodes.push(Episode { cluster, epoch, entries: vec![entry], repeated: 0 });
        };
        if episode.entries.contains(&entry) {
            episode.repeated += 1;
        } else {
            episode.entries.push(entry);
        }
    }

    /// The entries of each, in their order.
    pub(super) fn into_entries(self) -> Vec<Vec<Entry>> {
        let sorted = |mut episode: Episode| {
            episode.sort();
            episode.entries
        };
        self.episodes.into_iter().map(sorted).collect()
    }

    /// Whether no entry is missing or was changed.
    pub(super) fn verify(&mut self) -> bool {
        self.episodes.iter_mut().all(|episode| {
            episode.sort();
            evidence::verify(&episode.entries).is_ok()
        })
    }

    /// All of them in words.
    pub(super) fn explain(mut self) -> Vec<String> {
        self.episodes.iter_mut().flat_map(Episode::explain).collect()
    }
}

impl Episode {
    /// The number is part of what is hashed; where an entry stands in a file means nothing.
    fn sort(&mut self) {
        self.entries.sort_by_key(|entry| entry.seq);
    }

    fn explain(&mut self) -> Vec<String> {
        self.sort();
        let zero = self.zero();
        let mut lines = vec![format!(
            "episode {} of cluster {}; seconds count from {}",
            self.epoch,
            shown(self.cluster.as_str()),
            zero.rfc3339()
        )];
        for entry in &self.entries {
            lines.extend(one(entry, zero));
        }
        lines.extend(self.verdict());
        lines
    }

    /// When the failure was first seen, else the first entry.
    fn zero(&self) -> Timestamp {
        let failed = self.entries.iter().find_map(|entry| entry.data.get("failed_since")?.as_u64());
        let first = self.entries.first().map(|entry| entry.at);
        failed.map(Timestamp::from_millis).or(first).unwrap_or_default()
    }

    fn verdict(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match evidence::verify(&self.entries) {
            Ok(head) => {
                lines.push(format!("  the chain verifies: {} entries, the last hash is {}", head.length, head.hash));
            }
            Err(error) => {
                let good = (1..=self.entries.len())
                    .take_while(|length| self.entries.get(..*length).is_some_and(|part| evidence::verify(part).is_ok()))
                    .count();
                lines.push(format!("  THE CHAIN DOES NOT VERIFY: {error}; {good} entries before it verify"));
            }
        }
        if self.repeated > 0 {
            lines.push(format!("  {} entries stood there more than once", self.repeated));
        }
        if !self.entries.iter().any(|entry| entry.kind == Kind::Closed) {
            lines.push("  it is not closed: it was still open, or its end is missing here".to_owned());
        }
        lines
    }
}

fn one(entry: &Entry, zero: Timestamp) -> Vec<String> {
    let kind = name(&entry.kind);
    let head = format!("  {:>3} {:>10} {} {kind}", entry.seq, relative(zero, entry.at), shown(entry.by.as_str()));
    let mut lines = vec![format!("{head}: {}", particulars(entry, zero))];
    if entry.kind == Kind::Decided {
        lines.extend(decision::reasons(&entry.data, Some(entry.at)).into_iter().map(|line| format!("      {line}")));
    }
    lines
}

fn particulars(entry: &Entry, zero: Timestamp) -> String {
    let data = &entry.data;
    let part = |pointer: &str| field(data, pointer).unwrap_or_else(|| "?".to_owned());
    match entry.kind {
        Kind::Opened => steadfast_report::opened(data),
        Kind::Adopted => format!("with the lease of epoch {}", part("/lease_epoch")),
        Kind::Decided => decision::rule(data),
        Kind::Intended => intended(data),
        Kind::Answered => {
            let rule = field(data, "/rule").map(|rule| format!(", by rule {rule}")).unwrap_or_default();
            format!("{}: {}{rule}", part("/action"), result(data))
        }
        Kind::Proved => {
            let committed = data.get("committed_at").and_then(Value::as_u64).map(Timestamp::from_millis);
            let at = committed.map_or_else(|| "?".to_owned(), |at| relative(zero, at));
            format!("a commit on {} at {at}, brought back by {}", part("/writer"), part("/by"))
        }
        Kind::Closed => format!("{} writes, brought back by {}", part("/writer"), part("/by")),
    }
}

/// What came of an action; of closing the gate, whether it is closed.
fn result(data: &Value) -> String {
    if data.pointer("/result/gate").is_none() {
        return field(data, "/result").unwrap_or_else(|| "?".to_owned());
    }
    let stragglers = data.pointer("/result/stragglers").and_then(Value::as_array).map_or(0, Vec::len);
    match field(data, "/result/because") {
        Some(because) => format!("the gate is open: {because}; {stragglers} stragglers"),
        None => format!("the gate is closed; {stragglers} stragglers"),
    }
}

fn intended(data: &Value) -> String {
    let mut text = field(data, "/action").unwrap_or_else(|| "?".to_owned());
    for (pointer, word) in [("/target", "target"), ("/writer", "on"), ("/demoted", "demoted"), ("/rule", "rule")] {
        if let Some(held) = field(data, pointer) {
            text.push_str(&format!(", {word} {held}"));
        }
    }
    text
}
