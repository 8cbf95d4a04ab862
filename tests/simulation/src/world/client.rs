//! Clients with the ledger: protected transactions that are resolved by a tombstone, then replayed.

use std::collections::BTreeMap;

use steadfast_scenario::Role;

use super::fault::{Reach, WARM_UP};
use super::instance::{Commit, Row, Run};
use super::{MS, Micros, Nth, SECOND, World};
use crate::invariant::Invariant;
use crate::kernel::{Handle, Sleep, TaskId};

/// How many there are.
const CLIENTS: Nth = 2;
/// Between two transactions of one client.
const THINK: (u64, u64) = (150, 450);
/// How long a client waits for any answer.
const DEADLINE: Micros = SECOND;
/// How often a commit that stands still is looked at.
const STANDS_FOR: Micros = 50 * MS;

/// What the clients know.
#[derive(Default)]
pub(crate) struct Clients {
    transactions: u64,
    /// Transactions that were acknowledged to their application.
    acknowledged: BTreeMap<u64, Nth>,
    /// When the last acknowledgement of any client came.
    last: Option<Micros>,
    /// Commits at a server that have not ended, by instance, transaction and attempt.
    in_flight: BTreeMap<(Nth, u64, u32), u64>,
    /// Where each client's session is.
    sessions: Vec<Option<Nth>>,
}

/// What a client learns of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learnt {
    Committed,
    Aborted,
    Nothing,
}

type Slot = std::sync::Arc<std::sync::Mutex<Option<Learnt>>>;

impl World {
    pub(super) fn begin_clients(&mut self) {
        self.clients.sessions = vec![None; CLIENTS];
        for client in 0..CLIENTS {
            let Some(handle) = self.root.handle() else {
                return;
            };
            let task = self.agenda.next_task();
            self.agenda.spawn(task, Box::pin(Client { handle, task, number: client }.work()));
        }
    }

    /// Ends the sessions of clients on this instance; how many.
    pub(crate) fn end_sessions(&mut self, nth: Nth) -> u64 {
        let mut ended = 0;
        for session in &mut self.clients.sessions {
            if *session == Some(nth) {
                *session = None;
                ended += 1;
            }
        }
        ended
    }

    /// A commit arrives at a server, and stands there until it can be made durable or the server ends.
    fn commit_arrives(&mut self, nth: Nth, key: (u64, u32), row: Row, slot: Slot) {
        let Some(life) = self.instances.get(nth).filter(|instance| instance.run == Run::Up).map(|i| i.life) else {
            return;
        };
        self.clients.in_flight.insert((nth, key.0, key.1), life);
        self.try_commit(nth, life, key, row, slot);
    }

    fn try_commit(&mut self, nth: Nth, life: u64, key: (u64, u32), row: Row, slot: Slot) {
        let Some(instance) = self.instances.get(nth).filter(|i| i.life == life && i.run == Run::Up) else {
            self.clients.in_flight.remove(&(nth, key.0, key.1));
            return;
        };
        let stands = instance.frozen || self.is_gate_closed(nth);
        let learnt = match self.commit_on(nth) {
            Commit::Done if !stands => match self.storage.ledger.get(&key) {
                None => {
                    // A writer that the storage no longer obeys writes where nobody will look.
                    if instance.generation == self.storage.generation {
                        self.storage.ledger.insert(key, row);
                    }
                    Some(if row == Row::Applied { Learnt::Committed } else { Learnt::Aborted })
                }
                Some(Row::Applied) => Some(Learnt::Committed),
                Some(Row::Tombstone) => Some(Learnt::Aborted),
            },
            Commit::Reader | Commit::Full if !instance.frozen => Some(Learnt::Nothing),
            Commit::Done | Commit::Stands | Commit::Reader | Commit::Full => None,
        };
        let Some(learnt) = learnt else {
            self.agenda.after(STANDS_FOR, move |world| world.try_commit(nth, life, key, row, slot));
            return;
        };
        self.clients.in_flight.remove(&(nth, key.0, key.1));
        // The answer is sent a moment after the commit is durable: a crash in between leaves it in doubt.
        self.agenda.after(MS, move |world| {
            let alive = world.instances.get(nth).is_some_and(|i| i.life == life && i.run == Run::Up && !i.frozen);
            if alive && let Ok(mut slot) = slot.lock() {
                *slot = Some(learnt);
            }
        });
    }

    fn application_is_told(&mut self, client: Nth, key: u64) {
        let now = self.agenda.now();
        self.clients.acknowledged.insert(key, client);
        if self.faults.first.is_some() {
            let since = self.clients.last.unwrap_or(WARM_UP);
            self.watch.outage = self.watch.outage.max(now.saturating_sub(since));
        }
        self.clients.last = Some(now);
    }

