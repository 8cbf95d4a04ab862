//! The unplanned failover: lease, intention, call, proof.

mod actions;
mod called;
mod calling;
pub mod cluster;
pub mod coordinator;
pub mod look;
mod promises;
mod serve;
pub mod stored;
mod time;
mod turn;

use stateright::{Model, Property};
use steadfast_core::mode::Mode;

use crate::check::Coverage;
use crate::scale::{Scale, Ticks};
use cluster::{Call, Cluster, Health};
use coordinator::{Coordinator, Write};
use stored::{Instance, Table};

pub use called::Called;
pub use promises::Promise;
pub use serve::{Arrival, Fate};

/// The protocol under faults, within bounds.
#[derive(Debug)]
pub struct Failover {
    /// The limits in ticks.
    pub scale: Scale,
    /// The guards of the protocol.
    pub guards: Guards,
    /// What lies beyond what the protocol was made for; nothing unless a test lets it in.
    pub beyond: Beyond,
    /// How often the outside may do what.
    pub faults: Faults,
    /// How far each coordinator's clock is ahead of the true time: the combinations to begin with.
    pub clocks: Vec<Vec<Ticks>>,
    /// How the writer fails: the failures to begin with.
    pub failures: Vec<Health>,
    /// Whether time may pass between the answer of the state table and the decision.
    pub slow_looks: bool,
    /// The latest epoch; nothing is looked at beyond it.
    pub epochs: u8,
    /// How long after the last fault everything must have come to its end; None to let faults go on.
    pub calm: Option<u8>,
    /// What has happened anywhere.
    pub seen: Coverage,
}

/// The guards of the protocol. A test takes one away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// Every write of the episode names the lease it is made under.
    pub lease_condition: bool,
    /// Every write of the episode names the version it was made from.
    pub version_condition: bool,
    /// The intention is written only while armed.
    pub mode_condition: bool,
    /// The cluster is described anew under the lease before anything is intended.
    pub look_again_under_the_lease: bool,
    /// The owner stops believing in the lease early, the others late.
    pub skew_margin: bool,
    /// A call is sent only with enough of the lease left.
    pub time_left_for_the_call: bool,
    /// An intention is called only by the one who wrote it.
    pub only_the_author_calls: bool,
    /// An intention that is taken back gives way to the promotion that stood before it.
    pub taking_back_keeps_earlier_calls: bool,
    /// An intention that was not called at once is written anew before it is called.
    pub late_intentions_are_renewed: bool,
    /// A call that failed without an answer is waited for as long as it may be on its way.
    pub silence_is_waited_out: bool,
}

/// What the protocol was not made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    /// A coordinator may stand still between its last look at the clock and the call.
    pub stall_before_the_call: bool,
    /// A call is on its way for that much longer than `call_limit`.
    pub slow_call: Ticks,
}

/// How often the outside may do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A tick in which a coordinator, or its request, stands still in the middle of a loop.
    pub stalls: u8,
    /// A coordinator dies between two requests.
    pub crashes: u8,
    /// A run ends because its time is up.
    pub time_ups: u8,
    /// A write takes effect and its answer is lost.
    pub lost_answers: u8,
    /// A write is given up as lost, and may take effect later.
    pub late_writes: u8,
    /// A call or its answer is lost.
    pub lost_calls: u8,
    /// A call fails at once without an answer, and is on its way all the same.
    pub silences: u8,
    /// The control plane refuses a call because too much is asked of it.
    pub throttles: u8,
    /// An operator changes the mode.
    pub orders: u8,
    /// The platform begins a failover of its own.
    pub platform_failovers: u8,
    /// The first reader becomes unfit as a target, or fit again.
    pub unfits: u8,
    /// The failed writer comes back by itself.
    pub returns: u8,
    /// Whoever holds the writer role fails again.
    pub relapses: u8,
}

/// What can happen, so that a check is not about nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A call was sent.
    CallSent,
    /// It was accepted.
    CallAccepted,
    /// It was refused.
    CallRefused,
    /// An intention was taken back.
    CallWithheld,
    /// The write of the intention took so long that too little of the lease was left.
    LeaseRanShortBeforeCall,
    /// A write was stopped because the lease had changed.
    StoppedByLease,
    /// A write was stopped because the version had changed.
    StoppedByVersion,
    /// An intention was stopped because the mode had changed.
    StoppedByMode,
    /// A write took effect after it had been given up.
    LateWriteTookEffect,
}

