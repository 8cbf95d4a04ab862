//! What must hold in every run, whatever fails.

use std::fmt;

use serde::Serialize;

/// A numbered invariant. The code cites each where it keeps it, a test where it tries to break it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Invariant {
    /// Never two failovers in flight.
    OneFailover,
    /// At most one promotion call per epoch.
    OneCall,
    /// No effect without an evidence entry before it.
    EvidenceFirst,
    /// No effect under a lost lease.
    UnderLease,
    /// No action on one witness.
    Quorum,
    /// No acknowledged write lost, none applied twice.
    NoLoss,
    /// "Recovered" only after a commit proved it.
    Proof,
    /// Every block on the database ends by itself.
    BlocksEnd,
    /// Shadow and paused act on nothing.
    HandsOff,
    /// Once faults stop, a writable, proved cluster and no open episode within a bound.
    Liveness,
    /// Nothing that the code rules out happens: no ERROR line, no panic, no chain that does not verify.
    NoError,
    /// Sessions are ended on readers alone, never on the writer.
    ReadersAlone,
    /// A planned promotion is called only while nobody is in a protected transaction on the old writer.
    NobodyInside,
}

impl Invariant {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::OneFailover,
        Self::OneCall,
        Self::EvidenceFirst,
        Self::UnderLease,
        Self::Quorum,
        Self::NoLoss,
        Self::Proof,
        Self::BlocksEnd,
        Self::HandsOff,
        Self::Liveness,
        Self::NoError,
        Self::ReadersAlone,
        Self::NobodyInside,
    ];

    /// Its number.
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|other| *other == self).map_or(0, |at| at + 1)
    }

    /// Its sentence.
    pub fn says(self) -> &'static str {
        match self {
            Self::OneFailover => "never two failovers in flight",
            Self::OneCall => "at most one promotion call per epoch",
            Self::EvidenceFirst => "no effect without an evidence entry before it",
            Self::UnderLease => "no effect under a lost lease",
            Self::Quorum => "no action on one witness",
            Self::NoLoss => "no acknowledged write lost, none applied twice",
            Self::Proof => "\"recovered\" only after a commit proved it",
            Self::BlocksEnd => "every block on the database ends by itself",
            Self::HandsOff => "shadow and paused act on nothing",
            Self::Liveness => "once faults stop, a writable, proved cluster and no open episode within a bound",
            Self::NoError => "nothing happens that the code rules out",
            Self::ReadersAlone => "no session ends on the writer",
            Self::NobodyInside => "a planned promotion finds nobody in a protected transaction",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}: {}", self.number(), self.says())
    }
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// When, in milliseconds since the start of the run.
    pub at_ms: u64,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ms: {}", self.invariant, self.at_ms, self.what)
    }
}
