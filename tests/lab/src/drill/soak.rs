//! A long run with nothing but background noise: nobody may act on it.
//!
//! The noise is a scenario like any other, planned by chance from one seed, so that a run can be had again.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::result::{self, DrillResult};
use super::{DrillError, DrillPlan, Progress, drill};
use crate::assembly::LabConfig;

const NAME: &str = "soak";
/// Below the folder of the drills: a soak's result stands beside that of the last drill.
const FOLDER: &str = "soak";
/// The noise as it was planned.
const PLAN: &str = "scenario.txt";
/// Pause between the ends and beginnings of noises in seconds.
const PAUSE: std::ops::RangeInclusive<u64> = 3..=12;
/// Left at the end, so that the last noise shows.
const CALM: Duration = Duration::from_secs(60);

/// What the noise is made of. None of it keeps a writer from committing, and one Availability Zone at most is
/// touched at a time.
const NOISES: &[fn(&mut ChaCha8Rng) -> String] = &[
    |chance| format!("delay {} {}ms", zone(chance), chance.random_range(20..=120)),
    |chance| format!("delay {} {}ms", zone(chance), chance.random_range(120..=600)),
    |chance| format!("blind {}", zone(chance)),
    |chance| format!("cut writer from {}", zone(chance)),
    |chance| format!("cut {} from {}", reader(chance), zone(chance)),
    |chance| format!("freeze {}", reader(chance)),
    |chance| format!("lag {} {}s", reader(chance), chance.random_range(1..=10)),
    |chance| format!("take-connections {}", reader(chance)),
    |chance| format!("kill-prober {}", zone(chance)),
    |chance| format!("restart {}", reader(chance)),
    |_| "events doubled".to_owned(),
    |_| "coordinator doubled".to_owned(),
    |_| "coordinator killed".to_owned(),
    |_| "fail rds throttle".to_owned(),
    |_| "fail rds stale".to_owned(),
    |chance| format!("fail state-table slow {}ms", chance.random_range(50..=400)),
    |_| "fail notifier error".to_owned(),
    |_| "fail invocations throttle".to_owned(),
];

/// Noises that are over as soon as they have happened.
const AT_ONCE: &[&str] = &["kill-prober", "restart", "coordinator killed"];

fn zone(chance: &mut ChaCha8Rng) -> &'static str {
    ["az-a", "az-b", "az-c"].choose(chance).copied().unwrap_or("az-a")
}

fn reader(chance: &mut ChaCha8Rng) -> &'static str {
    ["reader-1", "reader-2"].choose(chance).copied().unwrap_or("reader-1")
}

/// Soaks for so long; the result says whether anybody acted.
///
/// # Errors
///
/// As [`drill`], and when the plan cannot be written.
pub async fn soak(
    lab: &LabConfig,
    lasts: Duration,
    seed: u64,
    output: &Path,
    progress: &dyn Progress,
) -> Result<DrillResult, DrillError> {
    let folder = output.join(FOLDER);
    let text = noise(lasts, seed);
    result::write_text(&folder.join(PLAN), &text)?;
    let scenario = steadfast_scenario::parse(NAME, &text).map_err(|error| DrillError::Unable(error.to_string()))?;
    drill(lab, &DrillPlan::new(scenario, &folder), progress).await
}

/// One noise after another.
fn noise(lasts: Duration, seed: u64) -> String {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut text = format!(
        "# Background noise by chance (seed {seed}): slow paths, one zone's trouble at a time, sick readers, services\n\
         # that throttle. The writer commits all the time, so nobody may act.\n\n\
         lasts exactly {}s\n\n",
        lasts.as_secs()
    );
    let end = lasts.saturating_sub(CALM).as_secs();
    let mut at = 1;
    while at < end {
        let fault = NOISES.choose(&mut chance).map_or_else(String::new, |noise| noise(&mut chance));
        let takes = chance.random_range(3..=20);
        let lasting =
            if AT_ONCE.iter().any(|word| fault.starts_with(word)) { String::new() } else { format!(" for {takes}s") };
        push(&mut text, &format!("at {at}s {fault}{lasting}"));
        at += takes + chance.random_range(PAUSE);
    }
    for expected in ["calls 0", "episodes 0", "writer same", "lost 0", "nobody called"] {
        push(&mut text, &format!("expect {expected}"));
    }
    text
}

fn push(text: &mut String, line: &str) {
    // Writing to memory does not fail.
    let _written = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_is_a_scenario_that_the_lab_can_carry_out() {
        for seed in 0..200 {
            let text = noise(Duration::from_secs(3_600), seed);
            let scenario = steadfast_scenario::parse(NAME, &text).unwrap_or_else(|error| panic!("{seed}: {error}"));
            super::super::setup::check(&scenario).unwrap_or_else(|error| panic!("{seed}: {error}"));
            assert!(scenario.timeline.len() > 50, "{seed}: {}", scenario.timeline.len());
            assert_eq!(noise(Duration::from_secs(3_600), seed), text);
        }
    }
}
