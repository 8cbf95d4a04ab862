//! The numbered rule table. First match wins.
//!
//! Blocks are questions, in the order a careful operator asks them. Ids have gaps and are never
//! reused; the id stands in the log, the evidence, the metric and the test.

use serde::{Deserialize, Serialize};

use crate::diagnosis::WriterState;
use crate::facts::{Facts, Platform, Progress};
use crate::lease::LeaseState;
use crate::mode::Mode;
use crate::switchover::Planned;

/// What a rule orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well; nothing to do.
    Rest,
    /// We may not act.
    Hold,
    /// Somebody else acts; be ready to take over.
    StandBy,
    /// Too little is known; look again.
    LookAgain,
    /// Take the lease, and open or adopt the episode.
    TakeLease,
    /// The platform's turn.
    AwaitPlatform,
    /// Our promotion is under way; watch it.
    Observe,
    /// Promote the chosen candidate, once.
    FailOver,
    /// An operator's order: close the gate, then promote its target, once.
    SwitchOver,
    /// Shadow mode: record that we would have promoted.
    WouldFailOver,
    /// A commit proved that writes flow: bring the episode to its end.
    Recovered,
    /// No rule can make it better: a person must look.
    CallHuman,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its number, forever.
    pub id: u16,
    /// Why, in one sentence.
    pub says: &'static str,
    /// What it orders.
    pub verdict: Verdict,
    /// When it matches.
    pub matches: fn(&Facts) -> bool,
}

const fn rule(id: u16, verdict: Verdict, says: &'static str, matches: fn(&Facts) -> bool) -> Rule {
    Rule { id, says, verdict, matches }
}

/// The verdict when no rule matches.
pub const OTHERWISE: Rule = rule(999, Verdict::CallHuman, "no rule knows this situation", |_| true);

