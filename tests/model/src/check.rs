//! Runs the checker and says what it found.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

/// What has happened on any path, one bit for each event: so that a check is not about nothing.
#[derive(Clone, Debug, Default)]
pub struct Coverage(Arc<AtomicU32>);

impl Coverage {
    pub(crate) fn note(&self, bit: u32) {
        self.0.fetch_or(bit, Ordering::Relaxed);
    }

    pub(crate) fn has(&self, bit: u32) -> bool {
        self.0.load(Ordering::Relaxed) & bit != 0
    }
}

/// How far to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Every state within the bounds.
    Everything,
    /// The first state in which this promise is broken.
    Broken(&'static str),
    /// No more states than this, counted with their repetitions: a glance.
    Glance(usize),
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Found<A> {
    /// How many different states.
    pub states: usize,
    /// How many steps the farthest of them is away.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// The broken promises, each with the steps that lead there. One thread finds the shortest ways.
    pub broken: BTreeMap<&'static str, Vec<A>>,
    /// What was shown to be possible, each with the number of steps.
    pub shown: BTreeMap<&'static str, usize>,
}

/// Checks all properties of a model.
pub fn check<M>(model: M, threads: usize, until: Until) -> Found<M::Action>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let began = Instant::now();
    let builder = model.checker().threads(threads);
    let builder = match until {
        Until::Everything => builder,
        Until::Broken(promise) => builder.finish_when(HasDiscoveries::AnyOf([promise].into())),
        Until::Glance(states) => builder.target_state_count(states),
    };
    let checker = builder.spawn_bfs().join();
    let mut found = Found {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        broken: BTreeMap::new(),
        shown: BTreeMap::new(),
    };
    for (name, path) in checker.discoveries() {
        let steps = path.into_actions();
        if checker.model().property(name).expectation.discovery_is_failure() {
            found.broken.insert(name, steps);
        } else {
            found.shown.insert(name, steps.len());
        }
    }
    found
}

impl<A: Debug> fmt::Display for Found<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states, depth {}, {:.1} s", self.states, self.depth, self.took.as_secs_f64())?;
        for (promise, steps) in &self.broken {
            write!(f, "\n  broken: {promise}, in {} steps: {steps:?}", steps.len())?;
        }
        Ok(())
    }
}
