//! What each line may say in view of the others.

use std::time::Duration;

use steadfast_core::topology::Deployment;

use crate::error::Complaint;
use crate::parse::blank;
use crate::scenario::{
    Bound, End, Event, Expectation, Fault, Milestone, Moment, OperatorDeed, Place, PlatformDeed, Scenario, Who,
};
use crate::vocabulary::Vocabulary;
use crate::write::Time;

/// What is wrong with single lines; `lines` are those of the expectations.
pub(crate) fn lines(scenario: &Scenario, lines: &[usize]) -> Vec<(usize, Complaint)> {
    let limits = Limits::of(scenario);
    let events = scenario.timeline.iter().flat_map(|event| {
        let complaints =
            [limits.reader(place(&event.fault)), limits.moment(event), limits.end(event), limits.target(event)];
        complaints.into_iter().filter_map(move |checked| Some((event.line, checked.err()?)))
    });
    let expectations = scenario.expectations.iter().zip(lines).flat_map(|(expectation, line)| {
        let complaints = [limits.reader(who(*expectation)), limits.expectation(*expectation)];
        complaints.into_iter().filter_map(move |checked| Some((*line, checked.err()?)))
    });
    events.chain(expectations).collect()
}

/// What is wrong with all lines together.
pub(crate) fn whole(scenario: &Scenario) -> Result<(), Complaint> {
    if scenario.deployment == Deployment::Instance {
        of_an_instance(scenario)?;
    }
    let begins = scenario.timeline.iter().any(|event| matches!(event.at, Moment::At(_)));
    if !scenario.timeline.is_empty() && !begins {
        let remedy = "begin the timeline with a line such as `at 0s freeze writer`";
        return Err(Complaint::new("after", "every line waits for a milestone, so nothing begins", remedy));
    }
    // Nothing could make it fail.
    if scenario.expectations.is_empty() {
        let remedy = "add at least one line such as `expect lost 0`";
        return Err(Complaint::new(&scenario.name, "expects nothing", remedy));
    }
    Ok(())
}

/// What a Multi-AZ DB instance does not have.
fn of_an_instance(scenario: &Scenario) -> Result<(), Complaint> {
    let refused = |what: String, problem: &str| {
        Err(Complaint::new(what, problem, "leave it out, or leave out `deployment multi-az`"))
    };
    if scenario.readers != blank(&scenario.name).readers {
        return refused("readers".to_owned(), "a Multi-AZ DB instance has no readers");
    }
    if scenario.gated {
        return refused("clients use the gate".to_owned(), "no gate is held on a Multi-AZ DB instance");
    }
    if scenario.expectations.contains(&Expectation::SessionsEvicted) {
        return refused("sessions evicted".to_owned(), "nobody is left on the old host of a Multi-AZ DB instance");
    }
    let of_clusters = |fault: &&Fault| {
        matches!(
            fault,
            Fault::Lag(..)
                | Fault::Operator(OperatorDeed::FailsOver | OperatorDeed::SwitchesOver)
                | Fault::Platform(PlatformDeed::PausesCluster | PlatformDeed::SwitchesBlueGreen)
                | Fault::Fail(_, _, Some("DescribeDBClusters" | "FailoverDBCluster"))
        )
    };
    match scenario.timeline.iter().map(|event| &event.fault).find(of_clusters) {
        Some(fault) => refused(fault.to_string(), "happens to clusters alone"),
        None => Ok(()),
    }
}

/// What the scenario's other lines allow.
struct Limits {
    readers: u8,
    /// When it is over, counted from its start.
    over: Duration,
    no_episode: bool,
    no_call: bool,
    nobody: bool,
}

impl Limits {
    fn of(scenario: &Scenario) -> Self {
        let first = scenario.timeline.iter().filter_map(|event| match event.at {
            Moment::At(time) => Some(time),
            Moment::After(..) => None,
        });
        let expects = |wanted: Expectation| scenario.expectations.contains(&wanted);
        let none = [Bound::Exactly(0), Bound::AtMost(0)];
        Self {
            readers: if scenario.deployment == Deployment::Instance { 0 } else { scenario.readers },
            over: first.min().unwrap_or_default().saturating_add(scenario.lasts),
            no_episode: none.iter().any(|bound| expects(Expectation::Episodes(*bound))),
            no_call: none.iter().any(|bound| expects(Expectation::Calls(*bound))),
            nobody: expects(Expectation::NobodyCalled),
        }
    }

