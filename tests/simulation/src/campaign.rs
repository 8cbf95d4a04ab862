//! Many runs, on all cores, until there are enough.

use std::collections::BTreeMap;
use std::panic::{UnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::chaos;
use crate::invariant::Invariant;
use crate::run::{Report, run};

/// How many runs, from which seed on.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many seeds at most.
    pub seeds: u64,
    /// For how long at most; seeds that have begun are finished.
    pub limit: Option<Duration>,
    /// On how many threads.
    pub threads: usize,
}

/// A seed that broke a promise.
#[derive(Clone, Debug, Serialize)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// What broke first.
    pub violation: String,
    /// How to see it again.
    pub replay: String,
}

/// What many runs have shown.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Runs.
    pub seeds: u64,
    /// Failovers that the platform carried out, whoever asked.
    pub failovers: u64,
    /// Promotion calls of ours.
    pub calls: u64,
    /// Of them, those that met a failover which the platform had just finished by itself.
    pub flips: u64,
    /// Episodes that were opened.
    pub episodes: u64,
    /// Sessions that drainers ended.
    pub evicted: u64,
    /// Seeds that broke a promise.
    pub violations: u64,
    /// The first of them, in the order of their seeds.
    pub broken: Vec<Broken>,
    /// How often each rule decided anew.
    pub rules: BTreeMap<u16, u64>,
    /// How often what went wrong on purpose.
    pub met: BTreeMap<String, u64>,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// Virtual time in hours.
    pub virtual_hours: f64,
    /// Failovers per second and thread.
    pub failovers_per_second_per_core: f64,
}

/// So many broken seeds are told one by one.
const TOLD: usize = 20;

impl Summary {
    fn add(&mut self, seed: u64, report: &Report) {
        self.seeds += 1;
        self.failovers += report.failovers;
        self.calls += report.calls;
        self.flips += report.flips;
        self.episodes += report.episodes;
        self.evicted += report.evicted;
        self.virtual_hours += f64::from(u32::try_from(report.took_ms).unwrap_or(u32::MAX)) / 3_600_000.0;
        for (rule, count) in &report.rules {
            *self.rules.entry(*rule).or_default() += count;
        }
        for (what, count) in &report.met {
            *self.met.entry(what.clone()).or_default() += count;
        }
        if let Some(first) = report.violations.first() {
            self.add_broken(seed, first.to_string());
        }
    }

    fn add_broken(&mut self, seed: u64, violation: String) {
        self.violations += 1;
        self.broken.push(Broken { seed, violation, replay: format!("make sim SEED={seed}") });
    }

    /// Runs one and counts it, also when it panics: the message of that has gone to standard error.
    fn try_one(&mut self, seed: u64, run: impl FnOnce() -> Report + UnwindSafe) {
        match catch_unwind(run) {
            Ok(report) => self.add(seed, &report),
            Err(_) => {
                self.seeds += 1;
                self.add_broken(seed, format!("{}: it panicked", Invariant::NoError));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.failovers += other.failovers;
        self.calls += other.calls;
        self.flips += other.flips;
        self.episodes += other.episodes;
        self.evicted += other.evicted;
        self.violations += other.violations;
        self.virtual_hours += other.virtual_hours;
        self.broken.extend(other.broken);
        for (rule, count) in other.rules {
            *self.rules.entry(rule).or_default() += count;
        }
        for (what, count) in other.met {
            *self.met.entry(what).or_default() += count;
        }
    }
}

/// Runs them all.
pub fn campaign(plan: Campaign) -> Summary {
    let began = Instant::now();
    let next = AtomicU64::new(0);
    let total = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..plan.threads {
            scope.spawn(|| {
                let mut mine = Summary::default();
                while plan.limit.is_none_or(|limit| began.elapsed() < limit) {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= plan.seeds {
                        break;
                    }
                    let seed = plan.from.wrapping_add(nth);
                    mine.try_one(seed, || run(chaos::plan(seed)));
                }
                if let Ok(mut total) = total.lock() {
                    total.merge(mine);
                }
            });
        }
    });
    let mut summary = total.into_inner().unwrap_or_default();
    summary.broken.sort_by_key(|broken| broken.seed);
    summary.broken.truncate(TOLD);
    summary.seconds = began.elapsed().as_secs_f64();
    let threads = f64::from(u32::try_from(plan.threads).unwrap_or(1));
    let failovers = f64::from(u32::try_from(summary.failovers).unwrap_or(u32::MAX));
    summary.failovers_per_second_per_core = failovers / summary.seconds / threads;
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_panics_is_told_with_its_seed() {
        let mut summary = Summary::default();
        summary.try_one(7, || std::panic::panic_any("on purpose"));
        summary.try_one(8, || run(chaos::plan(8)));
        assert_eq!((summary.seeds, summary.violations), (2, 1));
        assert_eq!(summary.broken[0].replay, "make sim SEED=7");
    }
}
