//! A coordinator's own doing, from the answer of the state table to its next request.
//!
//! It follows `steadfast_core::executor` line by line; the lockstep test compares the two.

use steadfast_core::lease::LeaseState;
use steadfast_core::rules::Verdict;

use super::coordinator::{After, At, Leave, Purpose, Under, View, Write};
use super::look::{self, Answer, Next, Question, told_bit};
use super::stored::{Episode, Instance, Lease, Who};
use super::{Failover, State};

impl Failover {
    /// `Executor::look`: describes the cluster if that is due, and loads the state table.
    pub(super) fn load(&self, state: &mut State, me: usize) {
        let described_now = state.coordinators[me].described.is_none();
        if described_now {
            let described = state.cluster.described(state.coordinators[me].clock);
            state.coordinators[me].described = Some(described);
        }
        state.coordinators[me].at = At::Loaded(View {
            mode: state.table.mode,
            lease: state.table.lease,
            episode: super::stored::Seen { episode: state.table.episode, outdated: false },
            reported: state.cluster.reported(),
            described_now,
        });
    }

    /// `Executor::run` from the look to the first request that follows from it.
    pub(super) fn decide(&self, state: &mut State, me: usize) {
        let At::Loaded(view) = state.coordinators[me].at else {
            return;
        };
        let question = self.question(state, me, &view);
        let answer = question.answer();
        if self.waits_for_a_person(&question, &answer) {
            return self.stop(state, me);
        }
        let after = after(&view, &answer);
        if let Some(target) = self.due_call(state, me, &view, &answer) {
            return self.call_fail_over(state, me, &view, &answer, target);
        }
        let Some((lease, open)) = view.lease.zip(view.open().copied()) else {
            return match answer.next {
                Next::TakeLease => self.take_lease(state, me, &view, &answer),
                Next::Wait => self.wait(state, me, &view, &answer),
                Next::Promote(_) | Next::RecordProof | Next::Evict | Next::Close(_) | Next::CallHuman => {
                    self.end_loop(state, me, after)
                }
            };
        };
        let held = Under::Held(lease);
        let (purpose, under, change): (_, _, fn(&mut Episode)) = match answer.next {
            Next::Wait => return self.wait(state, me, &view, &answer),
            Next::TakeLease => return self.take_lease(state, me, &view, &answer),
            Next::Promote(target) => return self.promote(state, me, &view, &answer, target),
            Next::Close(writer) => return self.close(state, me, &view, &answer, writer),
            Next::Evict if self.is_short(state, me, &lease) => return self.renew_first(state, me, &lease, after),
            Next::RecordProof => (Purpose::Prove, held, |episode| episode.proved = true),
            Next::Evict => (Purpose::IntendEviction, Under::Armed(lease), |episode| episode.evicted = true),
            Next::CallHuman => (Purpose::IntendCall, held, |_| {}),
        };
        let mut episode = open;
        change(&mut episode);
        self.write(state, me, &view, &answer, purpose, under, episode, after);
    }

    pub(super) fn question(&self, state: &State, me: usize, view: &View) -> Question {
        let coordinator = &state.coordinators[me];
        Question {
            scale: self.believed(),
            me: place(me),
            clock: coordinator.clock,
            mode: view.mode,
            lease: view.lease,
            episode: view.episode.episode,
            described: coordinator.described,
            reported: view.reported,
        }
    }

    fn waits_for_a_person(&self, question: &Question, answer: &Answer) -> bool {
        let open = question.episode.filter(Episode::is_open);
        let (Verdict::TakeLease, Some(open)) = (answer.verdict, open) else {
            return false;
        };
        let (me, clock) = (question.me, question.clock);
        let lease = look::taken(question.lease.as_ref(), open.epoch.into(), me, clock, &self.believed().policy());
        let then = Question { lease, ..*question }.answer();
        then.verdict == Verdict::CallHuman && open.told & told_bit(then.rule) != 0
    }

    fn take_lease(&self, state: &mut State, me: usize, view: &View, answer: &Answer) {
        if self.guards.look_again_under_the_lease {
            state.coordinators[me].described = None;
        }
        let after = after(view, answer);
        let epoch_used = view.episode.episode.as_ref().map_or(0, look::epoch_used);
        let clock = state.coordinators[me].clock;
        let policy = self.believed().policy();
        let Some(next) = look::taken(view.lease.as_ref(), epoch_used, place(me), clock, &policy) else {
            return self.end_loop(state, me, after);
        };
        let opened = answer.presumed.map(|old_writer| Episode {
            epoch: next.epoch,
            old_writer,
            promotion: None,
            gone_since: answer.gone_if_new,
            proved: false,
            evicted: false,
            told: 0,
            rule: 0,
            closed: None,
        });
        let Some(episode) = view.open().copied().or(opened) else {
            return self.end_loop(state, me, after);
        };
        let under = Under::Changing { seen: view.lease, next };
        self.write(state, me, view, answer, Purpose::TakeLease, under, episode, after);
    }

    fn close(&self, state: &mut State, me: usize, view: &View, answer: &Answer, writer: Instance) {
        let Some((lease, open)) = view.lease.zip(view.open()) else {
            return;
        };
        let next = look::released(&lease);
        let episode = Episode { closed: Some(writer), ..*open };
        let under = Under::Changing { seen: Some(lease), next };
        self.write(state, me, view, answer, Purpose::Close, under, episode, after(view, answer));
    }

