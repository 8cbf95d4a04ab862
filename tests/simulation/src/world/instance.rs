//! Instances over one shared storage, as Aurora has them.
//!
//! The storage knows which generation of writer it obeys: a demoted one's commits are never
//! acknowledged. Readers see the storage with their lag.

use std::collections::BTreeMap;

use super::{MS, Micros, Nth, SECOND, World};
use crate::plan::Flaw;

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
    pub(crate) taken: bool,
    pub(crate) lag_ms: u64,
    /// Since when its server has not run.
    pub(crate) gone_since: Option<Micros>,
}

impl Instance {
    pub(super) fn new(nth: Nth) -> Self {
        let role = if nth == 0 { Role::Writer } else { Role::Reader };
        Self {
            role,
            run: Run::Up,
            life: 0,
            generation: u64::from(nth == 0),
            frozen: false,
            stalled: false,
            full: false,
            taken: false,
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
            .is_some_and(|instance| instance.run == Run::Up && !instance.frozen && !instance.stalled && !instance.full)
            && self.is_true_writer(nth)
    }

    /// What a commit meets at an instance whose server runs and is not frozen.
    pub(crate) fn commit_on(&self, nth: Nth) -> Commit {
        match self.instances.get(nth) {
            Some(instance) if instance.role == Role::Reader => Commit::Reader,
            Some(instance) if instance.full => Commit::Full,
            Some(instance) if !instance.stalled && self.is_true_writer(nth) => Commit::Done,
            Some(_) | None => Commit::Stands,
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

    /// A frozen server moves again. One that was demoted meanwhile finds out after a while.
    pub(crate) fn thaw(&mut self, nth: Nth) {
        let generation = self.storage.generation;
        let Some(instance) = self.instances.get_mut(nth).filter(|instance| instance.frozen) else {
            return;
        };
        instance.frozen = false;
        let demoted = instance.role == Role::Writer && instance.generation != generation;
        let life = instance.life;
        if demoted {
            let notices = self.dice.between(200, 4_000) * MS;
            self.agenda.after(notices, move |world| {
                if world.instances.get(nth).is_some_and(|instance| instance.life == life) {
                    world.demote(nth);
                }
            });
        }
    }
}
