//! The intention to promote, the call, and its answer, as in `steadfast_core::executor`.

use steadfast_core::lease::LeaseState;
use steadfast_core::rules::Verdict;

use super::cluster::Call;
use super::coordinator::{After, At, Intent, Purpose, Under, View, Write};
use super::look::{self, Answer, Next, Question};
use super::stored::{Episode, Instance, Lease, Who};
use super::turn::{after, place};
use super::{Event, Failover, Promise, State};

impl Failover {
    pub(super) fn promote(&self, state: &mut State, me: usize, view: &View, answer: &Answer, target: Instance) {
        let after = after(view, answer);
        if self.guards.look_again_under_the_lease && !view.described_now {
            state.coordinators[me].described = None;
            return self.end_loop(state, me, after);
        }
        let Some((lease, open)) = view.lease.zip(view.open().copied()) else {
            return;
        };
        self.intend(state, me, view, answer, lease, open, target);
    }

    /// The intention, over what was called before it.
    #[expect(clippy::too_many_arguments, reason = "an intention has that many sides")]
    fn intend(
        &self,
        state: &mut State,
        me: usize,
        view: &View,
        answer: &Answer,
        lease: Lease,
        before: Episode,
        target: Instance,
    ) {
        let after = after(view, answer);
        let coordinator = &mut state.coordinators[me];
        let promotion = look::next_promotion(&before, target, lease.epoch, coordinator.clock);
        coordinator.uncalled = Some(promotion);
        coordinator.before = before.promotion.filter(|_| self.guards.taking_back_keeps_earlier_calls);
        let episode = Episode { promotion: Some(promotion), ..before };
        self.write(state, me, view, answer, Purpose::Intend, Under::Armed(lease), episode, after);
    }

    pub(super) fn due_call(&self, state: &State, me: usize, view: &View, answer: &Answer) -> Option<Instance> {
        let standing = view.open()?.promotion?;
        let own = state.coordinators[me].uncalled == Some(standing) || !self.guards.only_the_author_calls;
        (answer.lease == LeaseState::Ours && own && !standing.refused).then_some(standing.target)
    }

    pub(super) fn call_fail_over(&self, state: &mut State, me: usize, view: &View, answer: &Answer, target: Instance) {
        let Some((lease, open)) = view.lease.zip(view.open().copied()) else {
            return;
        };
        let after = after(view, answer);
        let withheld = Episode { promotion: state.coordinators[me].before, ..open };
        let again = Question { episode: Some(withheld), ..self.question(state, me, view) }.answer();
        let (rule, outdated) = (answer.rule, view.episode.outdated);
        let intent = Intent { lease, episode: open, outdated, target: Some(target), rule, after };
        if again.verdict == Verdict::FailOver && again.next == Next::Promote(target) {
            if self.guards.look_again_under_the_lease && !view.described_now {
                state.coordinators[me].described = None;
                return self.renew_first(state, me, &lease, after);
            }
            if self.guards.late_intentions_are_renewed {
                return self.intend(state, me, view, &again, lease, withheld, target);
            }
            return self.fail_over(state, me, &intent);
        }
        self.happened(Event::CallWithheld);
        state.coordinators[me].forget_intention();
        self.write(state, me, view, answer, Purpose::Withhold, Under::Held(lease), withheld, after);
    }

    /// `Executor::is_short`: whether less is left of the lease than a call may take.
    pub(super) fn is_short(&self, state: &State, me: usize, lease: &Lease) -> bool {
        let left = lease.ends.map_or(0, |ends| ends - state.coordinators[me].clock);
        let believed = self.believed();
        self.guards.time_left_for_the_call && left < believed.call_limit + believed.skew_max
    }

    /// The lease is renewed before anything is done; the next look goes on.
    pub(super) fn renew_first(&self, state: &mut State, me: usize, lease: &Lease, after: After) {
        if !self.renew(state, me, lease, Purpose::RenewFirst, after) {
            self.end_loop(state, me, after);
        }
    }

    /// What follows once an intention stands.
    pub(super) fn follow(&self, state: &mut State, me: usize, intent: &Intent) {
        match intent.target {
            Some(_) => self.fail_over(state, me, intent),
            None => self.evict(state, me, intent),
        }
    }

    /// `Executor::fail_over`: the last look at the clock, and then the call.
    fn fail_over(&self, state: &mut State, me: usize, intent: &Intent) {
        if self.is_short(state, me, &intent.lease) {
            self.happened(Event::LeaseRanShortBeforeCall);
            self.renew_first(state, me, &intent.lease, intent.after);
        } else if self.beyond.stall_before_the_call {
            state.coordinators[me].at = At::Stalled(*intent);
        } else {
            self.send(state, me, intent);
        }
    }

    /// `Executor::evict` once its intention stands: the drainer is asked, unless the lease ran short.
    fn evict(&self, state: &mut State, me: usize, intent: &Intent) {
        let evicted = !self.is_short(state, me, &intent.lease);
        if evicted && !self.is_owned(state, me, &intent.lease) {
            state.break_promise(Promise::EvictionUnderLease);
        }
        let episode = Some(Episode { evicted, ..intent.episode });
        let (under, outdated, after) = (Under::Held(intent.lease), intent.outdated, intent.after);
        let purpose = Purpose::AnswerEviction;
        state.coordinators[me].at = At::Writing(Write { purpose, under, episode, outdated, after });
    }

    /// The call leaves.
    pub(super) fn send(&self, state: &mut State, me: usize, intent: &Intent) {
        let Some(target) = intent.target else {
            return;
        };
        self.judge_call(state, me, intent, target);
        state.coordinators[me].forget_intention();
        state.calls.push(Call { by: Some(place(me)), target, age: 0 });
        state.coordinators[me].at = At::Calling(*intent, 0);
    }

    /// What was promised about every call, at the moment when it is sent.
    fn judge_call(&self, state: &mut State, me: usize, intent: &Intent, target: Instance) {
        self.happened(Event::CallSent);
        for broken in state.called.call(intent.lease.epoch, target, &self.scale) {
            state.break_promise(broken);
        }
        if state.table.open().and_then(|open| open.promotion) != intent.episode.promotion {
            state.break_promise(Promise::IntentionFirst);
        }
        if !self.is_owned(state, me, &intent.lease) {
            state.break_promise(Promise::CallUnderLease);
        }
        if state.moved_before_lease {
            state.break_promise(Promise::OneFailover);
        }
    }

    /// Whether this lease truly stands and has not run out.
    fn is_owned(&self, state: &State, me: usize, seen: &Lease) -> bool {
        state.table.lease.is_some_and(|lease| {
            let ends = lease.ends.map(|ends| ends - state.coordinators[me].clock);
            lease.owner == Who::Runs(place(me)) && lease.epoch == seen.epoch && ends.is_some_and(|ends| ends > 0)
        })
    }

    /// `Executor::fail_over` after the call: what came of it is written down.
    pub(super) fn answered(&self, state: &mut State, me: usize, intent: &Intent, refused: Option<&str>) {
        let mut episode = Episode { rule: intent.rule, ..intent.episode };
        if let (Some(promotion), Some(code)) = (&mut episode.promotion, refused) {
            promotion.refused = true;
            promotion.passing = look::passes(code);
        }
        state.coordinators[me].at = At::Writing(Write {
            purpose: Purpose::Answer,
            under: Under::Held(intent.lease),
            episode: Some(episode),
            outdated: intent.outdated,
            after: intent.after,
        });
    }
}
