//! The outside of a coordinator: the state table with its conditions, and the control plane.

use steadfast_core::mode::Mode;

use super::coordinator::{At, Intent, Purpose, Under, Write};
use super::look::told_bit;
use super::stored::{Episode, Lease};
use super::{Event, Failover, Promise, State};

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is served, and the answer arrives.
    Answered,
    /// It is served, and the answer is lost.
    AnswerLost,
    /// The coordinator gives it up as lost; it may take effect at any later time, or never.
    Late,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// It is looked at, and the answer arrives.
    Answered,
    /// It is looked at, and the answer is lost.
    AnswerLost,
    /// It is refused because too much is asked of the control plane.
    Throttled,
}

impl Failover {
    /// The write of the coordinator in place `me` meets its fate.
    pub(super) fn serve(&self, state: &mut State, me: usize, fate: Fate) {
        let At::Writing(write) = state.coordinators[me].at else {
            return;
        };
        match fate {
            Fate::Answered => {
                let done = self.apply(state, &write);
                self.written(state, me, &write, done);
            }
            Fate::AnswerLost => {
                state.left.lost_answers = state.left.lost_answers.saturating_sub(1);
                self.apply(state, &write);
                self.unanswered(state, me, &write);
            }
            Fate::Late => {
                state.left.late_writes = state.left.late_writes.saturating_sub(1);
                state.late = Some(write);
                self.unanswered(state, me, &write);
            }
        }
    }

    /// A write that was given up as lost takes effect after all, if its conditions still hold.
    pub(super) fn land(&self, state: &mut State) {
        if let Some(write) = state.late.take()
            && self.apply(state, &write)
        {
            self.happened(Event::LateWriteTookEffect);
        }
    }

    /// `StateTable::commit` and `StateTable::write_lease`: all or nothing.
    fn apply(&self, state: &mut State, write: &Write) -> bool {
        let held = |seen: &Lease| state.table.lease.is_some_and(|lease| lease.stands_for(seen));
        let (under_lease, while_armed) = match &write.under {
            Under::Held(lease) => (held(lease) || !self.guards.lease_condition, true),
            Under::Armed(lease) => (
                held(lease) || !self.guards.lease_condition,
                state.table.mode == Mode::Armed || !self.guards.mode_condition,
            ),
            Under::Changing { seen, .. } => (state.table.lease == *seen, true),
        };
        let latest = !write.outdated || !self.guards.version_condition;
        for (holds, event) in [
            (under_lease, Event::StoppedByLease),
            (while_armed, Event::StoppedByMode),
            (latest, Event::StoppedByVersion),
        ] {
            if !holds {
                self.happened(event);
            }
        }
        if !(under_lease && while_armed && latest) {
            return false;
        }
        if matches!(write.purpose, Purpose::Intend | Purpose::IntendEviction) {
            self.judge_intention(state, write);
        }
        if let Under::Changing { next, .. } = &write.under {
            state.table.lease = Some(*next);
        }
        if let Some(episode) = &write.episode {
            if write.purpose == Purpose::TakeLease {
                state.moved_before_lease = state.cluster.moving.is_some() || state.cluster.writer != episode.old_writer;
            }
            state.called.forget_closed(episode);
            state.table.episode = Some(if episode.is_open() { *episode } else { episode.archived(&self.scale) });
            state.coordinators.iter_mut().for_each(super::Coordinator::outdate);
            state.late.iter_mut().for_each(Write::outdate);
        }
        true
    }

    /// What was promised about every intention, at the moment when it takes effect.
    fn judge_intention(&self, state: &mut State, write: &Write) {
        if state.table.mode != Mode::Armed {
            state.break_promise(Promise::NothingWhilePaused);
        }
        let owned = match &write.under {
            Under::Held(lease) | Under::Armed(lease) => state.table.lease.is_some_and(|stands| {
                stands.owner == lease.owner && stands.epoch == lease.epoch && stands.ends.is_some()
            }),
            Under::Changing { .. } => false,
        };
        if !owned {
            state.break_promise(Promise::IntentionUnderLease);
        }
    }