/// One state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The state table.
    pub table: Table,
    /// The cluster.
    pub cluster: Cluster,
    /// Calls on their way.
    pub calls: Vec<Call>,
    /// A write that was given up as lost and may still take effect.
    pub late: Option<Write>,
    /// The coordinators.
    pub coordinators: Vec<Coordinator>,
    /// What may still go wrong.
    pub left: Faults,
    /// What was truly called.
    pub called: Called,
    /// Whether the writer role had moved, or was moving, when the lease was taken last.
    pub moved_before_lease: bool,
    /// The promises that were broken: a set of bits.
    pub broken: u16,
    /// Ticks since the last fault.
    pub calm: Option<u8>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time passes.
    Tick,
    /// A coordinator that is woken, or begins its next loop, describes the cluster if that is due,
    /// loads the state table, decides and sends its next request, all at once.
    Look(usize),
    /// The same up to the answer of the state table; the rest comes after time has passed.
    LookSlowly(usize),
    /// And this is the rest.
    Decide(usize),
    /// Its write meets its fate.
    Serve(usize, Fate),
    /// It learns that its intention stands, and acts or renews its lease.
    Call(usize),
    /// After a stall, the call leaves.
    SendAfterStall(usize),
    /// It has no answer to its call.
    GiveUp(usize),
    /// The same, while the call is on its way.
    FailSilently(usize),
    /// Its run ends at the end of a loop.
    Leave(usize),
    /// It dies.
    Crash(usize),
    /// The write that was given up takes effect.
    Land,
    /// The call at this place arrives at the control plane.
    Deliver(usize, Arrival),
    /// The call at this place is lost.
    LoseCall(usize),
    /// An operator sets the mode.
    Order(Mode),
    /// The platform begins a failover to this instance.
    PlatformBegins(Instance),
    /// The failover in progress ends.
    FailoverEnds,
    /// The first reader becomes unfit, or fit again.
    Refits,
    /// The failed writer commits again.
    Returns,
    /// The writer fails again.
    Relapses,
    /// Nothing goes wrong any more.
    Calms,
}

impl Failover {
    /// Two coordinators whose clocks differ by the bound, a writer whose commits stand still, small
    /// numbers; all else as it is given.
    pub fn small(guards: Guards, faults: Faults) -> Self {
        Self {
            scale: Scale::SMALL,
            guards,
            beyond: Beyond::default(),
            faults,
            clocks: vec![vec![0, Scale::SMALL.skew_max]],
            failures: vec![Health::Stalled],
            slow_looks: false,
            epochs: 3,
            calm: None,
            seen: Coverage::default(),
        }
    }
}

impl Guards {
    /// The protocol as the executor keeps it.
    pub const SHIPPED: Self = Self {
        lease_condition: true,
        version_condition: true,
        mode_condition: true,
        look_again_under_the_lease: true,
        skew_margin: true,
        time_left_for_the_call: true,
        only_the_author_calls: true,
        taking_back_keeps_earlier_calls: true,
        late_intentions_are_renewed: true,
        silence_is_waited_out: true,
    };
}

impl State {
    fn break_promise(&mut self, promise: Promise) {
        self.broken |= promise.bit();
    }
}

impl Failover {
    /// The limits as the coordinators believe in them.
    fn believed(&self) -> Scale {
        if self.guards.skew_margin { self.scale } else { Scale { skew_max: 0, ..self.scale } }
    }

    fn happened(&self, event: Event) {
        self.seen.note(event.bit());
    }

    fn begin(&self, clocks: &[Ticks], health: Health) -> State {
        State {
            table: Table { mode: Mode::Armed, lease: None, episode: None },
            cluster: Cluster { writer: 0, health, moving: None, unfit: false },
            calls: Vec::new(),
            late: None,
            coordinators: clocks.iter().map(|clock| Coordinator::off(*clock)).collect(),
            left: self.faults,
            called: Called::default(),
            moved_before_lease: false,
            broken: 0,
            calm: None,
        }
    }
}

impl Model for Failover {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let of_clocks =
            |clocks: &Vec<Ticks>| self.failures.iter().map(|health| self.begin(clocks, *health)).collect::<Vec<_>>();
        self.clocks.iter().flat_map(of_clocks).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if actions::is_over(state) {
            return;
        }
        if self.may_tick(state) {
            actions.push(Action::Tick);
        }
        for me in 0..state.coordinators.len() {
            self.actions_of(state, me, actions);
        }
        self.actions_on_the_way(state, actions);
        self.actions_outside(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.act(&mut state, action);
        self.settle(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::properties()
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.table.lease.is_none_or(|lease| lease.epoch <= self.epochs)
    }
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::CallSent,
        Self::CallAccepted,
        Self::CallRefused,
        Self::CallWithheld,
        Self::LeaseRanShortBeforeCall,
        Self::StoppedByLease,
        Self::StoppedByVersion,
        Self::StoppedByMode,
        Self::LateWriteTookEffect,
    ];

    /// Whether it happened on a path that was looked at.
    pub fn happened(self, seen: &Coverage) -> bool {
        seen.has(self.bit())
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}