    /// `Executor::wait`: nothing to do but to keep record and lease up to date.
    fn wait(&self, state: &mut State, me: usize, view: &View, answer: &Answer) {
        let after = after(view, answer);
        if answer.lease == LeaseState::Ours
            && let Some(lease) = view.lease
        {
            if let Some(open) = view.open()
                && (open.rule != answer.rule || open.gone_since != answer.gone_since)
            {
                let episode = Episode { gone_since: answer.gone_since, ..*open };
                return self.write(state, me, view, answer, Purpose::Note, Under::Held(lease), episode, after);
            }
            return self.renew_or_rest(state, me, &lease, after);
        }
        self.rest(state, me, answer.verdict == Verdict::StandBy && view.lease.is_some(), after);
    }

    /// The end of a wait.
    pub(super) fn rest(&self, state: &mut State, me: usize, standing_by: bool, after: After) {
        state.coordinators[me].standing_by = standing_by;
        state.coordinators[me].rested = true;
        self.end_loop(state, me, after);
    }

    /// The last thing of a wait: `Executor::renew`, and then time.
    pub(super) fn renew_or_rest(&self, state: &mut State, me: usize, lease: &Lease, after: After) {
        if !self.renew(state, me, lease, Purpose::Renew, after) {
            self.rest(state, me, false, after);
        }
    }

    /// `Executor::renew`: whether there is something to write.
    pub(super) fn renew(&self, state: &mut State, me: usize, lease: &Lease, purpose: Purpose, after: After) -> bool {
        let clock = state.coordinators[me].clock;
        let left = lease.ends.map_or(0, |ends| ends - clock);
        let next = look::renewed(lease, place(me), clock, &self.believed().policy());
        let Some(next) = next.filter(|_| left < self.scale.renew_below) else {
            return false;
        };
        let under = Under::Changing { seen: Some(*lease), next };
        state.coordinators[me].at = At::Writing(Write { purpose, under, episode: None, outdated: false, after });
        true
    }

    #[expect(clippy::too_many_arguments, reason = "a write has that many sides, and this is the one place that knows")]
    pub(super) fn write(
        &self,
        state: &mut State,
        me: usize,
        view: &View,
        answer: &Answer,
        purpose: Purpose,
        under: Under,
        episode: Episode,
        after: After,
    ) {
        let episode = Some(Episode { rule: answer.rule, ..episode });
        let outdated = view.episode.outdated;
        state.coordinators[me].at = At::Writing(Write { purpose, under, episode, outdated, after });
    }

    /// The end of a loop: `Executor::is_over`.
    pub(super) fn end_loop(&self, state: &mut State, me: usize, after: After) {
        state.coordinators[me].rested |= state.calm.is_none();
        match after {
            After::LooksAgain => state.coordinators[me].at = At::Top(Leave::WhenTimeIsUp),
            After::MayLeave => state.coordinators[me].at = At::Top(Leave::Freely),
            After::Leaves => self.leave(state, me),
        }
    }

    /// `Executor::leave`: gives back the lease that stands there, if it is ours.
    pub(super) fn leave(&self, state: &mut State, me: usize) {
        match state.table.lease.filter(|lease| lease.owner == Who::Runs(place(me))) {
            Some(lease) => {
                state.coordinators[me].at = At::Writing(Write {
                    purpose: Purpose::Release,
                    under: Under::Changing { seen: Some(lease), next: look::released(&lease) },
                    episode: None,
                    outdated: false,
                    after: After::Leaves,
                });
            }
            None => self.stop(state, me),
        }
    }

    /// The run ends, whether in order or in a crash.
    pub(super) fn stop(&self, state: &mut State, me: usize) {
        state.coordinators[me] = super::Coordinator::off(state.coordinators[me].clock);
        let place = place(me);
        state.table.lease.iter_mut().for_each(|lease| lease.forget(place));
        state.coordinators.iter_mut().for_each(|coordinator| coordinator.forget(place));
        state.late.iter_mut().for_each(|write| write.forget(place));
        for call in &mut state.calls {
            call.by = call.by.filter(|by| *by != place);
        }
    }
}

/// Whether the run ends after this loop: `Executor::is_over`, without the time.
pub(super) fn after(view: &View, answer: &Answer) -> After {
    match answer.verdict {
        Verdict::Rest | Verdict::Hold => After::Leaves,
        Verdict::LookAgain if view.open().is_none() => After::MayLeave,
        Verdict::StandBy => After::MayLeave,
        Verdict::CallHuman if view.open().is_some_and(|open| open.told & told_bit(answer.rule) != 0) => After::Leaves,
        Verdict::LookAgain
        | Verdict::CallHuman
        | Verdict::TakeLease
        | Verdict::AwaitPlatform
        | Verdict::Observe
        | Verdict::FailOver
        | Verdict::SwitchOver
        | Verdict::WouldFailOver
        | Verdict::Recovered => After::LooksAgain,
    }
}

/// A coordinator's place as it is stored.
pub(super) fn place(me: usize) -> u8 {
    u8::try_from(me).unwrap_or(u8::MAX)
}
