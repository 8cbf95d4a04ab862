//! One verification from the order to the last deletion, as the state table holds it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claim::Claim;
use super::finding::{CHECKS, Check, FINDINGS_KEPT, Finding};
use super::manifest::Manifest;
use super::place::Place;
use super::refusal::{Refusal, Unseen};
use crate::evidence::Head;
use crate::time::Timestamp;
use crate::topology::{ClusterId, Deployment};

/// What every name of ours begins with. The function's role may touch nothing else.
pub const PREFIX: &str = "verify-";
/// RDS takes 63 characters; a run's number and two separators take the rest.
const DATABASE_CHARS_MAX: usize = 40;
/// How long a run may take until it is given up.
pub const RUN_LIMIT: Duration = Duration::from_secs(6 * 3_600);
/// What is still there this long after its run's limit is nobody's any more.
pub const EXPIRY_GRACE: Duration = Duration::from_secs(3_600);

/// From what a run restores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A snapshot.
    Snapshot {
        /// Its identifier.
        id: String,
        /// When it was taken.
        taken_at: Timestamp,
        /// `EngineVersion`.
        #[serde(default)]
        engine_version: String,
    },
    /// A point in time.
    PointInTime {
        /// Which.
        to: Timestamp,
    },
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The database whose backup it is.
    pub database: ClusterId,
    /// What it is.
    pub deployment: Deployment,
    /// Its number: when it began, in seconds since the Unix epoch.
    pub id: u64,
    /// What is expected.
    pub manifest: Manifest,
    /// From what it restores.
    pub source: Source,
    /// When it began.
    pub began_at: Timestamp,
    /// When the restored database answered its first query.
    pub opened_at: Option<Timestamp>,
    /// When the newest canary was committed that it holds.
    pub canary_at: Option<Timestamp>,
    /// The checks that are done.
    pub done: Vec<Check>,
    /// How far the next check has come.
    #[serde(flatten)]
    pub place: Place,
    /// Who looks now.
    #[serde(default)]
    pub claim: Option<Claim>,
    /// Why the last step was not taken, if it was not.
    #[serde(default)]
    pub refusal: Option<Refusal>,
    /// Name of the database that was opened.
    #[serde(default)]
    pub opened: Option<String>,
    /// What is wrong, the first [`FINDINGS_KEPT`] of it.
    pub findings: Vec<Finding>,
    /// How much is wrong.
    pub found: u64,
    /// How many indexes were read page by page, and not compared with their tables.
    #[serde(default)]
    pub only_read: u64,
    /// Why it was given up, if it was.
    pub failed: Option<String>,
    /// Whether evidence, metric and notice are out.
    pub recorded: bool,
    /// When all that it made was gone again.
    pub closed_at: Option<Timestamp>,
    /// When the latest run before it began that found a good backup.
    #[serde(default)]
    pub verified_before: Option<Timestamp>,
    /// The last link of its evidence chain.
    pub evidence: Head,
    /// One more at each write: a write is valid only over the version it saw.
    pub version: u64,
}

/// What came of a check, or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// When the database answered for the first time, as far as this check knows.
    pub answered_at: Option<Timestamp>,
    /// Its name.
    pub opened: Option<String>,
    /// The newest canary.
    pub canary_at: Option<Timestamp>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Where to go on, if the time was too short for all of it.
    pub goes_on: Option<Place>,
    /// How many relations were read to their end.
    pub relations: u64,
    /// Indexes that take longer than an invocation: they are read page by page, and not compared with their tables.
    pub only_read: Vec<String>,
}

impl Run {
    /// A run that begins now.
    pub fn begin(
        database: &ClusterId,
        deployment: Deployment,
        manifest: Manifest,
        source: Source,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        // Two runs never share a number, whatever the clock says.
        let id = (now.as_millis() / 1_000).max(before.map_or(0, |run| run.id.saturating_add(1)));
        Self {
            database: database.clone(),
            deployment,
            id,
            manifest,
            source,
            began_at: now,
            opened_at: None,
            canary_at: None,
            done: Vec::new(),
            place: Place::default(),
            claim: None,
            refusal: None,
            opened: None,
            findings: Vec::new(),
            found: 0,
            only_read: 0,
            failed: None,
            recorded: false,
            closed_at: None,
            verified_before: before.and_then(Self::last_verified),
            evidence: Head::default(),
            version: before.map_or(0, |run| run.version),
        }
    }

