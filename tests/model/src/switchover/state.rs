//! Server, clients, drainer and coordinator between two steps. Times are in ticks from the true now.

use crate::scale::{Ticks, aged};

use super::{Faults, Switchover};

/// Times before this are all the same.
const FLOOR: Ticks = -16;

/// The advisory lock on the old writer, as far as the drainer's transaction is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lock {
    /// Nobody asks for it.
    Free,
    /// The drainer's statement is on its way.
    Coming,
    /// It waits for those inside, that long.
    Waiting(Ticks),
    /// It is held, that long, after that long a wait.
    Held(Ticks, Ticks),
}

/// A client on the old writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// Between transactions.
    Outside,
    /// At the gate.
    Queued,
    /// In a protected transaction.
    Inside,
}

/// The drainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drainer {
    /// Nothing was asked of it.
    Idle,
    /// It asked for the lock then, by its clock.
    Asked(Ticks),
    /// It holds the lock, certainly until then, by its clock.
    Holds(Ticks),
    /// It does not hold it.
    Open,
    /// It is dead.
    Dead,
}

/// The coordinator that owns the episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coordinator {
    /// It has asked for nothing.
    Idle,
    /// It waits for the gate.
    Waits,
    /// The gate is closed until then, by the drainer's clock.
    Knows(Ticks),
    /// The intention stands.
    Intends(Ticks),
    /// It called that long ago.
    Calls(Ticks),
    /// The gate may be opened.
    Done,
    /// It is dead.
    Dead,
}

/// One state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// How far the clocks of drainer, coordinator and adopter are ahead.
    pub clocks: [Ticks; 3],
    /// The lock.
    pub lock: Lock,
    /// The clients.
    pub clients: Vec<Client>,
    /// The drainer.
    pub drainer: Drainer,
    /// The coordinator.
    pub coordinator: Coordinator,
    /// The end of its lease, by its clock.
    pub lease_ends: Ticks,
    /// The call on its way, for that long.
    pub call: Option<Ticks>,
    /// The failover in progress, for that long.
    pub moving: Option<Ticks>,
    /// Whether the old writer is gone.
    pub role_moved: bool,
    /// Whether its end cut off a transaction.
    pub cut_off: bool,
    /// Whether somebody was inside when it was called, or when the call arrived.
    pub called_over_somebody: bool,
    /// Whether it was called, or the call arrived, without the lease.
    pub called_without_lease: bool,
    /// What may still go wrong.
    pub left: Faults,
}

impl Lock {
    /// For how long nobody has been able to enter.
    pub fn blocked_for(self) -> Ticks {
        match self {
            Self::Free | Self::Coming => 0,
            Self::Waiting(waited) => waited,
            Self::Held(held, waited) => held.saturating_add(waited),
        }
    }

    /// Whether nobody can enter.
    pub fn blocks(self) -> bool {
        match self {
            Self::Free | Self::Coming => false,
            Self::Waiting(_) | Self::Held(..) => true,
        }
    }
}

impl State {
    pub(super) fn begin(model: &Switchover, clocks: [Ticks; 3]) -> Self {
        Self {
            clocks,
            lock: Lock::Free,
            clients: vec![Client::Outside; model.clients.len()],
            drainer: Drainer::Idle,
            coordinator: Coordinator::Idle,
            lease_ends: clocks[1] + model.limits.lease_ttl,
            call: None,
            moving: None,
            role_moved: false,
            cut_off: false,
            called_over_somebody: false,
            called_without_lease: false,
            left: model.faults,
        }
    }

    /// Whether somebody is in a protected transaction on the old writer.
    pub fn somebody_inside(&self) -> bool {
        self.clients.contains(&Client::Inside)
    }

    /// Whether nothing can come of it any more.
    pub(super) fn is_over(&self) -> bool {
        let left_open = self.lock == Lock::Free && self.call.is_none() && self.moving.is_none();
        let nobody = matches!(self.coordinator, Coordinator::Done | Coordinator::Dead);
        self.role_moved || (left_open && nobody)
    }

    /// PostgreSQL grants as soon as it can, to the drainer first.
    pub(super) fn settle(&mut self) {
        if let Lock::Waiting(waited) = self.lock
            && !self.somebody_inside()
        {
            self.lock = Lock::Held(0, waited);
        }
        if !self.lock.blocks() {
            for client in &mut self.clients {
                *client = if *client == Client::Queued { Client::Inside } else { *client };
            }
        }
    }

    pub(super) fn age(&mut self) {
        self.lock = match self.lock {
            Lock::Waiting(waited) => Lock::Waiting(waited.saturating_add(1)),
            Lock::Held(held, waited) => Lock::Held(held.saturating_add(1), waited),
            Lock::Free | Lock::Coming => self.lock,
        };
        self.drainer = match self.drainer {
            Drainer::Asked(at) => Drainer::Asked(aged(at, FLOOR)),
            Drainer::Holds(until) => Drainer::Holds(aged(until, FLOOR)),
            Drainer::Idle | Drainer::Open | Drainer::Dead => self.drainer,
        };
        self.coordinator = match self.coordinator {
            Coordinator::Knows(until) => Coordinator::Knows(aged(until, FLOOR)),
            Coordinator::Intends(until) => Coordinator::Intends(aged(until, FLOOR)),
            Coordinator::Calls(since) => Coordinator::Calls(since.saturating_add(1)),
            Coordinator::Idle | Coordinator::Waits | Coordinator::Done | Coordinator::Dead => self.coordinator,
        };
        self.lease_ends = aged(self.lease_ends, FLOOR);
        self.call = self.call.map(|age| age.saturating_add(1));
        self.moving = self.moving.map(|age| age.saturating_add(1));
    }
}
