//! Clients with the ledger: protected transactions that are resolved by a tombstone, then replayed. One knows every
//! instance, the others go through the cluster endpoint as they resolve it.

use std::collections::{BTreeMap, BTreeSet};

use steadfast_scenario::Role;

use super::fault::{Reach, WARM_UP};
use super::instance::{Commit, Row, Run};
use super::password::Version;
use super::{MS, Micros, Nth, SECOND, World, micros};
use crate::dice::Dice;
use crate::invariant::Invariant;
use crate::kernel::{Handle, Sleep, TaskId};
use crate::plan::{Noise, Plan};

/// How many there are, each in the zone of its number.
const CLIENTS: Nth = 3;
/// Mixed into the seed, so that what clients throw changes nothing for anybody else.
const CLIENTS_DICE: u64 = 0xc11e_0717;
/// Between two transactions of one client.
const THINK: (u64, u64) = (150, 450);
/// How long a client with a time limit waits for any answer.
const DEADLINE: Micros = SECOND;
/// Between two attempts to find a writer.
const PAUSE: Micros = 100 * MS;
/// Between two attempts on a session whose server refuses to write.
const PAUSE_REFUSED: Micros = 500 * MS;
/// How often a commit that stands still is looked at.
const STANDS_FOR: Micros = 50 * MS;

/// What the clients know.
pub(crate) struct Clients {
    /// Their own source of chance.
    pub(crate) dice: Dice,
    transactions: u64,
    /// Transactions that were acknowledged to their application.
    acknowledged: BTreeMap<u64, Nth>,
    /// When the last acknowledgement of any client came.
    last: Option<Micros>,
    /// Commits at a server that have not ended, by instance, transaction and attempt.
    in_flight: BTreeMap<(Nth, u64, u32), u64>,
    /// Those of them that wait at the gate.
    queued: BTreeSet<(Nth, u64, u32)>,
    /// Each client's session, as its server sees it.
    sessions: Vec<Option<Session>>,
    opened: u64,
}

impl Clients {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            dice: Dice::new(plan.seed ^ CLIENTS_DICE),
            transactions: 0,
            acknowledged: BTreeMap::new(),
            last: None,
            in_flight: BTreeMap::new(),
            queued: BTreeSet::new(),
            sessions: vec![None; CLIENTS],
            opened: 0,
        }
    }
}

/// A session on a server: it ends with that life of the server, or when somebody ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    number: u64,
    nth: Nth,
    life: u64,
    /// Whether the server was a writer when it began.
    on_a_writer: bool,
    /// Whether the server was frozen meanwhile.
    thawed: bool,
}

/// How a client goes about it.
#[derive(Clone, Copy, Debug)]
struct Habits {
    /// How long it keeps an address of the cluster endpoint beyond its resolver; None for one that knows all
    /// instances instead, and takes the one that writes.
    keeps_address: Option<Micros>,
    /// Whether it goes on with a session whose server refuses to write.
    keeps_session: bool,
    /// How long it waits for an answer.
    deadline: Micros,
}

impl Habits {
    /// The first one is careful, the second one ordinary, the third one careless.
    fn of(client: Nth, noise: &Noise, dice: &mut Dice) -> Self {
        let careful = Self { keeps_address: None, keeps_session: false, deadline: DEADLINE };
        match client {
            0 => careful,
            1 => Self { keeps_address: Some(0), ..careful },
            _ => Self {
                keeps_address: Some(dice.between(0, micros(noise.address_kept_max))),
                keeps_session: true,
                deadline: dice.between(0, micros(noise.client_waits_max)).max(DEADLINE),
            },
        }
    }
}

/// What a client learns of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learnt {
    Committed,
    Aborted,
    /// The server says that it cannot write. An earlier attempt with the same name may yet have been applied.
    Refused,
    Nothing,
}

type Slot = std::sync::Arc<std::sync::Mutex<Option<Learnt>>>;

impl World {
    pub(super) fn begin_clients(&mut self) {
        for number in 0..CLIENTS {
            let Some(handle) = self.root.handle() else {
                return;
            };
            let habits = Habits::of(number, &self.plan.noise, &mut self.clients.dice);
            let task = self.agenda.next_task();
            let client = Client { handle, task, number, habits, password: 0, address: None };
            self.agenda.spawn(task, Box::pin(client.work()));
        }
    }

    /// Ends the sessions of clients on this instance; how many.
    pub(crate) fn end_sessions(&mut self, nth: Nth) -> u64 {
        let life = self.life_of_answering(nth);
        let here = |session: &Session| session.nth == nth && Some(session.life) == life;
        let ended: Vec<Session> =
            self.clients.sessions.iter_mut().filter_map(|slot| slot.take_if(|s| here(s))).collect();
        for session in &ended {
            self.count(|| match (session.on_a_writer, session.thawed) {
                (true, true) => "evicted from a writer that had frozen".to_owned(),
                (true, false) => "evicted from a demoted writer".to_owned(),
                (false, _) => "evicted after a stale endpoint".to_owned(),
            });
        }
        u64::try_from(ended.len()).unwrap_or(u64::MAX)
    }

