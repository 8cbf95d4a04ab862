//! What evidence, canary and ledger say of the time since an experiment began.

use std::time::Duration;

use steadfast_core::application::{Felt, Report, felt};
use steadfast_core::evidence::{self, Entry, Kind};
use steadfast_core::game_day::hypothesis::Measured;
use steadfast_core::game_day::plan::{Record, Stage};
use steadfast_core::ports::{State, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::witness::{Outcome, WitnessReport};

use super::Scheduler;
use super::look::{canary_lost, latest_epoch};
use crate::clock;
use crate::functions::APPLICATION_PROBE;

/// A key of the ledger that was begun shortly before the experiment may be committed in it.
const LEDGER_FROM: Duration = Duration::from_secs(60);
/// An old writer has committed as shortly before the fault.
const BEFORE: Duration = Duration::from_secs(10);
/// So many zones must agree on anything.
const QUORUM: usize = 2;
const LEDGER_LIMIT: Duration = Duration::from_secs(10);
/// The application probe looks into its books every five seconds, and gives up after four.
const BOOKS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Scheduler {
    pub(super) async fn measured(&self, record: &Record) -> Result<Measured, StateError> {
        let state = self.table.load(&self.cluster).await?;
        let mut episodes = Vec::new();
        for epoch in record.epoch_before.saturating_add(1)..=latest_epoch(&state) {
            let entries = self.table.evidence(&self.cluster, epoch).await?;
            // An epoch may be that of a lease without an episode.
            if !entries.is_empty() {
                episodes.push(entries);
            }
        }
        let began = self.fault_at(record).await.unwrap_or(record.began);
        let duplicated = match &self.database {
            Some(database) => database.number(&twice(began), LEDGER_LIMIT).await.ok(),
            None => None,
        };
        let application = self.felt(began).await?;
        Ok(Measured { application, ..read(&state, &episodes, record, began, duplicated) })
    }

    /// What the application probe felt; its next look into the books is awaited, for a while.
    async fn felt(&self, began: Timestamp) -> Result<Option<Felt>, StateError> {
        let asked = clock::now();
        loop {
            let felt = felt(&self.reports(began).await?, began, clock::now());
            let is_told = felt.as_ref().is_some_and(|felt| felt.audit.is_some());
            if !self.application || is_told || clock::now().since(asked) > BOOKS_WITHIN {
                return Ok(felt);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Of the runs of the application probe that may have been at work then or later; empty where there is none.
    pub(super) async fn reports(&self, at: Timestamp) -> Result<Vec<Report>, StateError> {
        if self.application {
            self.table.application(&self.cluster, at.minus(APPLICATION_PROBE.limit())).await
        } else {
            Ok(Vec::new())
        }
    }

    async fn fault_at(&self, record: &Record) -> Option<Timestamp> {
        match &record.stage {
            Stage::Running { id: Some(id), .. } | Stage::Stopping { id: Some(id), .. } => {
                self.experiments.fault_at(id).await
            }
            Stage::Intended | Stage::Running { .. } | Stage::Stopping { .. } | Stage::Over => None,
        }
    }
}

/// Keys that stand in the ledger more than once, whatever its index says: a writer that was replaced badly may hold two
/// rows where its index knows one.
fn twice(began: Timestamp) -> String {
    let from = began.minus(LEDGER_FROM).as_millis();
    format!(
        "SELECT count(*) - count(DISTINCT key) FROM steadfast.ledger \
         WHERE key >= steadfast.key_at(to_timestamp({from} / 1000.0))"
    )
}

fn read(
    state: &State,
    episodes: &[Vec<Entry>],
    record: &Record,
    began: Timestamp,
    duplicated: Option<u64>,
) -> Measured {
    let all = || episodes.iter().flatten();
    let opened = all().find(|entry| entry.kind == Kind::Opened).map(|entry| entry.at);
    let writer = latest_commit(state, began);
    Measured {
        detected_ms: opened.map(|at| millis(at.since(began))),
        outage_ms: outage(state, all(), began),
        lost: Some(canary_lost(state).saturating_sub(record.canary_lost_before)),
        duplicated,
        calls: all().filter(|entry| is_call(entry)).count() as u64,
        episodes: episodes.len() as u64,
        evidenced: episodes.iter().filter(|entries| is_complete(entries, state)).count() as u64,
        moved: writer.map(|writer| writer != record.writer_before),
        application: None,
    }
}

/// Closed, verified, and of the latest one as long as the state table says.
fn is_complete(entries: &[Entry], state: &State) -> bool {
    let Ok(head) = evidence::verify(entries) else { return false };
    let epoch = entries.first().map(|entry| entry.epoch);
    let stored = state.episode.as_ref().filter(|episode| Some(episode.epoch) == epoch);
    let whole = stored.is_none_or(|episode| episode.evidence == head);
    whole && entries.iter().any(|entry| entry.kind == Kind::Closed)
}

fn is_call(entry: &Entry) -> bool {
    let action = entry.data.get("action").and_then(|action| action.as_str());
    entry.kind == Kind::Intended && matches!(action, Some("FailoverDBCluster" | "RebootDBInstance"))
}

/// The longest time without a canary commit: in an episode, from the failure to the commit that proved its end; else
/// as the witnesses saw the role move. A zone that lost sight of the writer by itself cannot tell; two others must.
fn outage<'e>(state: &State, entries: impl Iterator<Item = &'e Entry>, began: Timestamp) -> Option<u64> {
    let mut failed = None;
    let mut longest = None;
    for entry in entries {
        let moment = |name: &str| entry.data.get(name).and_then(|at| at.as_u64()).map(Timestamp::from_millis);
        if entry.kind == Kind::Opened {
            failed = moment("failed_since");
        } else if entry.kind == Kind::Proved
            && let (Some(failed), Some(proved)) = (failed, moment("committed_at"))
        {
            longest = longest.max(Some(millis(proved.since(failed))));
        }
    }
    longest.or_else(|| {
        let seen: Vec<u64> = state.reports.iter().filter_map(|report| pause(report, began)).collect();
        seen.iter().max().copied().filter(|_| seen.len() >= QUORUM).or_else(|| restart(state, began))
    })
}

/// The writer was back at its place for every zone after the fault, so it was gone: at most since the fault.
fn restart(state: &State, began: Timestamp) -> Option<u64> {
    let back = state.reports.iter().map(|report| {
        let writer = report.sightings.iter().find(|sighting| sighting.outcome == Outcome::Committing)?;
        (writer.since > began).then(|| millis(writer.since.since(began)))
    });
    let back: Vec<u64> = back.collect::<Option<_>>()?;
    back.iter().max().copied().filter(|_| back.len() >= QUORUM)
}

/// From the last commit on the old writer to the first on the new one; 0 for a witness that has seen the same instance
/// commit all the time. None when it has only lost sight of it: what others committed long before tells nothing.
fn pause(report: &WitnessReport, began: Timestamp) -> Option<u64> {
    let writer = report.sightings.iter().find(|sighting| sighting.outcome == Outcome::Committing)?;
    if writer.since <= began {
        return Some(0);
    }
    let others = report.sightings.iter().filter(|sighting| sighting.instance != writer.instance);
    let last = others.filter_map(|sighting| sighting.committed_at).max().filter(|last| *last >= began.minus(BEFORE))?;
    Some(millis(writer.since.since(last)))
}

fn latest_commit(state: &State, began: Timestamp) -> Option<String> {
    let sightings = state.reports.iter().flat_map(|report| &report.sightings);
    let committed = sightings.filter(|sighting| sighting.outcome == Outcome::Committing);
    let latest = committed.filter_map(|sighting| Some((sighting.committed_at?, &sighting.instance)));
    latest.filter(|(at, _)| *at > began).max_by_key(|(at, _)| *at).map(|(_, instance)| instance.to_string())
}

fn millis(by: Duration) -> u64 {
    u64::try_from(by.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use steadfast_core::topology::{Az, InstanceId};
    use steadfast_core::witness::{Canary, EndpointSighting, Sighting};

    use super::*;

    const BEGAN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// What a zone saw: since when the first instance commits, and when the second one did last.
    fn report(since: Timestamp, other: Option<Timestamp>) -> WitnessReport {
        let sighting = |instance: &str, outcome, committed_at| Sighting {
            instance: InstanceId::new(instance),
            outcome,
            since,
            committed_at,
            latency_ms: None,
            lag_ms: None,
            detail: None,
        };
        WitnessReport {
            az: Az::new("a"),
            run: BEGAN,
            at: BEGAN,
            sightings: vec![
                sighting("orders-1", Outcome::Committing, Some(since)),
                sighting("orders-2", Outcome::Reading, other),
            ],
            endpoint: EndpointSighting::default(),
            canary: Canary::default(),
        }
    }

    fn seen(reports: Vec<WitnessReport>) -> Option<u64> {
        outage(&State { reports, ..State::default() }, std::iter::empty(), BEGAN)
    }

    #[test]
    fn a_zone_that_was_cut_off_does_not_tell_how_long_writes_stood_still() {
        let steady = || report(BEGAN.minus(Duration::from_secs(60)), None);
        let back = BEGAN.plus(Duration::from_secs(9));
        assert_eq!(seen(vec![steady(), report(back, None), steady()]), Some(0));
        assert_eq!(seen(vec![report(back, None), report(back, None), steady()]), None);
        let long_ago = Some(BEGAN.minus(Duration::from_secs(3_600)));
        assert_eq!(seen(vec![steady(), report(back, long_ago), steady()]), Some(0), "it wrote an hour before");
    }

    #[test]
    fn a_writer_that_came_back_at_its_place_was_gone_since_the_fault_at_most() {
        let back = |seconds| report(BEGAN.plus(Duration::from_secs(seconds)), None);
        assert_eq!(seen(vec![back(8), back(9), back(7)]), Some(9_000));
        assert_eq!(seen(vec![back(8)]), None, "one zone alone cannot tell");
    }

    #[test]
    fn a_role_that_moved_is_measured_by_whoever_saw_it_longest() {
        let moved = |ms| report(BEGAN.plus(Duration::from_millis(ms)), Some(BEGAN.plus(Duration::from_millis(100))));
        assert_eq!(seen(vec![moved(700), moved(900), moved(650)]), Some(800));
    }
}
