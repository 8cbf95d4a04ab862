//! What a scenario asks of the lab, and whether the lab can do it.

use std::time::Duration;

use steadfast_scenario::{Interpreter, Scenario, Threshold};

use super::inject::injection;
use super::{DrillError, DrillPlan};
use crate::assembly::{LabConfig, names};

/// The lab as the scenario wants it.
pub(super) fn configured(lab: &LabConfig, plan: &DrillPlan) -> LabConfig {
    let mut config = LabConfig {
        native: plan.platform(),
        mode: plan.scenario.mode,
        deployment: plan.scenario.deployment,
        ..lab.clone()
    };
    for (threshold, value) in &plan.scenario.policy {
        config.coordinator.insert(setting(*threshold), written(*value));
    }
    config
}

/// Refuses what the lab cannot do, before anything starts.
pub(super) fn check(scenario: &Scenario) -> Result<(), DrillError> {
    let readers = names::INSTANCES.len() - 1;
    let mut problems = Vec::new();
    if let Some(because) = scenario.keeps_out(Interpreter::Lab) {
        problems.push(format!("{}.txt: it runs in the simulation alone: {because}", scenario.name));
    }
    if usize::from(scenario.readers) != readers {
        problems.push(format!(
            "{}.txt: `readers {}`: the lab has {readers}; leave the line out, or add \
             `only simulation: the lab has {readers} readers`",
            scenario.name, scenario.readers
        ));
    }
    for event in scenario.timeline.iter().filter(|event| injection(&event.fault).is_none()) {
        problems.push(format!(
            "{}.txt:{}: `{}`: the lab cannot do this yet; run it in the simulation, or add it to \
             tests/lab/src/drill/inject.rs",
            scenario.name, event.line, event.fault
        ));
    }
    if problems.is_empty() { Ok(()) } else { Err(DrillError::Unable(problems.join("\n"))) }
}

/// The coordinator's setting for a threshold.
fn setting(threshold: Threshold) -> &'static str {
    match threshold {
        Threshold::PlatformGrace => "STEADFAST_PLATFORM_GRACE",
        Threshold::PlatformDeadline => "STEADFAST_PLATFORM_DEADLINE",
        Threshold::PromotionDeadline => "STEADFAST_PROMOTION_DEADLINE",
        Threshold::EpisodeDeadline => "STEADFAST_EPISODE_DEADLINE",
        Threshold::SilentAfter => "STEADFAST_SILENT_AFTER",
        Threshold::StalledAfter => "STEADFAST_STALLED_AFTER",
        Threshold::LagMax => "STEADFAST_LAG_MAX",
    }
}

fn written(value: Duration) -> String {
    format!("{}ms", value.as_millis())
}

#[cfg(test)]
mod tests {
    use steadfast_scenario::parse;

    use super::*;

    fn refused(statements: &str) -> Option<String> {
        let scenario = parse("tried", &format!("# why\n{statements}\nexpect lost 0\n")).expect("a scenario");
        check(&scenario).err().map(|error| error.to_string())
    }

    #[test]
    fn what_the_lab_cannot_do_is_told_with_its_line_before_anything_starts() {
        let told =
            refused("readers 5\nonly simulation: it is slow\nat 0s freeze writer\nat 1s coordinator ahead 900ms");
        let told = told.expect("refused");
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 3, "{told}");
        assert_eq!(lines[0], "tried.txt: it runs in the simulation alone: it is slow");
        assert!(lines[1].starts_with("tried.txt: `readers 5`: the lab has 2; "), "{told}");
        assert!(lines[2].starts_with("tried.txt:5: `coordinator ahead 900ms`: the lab cannot do this yet; "), "{told}");
        assert_eq!(refused("only lab: it needs PostgreSQL\nat 0s kill-host writer"), None);
    }

    #[test]
    fn a_threshold_becomes_the_coordinators_setting() {
        let scenario = parse("tried", "# why\nmode shadow\npolicy lag_max 2s\nexpect calls 0\n").expect("a scenario");
        let plan = DrillPlan::new(scenario, std::path::Path::new("unused"));
        let config = configured(&LabConfig::of_checkout(std::path::Path::new("unused")), &plan);
        let expected = [("STEADFAST_LAG_MAX", "2000ms".to_owned())].into();
        assert_eq!((config.coordinator, config.mode), (expected, steadfast_core::mode::Mode::Shadow));
    }
}
