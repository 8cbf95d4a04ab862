//! The gate of a planned switchover: what lets protected transactions in, and how it is closed.
//!
//! A protected transaction takes the advisory lock [`KEY`] shared with its first statement
//! ([`ENTER`]), so it is inside for exactly as long as it is in flight. The drainer takes the same
//! lock exclusively on the writer ([`CLOSE`]), in a transaction that it uses for nothing else. While
//! that waits for those inside, PostgreSQL lets nobody new in: a request waits behind an earlier one
//! that it conflicts with. Once it is granted, nobody is inside, and nobody enters.
//!
//! Nobody can leave the gate closed, which keeps invariant 8. The drainer sets [`Limits::settings`] for its transaction
//! first; from then on the server itself ends the wait and the block, whoever has crashed. A lock is
//! not replicated: on the new writer the gate is open from the start.
//!
//! How long the gate is certain to stay closed depends on what holds the transaction. The server
//! notices the end of a session of ours at once, so a drainer that dies opens the gate early. A
//! transaction of the RDS Data API outlives the drainer, and ends at its limit: take that one
//! wherever it serves.
//!
//! All phases are what the drainer knows. In doubt it knows of an open gate, since then nothing is
//! called; the server is never behind that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The key of the advisory lock: `STFDGATE` in ASCII, 6004501462258897989. It never changes, since
/// applications hold it as well.
pub const KEY: i64 = i64::from_be_bytes(*b"STFDGATE");

/// How a protected transaction enters, in its first round trip. It leaves with its end.
pub const ENTER: &str = "SELECT pg_catalog.pg_advisory_xact_lock_shared(6004501462258897989)";

/// How the drainer closes the gate, after [`Limits::settings`].
///
/// A result as text: the RDS Data API knows no `void`.
pub const CLOSE: &str = "SELECT pg_catalog.pg_advisory_xact_lock(6004501462258897989)::text";

/// How long things may take. Each of the drainer's limits is one of the server's as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How long the drainer waits for those inside. Whoever comes meanwhile waits as well.
    pub closing: Duration,
    /// How long the gate stays closed at most. It must cover the call to the control plane and the
    /// time until the old writer is gone, and should be less than applications wait for a writer.
    pub closed: Duration,
    /// How long those inside are left alone.
    pub warn_after: Duration,
    /// When their statements are cancelled; None for never.
    pub cancel_after: Option<Duration>,
    /// When their sessions are ended; None for never.
    pub terminate_after: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            closing: Duration::from_secs(3),
            closed: Duration::from_secs(20),
            warn_after: Duration::from_millis(500),
            cancel_after: Some(Duration::from_millis(1_500)),
            terminate_after: Some(Duration::from_millis(2_500)),
        }
    }
}

/// What the drainer knows of the gate, by its own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    /// Transactions may enter.
    #[default]
    Open,
    /// The lock was asked for; nobody enters, and those inside have not all left.
    Closing {
        /// When the statement was sent.
        since: Timestamp,
    },
    /// Nobody is inside.
    Closed {
        /// Until when nobody can enter, if the transaction that holds the lock lives. The server's own
        /// limit runs from the moment of the grant, and that is not before the lock was asked for.
        until: Timestamp,
    },
}

/// What the drainer learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// [`CLOSE`] was sent.
    Asked {
        /// When, read before it was sent.
        at: Timestamp,
    },
    /// The answer says that the lock is held.
    Granted,
    /// The wait was given up, by the server or by us; the transaction ended or was lost.
    Ended,
}

/// How far the drainer goes with those who do not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Escalation {
    /// Leaves them alone.
    Wait,
    /// Tells people who they are.
    Warn,
    /// Cancels what they do.
    Cancel,
    /// Ends their sessions.
    Terminate,
    /// Opens the gate again; the switchover is called off.
    GiveUp,
}

/// What a session inside does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Session {
    /// It runs a statement.
    Active,
    /// It is idle in its transaction: there is nothing to cancel.
    Idle,
    /// It commits, perhaps waiting for replication (`wait_event` is `SyncRep`).
    Committing,
}

