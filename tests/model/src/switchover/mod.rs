//! The planned switchover: the gate is closed, the call is made, the gate opens. A specification: the
//! code that does it is to follow it.
//!
//! 1. The coordinator owns an episode, as for an unplanned failover, and asks the drainer to close
//!    the gate on the writer. The drainer reads its clock, asks for the lock, and tells until when
//!    the gate is certain to be closed.
//! 2. The coordinator looks again under the lease and writes the intention.
//! 3. It reads its clock again: enough must be left both of the lease and of the block for the call
//!    and the skew. Otherwise nothing is called.
//! 4. It calls once, and has the gate opened when the answer is there or too late. Whoever adopts the
//!    episode never calls, and opens the gate once the lease of its owner is over.
//!
//! Not in here: the intention's conditions and the one call, which are those of
//! [`failover`](crate::failover).

mod state;
mod steps;

use stateright::{Model, Property};

pub use state::{Client, Coordinator, Drainer, Lock, State};

use crate::check::Coverage;
use crate::scale::Ticks;

/// The protocol under faults, within bounds.
#[derive(Debug)]
pub struct Switchover {
    /// The limits in ticks.
    pub limits: Limits,
    /// The guards; all of them hold unless a test takes one away.
    pub guards: Guards,
    /// What holds the lock.
    pub holder: Holder,
    /// What may go wrong.
    pub faults: Faults,
    /// How far the clocks of drainer, coordinator and adopter are ahead of the true time: the
    /// combinations to begin with.
    pub clocks: Vec<[Ticks; 3]>,
    /// Whether each client ends its transactions by itself.
    pub clients: Vec<bool>,
    /// What has happened anywhere.
    pub seen: Coverage,
}

/// The limits in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `gate::Limits::closing`.
    pub closing: Ticks,
    /// `gate::Limits::closed`.
    pub closed: Ticks,
    /// `gate::Limits::terminate_after`.
    pub terminate_after: Ticks,
    /// What a call may take.
    pub call_limit: Ticks,
    /// `Policy::clock_skew_max`.
    pub skew_max: Ticks,
    /// `Policy::lease_ttl`.
    pub lease_ttl: Ticks,
    /// How long the old writer lives at most after the call was accepted.
    pub failover_time: Ticks,
}

/// The guards of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// The server ends the transaction that holds the lock.
    pub block_expires: bool,
    /// The server ends the wait for the lock.
    pub wait_expires: bool,
    /// The call is made only if enough is left of the block.
    pub block_covers_the_call: bool,
    /// The block is counted from when the lock was asked for, not from when the grant was heard of.
    pub counted_from_the_question: bool,
    /// The skew of the clocks is taken off what is left.
    pub skew_margin: bool,
    /// The call is made only if enough is left of the lease.
    pub lease_covers_the_call: bool,
}

/// What holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A session of the drainer's: it ends with the drainer, or is cut off and lingers.
    Session,
    /// A transaction of the Data API: it outlives the drainer.
    DataApi,
}

/// What may go wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// The drainer dies.
    pub drainer_crashes: u8,
    /// The coordinator dies.
    pub coordinator_crashes: u8,
    /// A call or its answer is lost.
    pub lost_calls: u8,
}

/// What can happen, so that a check is not about nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call was sent.
    Called,
    /// The role moved without cutting off a transaction.
    MovedCleanly,
    /// Too little was left of the block, and nothing was called.
    BlockTooShort,
    /// Too little was left of the lease, and nothing was called.
    LeaseTooShort,
    /// Those inside did not leave in time, and the wait ended.
    WaitExpired,
    /// The server ended the transaction that held the lock.
    BlockExpired,
    /// A client that did not leave was ended.
    Terminated,
    /// Whoever adopted the episode opened the gate.
    AdopterOpened,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time passes.
    Tick,
    /// A client begins a transaction.
    Begin(usize),
    /// A client ends its transaction.
    End(usize),
    /// The coordinator has the drainer ask for the lock.
    Ask,
    /// The drainer's statement arrives.
    Arrive,
    /// The drainer hears what became of it.
    Hear,
    /// The drainer ends those who do not leave, if it is time.
    Escalate,
    /// The server ends the wait.
    WaitExpires,
    /// The server ends the transaction.
    BlockExpires,
    /// The coordinator hears until when the gate is closed.
    Tell,
    /// The coordinator looks again and writes the intention.
    Intend,
    /// It reads its clock, and calls or does not.
    Call,
    /// The call arrives; whether the answer does.
    Deliver(bool),
    /// The call is lost.
    LoseCall,
    /// The coordinator has no answer in time.
    GiveUp,
    /// The coordinator has the gate opened.
    Open,
    /// The old writer is gone, and its sessions with it.
    OldWriterGoes,
    /// Whoever adopted the episode has the gate opened.
    AdopterOpens,
    /// The drainer dies; whether the server notices.
    DrainerDies(bool),
    /// The coordinator dies.
    CoordinatorDies,
}

impl Limits {
    /// Small numbers with the order that the defaults have.
    pub const SMALL: Self =
        Self { closing: 2, closed: 6, terminate_after: 1, call_limit: 2, skew_max: 1, lease_ttl: 8, failover_time: 1 };
}

impl Guards {
    /// The protocol as it is specified.
    pub const ALL: Self = Self {
        block_expires: true,
        wait_expires: true,
        block_covers_the_call: true,
        counted_from_the_question: true,
        skew_margin: true,
        lease_covers_the_call: true,
    };
}

impl Switchover {
    fn happened(&self, event: Event) {
        self.seen.note(event.bit());
    }
}

impl Event {
    /// Whether it happened on a path that was looked at.
    pub fn happened(self, seen: &Coverage) -> bool {
        seen.has(self.bit())
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl Model for Switchover {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.clocks.iter().map(|clocks| State::begin(self, *clocks)).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !state.is_over() {
            self.offer(state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.act(&mut state, action);
        state.settle();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("P7 every closed gate opens in time", |model: &Self, state: &State| {
                state.lock.blocked_for() <= model.limits.closing + model.limits.closed
            }),
            Property::always("P8 nobody inside when it is called", |_, state: &State| !state.called_over_somebody),
            Property::always("P4 no call but under a lease that stands", |_, state: &State| {
                !state.called_without_lease
            }),
            Property::sometimes("the role moves and nobody is cut off", |_, state: &State| {
                state.role_moved && !state.cut_off
            }),
            Property::sometimes("a drainer that died left a gate that opened", |_, state: &State| {
                state.drainer == Drainer::Dead && state.lock == Lock::Free
            }),
        ]
    }
}
