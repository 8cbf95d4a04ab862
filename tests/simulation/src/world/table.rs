//! The state table: consistent reads, conditional writes.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_core::episode::{Episode, Promotion};
use steadfast_core::evidence::{Entry, Kind};
use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::pin::Pin;
use steadfast_core::ports::{State, StateError, Under};
use steadfast_core::topology::{Az, InstanceId};
use steadfast_core::witness::WitnessReport;
use steadfast_scenario::Milestone;

use super::World;
use crate::invariant::Invariant;
use crate::plan::Flaw;

/// What it holds.
pub(crate) struct Table {
    pub(crate) mode: Mode,
    pub(crate) lease: Option<Lease>,
    pub(crate) episode: Option<Episode>,
    pub(crate) reports: BTreeMap<Az, WitnessReport>,
    pub(crate) pin: Option<Pin>,
    /// Entries by the episode's epoch and their number.
    pub(crate) evidence: BTreeMap<(u64, u64), Entry>,
    /// Episodes that were opened.
    pub(crate) opened: u64,
}

/// How a write stands to the lease, owned so that it can lie in a queue.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Held(Lease),
    Armed(Lease),
    Changing { seen: Option<Lease>, next: Lease },
}

impl From<Under<'_>> for Condition {
    fn from(under: Under<'_>) -> Self {
        match under {
            Under::Held(lease) => Self::Held(lease.clone()),
            Under::Armed(lease) => Self::Armed(lease.clone()),
            Under::Changing { seen, next } => Self::Changing { seen: seen.cloned(), next: next.clone() },
        }
    }
}

/// The error of a condition that did not hold.
pub(crate) fn superseded() -> StateError {
    StateError::Superseded { table: "steadfast".to_owned() }
}

/// The error of a table that did not answer.
pub(crate) fn unavailable(cause: &str) -> StateError {
    StateError::Unavailable { table: "steadfast".to_owned(), cause: cause.to_owned() }
}

impl Table {
    pub(super) fn new(mode: Mode) -> Self {
        let (reports, evidence) = (BTreeMap::new(), BTreeMap::new());
        Self { mode, lease: None, episode: None, reports, pin: None, evidence, opened: 0 }
    }

    /// All of it.
    pub(crate) fn load(&self) -> State {
        State {
            mode: self.mode,
            lease: self.lease.clone(),
            episode: self.episode.clone(),
            reports: self.reports.values().cloned().collect(),
            pin: self.pin.clone(),
            rotations: Vec::new(),
        }
    }

    /// A report, unless a newer one of the same prober stands there. Says whether it was taken.
    pub(crate) fn report(&mut self, report: WitnessReport) -> bool {
        let newer = self.reports.get(&report.az).is_some_and(|known| (known.run, known.at) > (report.run, report.at));
        if !newer {
            self.reports.insert(report.az.clone(), report);
        }
        !newer
    }

    fn holds(&self, condition: &Condition, flaw: Option<Flaw>) -> bool {
        let stands = |lease: &Lease| {
            self.lease.as_ref().is_some_and(|stored| {
                stored.owner == lease.owner && stored.epoch == lease.epoch && stored.expires_at >= lease.expires_at
            })
        };
        match condition {
            Condition::Held(lease) => stands(lease),
            Condition::Armed(lease) => stands(lease) && (self.mode == Mode::Armed || flaw == Some(Flaw::DeafToMode)),
            Condition::Changing { seen, .. } => self.lease == *seen,
        }
    }
}

impl World {
    /// Writes the lease over exactly the one that was seen.
    pub(crate) fn write_lease(&mut self, seen: Option<&Lease>, next: &Lease) -> Result<(), StateError> {
        if self.table.lease.as_ref() != seen && self.plan.flaw != Some(Flaw::Unconditional) {
            return Err(superseded());
        }
        self.table.lease = Some(next.clone());
        Ok(())
    }

    /// Writes episode and evidence, all or nothing.
    pub(crate) fn commit_episode(
        &mut self,
        condition: &Condition,
        episode: Episode,
        seen_version: Option<u64>,
        entries: Vec<Entry>,
    ) -> Result<(), StateError> {
        let version = self.table.episode.as_ref().map(|stored| stored.version);
        let taken = entries.iter().any(|entry| self.table.evidence.contains_key(&(entry.epoch, entry.seq)));
        let holds = self.table.holds(condition, self.plan.flaw) && version == seen_version && !taken;
        if !holds && self.plan.flaw != Some(Flaw::Unconditional) {
            return Err(superseded());
        }
        if let Condition::Changing { next, .. } = condition {
            self.check_takeover(next);
            self.table.lease = Some(next.clone());
        }
        self.check_episode(&episode, &entries);
        self.table.episode = Some(episode);
        for entry in entries {
            self.note(|| format!("written {} {:?} {}", entry.epoch, entry.kind, brief(&entry)));
            let kind = entry.kind;
            let intends_promotion = is_intention(&entry, self.plan.scenario.deployment.failover_action());
            let intends_eviction = is_intention(&entry, "evict");
            let forgotten = kind == Kind::Intended && self.plan.flaw == Some(Flaw::ForgetsEvidence);
            if !forgotten {
                self.table.evidence.insert((entry.epoch, entry.seq), entry);
            }
            match kind {
                Kind::Opened => {
                    self.table.opened = self.table.opened.saturating_add(1);
                    self.reach(Milestone::Opened);
                }
                Kind::Intended if intends_promotion => self.reach(Milestone::Intended),
                Kind::Intended if intends_eviction => self.reach(Milestone::Evicting),
                Kind::Proved => self.reach(Milestone::Proved),
                Kind::Closed => self.reach(Milestone::Closed),
                Kind::Intended | Kind::Adopted | Kind::Decided | Kind::Answered => {}
            }
        }
        Ok(())
    }