    fn reader(&self, number: Option<u8>) -> Result<(), Complaint> {
        match number {
            Some(number) if number > self.readers => {
                let problem = format!("the cluster has {} readers", self.readers);
                Err(Complaint::new(
                    format!("reader-{number}"),
                    problem,
                    format!("write `readers {number}`, or another"),
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn moment(&self, event: &Event) -> Result<(), Complaint> {
        match event.at {
            Moment::At(time) if time >= self.over => {
                let problem = format!("the scenario is over after {}", Time(self.over));
                Err(Complaint::new(Time(time).to_string(), problem, "let it come earlier, or write a longer `lasts`"))
            }
            Moment::At(_) => Ok(()),
            Moment::After(milestone, _) => self.milestone(milestone),
        }
    }

    fn end(&self, event: &Event) -> Result<(), Complaint> {
        let End::Until(milestone, later) = event.end else {
            return Ok(());
        };
        self.milestone(milestone)?;
        match event.at {
            Moment::After(begin, by) if (milestone, later) <= (begin, by) => {
                let remedy = "let it end at a later milestone, or write `for` and a time";
                Err(Complaint::new(milestone.word(), "it would end before it begins", remedy))
            }
            Moment::After(..) | Moment::At(_) => Ok(()),
        }
    }

    /// Refuses a milestone that is expected never to be reached.
    fn milestone(&self, milestone: Milestone) -> Result<(), Complaint> {
        let remedy = "name another moment, or change what is expected";
        let called = matches!(milestone, Milestone::Intended | Milestone::Called);
        if self.no_episode {
            return Err(Complaint::new(milestone.word(), "is never reached: no episode is expected", remedy));
        }
        if self.no_call && called {
            return Err(Complaint::new(milestone.word(), "is never reached: no call is expected", remedy));
        }
        Ok(())
    }

    /// There is no target before the first call.
    fn target(&self, event: &Event) -> Result<(), Complaint> {
        let early = event.at == Moment::At(Duration::ZERO);
        if uses_target(&event.fault) && (early || self.no_call) {
            let remedy = "name another instance, or let it come `after called`";
            return Err(Complaint::new("target", "there is none before a promotion was called", remedy));
        }
        Ok(())
    }

    fn expectation(&self, expectation: Expectation) -> Result<(), Complaint> {
        let of_an_episode = match expectation {
            Expectation::DetectedWithin(_)
            | Expectation::RecoveredBy(_)
            | Expectation::SessionsEvicted
            | Expectation::PersonCalled(_)
            | Expectation::Open(_) => true,
            Expectation::Calls(Bound::Exactly(calls)) => calls > 0,
            Expectation::Rule(_)
            | Expectation::NoRule(_)
            | Expectation::Calls(Bound::AtMost(_))
            | Expectation::Episodes(_)
            | Expectation::Writer(_)
            | Expectation::OutageAtMost(_)
            | Expectation::Lost(_)
            | Expectation::Errors(_)
            | Expectation::NobodyCalled => false,
        };
        let word = expectation.to_string();
        if self.no_episode && of_an_episode {
            return Err(Complaint::new(word, "cannot be: no episode is expected", "leave one of the two out"));
        }
        if self.nobody && matches!(expectation, Expectation::PersonCalled(_)) {
            return Err(Complaint::new(word, "cannot be: nobody is to be called", "leave one of the two out"));
        }
        Ok(())
    }
}

fn uses_target(fault: &Fault) -> bool {
    fault.place() == Some(Place::Target)
}

/// The reader that a fault names.
fn place(fault: &Fault) -> Option<u8> {
    match fault.place() {
        Some(Place::Reader(number)) => Some(number),
        Some(Place::Writer | Place::OldWriter | Place::Target) | None => None,
    }
}

/// The reader that an expectation names.
fn who(expectation: Expectation) -> Option<u8> {
    match expectation {
        Expectation::Writer(Who::Reader(number)) => Some(number),
        Expectation::Rule(_)
        | Expectation::NoRule(_)
        | Expectation::Calls(_)
        | Expectation::Episodes(_)
        | Expectation::Writer(Who::Same | Who::Other)
        | Expectation::OutageAtMost(_)
        | Expectation::DetectedWithin(_)
        | Expectation::Lost(_)
        | Expectation::Errors(_)
        | Expectation::RecoveredBy(_)
        | Expectation::SessionsEvicted
        | Expectation::PersonCalled(_)
        | Expectation::NobodyCalled
        | Expectation::Open(_) => None,
    }
}
