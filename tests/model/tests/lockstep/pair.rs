//! The model and real executors side by side, one step at a time.

use std::time::Duration;

use stateright::Model;
use steadfast_core::evidence::Kind;
use steadfast_core::lease::Lease;
use steadfast_core::ports::{CallError, StateError};
use steadfast_core::time::Timestamp;
use steadfast_model::failover::cluster::CLUSTER;
use steadfast_model::failover::coordinator::{At, Intent, Leave, Purpose, Under, Write};
use steadfast_model::failover::look::instance;
use steadfast_model::failover::{Action, Arrival, Failover, Fate, State};
use steadfast_model::scale::{TICK, moment, span};

use crate::port::{Actor, Answer, Commit, Condition, Request, no_answer};
use crate::stage::Stage;

/// Where the two differ.
pub(crate) type Mismatch = String;

/// Later than any deadline.
const TIME_IS_UP: Duration = Duration::from_secs(10_000_000);

/// The model's state, and executors that have been through the same.
pub(crate) struct Pair<'m> {
    model: &'m Failover,
    pub(crate) state: State,
    stage: Stage,
    beside: Vec<Beside>,
    late: Option<Request>,
    runs: u32,
}

/// One executor, and what the model leaves open about it.
#[derive(Default)]
struct Beside {
    actor: Option<Actor>,
    /// It has begun its next look without being asked to, since nothing made it wait.
    ahead: bool,
    /// The lease that it loaded last.
    loaded: Option<Lease>,
    /// The lease that it stood by first, and since when.
    stood_by: Option<(Lease, Timestamp)>,
    /// It has seen enough of the owner: it leaves at the end of this loop.
    leaves: bool,
}

impl<'m> Pair<'m> {
    pub(crate) fn new(model: &'m Failover, state: State) -> Self {
        let places = state.coordinators.len();
        let beside = (0..places).map(|_| Beside::default()).collect();
        Self { model, state, stage: Stage::new(model.scale, places), beside, late: None, runs: 0 }
    }