/// The table.
pub static TABLE: &[Rule] = &[
    // 1xx May we act?
    rule(110, Verdict::Hold, "an operator paused us", |f| f.mode == Mode::Paused),
    rule(120, Verdict::StandBy, "another coordinator holds the lease", |f| f.lease == LeaseState::Theirs),
    // Keeps invariant 10: what a coordinator leaves behind, the next one takes up.
    rule(130, Verdict::TakeLease, "an open episode has no owner", |f| {
        f.lease == LeaseState::Free && f.progress != Progress::None
    }),
    // 2xx Do we know enough?
    rule(205, Verdict::CallHuman, "an episode has been open for long, and too little is known to end it", |f| {
        f.overdue && matches!(f.writer, WriterState::Unknown | WriterState::Suspected)
    }),
    rule(210, Verdict::LookAgain, "too few Availability Zones report", |f| f.writer == WriterState::Unknown),
    rule(220, Verdict::LookAgain, "fewer than a quorum say that the writer has failed", |f| {
        f.writer == WriterState::Suspected
    }),
    // 3xx Does somebody commit?
    rule(310, Verdict::Rest, "the writer commits", |f| {
        f.writer == WriterState::Committing && f.progress == Progress::None
    }),
    rule(320, Verdict::LookAgain, "another instance commits; the control plane has yet to say so", |f| {
        f.writer == WriterState::Moved && f.progress == Progress::None
    }),
    rule(330, Verdict::Recovered, "another instance took over, and a commit proved it", |f| {
        f.writer == WriterState::Moved
    }),
    // Of an open episode the lease is ours by now: rules 120 and 130.
    rule(335, Verdict::SwitchOver, "an operator ordered a switchover, and all is ready for its next step", |f| {
        f.writer == WriterState::Committing
            && f.planned == Planned::Due
            && f.mode == Mode::Armed
            && f.progress == Progress::Open
            && f.platform == Platform::Idle
            && f.candidate
            && !f.overdue
    }),
    rule(337, Verdict::Recovered, "the switchover was called off or refused, and the old writer commits", |f| {
        f.writer == WriterState::Committing && f.planned != Planned::No
    }),
    rule(340, Verdict::Recovered, "the writer came back before anything was called, and a commit proved it", |f| {
        f.writer == WriterState::Committing && f.progress == Progress::Open
    }),
    rule(350, Verdict::Observe, "the old writer still commits; the promotion may yet take effect", |f| {
        f.writer == WriterState::Committing && f.progress == Progress::Promoting
    }),
    rule(360, Verdict::Recovered, "the promotion left the old writer in place, and a commit proved it", |f| {
        f.writer == WriterState::Committing
    }),
    // 4xx The writer has failed. Whose turn is it?
    rule(410, Verdict::TakeLease, "the writer has failed and nobody owns the episode", |f| {
        f.lease == LeaseState::Free || f.progress == Progress::None
    }),
    rule(420, Verdict::Observe, "our promotion is under way", |f| f.progress == Progress::Promoting),
    rule(425, Verdict::CallHuman, "our promotion has not brought the writes back in time", |f| {
        f.progress == Progress::Overdue
    }),
    rule(427, Verdict::CallHuman, "the control plane refused our promotion", |f| f.progress == Progress::Refused),
    rule(428, Verdict::CallHuman, "the control plane has been mute or busy with a change for long", |f| {
        f.overdue && matches!(f.platform, Platform::Mute | Platform::Changing)
    }),
    rule(430, Verdict::LookAgain, "the control plane does not answer", |f| f.platform == Platform::Mute),
    rule(440, Verdict::AwaitPlatform, "the platform's own failover is in progress", |f| {
        f.platform == Platform::FailingOver
    }),
    rule(445, Verdict::CallHuman, "the platform's own failover has not ended in time", |f| {
        f.platform == Platform::Overdue
    }),
    rule(450, Verdict::AwaitPlatform, "the platform is changing the cluster on purpose", |f| {
        f.platform == Platform::Changing
    }),
    rule(455, Verdict::CallHuman, "the cluster is stopped, deleted or without its key", |f| {
        f.platform == Platform::Unusable
    }),
    // 5xx What failed, and would another writer help?
    rule(510, Verdict::CallHuman, "every password is refused; another writer would refuse it too", |f| {
        f.writer == WriterState::BadCredentials
    }),
    rule(520, Verdict::CallHuman, "the writer lives, but all its connections are taken", |f| {
        f.writer == WriterState::Saturated
    }),
    rule(530, Verdict::CallHuman, "the storage is full; another writer would share it", |f| {
        f.writer == WriterState::DiskFull
    }),
    rule(540, Verdict::CallHuman, "the writer answers with an error that no rule knows", |f| {
        f.writer == WriterState::Failing
    }),
    rule(550, Verdict::AwaitPlatform, "the writer is dead or restarting; the platform goes first", |f| {
        f.writer.is_gone() && f.grace_running
    }),
    rule(560, Verdict::CallHuman, "the writer serves as a reader and nobody writes; the platform had its time", |f| {
        f.writer == WriterState::Demoted
    }),
    rule(570, Verdict::CallHuman, "no Availability Zone sees any instance", |f| f.writer == WriterState::Dark),
    // 6xx Who takes over?
    rule(610, Verdict::CallHuman, "no candidate is safe", |f| !f.candidate),
    rule(620, Verdict::CallHuman, "the budget of promotions for this cause is spent", |f| !f.budget_left),
    rule(625, Verdict::CallHuman, "shadow mode: would have promoted long ago, and acts on nothing", |f| {
        f.mode == Mode::Shadow && f.overdue
    }),
    rule(630, Verdict::WouldFailOver, "shadow mode: would promote, and acts on nothing", |f| f.mode == Mode::Shadow),
    rule(635, Verdict::TakeLease, "our call came to nothing; a new epoch may call again", |f| {
        f.progress == Progress::Traceless
    }),
    rule(640, Verdict::FailOver, "dead, the platform had its time, and a candidate is safe", |f| {
        matches!(f.writer, WriterState::Dead | WriterState::Restarting)
    }),
    rule(650, Verdict::FailOver, "mute for too long; the platform does not see it, and a candidate is safe", |f| {
        f.writer == WriterState::Silent
    }),
    rule(660, Verdict::FailOver, "commits stand still; the platform does not see it, and a candidate is safe", |f| {
        f.writer == WriterState::Stalled
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_and_stay_in_their_block() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} before {}", pair[0].id, pair[1].id);
        }
        assert!(TABLE.iter().all(|rule| (100..OTHERWISE.id).contains(&rule.id)));
    }
}
