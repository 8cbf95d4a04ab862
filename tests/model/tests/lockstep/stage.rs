//! The state table in memory, with the conditions of the real one; and what the model makes of it.

use std::collections::BTreeSet;

use steadfast_core::episode::Episode;
use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::ports::{State, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::Owner;
use steadfast_model::failover::cluster::{Reported, failed_ticks_ago};
use steadfast_model::failover::look::{place, told_bit};
use steadfast_model::failover::stored::{self, Table, Who};
use steadfast_model::scale::{NOW, Scale, TICK, Ticks};

use crate::port::{Commit, Condition, Request};

/// The state table, and the true time.
pub(crate) struct Stage {
    pub(crate) now: Timestamp,
    pub(crate) mode: Mode,
    lease: Option<Lease>,
    episode: Option<Episode>,
    evidence: BTreeSet<(u64, u64)>,
    scale: Scale,
    /// Who runs in each place.
    pub(crate) names: Vec<Option<Owner>>,
}

impl Stage {
    pub(crate) fn new(scale: Scale, places: usize) -> Self {
        Self {
            now: NOW,
            mode: Mode::Armed,
            lease: None,
            episode: None,
            evidence: BTreeSet::new(),
            scale,
            names: vec![None; places],
        }
    }

    /// All that stands there, with what the witnesses report.
    pub(crate) fn load(&self, reported: &Reported) -> State {
        State {
            mode: self.mode,
            lease: self.lease.clone(),
            episode: self.episode.clone(),
            reports: reported.reports(self.now),
            pin: None,
            rotations: Vec::new(),
        }
    }

    /// The version that stands there.
    pub(crate) fn version(&self) -> Option<u64> {
        self.episode.as_ref().map(|episode| episode.version)
    }

    /// Whether the conditions of a write hold.
    pub(crate) fn admits(&self, request: &Request) -> bool {
        match request {
            Request::WriteLease { seen, .. } => self.lease == *seen,
            Request::Commit(commit) => {
                let lease = match &commit.under {
                    Condition::Held(lease) => self.holds(lease),
                    Condition::Armed(lease) => self.holds(lease) && self.mode == Mode::Armed,
                    Condition::Changing { seen, .. } => self.lease == *seen,
                };
                let fresh = commit.entries.iter().all(|entry| !self.evidence.contains(&(entry.epoch, entry.seq)));
                lease && fresh && self.version() == commit.seen_version
            }
            Request::Describe
            | Request::Load
            | Request::FailOver { .. }
            | Request::Evict
            | Request::Notify
            | Request::Pause => false,
        }
    }

    /// The end may have moved by a renewal; owner and epoch may not.
    fn holds(&self, seen: &Lease) -> bool {
        self.lease.as_ref().is_some_and(|lease| {
            lease.owner == seen.owner && lease.epoch == seen.epoch && lease.expires_at >= seen.expires_at
        })
    }

    /// Serves a write: all or nothing.
    pub(crate) fn serve(&mut self, request: &Request) -> Result<(), StateError> {
        if !self.admits(request) {
            return Err(StateError::Superseded { table: "t".to_owned() });
        }
        match request {
            Request::WriteLease { next, .. } => self.lease = Some(next.clone()),
            Request::Commit(commit) => {
                let Commit { under, episode, entries, .. } = commit.as_ref();
                if let Condition::Changing { next, .. } = under {
                    self.lease = Some(next.clone());
                }
                self.episode = Some(episode.clone());
                self.evidence.extend(entries.iter().map(|entry| (entry.epoch, entry.seq)));
            }
            Request::Describe
            | Request::Load
            | Request::FailOver { .. }
            | Request::Evict
            | Request::Notify
            | Request::Pause => {}
        }
        Ok(())
    }

    /// The table as the model has it.
    pub(crate) fn table(&self) -> Table {
        Table {
            mode: self.mode,
            lease: self.lease.as_ref().map(|lease| self.lease_of(lease)),
            episode: self.episode.as_ref().map(|episode| self.episode_of(episode)),
        }
    }

    fn ticks(&self, at: Timestamp, floor: Ticks) -> Ticks {
        let whole = |span: std::time::Duration| {
            Ticks::try_from(span.as_millis() / TICK.as_millis()).expect("no history is that long")
        };
        if at < self.now { (-whole(self.now.since(at))).max(floor) } else { whole(at.since(self.now)) }
    }

    pub(crate) fn lease_of(&self, lease: &Lease) -> stored::Lease {
        let runs = self.names.iter().zip(0..).find(|(name, _)| name.as_ref() == Some(&lease.owner));
        let given_back = lease.expires_at == Timestamp::default();
        stored::Lease {
            owner: runs.map_or(Who::Gone, |(_, place)| Who::Runs(place)),
            epoch: u8::try_from(lease.epoch).expect("few epochs"),
            ends: (!given_back).then(|| self.ticks(lease.expires_at, self.scale.lease_floor())),
        }
    }

    pub(crate) fn episode_of(&self, episode: &Episode) -> stored::Episode {
        let promotion = episode.promotion.as_ref().map(|promotion| stored::Promotion {
            target: place(&promotion.target),
            epoch: u8::try_from(promotion.epoch).expect("few epochs"),
            at: self.ticks(promotion.at, self.scale.promotion_floor()),
            refused: promotion.refused.is_some(),
            passing: promotion.passing,
            number: promotion.number,
            bound: promotion.bound.as_ref().map(place),
        });
        let seen = stored::Episode {
            epoch: u8::try_from(episode.epoch).expect("few epochs"),
            old_writer: place(&episode.old_writer),
            promotion,
            gone_since: episode.gone_since.map(|since| failed_ticks_ago(since, self.now, &self.scale)),
            proved: episode.proved_at.is_some(),
            evicted: episode.evicted,
            told: episode.human_called.iter().fold(0, |told, rule| told | told_bit(*rule)),
            rule: episode.rule,
            closed: episode.closed.as_ref().map(|closed| place(&closed.writer)),
        };
        if seen.is_open() { seen } else { seen.archived(&self.scale) }
    }
}