    /// What both can do next. The model lets more happen than an executor does: a run that goes on
    /// although it has seen enough of the owner, and time between two requests with nothing to wait for.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.model.actions(&self.state, &mut actions);
        let hurry = self.beside.iter().any(|beside| beside.ahead);
        actions.retain(|action| match action {
            Action::Tick => !hurry,
            Action::Leave(me) => !self.beside[*me].ahead,
            Action::Look(me) | Action::LookSlowly(me) => !self.beside[*me].leaves,
            Action::Decide(_)
            | Action::Serve(..)
            | Action::Call(_)
            | Action::SendAfterStall(_)
            | Action::GiveUp(_)
            | Action::FailSilently(_)
            | Action::Crash(_)
            | Action::Land
            | Action::Deliver(..)
            | Action::LoseCall(_)
            | Action::Order(_)
            | Action::PlatformBegins(_)
            | Action::FailoverEnds
            | Action::Returns
            | Action::Relapses
            | Action::Calms => true,
        });
        actions
    }

    /// Both do it, and are compared.
    pub(crate) fn step(&mut self, action: Action) -> Result<(), Mismatch> {
        let before = self.state.clone();
        self.state = self.model.next_state(&before, action).ok_or("the model refuses its own action")?;
        match action {
            Action::Tick => self.tick(),
            Action::Look(me) => {
                self.look(me, &before)?;
                self.decide(me)?;
            }
            Action::LookSlowly(me) => self.look(me, &before)?,
            Action::Decide(me) => self.decide(me)?,
            Action::Serve(me, fate) => self.serve(&before, me, fate)?,
            Action::Call(me) => self.go_on(me)?,
            Action::GiveUp(me) | Action::FailSilently(me) => self.answer_call(me, Err(no_answer()))?,
            Action::Leave(me) => self.leave(me)?,
            Action::Crash(me) => self.remove(me),
            Action::Land => {
                if let Some(late) = self.late.take() {
                    // Its answer reaches nobody.
                    let _result = self.stage.serve(&late);
                }
            }
            Action::Deliver(call, arrival) => self.deliver(&before, call, arrival)?,
            Action::Order(mode) => self.stage.mode = mode,
            Action::LoseCall(_)
            | Action::PlatformBegins(_)
            | Action::FailoverEnds
            | Action::Returns
            | Action::Relapses
            | Action::Calms => {}
            Action::SendAfterStall(_) => return Err("the executor has nothing to stop it there".to_owned()),
        }
        self.compare_tables()
    }

    fn tick(&mut self) {
        self.stage.now = self.stage.now.plus(TICK);
        for (beside, coordinator) in self.beside.iter().zip(&self.state.coordinators) {
            if let Some(actor) = &beside.actor {
                actor.set_clock(moment(self.stage.now, coordinator.clock));
            }
        }
    }

    fn actor(&mut self, me: usize) -> Result<&mut Actor, Mismatch> {
        self.beside[me].actor.as_mut().ok_or_else(|| format!("coordinator {me} runs in the model only"))
    }

    /// Up to the answer of the state table, which it does not see yet.
    fn look(&mut self, me: usize, before: &State) -> Result<(), Mismatch> {
        if self.beside[me].actor.is_none() {
            self.begin(me);
        }
        let due = before.coordinators[me].described.is_none();
        let (topology, state) = (before.cluster.described(0).topology(), self.stage.load(&before.cluster.reported()));
        self.beside[me].loaded.clone_from(&state.lease);
        self.beside[me].ahead = false;
        let actor = self.actor(me)?;
        while actor.has_answer() || matches!(actor.request(), Some(Request::Pause | Request::Notify | Request::Evict)) {
            if !actor.has_answer() {
                actor.answer(Answer::Done);
            }
            actor.go_on();
        }
        if due && actor.request() == Some(Request::Describe) {
            actor.answer(Answer::Described(topology));
            actor.go_on();
        }
        if actor.request() != Some(Request::Load) {
            return Err(format!("a look (description due: {due}), but the executor wants {:?}", actor.request()));
        }
        actor.answer(Answer::Loaded(Box::new(state)));
        Ok(())
    }

    fn begin(&mut self, me: usize) {
        self.runs += 1;
        let now = moment(self.stage.now, self.state.coordinators[me].clock);
        let name = format!("run {} in place {me}", self.runs);
        let mut actor = Actor::new(&name, self.model.scale.policy(), CLUSTER, now);
        self.stage.names[me] = Some(actor.name.clone());
        actor.go_on();
        self.beside[me] = Beside { actor: Some(actor), ..Beside::default() };
    }

    fn decide(&mut self, me: usize) -> Result<(), Mismatch> {
        self.go_on(me)?;
        let scale = self.model.scale;
        let coordinator = &self.state.coordinators[me];
        let now = moment(self.stage.now, coordinator.clock);
        let beside = &mut self.beside[me];
        beside.leaves = false;
        match beside.loaded.clone().filter(|_| coordinator.standing_by) {
            Some(lease) if coordinator.at == At::Top(Leave::Freely) => {
                let (first, since) = beside.stood_by.get_or_insert((lease.clone(), now));
                let limit = span(scale.lease_ttl + 2 * scale.skew_max);
                beside.leaves = *first != lease || now.since(*since) >= limit;
            }
            Some(_) => {}
            None => beside.stood_by = None,
        }
        Ok(())
    }

    /// The executor goes on until it waits for something that the model knows of.
    fn go_on(&mut self, me: usize) -> Result<(), Mismatch> {
        let at = self.state.coordinators[me].at;
        let leaving = match at {
            At::Off => true,
            At::Writing(write) => write.purpose == Purpose::Release,
            At::Top(_) | At::Loaded(_) | At::Intended(_) | At::Stalled(_) | At::Calling(..) => false,
        };
        let state = self.stage.load(&self.state.cluster.reported());
        let actor = self.actor(me)?;
        actor.go_on();
        loop {
            match actor.request() {
                Some(Request::Notify | Request::Evict) => actor.answer(Answer::Done),
                Some(Request::Pause) if leaving => actor.answer(Answer::Done),
                Some(Request::Load) if leaving => actor.answer(Answer::Loaded(Box::new(state.clone()))),
                Some(_) | None => break,
            }
            actor.go_on();
        }
        self.compare(me)
    }

    fn serve(&mut self, before: &State, me: usize, fate: Fate) -> Result<(), Mismatch> {
        let request = self.actor(me)?.request().ok_or("no write is on its way")?;
        let lost = StateError::Unavailable { table: "t".to_owned(), cause: "timeout".to_owned() };
        let result = match fate {
            Fate::Answered => self.stage.serve(&request),
            Fate::AnswerLost => {
                // Whatever came of it, nobody hears of it.
                let _result = self.stage.serve(&request);
                Err(lost)
            }
            Fate::Late => {
                self.late = Some(request);
                Err(lost)
            }
        };
        self.actor(me)?.answer(Answer::Written(result));
        let looks_at_the_clock =
            matches!(before.coordinators[me].at, At::Writing(write) if write.purpose == Purpose::Note);
        match self.state.coordinators[me].at {
            // It goes on when the model does.
            At::Top(_) | At::Intended(_) if !looks_at_the_clock => Ok(()),
            At::Top(_) | At::Intended(_) => self.go_on(me),
            At::Off | At::Loaded(_) | At::Writing(_) | At::Stalled(_) | At::Calling(..) => self.go_on(me),
        }
    }

    fn deliver(&mut self, before: &State, call: usize, arrival: Arrival) -> Result<(), Mismatch> {
        let call = before.calls[call];
        let refused = |code: &str| CallError::Refused {
            action: "FailoverDBCluster",
            code: code.to_owned(),
            message: "not now".to_owned(),
        };
        let answer = match arrival {
            Arrival::Answered => { before.cluster }.begin(call.target, true).map_err(refused),
            Arrival::AnswerLost => return Ok(()),
            Arrival::Throttled => Err(refused("Throttling")),
        };
        call.by.map_or(Ok(()), |me| self.answer_call(me.into(), answer))
    }

    fn answer_call(&mut self, me: usize, answer: Result<(), CallError>) -> Result<(), Mismatch> {
        self.actor(me)?.answer(Answer::Called(answer));
        self.go_on(me)
    }

    /// Its time is up at the end of a loop.
    fn leave(&mut self, me: usize) -> Result<(), Mismatch> {
        let late = self.stage.now.plus(TIME_IS_UP);
        let actor = self.actor(me)?;
        actor.set_clock(late);
        while matches!(actor.request(), Some(Request::Pause | Request::Notify | Request::Evict)) && !actor.has_answer()
        {
            actor.answer(Answer::Done);
            actor.go_on();
        }
        self.go_on(me)
    }

    fn remove(&mut self, me: usize) {
        self.beside[me] = Beside::default();
        self.stage.names[me] = None;
    }

    /// What the executor waits for, and what the model says of it.
    fn compare(&mut self, me: usize) -> Result<(), Mismatch> {
        let at = self.state.coordinators[me].at;
        let actor = self.actor(me)?;
        let (request, answered, finished) = (actor.request(), actor.has_answer(), actor.finished);
        if let Some(error) = actor.errors().first() {
            return Err(format!("the executor met what it rules out: {error}"));
        }
        let agree = match (&at, &request) {
            (At::Off, _) => finished,
            (At::Top(_), Some(Request::Describe | Request::Load)) => {
                self.beside[me].ahead = true;
                true
            }
            (At::Top(_), Some(Request::Pause)) => true,
            (At::Loaded(_) | At::Intended(_), Some(_)) => answered,
            (At::Writing(write), Some(request)) => {
                let seen = self.write_of(request, write);
                if seen.as_ref() != Some(&expected(write, self.model)) {
                    return Err(format!("the model writes {write:?}, the executor {seen:?} by {request:?}"));
                }
                true
            }
            (At::Calling(Intent { target, .. }, _), Some(request)) => {
                target.is_some_and(|target| *request == Request::FailOver { target: instance(target) })
            }
            (At::Top(_) | At::Loaded(_) | At::Writing(_) | At::Intended(_) | At::Stalled(_) | At::Calling(..), _) => {
                false
            }
        };
        if !agree {
            return Err(format!("the model is {at:?}, the executor wants {request:?}"));
        }
        if finished {
            self.remove(me);
        }
        Ok(())
    }

    /// The executor's write as the model has it, if it is for the purpose that the model thinks.
    fn write_of(&self, request: &Request, model: &Write) -> Option<Write> {
        let lease = |lease: &Lease| self.stage.lease_of(lease);
        let (under, episode, outdated, kinds) = match request {
            Request::WriteLease { seen, next } => {
                (Under::Changing { seen: seen.as_ref().map(lease), next: lease(next) }, None, false, Vec::new())
            }
            Request::Commit(commit) => {
                let Commit { under, episode, seen_version, entries } = commit.as_ref();
                let under = match under {
                    Condition::Held(held) => Under::Held(lease(held)),
                    Condition::Armed(held) => Under::Armed(lease(held)),
                    Condition::Changing { seen, next } => {
                        Under::Changing { seen: seen.as_ref().map(lease), next: lease(next) }
                    }
                };
                let kinds = entries.iter().map(|entry| entry.kind).filter(|kind| *kind != Kind::Decided).collect();
                (under, Some(self.stage.episode_of(episode)), *seen_version != self.stage.version(), kinds)
            }
            Request::Describe
            | Request::Load
            | Request::FailOver { .. }
            | Request::Evict
            | Request::Notify
            | Request::Pause => return None,
        };
        let fits = kinds_for(model.purpose).contains(&kinds.as_slice());
        fits.then_some(Write { purpose: model.purpose, under, episode, outdated, after: model.after })
    }

    fn compare_tables(&mut self) -> Result<(), Mismatch> {
        let table = self.stage.table();
        if table != self.state.table {
            return Err(format!("the model's table is {:?}, the executors' {table:?}", self.state.table));
        }
        if self.state.late.is_none() {
            let forgotten = self.late.take();
            if forgotten.is_some_and(|late| self.stage.admits(&late)) {
                return Err("the model forgets a late write that could take effect".to_owned());
            }
        }
        Ok(())
    }
}

/// The model's write as the executor's is read: what is stored of a closed episode is less.
fn expected(write: &Write, model: &Failover) -> Write {
    let episode = write.episode.map(|episode| if episode.is_open() { episode } else { episode.archived(&model.scale) });
    Write { episode, ..*write }
}

/// The evidence that such a write carries, but for a changed decision.
fn kinds_for(purpose: Purpose) -> &'static [&'static [Kind]] {
    match purpose {
        Purpose::TakeLease => &[&[Kind::Opened], &[Kind::Adopted]],
        Purpose::Intend | Purpose::IntendEviction | Purpose::IntendCall => &[&[Kind::Intended]],
        Purpose::Withhold | Purpose::Answer | Purpose::AnswerEviction | Purpose::AnswerCall => &[&[Kind::Answered]],
        Purpose::Prove => &[&[Kind::Proved]],
        Purpose::Close => &[&[Kind::Closed]],
        Purpose::Note | Purpose::Renew | Purpose::RenewFirst | Purpose::Release => &[&[]],
    }
}