    /// Checks what may stand in an episode that is being written.
    fn check_episode(&mut self, episode: &Episode, entries: &[Entry]) {
        for entry in entries.iter().filter(|entry| matches!(entry.kind, Kind::Proved | Kind::Closed)) {
            let word = |key: &str| entry.data.get(key).and_then(|name| name.as_str()).unwrap_or_default();
            self.check_proof(episode, word("writer"));
            self.check_merit(episode, word("writer"), word("by"));
        }
        self.check_end(episode, entries);
        let unheard = episode.human_called.iter().find(|rule| !self.watch.people.contains(rule)).copied();
        if let Some(rule) = unheard {
            self.violate(
                Invariant::Liveness,
                format!("a person counts as called by rule {rule}, and nobody was reached"),
            );
        }
        let call = self.plan.scenario.deployment.failover_action();
        let effects = [call, "evict", "quiesce"];
        let intends = entries.iter().any(|entry| effects.iter().any(|effect| is_intention(entry, effect)));
        if intends && self.table.mode != Mode::Armed {
            let mode = self.table.mode;
            self.violate(Invariant::HandsOff, format!("an effect is intended in mode {mode:?}"));
        }
    }

    /// Nobody is credited with what he cannot have done.
    fn check_merit(&mut self, episode: &Episode, writer: &str, by: &str) {
        let ours = self.may_have_promoted(episode.epoch, writer);
        // Whoever adopts an intention, or could not write its answer down, cannot know whether it was carried out.
        let only = episode.promotion.as_ref().and_then(Promotion::only_target);
        let unknown = only.is_some_and(|target| target.as_str() == writer);
        let same = episode.old_writer.as_str() == writer;
        let holds = match by {
            "steadfast" => ours || unknown,
            "itself" => same,
            "platform" => !same && !ours,
            _ => false,
        };
        if !holds {
            self.violate(Invariant::Proof, format!("{writer} writes thanks to {by:?}, it is said, and that is not so"));
        }
    }

    /// An episode is proved, then closed, each with an entry that says so.
    fn check_end(&mut self, episode: &Episode, entries: &[Entry]) {
        let stored = self.table.evidence.range((episode.epoch, 0)..=(episode.epoch, u64::MAX));
        let written = |kind: Kind| {
            stored.clone().map(|(_, entry)| entry).chain(entries).filter(|entry| entry.kind == kind).count()
        };
        let (proved, closed) = (written(Kind::Proved), written(Kind::Closed));
        let told = (episode.proved_at.is_some(), episode.closed.is_some());
        if (proved > 0, closed > 0) != told || proved > 1 || closed > proved {
            self.violate(Invariant::Proof, format!("proved and closed: {told:?}, in evidence {proved} and {closed}"));
        }
    }

    /// The instance that is called the proof has really had a commit acknowledged after the failure.
    fn check_proof(&mut self, episode: &Episode, writer: &str) {
        let failed_at = episode.failed_since.minus(self.policy.clock_skew_max);
        let now = self.agenda.now();
        let nth = self.nth(&InstanceId::new(writer));
        let last = nth.and_then(|nth| self.storage.last_commit.get(nth).copied().flatten());
        let proved = last.is_some_and(|at| {
            let ago = Duration::from_micros(now.saturating_sub(at));
            self.clock(0).minus(ago) >= failed_at
        });
        if !proved {
            self.violate(Invariant::Proof, format!("{writer} is the proof and has not committed since the failure"));
        }
    }
}

/// Whether the entry intends this action.
pub(crate) fn is_intention(entry: &Entry, action: &str) -> bool {
    entry.kind == Kind::Intended && entry.data.get("action").and_then(|value| value.as_str()) == Some(action)
}

fn brief(entry: &Entry) -> String {
    let data = &entry.data;
    match entry.kind {
        Kind::Decided => format!("{} {}: {}", data["rule"], data["verdict"], data["says"]),
        Kind::Opened | Kind::Adopted | Kind::Intended | Kind::Answered | Kind::Proved | Kind::Closed => {
            let mut text = data.to_string();
            if text.len() > 160 {
                text = text.chars().take(160).collect();
            }
            text
        }
    }
}