/// What the drainer does to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Nothing.
    Leave,
    /// Names it to people.
    Name,
    /// `pg_cancel_backend`.
    Cancel,
    /// `pg_terminate_backend`.
    Terminate,
}

impl Phase {
    /// What the drainer knows after `event`.
    ///
    /// A gate is closed once per transaction: asking again changes nothing, so a block cannot be
    /// prolonged. A grant that nobody asked for is of a transaction that we gave up.
    pub fn after(self, event: Event, limits: &Limits) -> Self {
        match (self, event) {
            (Self::Open, Event::Asked { at }) => Self::Closing { since: at },
            (Self::Closing { since }, Event::Granted) => Self::Closed { until: since.plus(limits.closed) },
            (Self::Open, Event::Granted) | (_, Event::Ended) => Self::Open,
            (Self::Closing { .. } | Self::Closed { .. }, Event::Asked { .. })
            | (Self::Closed { .. }, Event::Granted) => self,
        }
    }

    /// What is still certain at `now`: a block past its end counts as open.
    pub fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Closed { until } if until <= now => Self::Open,
            Self::Open | Self::Closing { .. } | Self::Closed { .. } => self,
        }
    }

    /// Whether nobody can enter for as long as `takes` from `now`, by a clock that differs from the
    /// drainer's by no more than `skew`. Nothing may be called otherwise.
    pub fn covers(self, now: Timestamp, takes: Duration, skew: Duration) -> bool {
        match self {
            Self::Open | Self::Closing { .. } => false,
            Self::Closed { until } => now.plus(takes).plus(skew) < until,
        }
    }
}