    /// Identifier of what is restored: of a cluster, or of an instance.
    pub fn restored_id(&self) -> String {
        let database: String = self.database.as_str().chars().take(DATABASE_CHARS_MAX).collect();
        // RDS takes no two hyphens in a row.
        format!("{PREFIX}{}-{}", database.trim_end_matches('-'), self.id)
    }

    /// Identifier of the instance of a restored cluster.
    pub fn instance_id(&self) -> String {
        format!("{}-1", self.restored_id())
    }

    /// What the evidence chains of a database's runs are about; each has its run's number.
    pub fn evidence_of(database: &ClusterId) -> ClusterId {
        ClusterId::new(format!("verification/{database}"))
    }

    /// Whether somebody still has to bring it to its end.
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// When it is given up.
    pub fn deadline(&self) -> Timestamp {
        self.began_at.plus(RUN_LIMIT)
    }

    /// When whatever it made is nobody's any more.
    pub fn expires_at(&self) -> Timestamp {
        self.deadline().plus(EXPIRY_GRACE)
    }

    /// The next check, unless all are done.
    pub fn next_check(&self) -> Option<Check> {
        CHECKS.into_iter().find(|check| !self.done.contains(check))
    }

    /// How much of the writes is missing: from the newest canary to the beginning of the run, which stands for the
    /// loss of the database.
    pub fn achieved_rpo(&self) -> Option<Duration> {
        self.canary_at.map(|at| self.began_at.since(at))
    }

    /// From the order to the first answer.
    pub fn achieved_rto(&self) -> Option<Duration> {
        self.opened_at.map(|at| at.since(self.began_at))
    }

    /// Whether the backup was opened, and everything in it is as it should be.
    pub fn is_verified(&self) -> bool {
        self.failed.is_none() && self.found == 0 && self.next_check().is_none()
    }

    /// When the latest run began that found a good backup: this one, or one before it.
    pub fn last_verified(&self) -> Option<Timestamp> {
        if self.recorded && self.is_verified() { Some(self.began_at) } else { self.verified_before }
    }

    /// Takes in what a check has seen.
    pub fn take(&mut self, check: Check, looked: Looked) {
        self.claim = None;
        self.refusal = None;
        self.opened = self.opened.take().or(looked.opened);
        self.opened_at = self.opened_at.or(looked.answered_at);
        self.canary_at = self.canary_at.max(looked.canary_at);
        for finding in looked.findings {
            self.find(finding);
        }
        self.only_read = self.only_read.saturating_add(looked.only_read.len() as u64);
        self.place = looked.goes_on.unwrap_or_default();
        if looked.goes_on.is_none() {
            self.done.push(check);
        }
        self.judge_times(check);
    }

    /// Keeps why a step was not taken, for whoever reads the verdict.
    pub fn refuse(&mut self, error: &Unseen, now: Timestamp) {
        self.claim = None;
        self.refusal = Some(Refusal::after(self.refusal.as_ref(), error, now));
    }

    fn find(&mut self, finding: Finding) {
        self.found = self.found.saturating_add(1);
        if self.findings.len() < FINDINGS_KEPT {
            self.findings.push(finding);
        }
    }

