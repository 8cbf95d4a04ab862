//! The timeline of a scenario, played beside the load.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::try_join_all;
use steadfast_aws::clock;
use steadfast_core::time::Timestamp;
use steadfast_scenario::{End, Event, Milestone, Moment, Place, Scenario};
use tokio::sync::watch::Receiver;
use tokio::time::sleep;

use super::inject::{Act, Injection, Stage, injection};
use super::milestones::{Seen, is_ours};
use super::{DrillError, Progress};
use crate::assembly::{Lab, names};

/// The events of a scenario on their way through one run.
pub(super) struct Timeline<'l> {
    lab: &'l Lab,
    progress: &'l dyn Progress,
    old_writer: String,
    /// When the run began: `at` counts from here.
    began: Timestamp,
    first_fault: Cell<Option<Timestamp>>,
    events: Vec<Entry>,
    /// What lasts now, in the order of beginning.
    lasting: RefCell<Vec<Rc<Lasting<'l>>>>,
    /// What began and ended when.
    journal: RefCell<Vec<(Timestamp, String)>>,
}

/// One event.
struct Entry {
    number: usize,
    event: Event,
    standing: Cell<Standing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Waiting,
    /// It has begun, and its end is to come.
    Lasting,
    /// It has ended, or lasts to the end of the run.
    Done,
}

/// A fault that has begun, and how to end it.
struct Lasting<'l> {
    number: usize,
    stage: Stage<'l>,
    end: Box<dyn Act>,
}

impl<'l> Timeline<'l> {
    /// The scenario's events; none of them has begun.
    pub(super) fn new(lab: &'l Lab, scenario: &Scenario, progress: &'l dyn Progress) -> Self {
        let entry = |(number, event): (usize, &Event)| Entry {
            number,
            event: event.clone(),
            standing: Cell::new(Standing::Waiting),
        };
        Self {
            lab,
            progress,
            old_writer: lab.cluster.writer().to_owned(),
            began: clock::now(),
            first_fault: Cell::new(None),
            events: scenario.timeline.iter().enumerate().map(entry).collect(),
            lasting: RefCell::default(),
            journal: RefCell::default(),
        }
    }

    /// The writer when the run began.
    pub(super) fn old_writer(&self) -> &str {
        &self.old_writer
    }

    /// When the first fault began; the beginning of the run before that.
    pub(super) fn first_fault(&self) -> Timestamp {
        self.first_fault.get().unwrap_or(self.began)
    }

    /// When the first fault began or is going to begin.
    pub(super) fn first_due(&self) -> Timestamp {
        let due = self.events.iter().filter_map(|entry| match entry.event.at {
            Moment::At(time) => Some(time),
            Moment::After(..) => None,
        });
        self.first_fault.get().unwrap_or_else(|| self.began.plus(due.min().unwrap_or_default()))
    }

    /// Whether a fault may yet begin or end.
    pub(super) fn is_unfinished(&self, seen: &Seen) -> bool {
        self.events.iter().any(|entry| match (entry.standing.get(), entry.event.at, entry.event.end) {
            (Standing::Waiting, Moment::At(_), _) | (Standing::Lasting, _, End::For(_)) => true,
            (Standing::Waiting, Moment::After(milestone, _), _) | (Standing::Lasting, _, End::Until(milestone, _)) => {
                seen.may_come(milestone) || seen.when(milestone).is_some()
            }
            (Standing::Lasting, _, End::Never) | (Standing::Done, _, _) => false,
        })
    }