impl Limits {
    /// What the drainer sets with `SET LOCAL` before [`CLOSE`], in milliseconds: with these the server
    /// ends the wait and the block by itself.
    pub fn settings(&self) -> [(&'static str, u128); 3] {
        let closing = self.closing.as_millis();
        [
            ("lock_timeout", closing),
            ("statement_timeout", closing),
            ("idle_in_transaction_session_timeout", self.closed.as_millis()),
        ]
    }

    /// The longest that anybody can be kept from entering, by the server's clock.
    pub fn longest_block(&self) -> Duration {
        self.closing.saturating_add(self.closed)
    }

    /// How far to go with those who are inside after `waited`.
    pub fn escalation(&self, waited: Duration) -> Escalation {
        let due = |after: Option<Duration>| after.is_some_and(|after| waited >= after);
        if waited >= self.closing {
            Escalation::GiveUp
        } else if due(self.terminate_after) {
            Escalation::Terminate
        } else if due(self.cancel_after) {
            Escalation::Cancel
        } else if due(Some(self.warn_after)) {
            Escalation::Warn
        } else {
            Escalation::Wait
        }
    }
}

impl Escalation {
    /// What to do to one session inside.
    ///
    /// A commit is never cut short: ending the wait for replication would show it as done although it
    /// is not replicated, and its session would learn nothing of its outcome.
    pub fn measure(self, session: Session) -> Measure {
        match (self, session) {
            (Self::Wait | Self::GiveUp, _) => Measure::Leave,
            (Self::Warn, _) | (Self::Cancel, Session::Idle) => Measure::Name,
            (Self::Cancel | Self::Terminate, Session::Committing) => Measure::Name,
            (Self::Cancel, Session::Active) => Measure::Cancel,
            (Self::Terminate, Session::Active | Session::Idle) => Measure::Terminate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn closed(limits: &Limits) -> Phase {
        Phase::Open.after(Event::Asked { at: ASKED }, limits).after(Event::Granted, limits)
    }

    #[test]
    fn the_statements_name_the_key() {
        assert_eq!(KEY, 6_004_501_462_258_897_989);
        assert!(ENTER.contains(&KEY.to_string()) && CLOSE.contains(&KEY.to_string()));
        assert!(ENTER.contains("_shared(") && !CLOSE.contains("_shared("));
    }

    #[test]
    fn it_is_closed_only_by_a_grant_that_was_asked_for() {
        let limits = Limits::default();
        assert_eq!(Phase::Open.after(Event::Granted, &limits), Phase::Open);
        let asked = Phase::Open.after(Event::Asked { at: ASKED }, &limits);
        assert_eq!(asked, Phase::Closing { since: ASKED });
        assert_eq!(asked.after(Event::Granted, &limits), Phase::Closed { until: ASKED.plus(limits.closed) });
    }

    #[test]
    fn whatever_ends_opens_it() {
        let limits = Limits::default();
        for phase in [Phase::Open, Phase::Closing { since: ASKED }, closed(&limits)] {
            assert_eq!(phase.after(Event::Ended, &limits), Phase::Open);
        }
    }

    #[test]
    fn a_block_cannot_be_prolonged() {
        let limits = Limits::default();
        let later = ASKED.plus(Duration::from_secs(9));
        for event in [Event::Asked { at: later }, Event::Granted] {
            assert_eq!(closed(&limits).after(event, &limits), closed(&limits));
        }
        let closing = Phase::Closing { since: ASKED };
        assert_eq!(closing.after(Event::Asked { at: later }, &limits), closing);
    }

    #[test]
    fn a_block_past_its_end_counts_as_open() {
        let limits = Limits::default();
        let end = ASKED.plus(limits.closed);
        assert_eq!(closed(&limits).at(end.minus(Duration::from_millis(1))), closed(&limits));
        assert_eq!(closed(&limits).at(end), Phase::Open);
    }

    #[test]
    fn nothing_is_called_that_could_outlast_the_block() {
        let limits = Limits::default();
        let (call, skew) = (Duration::from_secs(5), Duration::from_secs(1));
        let too_late = ASKED.plus(limits.closed).minus(call).minus(skew);
        assert!(closed(&limits).covers(too_late.minus(Duration::from_millis(1)), call, skew));
        assert!(!closed(&limits).covers(too_late, call, skew));
        for phase in [Phase::Open, Phase::Closing { since: ASKED }] {
            assert!(!phase.covers(ASKED, call, skew), "{phase:?}");
        }
    }

    #[test]
    fn the_defaults_leave_time_for_everything() {
        let limits = Limits::default();
        assert!(Some(limits.warn_after) < limits.cancel_after);
        assert!(limits.cancel_after < limits.terminate_after);
        assert!(limits.terminate_after < Some(limits.closing));
        // What is certain of the block begins when it is asked for, and a call takes 5 s and 1 s of skew.
        assert!(limits.closed > limits.closing + Duration::from_secs(6));
        assert_eq!(limits.longest_block(), limits.closing + limits.closed);
        let ended_by_the_server: u128 = limits.settings()[0].1 + limits.settings()[2].1;
        assert_eq!(ended_by_the_server, limits.longest_block().as_millis());
    }

    #[test]
    fn escalation_rises_with_time_and_ends_in_giving_up() {
        let limits = Limits::default();
        let at = |millis| limits.escalation(Duration::from_millis(millis));
        let all = [0, 499, 500, 1_500, 2_500, 2_999, 3_000, 60_000].map(at);
        use Escalation::{Cancel, GiveUp, Terminate, Wait, Warn};
        assert_eq!(all, [Wait, Wait, Warn, Cancel, Terminate, Terminate, GiveUp, GiveUp]);
        let gentle = Limits { cancel_after: None, terminate_after: None, ..limits };
        assert_eq!(gentle.escalation(Duration::from_millis(2_999)), Warn);
    }

    #[test]
    fn a_commit_is_never_cut_short() {
        for escalation in
            [Escalation::Wait, Escalation::Warn, Escalation::Cancel, Escalation::Terminate, Escalation::GiveUp]
        {
            let measure = escalation.measure(Session::Committing);
            assert!(matches!(measure, Measure::Leave | Measure::Name), "{escalation:?}");
        }
        assert_eq!(Escalation::Cancel.measure(Session::Active), Measure::Cancel);
        assert_eq!(Escalation::Cancel.measure(Session::Idle), Measure::Name);
        assert_eq!(Escalation::Terminate.measure(Session::Idle), Measure::Terminate);
    }
}
