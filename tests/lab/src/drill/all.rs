//! Every scenario, one after another, whatever becomes of the ones before.

use std::path::PathBuf;

use steadfast_scenario::{Expectation, Interpreter, Scenario};

use super::result::{self, DrillResult};
use super::{DrillError, DrillPlan, Progress, carry_out, setup, summary};
use crate::assembly::LabConfig;

/// The results of all drills, an array.
const FILE: &str = "all.json";
/// The same as a table.
const TABLE: &str = "all.md";

/// What to drill.
#[derive(Clone, Debug)]
pub struct AllPlan {
    /// The scenarios in their order. Those for the simulation alone are passed over.
    pub scenarios: Vec<Scenario>,
    /// How often each is carried out whose expectations bound the outage or the detection; the others once.
    pub runs: u32,
    /// Where `all.json`, `all.md` and the evidence files go. The first two are written anew after each scenario,
    /// so that what is interrupted leaves what there is.
    pub output: PathBuf,
}

/// Drills them all. Dropping it ends the lab.
///
/// # Errors
///
/// When a file cannot be written. A scenario that cannot be carried out fails, and the next one follows.
pub async fn drill_all(
    lab: &LabConfig,
    plan: &AllPlan,
    progress: &dyn Progress,
) -> Result<Vec<DrillResult>, DrillError> {
    let (json, table) = (plan.output.join(FILE), plan.output.join(TABLE));
    result::remove(&json)?;
    result::remove(&table)?;
    let mut results = Vec::new();
    for (scenario, number) in plan.scenarios.iter().zip(1_usize..) {
        if let Some(because) = scenario.keeps_out(Interpreter::Lab) {
            progress.say(&format!("passed over: {}: {because}", scenario.name));
            continue;
        }
        progress.say(&format!("scenario {number} of {}", plan.scenarios.len()));
        let repeat = if is_timed(scenario) { plan.runs } else { 1 };
        let drill = DrillPlan { repeat, ..DrillPlan::new(scenario.clone(), &plan.output) };
        let result = match setup::check(scenario) {
            Ok(()) => carry_out(lab, &drill, progress).await.0,
            Err(error) => DrillResult::new(&drill, Vec::new(), Some(&error)),
        };
        for failure in &result.failures {
            progress.say(&format!("  FAILED: {failure}"));
        }
        results.push(result);
        result::write_json(&json, &results)?;
        result::write_text(&table, &summary::markdown(&results))?;
    }
    Ok(results)
}

/// Whether how long it takes is part of what it expects.
fn is_timed(scenario: &Scenario) -> bool {
    let timed = |expectation: &Expectation| {
        matches!(expectation, Expectation::OutageAtMost(_) | Expectation::DetectedWithin(_))
    };
    scenario.expectations.iter().any(timed)
}

#[cfg(test)]
mod tests {
    use steadfast_scenario::parse;

    use super::*;

    #[test]
    fn only_what_bounds_a_time_is_repeated() {
        let timed = |statement: &str| is_timed(&parse("tried", &format!("# why\n{statement}\n")).expect("a scenario"));
        assert!(timed("expect outage at most 5s") && timed("expect detected within 5s"));
        assert!(!timed("expect calls 0"));
    }
}
