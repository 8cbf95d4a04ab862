//! Instances over one shared storage, as Aurora has them.
//!
//! The storage knows which generation of writer it obeys: a demoted one's commits are never
//! acknowledged. Readers see the storage with their lag.

use std::collections::BTreeMap;

use super::{MS, Micros, Nth, SECOND, World, micros};
use crate::plan::{Flaw, Plan};

/// What an instance believes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
}

/// Whether its server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Up,
    /// It answers that it is starting.
    Starting,
    /// The host refuses connections.
    Down,
    /// The host is gone.
    HostGone,
    /// It has paused itself, and resumes once somebody connects.
    Paused,
    /// It accepts connections, and answers when it has resumed.
    Resuming,
}

/// One instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) role: Role,
    pub(crate) run: Run,
    /// Counts starts: a plan for an earlier life is void.
    pub(crate) life: u64,
    /// The generation of writer it is or was.
    pub(crate) generation: u64,
    pub(crate) frozen: bool,
    pub(crate) stalled: bool,
    pub(crate) full: bool,
    pub(crate) failing: bool,
    pub(crate) read_only: bool,
    pub(crate) taken: bool,
    /// A session that knows nothing of the gate stays in a transaction that has written.
    pub(crate) lingered_on: bool,
    pub(crate) lag_ms: u64,
    /// Since when its server has not run.
    pub(crate) gone_since: Option<Micros>,
}

impl Instance {
    pub(super) fn new(nth: Nth, plan: &Plan) -> Self {
        let role = if nth == 0 { Role::Writer } else { Role::Reader };
        Self {
            role,
            run: if plan.asleep.is_some() { Run::Paused } else { Run::Up },
            life: 0,
            generation: u64::from(nth == 0),
            frozen: false,
            stalled: false,
            full: false,
            failing: false,
            read_only: false,
            taken: false,
            lingered_on: false,
            lag_ms: 20,
            gone_since: None,
        }
    }
}

/// What became of one attempt of a protected transaction, as the ledger holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Applied,
    Tombstone,
}

/// The shared storage.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    /// The generation of writer that it obeys.
    pub(crate) generation: u64,
    /// One counter per zone's prober.
    pub(crate) canaries: Vec<u64>,
    /// Ledger rows by transaction and attempt.
    pub(crate) ledger: BTreeMap<(u64, u32), Row>,
    /// When each instance last had a commit acknowledged.
    pub(crate) last_commit: Vec<Option<Micros>>,
}

impl Storage {
    pub(super) fn new(instances: usize) -> Self {
        Self { generation: 1, canaries: vec![0; 3], ledger: BTreeMap::new(), last_commit: vec![None; instances] }
    }
}

/// What a commit meets at an instance that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    Done,
    Reader,
    Stands,
    Full,
    Failed,
    ReadOnly,
}

impl World {
    /// Whether the instance is the one writer that the storage obeys.
    pub(crate) fn is_true_writer(&self, nth: Nth) -> bool {
        self.instances.get(nth).is_some_and(|instance| {
            instance.role == Role::Writer
                && (instance.generation == self.storage.generation || self.plan.flaw == Some(Flaw::NoStorageFence))
        })
    }

    /// Whether a commit on it would be acknowledged now.
    pub(crate) fn can_commit(&self, nth: Nth) -> bool {
        self.instances
            .get(nth)
            .is_some_and(|i| i.run == Run::Up && !(i.frozen || i.stalled || i.full || i.failing || i.read_only))
            && self.is_true_writer(nth)
    }

    /// What a commit meets at an instance whose server runs and is not frozen.
    pub(crate) fn commit_on(&self, nth: Nth) -> Commit {
        match self.instances.get(nth) {
            Some(instance) if instance.role == Role::Reader => Commit::Reader,
            Some(instance) if instance.full => Commit::Full,
            Some(instance) if instance.failing => Commit::Failed,
            Some(instance) if instance.read_only => Commit::ReadOnly,
            Some(instance) if !instance.stalled && self.is_true_writer(nth) => Commit::Done,
            Some(_) | None => Commit::Stands,
        }
    }

    /// The present life of a server that takes a new session and answers on it.
    pub(crate) fn life_of_answering(&self, nth: Nth) -> Option<u64> {
        let answers = |i: &&Instance| i.run == Run::Up && !i.frozen && !i.taken;
        self.instances.get(nth).filter(answers).map(|instance| instance.life)
    }

    /// Somebody tries to connect: that wakes an instance that has paused itself.
    pub(crate) fn touch(&mut self, nth: Nth) {
        let Some(longest) = self.plan.asleep else {
            return;
        };
        let Some(instance) = self.instances.get_mut(nth).filter(|instance| instance.run == Run::Paused) else {
            return;
        };
        instance.run = Run::Resuming;
        let life = instance.life;
        let takes = self.dice.between(SECOND, micros(longest));
        self.note(|| format!("instance {} resumes", nth + 1));
        self.count(|| "instance resumes for whoever connects".to_owned());
        self.agenda.after(takes, move |world| world.resumed(nth, life));
    }