    /// Sessions outlive a server that stood still.
    pub(super) fn sessions_thaw(&mut self, nth: Nth, life: u64) {
        for session in self.clients.sessions.iter_mut().flatten() {
            session.thawed |= session.nth == nth && session.life == life;
        }
    }

    /// Whether the server still knows the session.
    fn is_open(&self, client: Nth, session: Session) -> bool {
        self.clients.sessions.get(client).copied().flatten().is_some_and(|open| open.number == session.number)
            && self.instances.get(session.nth).is_some_and(|i| i.life == session.life && i.run == Run::Up)
    }

    fn open_session(&mut self, client: Nth, nth: Nth) -> Session {
        let life = self.instances.get(nth).map_or(0, |instance| instance.life);
        let on_a_writer =
            self.instances.get(nth).is_some_and(|instance| instance.role == super::instance::Role::Writer);
        self.clients.opened = self.clients.opened.saturating_add(1);
        let session = Session { number: self.clients.opened, nth, life, on_a_writer, thawed: false };
        if let Some(slot) = self.clients.sessions.get_mut(client) {
            *slot = Some(session);
        }
        session
    }

    fn close_session(&mut self, client: Nth) {
        if let Some(slot) = self.clients.sessions.get_mut(client) {
            *slot = None;
        }
    }

    /// Where the endpoint leads a client that is not the writer.
    fn count_astray(&mut self, nth: Nth, reach: Reach) {
        if nth == self.platform.writer {
            return;
        }
        self.count(|| match reach {
            Reach::Answers => "endpoint leads a client to a reader".to_owned(),
            Reach::Unreachable | Reach::Silent | Reach::Refused | Reach::Starting => {
                "endpoint leads a client to a dead old writer".to_owned()
            }
        });
    }

    /// A commit arrives at a server, and stands there until it can be made durable or the server ends.
    fn commit_arrives(&mut self, nth: Nth, key: (u64, u32), row: Row, slot: Slot) {
        let Some(life) = self.instances.get(nth).filter(|instance| instance.run == Run::Up).map(|i| i.life) else {
            return;
        };
        self.clients.in_flight.insert((nth, key.0, key.1), life);
        if self.plan.scenario.gated && self.is_gate_closed(nth) {
            self.clients.queued.insert((nth, key.0, key.1));
        }
        self.try_commit(nth, life, key, row, slot);
    }

