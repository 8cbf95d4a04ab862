//! The report: what happened in a drill, a game day or an episode, and how it can be verified.
//!
//! One page without scripts and without network, for people, and the same facts as JSON, for programs. Everything
//! that it says comes from the evidence, from the clients' diaries and from the control plane's log.

mod chain;
mod chart;
mod decided;
mod episode;
mod facts;
mod headline;
mod load;
mod page;
mod phases;
mod words;

pub use chain::Chain;
pub use decided::{Candidate, Decided, Said};
pub use episode::{CanaryCount, Episode, Recorded, Request, of_evidence, opened};
pub use facts::{Call, Counts, Expected, Injected, Kind, Report, Run, Subject};
pub use headline::{Headline, Verdict};
pub use load::{Client, Load, Pause};
pub use page::render;
pub use phases::Phase;
pub use words::{field, shown};

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is nothing to report about.
    #[error("there is nothing to report: no run and no episode; give the evidence of at least one episode")]
    Empty,
    /// The library that draws refused.
    #[error("a chart could not be drawn: {0}")]
    Chart(String),
}