    /// The longest stretch without an acknowledgement after the first fault, the present one included.
    pub(crate) fn outage_so_far(&self) -> Micros {
        let present =
            self.faults.first.map_or(0, |_| self.agenda.now().saturating_sub(self.clients.last.unwrap_or(WARM_UP)));
        self.watch.outage.max(present)
    }

    /// Every acknowledged transaction stands in the ledger once; no other more than once.
    pub(crate) fn audit_ledger(&mut self) {
        let mut applied: BTreeMap<u64, u32> = BTreeMap::new();
        for ((key, _), row) in &self.storage.ledger {
            if *row == Row::Applied {
                *applied.entry(*key).or_default() += 1;
            }
        }
        let twice: Vec<u64> = applied.iter().filter(|(_, count)| **count > 1).map(|(key, _)| *key).collect();
        let lost: Vec<u64> =
            self.clients.acknowledged.keys().filter(|key| !applied.contains_key(key)).copied().collect();
        self.watch.lost = u64::try_from(lost.len()).unwrap_or(u64::MAX);
        if !lost.is_empty() {
            self.violate(Invariant::NoLoss, format!("acknowledged and not there: transactions {lost:?}"));
        }
        if !twice.is_empty() {
            self.violate(Invariant::NoLoss, format!("applied more than once: transactions {twice:?}"));
        }
    }
}

struct Client {
    handle: Handle,
    task: TaskId,
    number: Nth,
}

impl Client {
    async fn work(self) {
        loop {
            let think = self.handle.world().dice.between(THINK.0, THINK.1) * MS;
            self.sleep(think).await;
            let key = {
                let mut world = self.handle.world();
                world.clients.transactions = world.clients.transactions.saturating_add(1);
                world.clients.transactions
            };
            self.transact(key).await;
            self.handle.world().application_is_told(self.number, key);
        }
    }

    /// Until it is applied once, whatever happens.
    async fn transact(&self, key: u64) {
        let mut attempt = 0;
        loop {
            let nth = self.writer().await;
            match self.commit(nth, (key, attempt), Row::Applied).await {
                Learnt::Committed => return,
                Learnt::Aborted => attempt += 1,
                Learnt::Nothing => {
                    if self.resolve((key, attempt)).await == Learnt::Committed {
                        return;
                    }
                    attempt += 1;
                }
            }
        }
    }

    /// A tombstone on the writer proves that the attempt is aborted, and keeps it so; or finds it applied.
    async fn resolve(&self, key: (u64, u32)) -> Learnt {
        loop {
            let nth = self.writer().await;
            let learnt = self.commit(nth, key, Row::Tombstone).await;
            if learnt != Learnt::Nothing {
                return learnt;
            }
        }
    }

    /// The instance that says that it is the writer: the session's, as long as it lives, else another.
    async fn writer(&self) -> Nth {
        loop {
            {
                let mut world = self.handle.world();
                let held = world.clients.sessions.get(self.number).copied().flatten();
                let start = world.dice.between(0, 2);
                let all = world.instances.len();
                let start = usize::try_from(start).unwrap_or(0);
                let others = (0..all).map(|n| (n + start) % all.max(1));
                let found = held.into_iter().chain(others).find(|nth| {
                    world.reach_from_client(self.number, *nth) == Reach::Answers
                        && world.commit_on(*nth) != Commit::Reader
                        && (held == Some(*nth) || !world.refuses_password(Role::Application))
                });
                if let Some(session) = world.clients.sessions.get_mut(self.number) {
                    *session = found;
                }
                if let Some(nth) = found {
                    return nth;
                }
            }
            self.sleep(100 * MS).await;
        }
    }

    async fn commit(&self, nth: Nth, key: (u64, u32), row: Row) -> Learnt {
        let slot = Slot::default();
        {
            let mut world = self.handle.world();
            let way = world.dice.between(1, 3) * MS;
            let sent = std::sync::Arc::clone(&slot);
            let zone = self.number;
            if world.reach_from_client(zone, nth) != Reach::Unreachable {
                world.agenda.after(way, move |world| world.commit_arrives(nth, key, row, sent));
            }
        }
        for _ in 0..DEADLINE / (5 * MS) {
            self.sleep(5 * MS).await;
            let learnt = slot.lock().map_or(None, |learnt| *learnt);
            let reach = self.handle.world().reach_from_client(self.number, nth);
            match (learnt, reach) {
                (Some(learnt), Reach::Answers) => return learnt,
                (_, Reach::Refused | Reach::Starting) => break,
                _ => {}
            }
        }
        if let Some(session) = self.handle.world().clients.sessions.get_mut(self.number) {
            *session = None;
        }
        Learnt::Nothing
    }

    async fn sleep(&self, delay: Micros) {
        Sleep::new(&self.handle, self.task, delay).await;
    }
}
