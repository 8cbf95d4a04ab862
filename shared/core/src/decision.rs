//! The failover decision.

use serde::{Deserialize, Serialize};

use crate::candidate::Refused;
use crate::diagnosis::Diagnosis;
use crate::facts::{self, Facts};
use crate::policy::Policy;
use crate::rules::{OTHERWISE, Rule, TABLE, Verdict};
use crate::snapshot::Snapshot;
use crate::topology::{Deployment, InstanceId};

/// The verdict of the first matching rule, with all it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The rule's number.
    pub rule: u16,
    /// The rule's sentence.
    pub says: String,
    /// What to do.
    pub verdict: Verdict,
    /// The instance to promote, or that would be promoted.
    pub target: Option<InstanceId>,
    /// Fit as well.
    pub spare: Vec<InstanceId>,
    /// Unfit, with reasons.
    pub refused: Vec<Refused>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Deployment::is_cluster")]
    pub deployment: Deployment,
    /// What the rules saw.
    pub facts: Facts,
    /// The votes behind it.
    pub diagnosis: Diagnosis,
}

/// Decides what to do about the cluster. Total and pure: the same snapshot gives the same decision.
pub fn decide(snapshot: &Snapshot, policy: &Policy) -> Decision {
    let reduced = facts::reduce(snapshot, policy);
    let rule = matching(&reduced.facts);
    Decision {
        rule: rule.id,
        says: rule.says.to_owned(),
        verdict: rule.verdict,
        target: reduced.choice.chosen,
        spare: reduced.choice.spare,
        refused: reduced.choice.refused,
        deployment: snapshot.deployment(),
        facts: reduced.facts,
        diagnosis: reduced.diagnosis,
    }
}

/// The first rule of the table that matches.
pub fn matching(facts: &Facts) -> &'static Rule {
    TABLE.iter().find(|rule| (rule.matches)(facts)).unwrap_or(&OTHERWISE)
}