    fn judge_times(&mut self, check: Check) {
        let (asked, achieved, most) = match check {
            Check::Open => ("RTO", self.achieved_rto(), self.manifest.rto_max()),
            Check::Canary => ("RPO", self.achieved_rpo(), self.manifest.rpo_max()),
            Check::Catalog | Check::Pages | Check::Rows | Check::Assertions => return,
        };
        let what = match achieved {
            Some(achieved) if achieved <= most => return,
            Some(achieved) => format!("{} s, and at most {} s are allowed", achieved.as_secs(), most.as_secs()),
            None => "unknown: there is nothing to measure it by".to_owned(),
        };
        self.find(Finding { check, about: asked.to_owned(), what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::place::Part;

    fn run(database: &str) -> Run {
        let source = Source::PointInTime { to: Timestamp::from_millis(1) };
        let now = Timestamp::from_millis(1_800_000_000_000);
        Run::begin(&ClusterId::new(database), Deployment::Cluster, Manifest::default(), source, None, now)
    }

    #[test]
    fn names_are_ours_and_fit_rds() {
        for database in ["orders", "a", &"long-".repeat(12)] {
            let run = run(database);
            for name in [run.restored_id(), run.instance_id()] {
                assert!(name.starts_with(PREFIX) && name.len() <= 63 && !name.contains("--"), "{name}");
            }
        }
        assert_eq!(run("orders").restored_id(), "verify-orders-1800000000");
    }

    #[test]
    fn two_runs_within_a_second_have_two_numbers() {
        let first = run("orders");
        let begun = first.began_at;
        let source = first.source.clone();
        let next = Run::begin(&first.database, first.deployment, Manifest::default(), source, Some(&first), begun);
        assert_eq!(next.id, first.id + 1);
    }

    #[test]
    fn a_run_is_verified_only_when_every_check_is_done_and_found_nothing() {
        let mut run = run("orders");
        for check in CHECKS {
            assert!(!run.is_verified(), "before {check:?}");
            let now = run.began_at;
            let looked = Looked { answered_at: Some(now), canary_at: Some(now), ..Looked::default() };
            run.take(check, looked);
        }
        assert!(run.is_verified(), "{run:?}");
        assert_eq!(run.last_verified(), None, "nobody was told yet");
        run.recorded = true;
        let next = Run::begin(
            &run.database,
            run.deployment,
            Manifest::default(),
            run.source.clone(),
            Some(&run),
            run.deadline(),
        );
        assert_eq!((run.last_verified(), next.last_verified()), (Some(run.began_at), Some(run.began_at)));
        run.failed = Some("no".to_owned());
        assert!(!run.is_verified());
    }

    #[test]
    fn a_part_of_a_check_is_not_the_whole_and_the_next_check_begins_at_its_own_beginning() {
        let mut run = run("orders");
        let place = Place::behind(17).with(Part { of: 19, block: 16_384, rows: 0 });
        run.take(Check::Pages, Looked { goes_on: Some(place), ..Looked::default() });
        assert_eq!((run.place, run.done.len()), (place, 0));
        assert_eq!((place.part_of(19).map(|part| part.block), place.part_of(20)), (Some(16_384), None));
        run.take(Check::Pages, Looked::default());
        assert_eq!((run.place, run.done.len()), (Place::default(), 1));
    }

    #[test]
    fn a_run_of_an_older_version_is_read() {
        let mut run = run("orders");
        run.place = Place::behind(17);
        let mut stored = serde_json::to_value(&run).expect("is written");
        let fields = stored.as_object_mut().expect("an object");
        for newer in ["part", "claim", "refusal", "opened", "verified_before"] {
            assert!(fields.remove(newer).is_some(), "{newer}");
        }
        assert_eq!(serde_json::from_value::<Run>(stored).expect("is read"), run);
    }

    #[test]
    fn late_stale_and_unknown_are_findings() {
        let mut stale = run("orders");
        let at = stale.began_at.minus(stale.manifest.rpo_max()).minus(Duration::from_secs(1));
        stale.take(Check::Canary, Looked { canary_at: Some(at), ..Looked::default() });
        assert_eq!(stale.findings[0].what, "901 s, and at most 900 s are allowed");
        let mut unknown = run("orders");
        unknown.take(Check::Canary, Looked::default());
        assert_eq!(unknown.found, 1);
        let mut late = run("orders");
        let at = late.began_at.plus(Duration::from_secs(3_601));
        late.take(Check::Open, Looked { answered_at: Some(at), ..Looked::default() });
        assert_eq!(late.findings[0].about, "RTO");
    }
}
