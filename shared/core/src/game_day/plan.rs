//! What to do about this week's slot: one total function over the record and what is known.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::catalogue::{Experiment, Means, named};
use super::preflight::Reason;
use super::slot::Slot;
use super::week::{End, Week, Weeks};
use crate::evidence::Head;
use crate::time::Timestamp;
use crate::topology::ClusterId;

/// From the intention to the statement: FIS guards it first, for which it is given 150 s, and the statement has 10 s.
const SENT_WITHIN: Duration = Duration::from_secs(180);

/// Who woke us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// The weekly schedule, or an operator: an experiment is due.
    Due,
    /// The sweep: go on with what was begun, and see what was missed.
    Sweep,
}

/// How far the experiment of a slot has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is about to be started. Written before anything is asked for.
    Intended,
    /// It was started; of a template, under this id.
    Running {
        /// The id of the FIS experiment.
        id: Option<String>,
        /// Whether it was certainly started: a statement whose sender died may never have been sent.
        certain: bool,
    },
    /// Something must end it; the request may be lost, and is made again.
    Stopping {
        /// The id of the FIS experiment.
        id: Option<String>,
        /// Why.
        because: String,
    },
    /// It is over.
    Over,
}

/// The record of the latest slot, with the weeks before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which slot.
    pub slot: Slot,
    /// What is broken.
    pub experiment: String,
    /// How far it is.
    pub stage: Stage,
    /// When that was written.
    pub at: Timestamp,
    /// When it was intended.
    pub began: Timestamp,
    /// The epoch of the latest episode before it: what is later belongs to it.
    pub epoch_before: u64,
    /// The writer before it.
    pub writer_before: String,
    /// Acknowledged canary commits that were lost before it, over all witnesses.
    pub canary_lost_before: u64,
    /// One word for it, for the console.
    pub verdict: String,
    /// The same in a sentence.
    pub says: String,
    /// How often FIS has ended an experiment of this slot before it broke anything.
    #[serde(default)]
    pub attempt: u32,
    /// What became of each week.
    pub weeks: Weeks,
    /// The last link of the experiment's evidence chain, whose number is [`Self::began`] in milliseconds.
    #[serde(default)]
    pub evidence: Head,
    /// One more at each write: a write is valid only over the version it saw.
    pub version: u64,
}

impl Record {
    /// What the evidence chains of a cluster's experiments are about.
    pub fn evidence_of(cluster: &ClusterId) -> ClusterId {
        ClusterId::new(format!("game-day/{cluster}"))
    }
}

/// What an experiment shows from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Experimenting {
    /// FIS does not answer, or there is nothing to ask: a statement has been sent.
    Unknown,
    /// It is on its way.
    Running,
    /// It has come to its end.
    Completed,
    /// A stop condition or a person has ended it.
    Stopped,
    /// It could not do what it was to do.
    Failed,
    /// FIS has ended it before its fault began: one of its alarms is not OK.
    NotBegun,
}

