//! Reads a plan, or what was applied, and finds whatever weakens availability or protection.
//!
//! Each rule has a number that is never used again, and says why it is there and what to do. A value that is known only
//! after the apply breaks no rule; checking the applied state finds it.

mod access;
mod alarms;
mod changes;
mod database;
mod exposure;
mod functions;
mod plan;
mod report;
mod state;

use serde::Serialize;

pub use plan::{Plan, PlanError};
pub use report::{Format, print};

use plan::Resource;

/// Whether a finding stops an apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It does.
    Error,
    /// It is told, and right for a while: such as schedules that are off until the schema is there.
    Warning,
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its number, such as `SF101`.
    pub id: &'static str,
    /// What its findings mean for an apply.
    pub level: Level,
    /// What it asks for, one sentence.
    pub title: &'static str,
    /// What happens otherwise.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
    find: fn(&Plan) -> Vec<Broken>,
}

/// Where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Broken {
    address: String,
    says: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's number.
    pub rule: &'static str,
    /// What it means for an apply.
    pub level: Level,
    /// Terraform's address of the resource, or of what is missing.
    pub address: String,
    /// What was found there.
    pub says: String,
    /// What to do.
    pub remedy: &'static str,
}

/// All rules, by their numbers.
pub fn rules() -> Vec<Rule> {
    [database::RULES, state::RULES, exposure::RULES, functions::RULES, alarms::RULES, access::RULES, changes::RULES]
        .concat()
}

/// Applies every rule.
pub fn findings(plan: &Plan) -> Vec<Finding> {
    let of_rule = |rule: Rule| {
        (rule.find)(plan).into_iter().map(move |broken| Finding {
            rule: rule.id,
            level: rule.level,
            address: broken.address,
            says: broken.says,
            remedy: rule.remedy,
        })
    };
    rules().into_iter().flat_map(of_rule).collect()
}

/// Says of every resource of one kind what is wrong with it, if anything is.
fn each(plan: &Plan, kind: &str, wrong: impl Fn(&Resource) -> Option<String>) -> Vec<Broken> {
    let broken = |resource: &Resource| wrong(resource).map(|says| resource.broken(says));
    plan.of(kind).filter_map(broken).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_rise_and_every_rule_explains_itself() {
        let rules = rules();
        assert!(rules.windows(2).all(|pair| pair[0].id < pair[1].id));
        let titles: BTreeSet<&str> = rules.iter().map(|rule| rule.title).collect();
        assert_eq!(titles.len(), rules.len());
        for rule in rules {
            assert!([rule.title, rule.why, rule.remedy].iter().all(|text| text.ends_with('.')), "{}", rule.id);
        }
    }
}