    fn resumed(&mut self, nth: Nth, life: u64) {
        let current = self.storage.generation;
        let resuming = |i: &&mut Instance| i.run == Run::Resuming && i.life == life;
        if let Some(instance) = self.instances.get_mut(nth).filter(resuming) {
            instance.run = Run::Up;
            if instance.generation != current {
                instance.role = Role::Reader;
            }
            self.note(|| format!("instance {} has resumed", nth + 1));
        }
    }

    /// Notes an acknowledged commit.
    pub(crate) fn acknowledged(&mut self, nth: Nth) {
        let now = self.agenda.now();
        if let Some(last) = self.storage.last_commit.get_mut(nth) {
            *last = Some(now);
        }
    }

    /// Takes the server down; it stays down until somebody starts it.
    pub(crate) fn take_down(&mut self, nth: Nth, run: Run) {
        let now = self.agenda.now();
        if let Some(instance) = self.instances.get_mut(nth) {
            instance.run = run;
            instance.life = instance.life.saturating_add(1);
            instance.frozen = false;
            instance.stalled = false;
            instance.gone_since.get_or_insert(now);
        }
        self.gate_dies_with(nth);
        if self.plan.flaw == Some(Flaw::LosesCommits) {
            self.storage.ledger.pop_last();
        }
        self.break_sessions(nth, run != Run::HostGone);
        self.platform_sees_gone(nth);
    }

    /// Starts the server: it recovers for `takes`, then serves in the role that the platform gives it.
    pub(crate) fn start(&mut self, nth: Nth, takes: Micros) {
        if self.platform.is_shut_down() {
            return;
        }
        let writer = self.platform.writer == nth;
        let generation = self.storage.generation;
        let Some(instance) = self.instances.get_mut(nth) else {
            return;
        };
        instance.run = Run::Starting;
        instance.life = instance.life.saturating_add(1);
        instance.frozen = false;
        let life = instance.life;
        self.agenda.after(takes, move |world| {
            let still_writer = writer && world.platform.writer == nth && world.storage.generation == generation;
            let Some(instance) = world.instances.get_mut(nth).filter(|instance| instance.life == life) else {
                return;
            };
            instance.run = Run::Up;
            instance.gone_since = None;
            (instance.role, instance.generation) =
                if still_writer { (Role::Writer, generation) } else { (Role::Reader, instance.generation) };
            world.note(|| {
                format!("instance {} is up as {:?}", nth + 1, if still_writer { Role::Writer } else { Role::Reader })
            });
            world.break_sessions(nth, true);
        });
    }

    /// Takes the role away: an instance that runs restarts as a reader, a frozen one learns of it later.
    pub(crate) fn demote(&mut self, nth: Nth) {
        let takes = self.dice.between(500, 3_000) * MS;
        if self.demoted_in_place(nth) {
            return;
        }
        match self.instances.get(nth) {
            Some(instance) if instance.run == Run::Up && !instance.frozen => {
                self.break_sessions(nth, true);
                self.gate_dies_with(nth);
                self.start(nth, takes);
            }
            // The platform starts a dead server again as a reader; a lost host stays lost.
            Some(instance) if instance.run == Run::Down => self.start(nth, takes.saturating_add(SECOND)),
            Some(_) | None => {}
        }
    }

    /// Some servers change their role as they run, and keep their sessions.
    fn demoted_in_place(&mut self, nth: Nth) -> bool {
        let possible = self.instances.get(nth).is_some_and(|i| i.run == Run::Up && !i.frozen);
        if !possible || !self.dice.happens(self.plan.noise.demoted_in_place) {
            return false;
        }
        self.count(|| "writer demoted in place".to_owned());
        self.gate_dies_with(nth);
        if let Some(instance) = self.instances.get_mut(nth) {
            instance.role = Role::Reader;
        }
        true
    }

    /// A frozen server moves again. One that was demoted meanwhile finds out after a while.
    pub(crate) fn thaw(&mut self, nth: Nth) {
        let generation = self.storage.generation;
        let Some(instance) = self.instances.get_mut(nth).filter(|instance| instance.frozen) else {
            return;
        };
        instance.frozen = false;
        let demoted = instance.role == Role::Writer && instance.generation != generation;
        let life = instance.life;
        self.sessions_thaw(nth, life);
        if demoted {
            let notices = self.dice.between(200, 4_000) * MS;
            self.agenda.after(notices, move |world| {
                let current = world.storage.generation;
                if world.instances.get(nth).is_some_and(|i| i.life == life && i.generation != current) {
                    world.demote(nth);
                }
            });
        }
    }
}