    /// The events that have not begun.
    pub(super) fn missed(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|entry| entry.standing.get() == Standing::Waiting).map(|entry| &entry.event)
    }

    /// Begins every fault at its moment and ends it at its end. Returns when all have begun and those
    /// with an end have ended; what lasts longer is ended by [`Self::end_all`].
    ///
    /// Dropping it leaves every fault as it is.
    pub(super) async fn play(&self, seen: &Receiver<Seen>) -> Result<(), DrillError> {
        try_join_all(self.events.iter().map(|entry| self.play_one(entry, seen.clone()))).await.map(drop)
    }

    async fn play_one(&self, entry: &Entry, mut seen: Receiver<Seen>) -> Result<(), DrillError> {
        match entry.event.at {
            Moment::At(time) => sleep(left_until(self.began.plus(time))).await,
            Moment::After(milestone, later) => sleep_after(&mut seen, milestone, later).await,
        }
        let began = clock::now();
        self.begin(entry).await?;
        match entry.event.end {
            End::Never => {}
            End::For(time) => sleep(left_until(began.plus(time))).await,
            End::Until(milestone, later) => sleep_after(&mut seen, milestone, later).await,
        }
        if entry.event.end != End::Never {
            self.end(entry.number).await?;
            self.say(&format!("`{}` is over", entry.event.fault));
        }
        entry.standing.set(Standing::Done);
        Ok(())
    }

    async fn begin(&self, entry: &Entry) -> Result<(), DrillError> {
        let fault = &entry.event.fault;
        let Some(Injection { place, begin, end }) = injection(fault) else {
            return Err(DrillError::Unable(entry.event.to_string()));
        };
        let instance = place.map(|place| self.instance(place)).transpose()?.unwrap_or_default();
        let about = if instance.is_empty() { String::new() } else { format!(" ({instance})") };
        let stage = Stage { lab: self.lab, instance };
        if self.first_fault.get().is_none() {
            self.first_fault.set(Some(clock::now()));
        }
        // Entered before it begins: one that fails half way is ended all the same.
        if let Some(end) = end {
            let lasting = Lasting { number: entry.number, stage: stage.clone(), end };
            self.lasting.borrow_mut().push(Rc::new(lasting));
        }
        self.say(&format!("{fault}{about}"));
        begin.run(&stage).await?;
        entry.standing.set(Standing::Lasting);
        Ok(())
    }

    async fn end(&self, number: usize) -> Result<(), DrillError> {
        let found = {
            let mut lasting = self.lasting.borrow_mut();
            lasting.iter().position(|fault| fault.number == number).map(|at| lasting.remove(at))
        };
        match found {
            Some(fault) => fault.end.run(&fault.stage).await,
            None => Ok(()),
        }
    }

    /// Ends what still lasts, the latest first.
    ///
    /// # Errors
    ///
    /// The first fault that could not be ended; the others are ended all the same.
    pub(super) async fn end_all(&self) -> Result<(), DrillError> {
        let mut result = Ok(());
        loop {
            let Some(fault) = self.lasting.borrow_mut().pop() else {
                return result;
            };
            result = result.and(fault.end.run(&fault.stage).await);
        }
    }

    /// Who stands for this place now.
    fn instance(&self, place: Place) -> Result<String, DrillError> {
        match place {
            Place::Writer => Ok(self.lab.cluster.writer().to_owned()),
            Place::OldWriter => Ok(self.old_writer.clone()),
            Place::Target => {
                let target = |call: crate::rds::ApiCall| call.parameters.get("TargetDBInstanceIdentifier").cloned();
                let latest = self.lab.rds.calls().into_iter().rev().find(is_ours).and_then(target);
                latest
                    .or_else(|| self.lab.rds.promotions().pop().map(|promotion| promotion.target))
                    .ok_or(DrillError::NoTarget)
            }
            Place::Reader(number) => {
                let reader = names::INSTANCES.get(usize::from(number)).map(|id| (*id).to_owned());
                reader.ok_or_else(|| DrillError::Unable(place.to_string()))
            }
        }
    }

    /// Writes down that something else than the scenario has broken something: seconds count from there.
    pub(super) fn broken_elsewhere(&self, at: Timestamp, what: &str) {
        self.first_fault.set(Some(at));
        self.journal.borrow_mut().push((at, what.to_owned()));
    }

    /// What has begun and ended so far.
    pub(super) fn journal(&self) -> Vec<(Timestamp, String)> {
        self.journal.borrow().clone()
    }

    fn say(&self, what: &str) {
        let now = clock::now();
        self.journal.borrow_mut().push((now, what.to_owned()));
        let elapsed = now.since(self.first_fault()).as_secs_f64();
        self.progress.say(&format!("  {elapsed:.2} s: {what}"));
    }
}

fn left_until(moment: Timestamp) -> Duration {
    moment.since(clock::now())
}

/// Waits until so long after the milestone; for ever when it is not reached.
async fn sleep_after(seen: &mut Receiver<Seen>, milestone: Milestone, later: Duration) {
    let reached = seen.wait_for(|seen| seen.when(milestone).is_some()).await.ok().and_then(|seen| seen.when(milestone));
    match reached {
        Some(at) => sleep(left_until(at.plus(later))).await,
        // Nobody follows the episode any more.
        None => std::future::pending().await,
    }
}
