//! Looks: every part by itself, so that what fails hides nothing else.

use std::collections::HashMap;
use std::time::Duration;

use steadfast_aws::clock;
use steadfast_aws::functions::APPLICATION_PROBE;
use steadfast_core::application::felt;
use steadfast_core::evidence::Entry;

use super::Reach;
use super::seen::Seen;

const MINUTE: Duration = Duration::from_secs(60);

/// Looks once. Safe to cancel: it only reads.
pub(crate) async fn look(reach: &Reach, known: &mut Known) -> Seen {
    let (state, topology) = tokio::join!(reach.table.load(&reach.id), reach.rds.describe(&reach.id));
    let episode = state.as_ref().ok().and_then(|state| state.episode.as_ref());
    let evidence = match episode.map(|episode| (episode.epoch, episode.evidence.length)) {
        Some(at) => known.evidence(reach, at).await,
        None => Vec::new(),
    };
    let now = clock::now();
    let (mode_set, game_day, application, backup) = tokio::join!(
        reach.table.mode_set(&reach.id),
        reach.table.game_day(&reach.id),
        reach.table.application(&reach.id, now.minus(APPLICATION_PROBE.limit())),
        reach.table.verification(&reach.id),
    );
    Seen {
        at: clock::now(),
        id: reach.id.clone(),
        deployment: reach.deployment,
        state: state.map_err(|error| error.to_string()),
        topology: topology.map_err(|error| error.to_string()),
        // One that cannot be read is shown as missing.
        mode_set: mode_set.ok().flatten(),
        evidence,
        game_day: game_day.ok().flatten(),
        application: application.ok().and_then(|reports| felt(&reports, now.minus(MINUTE), now)),
        backup: backup.ok().flatten(),
    }
}

/// What does not change and need not be read again: evidence by epoch and length.
#[derive(Default)]
pub(crate) struct Known {
    evidence: HashMap<(u64, u64), Vec<Entry>>,
}

impl Known {
    async fn evidence(&mut self, reach: &Reach, at: (u64, u64)) -> Vec<Entry> {
        if let Some(entries) = self.evidence.get(&at) {
            return entries.clone();
        }
        let Ok(entries) = reach.table.evidence(&reach.id, at.0).await else { return Vec::new() };
        self.evidence.clear();
        if entries.len() as u64 == at.1 {
            self.evidence.insert(at, entries.clone());
        }
        entries
    }
}