    /// The table has answered.
    fn written(&self, state: &mut State, me: usize, write: &Write, done: bool) {
        if write.purpose == Purpose::Release {
            return self.stop(state, me);
        }
        if !done {
            state.coordinators[me].described = None;
            return self.end_loop(state, me, write.after);
        }
        match (write.purpose, write.under, write.episode) {
            (Purpose::Intend | Purpose::IntendEviction, Under::Armed(lease), Some(episode)) => {
                let target = if write.purpose == Purpose::Intend {
                    episode.promotion.map(|promotion| promotion.target)
                } else {
                    None
                };
                let (rule, after) = (episode.rule, write.after);
                state.coordinators[me].at =
                    At::Intended(Intent { lease, episode, outdated: false, target, rule, after });
            }
            (Purpose::IntendCall, Under::Held(lease), Some(episode)) => {
                let told = episode.told | told_bit(episode.rule);
                self.go_on(state, me, write, Purpose::AnswerCall, lease, Episode { told, ..episode });
            }
            (Purpose::Note, Under::Held(lease), _) => self.renew_or_rest(state, me, &lease, write.after),
            (Purpose::Renew, _, _) => self.rest(state, me, false, write.after),
            (
                Purpose::TakeLease
                | Purpose::Intend
                | Purpose::Withhold
                | Purpose::Answer
                | Purpose::Prove
                | Purpose::IntendEviction
                | Purpose::AnswerEviction
                | Purpose::IntendCall
                | Purpose::AnswerCall
                | Purpose::Close
                | Purpose::Note
                | Purpose::RenewFirst
                | Purpose::Release,
                _,
                _,
            ) => self.end_loop(state, me, write.after),
        }
    }

    /// The next write over the version that was just written.
    fn go_on(&self, state: &mut State, me: usize, write: &Write, purpose: Purpose, lease: Lease, episode: Episode) {
        let under = Under::Held(lease);
        let write = Write { purpose, under, episode: Some(episode), outdated: false, after: write.after };
        state.coordinators[me].at = At::Writing(write);
    }

    /// No answer: the next look shows what stands there.
    fn unanswered(&self, state: &mut State, me: usize, write: &Write) {
        match write.purpose {
            Purpose::Release => self.stop(state, me),
            Purpose::TakeLease
            | Purpose::Intend
            | Purpose::Withhold
            | Purpose::Answer
            | Purpose::Prove
            | Purpose::IntendEviction
            | Purpose::AnswerEviction
            | Purpose::IntendCall
            | Purpose::AnswerCall
            | Purpose::Close
            | Purpose::Note
            | Purpose::Renew
            | Purpose::RenewFirst => self.end_loop(state, me, write.after),
        }
    }

    /// The call at this place among those on their way arrives at the control plane, unless that is too
    /// busy to look at it. The answer may be lost.
    pub(super) fn deliver(&self, state: &mut State, call: usize, arrival: Arrival) {
        let call = state.calls.remove(call);
        let refused = match arrival {
            Arrival::Answered | Arrival::AnswerLost => state.cluster.begin(call.target, true).err(),
            Arrival::Throttled => Some("Throttling"),
        };
        self.happened(if refused.is_none() { Event::CallAccepted } else { Event::CallRefused });
        if refused.is_some() {
            state.called.forget();
        }
        if arrival != Arrival::AnswerLost
            && let Some(me) = call.by.map(usize::from)
            && let At::Calling(intent, _) = state.coordinators[me].at
        {
            self.answered(state, me, &intent, refused);
        }
    }
}

impl Episode {
    /// A closed episode without what makes no difference any more.
    pub fn archived(self, scale: &crate::scale::Scale) -> Self {
        let promotion = self.promotion.map(|promotion| super::stored::Promotion {
            target: promotion.target,
            epoch: 0,
            at: scale.promotion_floor(),
            refused: false,
            passing: false,
            number: 0,
            bound: None,
        });
        Self { promotion, gone_since: None, proved: true, evicted: true, told: 0, rule: 0, ..self }
    }
}