/// What is known beside the record.
#[derive(Clone, Debug)]
pub struct Known<'k> {
    /// Now.
    pub now: Timestamp,
    /// Who woke us.
    pub wake: Wake,
    /// Reasons against an experiment now; asked only when one is due.
    pub reasons: &'k [Reason],
    /// Whose turn it is.
    pub turn: Option<&'static Experiment>,
    /// How long an experiment is watched, instead of its own time.
    pub watch: Option<Duration>,
    /// What the running experiment shows.
    pub experimenting: Experimenting,
    /// Whether an episode is open.
    pub open_episode: bool,
    /// Acknowledged writes that were lost since it began, as far as the canary knows.
    pub lost: u64,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Write down that these weeks passed without anybody looking.
    Miss(Vec<Slot>),
    /// Write down that nothing was broken, and why.
    Skip(Vec<Reason>),
    /// Write the intention, then start it.
    Start(&'static Experiment),
    /// The intention stands and nobody knows whether the call was made: with the same token it is made again.
    StartAgain(&'static Experiment),
    /// The same for a statement, which has no token: it counts as sent, and is never sent again.
    CountAsStarted,
    /// Look again later.
    Follow,
    /// Ask FIS to end it, and write down why.
    Stop(String),
    /// Hold what was measured against the hypothesis.
    Judge,
    /// It was ended from outside; what was measured stands beside it.
    Broken(End),
}

/// Decides. Total: every record and everything known has one step.
pub fn next(record: Option<&Record>, known: &Known<'_>) -> Step {
    let slot = Slot::of(known.now);
    if let Some(record) = record.filter(|record| record.stage != Stage::Over) {
        return unfinished(record, known);
    }
    let missed = missed(record, slot);
    if !missed.is_empty() {
        return Step::Miss(missed);
    }
    let spent = record.and_then(|record| record.weeks.all().iter().find(|week| week.slot == slot));
    if known.wake == Wake::Sweep || spent.is_some_and(|week| week.end.is_spent()) {
        return Step::Rest;
    }
    match known.turn {
        None => Step::Skip(vec![Reason { id: 900, says: "no experiment is allowed".to_owned() }]),
        Some(_) if !known.reasons.is_empty() => Step::Skip(known.reasons.to_vec()),
        Some(experiment) => Step::Start(experiment),
    }
}

/// Weeks between the latest one that is known and this one. Before the first record nothing was missed.
fn missed(record: Option<&Record>, slot: Slot) -> Vec<Slot> {
    let Some(latest) = record.and_then(|record| record.weeks.all().last()) else { return Vec::new() };
    let between = slot.weeks_since(latest.slot).saturating_sub(1);
    (0..between).rev().map(|back| slot.before(back + 1)).collect()
}

fn unfinished(record: &Record, known: &Known<'_>) -> Step {
    let Some(experiment) = named(&record.experiment) else {
        // The catalogue has changed under it.
        return Step::Broken(End::Failed);
    };
    if record.stage == Stage::Intended {
        return match experiment.means {
            Means::Template => Step::StartAgain(experiment),
            // Whoever wrote the intention may be about to send it.
            Means::Sql(_) if known.now.since(record.at) < SENT_WITHIN => Step::Follow,
            Means::Sql(_) => Step::CountAsStarted,
        };
    }
    let stopping = matches!(record.stage, Stage::Stopping { .. });
    match known.experimenting {
        Experimenting::NotBegun => Step::Skip(vec![Reason {
            id: 920,
            says: "FIS ended it before anything was broken: an alarm is not OK".to_owned(),
        }]),
        Experimenting::Stopped => ended(End::Stopped, record, experiment, known),
        Experimenting::Failed => ended(End::Failed, record, experiment, known),
        Experimenting::Running | Experimenting::Unknown | Experimenting::Completed if known.lost > 0 && !stopping => {
            Step::Stop(format!("{} acknowledged writes are lost: nothing more is to be broken", known.lost))
        }
        Experimenting::Completed if stopping => ended(End::Stopped, record, experiment, known),
        Experimenting::Running if stopping => Step::Stop("it was to be ended and runs on".to_owned()),
        Experimenting::Running => Step::Follow,
        Experimenting::Unknown | Experimenting::Completed => watched(record, experiment, known),
    }
}

/// Judged when its time is over and no episode is open, or when the episode has been given twice its time.
fn watched(record: &Record, experiment: &Experiment, known: &Known<'_>) -> Step {
    let passed = known.now.since(record.began);
    let watch = known.watch.unwrap_or(experiment.watch);
    let over = passed >= watch && !known.open_episode;
    if over || passed >= watch.saturating_mul(2) { Step::Judge } else { Step::Follow }
}

/// What was ended from outside may have broken something before: an open episode is given the same time to its end.
fn ended(end: End, record: &Record, experiment: &Experiment, known: &Known<'_>) -> Step {
    let watch = known.watch.unwrap_or(experiment.watch);
    let given_up = known.now.since(record.began) >= watch.saturating_mul(2);
    if known.open_episode && !given_up { Step::Follow } else { Step::Broken(end) }
}

/// The week as it stands when nothing was broken.
pub fn unbroken(slot: Slot, experiment: &str, end: End, at: Timestamp, says: String) -> Week {
    Week {
        slot,
        experiment: experiment.to_owned(),
        end,
        at,
        says,
        detected_ms: None,
        outage_ms: None,
        lost: None,
        application: None,
    }
}

/// Reasons in one sentence.
pub fn told(reasons: &[Reason]) -> String {
    let words: Vec<String> = reasons.iter().map(|reason| format!("{} {}", reason.id, reason.says)).collect();
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const WATCH: Duration = Duration::from_secs(60);

    fn running() -> Record {
        Record {
            slot: Slot::of(BEGAN),
            experiment: "failover".to_owned(),
            stage: Stage::Running { id: Some("EXP1".to_owned()), certain: true },
            at: BEGAN,
            began: BEGAN,
            epoch_before: 3,
            writer_before: "orders-1".to_owned(),
            canary_lost_before: 0,
            verdict: "running".to_owned(),
            says: String::new(),
            attempt: 0,
            weeks: Weeks::default(),
            evidence: Head::default(),
            version: 2,
        }
    }

    fn step(experimenting: Experimenting, open_episode: bool, after: u64) -> Step {
        let known = Known {
            now: BEGAN.plus(Duration::from_secs(after)),
            wake: Wake::Sweep,
            reasons: &[],
            turn: None,
            watch: Some(WATCH),
            experimenting,
            open_episode,
            lost: 0,
        };
        next(Some(&running()), &known)
    }

    #[test]
    fn what_was_ended_from_outside_is_judged_when_its_episode_is_over() {
        for (shown, end) in [(Experimenting::Stopped, End::Stopped), (Experimenting::Failed, End::Failed)] {
            assert_eq!(step(shown, true, 5), Step::Follow, "{end}");
            assert_eq!(step(shown, false, 5), Step::Broken(end));
            assert_eq!(step(shown, true, 120), Step::Broken(end), "an episode that does not end is given up");
        }
        assert_eq!(step(Experimenting::Completed, true, 61), Step::Follow);
        assert_eq!(step(Experimenting::Completed, true, 120), Step::Judge);
    }
}