    fn try_commit(&mut self, nth: Nth, life: u64, key: (u64, u32), row: Row, slot: Slot) {
        let Some(instance) = self.instances.get(nth).filter(|i| i.life == life && i.run == Run::Up) else {
            self.clients.in_flight.remove(&(nth, key.0, key.1));
            self.clients.queued.remove(&(nth, key.0, key.1));
            return;
        };
        let stands = instance.frozen || self.clients.queued.contains(&(nth, key.0, key.1));
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
            Commit::Reader | Commit::Full | Commit::Failed | Commit::ReadOnly if !instance.frozen => {
                Some(Learnt::Refused)
            }
            Commit::Done | Commit::Stands | Commit::Reader | Commit::Full | Commit::Failed | Commit::ReadOnly => None,
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

    /// How many protected transactions are inside on this instance.
    pub(crate) fn inside(&self, nth: Nth) -> usize {
        if !self.plan.scenario.gated {
            return 0;
        }
        let life = self.instances.get(nth).map_or(0, |instance| instance.life);
        let on_it = |(key, at): &(&(Nth, u64, u32), &u64)| key.0 == nth && **at == life;
        self.clients.in_flight.iter().filter(on_it).filter(|(key, _)| !self.clients.queued.contains(key)).count()
    }

    /// Whoever waits at the gate of this instance enters.
    pub(super) fn let_in(&mut self, nth: Nth) {
        self.clients.queued.retain(|key| key.0 != nth);
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
    habits: Habits,
    password: Version,
    /// The address that it keeps, and until when.
    address: Option<(Nth, Micros)>,
}

impl Client {
    async fn work(mut self) {
        loop {
            let think = self.handle.world().clients.dice.between(THINK.0, THINK.1) * MS;
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
    async fn transact(&mut self, key: u64) {
        let mut attempt = 0;
        loop {
            match self.commit((key, attempt), Row::Applied).await {
                Learnt::Committed => return,
                Learnt::Aborted => attempt += 1,
                Learnt::Refused | Learnt::Nothing => {
                    if self.resolve((key, attempt)).await == Learnt::Committed {
                        return;
                    }
                    attempt += 1;
                }
            }
        }
    }

    /// A tombstone on the writer proves that the attempt is aborted, and keeps it so; or finds it applied.
    async fn resolve(&mut self, key: (u64, u32)) -> Learnt {
        loop {
            let learnt = self.commit(key, Row::Tombstone).await;
            if matches!(learnt, Learnt::Committed | Learnt::Aborted) {
                return learnt;
            }
        }
    }

    /// The session that is held, as far as the client knows, else a new one.
    async fn session(&mut self) -> Session {
        loop {
            let held = self.handle.world().clients.sessions.get(self.number).copied().flatten();
            if let Some(session) = held {
                return session;
            }
            let found = match self.habits.keeps_address {
                None => self.find_writer(),
                Some(keeps) => self.follow_endpoint(keeps),
            };
            match found {
                Ok(session) => return session,
                Err(pause) => self.sleep(pause).await,
            }
        }
    }

    /// Any instance that says that it is the writer; else how long to wait.
    fn find_writer(&mut self) -> Result<Session, Micros> {
        let mut world = self.handle.world();
        let all = world.instances.len().max(1);
        let start = world.clients.dice.between(0, 2);
        let start = usize::try_from(start).unwrap_or(0);
        for nth in (0..all).map(|n| (n + start) % all) {
            world.touch(nth);
            let answers = world.reach_from_client(self.number, nth) == Reach::Answers
                && world.life_of_answering(nth).is_some()
                && world.commit_on(nth) != Commit::Reader;
            if answers && world.refuses(Role::Application, self.password) {
                self.password = world.passwords.stored(Role::Application);
            } else if answers {
                return Ok(world.open_session(self.number, nth));
            }
        }
        Err(PAUSE)
    }

    /// Wherever the cluster endpoint leads; else how long the attempt took.
    fn follow_endpoint(&mut self, keeps: Micros) -> Result<Session, Micros> {
        let mut world = self.handle.world();
        let now = world.agenda.now();
        let nth = match self.address {
            Some((nth, until)) if now < until => nth,
            Some(_) | None => world.resolve(self.number),
        };
        if self.address.is_none_or(|(_, until)| now >= until) {
            self.address = Some((nth, now.saturating_add(keeps)));
        }
        world.touch(nth);
        let reach = world.reach_from_client(self.number, nth);
        world.count_astray(nth, reach);
        match reach {
            Reach::Unreachable | Reach::Silent => Err(DEADLINE),
            Reach::Refused | Reach::Starting => Err(PAUSE),
            Reach::Answers if world.life_of_answering(nth).is_none() => Err(PAUSE),
            Reach::Answers if world.refuses(Role::Application, self.password) => {
                self.password = world.passwords.stored(Role::Application);
                Err(PAUSE)
            }
            Reach::Answers => Ok(world.open_session(self.number, nth)),
        }
    }

    async fn commit(&mut self, key: (u64, u32), row: Row) -> Learnt {
        let session = self.session().await;
        let nth = session.nth;
        let slot = Slot::default();
        {
            let mut world = self.handle.world();
            let way = world.clients.dice.between(1, 3) * MS;
            let sent = std::sync::Arc::clone(&slot);
            let zone = self.number;
            if world.is_open(zone, session) && world.reach_from_client(zone, nth) != Reach::Unreachable {
                world.agenda.after(way, move |world| world.commit_arrives(nth, key, row, sent));
            }
        }
        let learnt = self.answer(session, &slot).await;
        if learnt == Learnt::Refused && self.habits.keeps_session {
            self.handle.world().count(|| "session kept on a server that does not write".to_owned());
            self.sleep(PAUSE_REFUSED).await;
        } else if matches!(learnt, Learnt::Refused | Learnt::Nothing) {
            self.handle.world().close_session(self.number);
            self.sleep(PAUSE).await;
        }
        learnt
    }

    /// What comes back on the session before the client gives it up.
    async fn answer(&self, session: Session, slot: &Slot) -> Learnt {
        let mut waited = 0;
        while waited < self.habits.deadline {
            // Whoever has waited for long need not look often.
            let step = if waited < DEADLINE { 5 * MS } else { PAUSE };
            self.sleep(step).await;
            waited = waited.saturating_add(step);
            let learnt = slot.lock().map_or(None, |learnt| *learnt);
            let world = self.handle.world();
            let reach = world.reach_from_client(self.number, session.nth);
            match (learnt, reach) {
                (Some(learnt), Reach::Answers) => return learnt,
                (_, Reach::Refused | Reach::Starting) => return Learnt::Nothing,
                (None, Reach::Answers) if !world.is_open(self.number, session) => return Learnt::Nothing,
                (_, Reach::Unreachable | Reach::Silent | Reach::Answers) => {}
            }
        }
        Learnt::Nothing
    }

    async fn sleep(&self, delay: Micros) {
        Sleep::new(&self.handle, self.task, delay).await;
    }
}
