//! The functions as they are deployed: one file for each, with its limits, settings, calls and metrics.
//!
//! To add a function: a file here, and its entry in [`ALL`]. `infra generate` prints the entries for the Terraform
//! module, [`crate::settings::Settings::of`] holds the function to its settings, and tests hold it to its calls and
//! metrics.

mod application_probe;
mod backup_verifier;
mod connection_drainer;
mod event_router;
mod fis_scheduler;
mod health_prober;
mod promotion_coordinator;
mod secret_rotator;

use std::collections::BTreeSet;
use std::time::Duration;

use steadfast_core::metric::Metric;
use steadfast_core::topology::Deployment;

pub use application_probe::APPLICATION_PROBE;
pub use backup_verifier::BACKUP_VERIFIER;
pub use connection_drainer::CONNECTION_DRAINER;
pub use event_router::EVENT_ROUTER;
pub use fis_scheduler::FIS_SCHEDULER;
pub use health_prober::HEALTH_PROBER;
pub use promotion_coordinator::PROMOTION_COORDINATOR;
pub use secret_rotator::SECRET_ROTATOR;

use crate::grant::{Condition, Grant};
use crate::settings::Setting;

/// Every function that ships.
pub const ALL: &[&Function] = &[
    &HEALTH_PROBER,
    &EVENT_ROUTER,
    &PROMOTION_COORDINATOR,
    &CONNECTION_DRAINER,
    &SECRET_ROTATOR,
    &BACKUP_VERIFIER,
    &FIS_SCHEDULER,
    &APPLICATION_PROBE,
];

/// One function as it is deployed.
#[derive(Debug)]
pub struct Function {
    /// Its crate, which is its name in an installation.
    pub name: &'static str,
    /// What it is for, one sentence.
    pub description: &'static str,
    /// What may be watched for it to be there.
    pub deployments: &'static [Deployment],
    /// What must hold for it to be there at all.
    pub when: Option<Condition>,
    /// One for each Availability Zone, with the zone in its name.
    pub per_zone: bool,
    /// Whether it speaks to the database itself.
    pub in_vpc: bool,
    /// The login that it uses in the database: `STEADFAST_SECRET_ARN` is its secret.
    pub login: Option<&'static str>,
    /// Limit of one invocation, in seconds.
    pub timeout: u16,
    /// Memory, in MB; processor time follows it.
    pub memory: u16,
    /// How often Lambda tries an asynchronous invocation again.
    pub retries: u8,
    /// After how many seconds an asynchronous invocation is given up.
    pub event_age: u16,
    /// Concurrent invocations that are kept for it, and the most that it may have.
    pub concurrency: u16,
    /// What wakes it by the clock.
    pub schedule: Option<Schedule>,
    /// The settings that it reads.
    pub settings: &'static [Declared],
    /// What it calls.
    pub grants: &'static [Grant],
    /// What it measures.
    pub metrics: &'static [Metric],
}

/// A schedule and what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// EventBridge Scheduler's expression.
    pub expression: &'static str,
    /// The hint in its payload.
    pub hint: &'static str,
}

/// A setting of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The environment variable.
    pub setting: Setting,
    /// Whether the start fails without it.
    pub required: bool,
    /// When it is set at all.
    pub when: Option<Condition>,
}

impl Declared {
    /// The same, but only when `condition` holds.
    pub const fn when(self, condition: Condition) -> Self {
        Self { when: Some(condition), ..self }
    }
}

/// A setting without which the start fails.
pub const fn required(setting: Setting) -> Declared {
    Declared { setting, required: true, when: None }
}

/// A setting that may be left out.
pub const fn optional(setting: Setting) -> Declared {
    Declared { setting, required: false, when: None }
}

impl Function {
    /// The AWS services that it calls, by the names of their endpoints.
    pub fn services(&self) -> BTreeSet<&'static str> {
        let calls = self.grants.iter().flat_map(|grant| grant.calls.iter().copied().flatten());
        calls.filter_map(|call| call.action.split_once(':')).map(|(service, _)| service).collect()
    }

    /// The longest that one invocation can be.
    pub const fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout as u64)
    }

    /// The IAM actions that it is granted.
    pub fn actions(&self) -> BTreeSet<&'static str> {
        self.grants.iter().flat_map(|grant| grant.calls.iter().copied().flatten()).map(|call| call.action).collect()
    }
}

#[cfg(test)]
mod tests {
    use steadfast_core::rotation::Rotation;
    use steadfast_core::topology::ClusterId;
    use steadfast_core::verification::Run;

    use super::*;
    use crate::state::items::evidence_key;

    #[test]
    fn a_setting_of_a_secret_goes_with_a_login_and_both_with_the_right_to_read_it() {
        for function in ALL {
            let reads = function.settings.iter().any(|declared| declared.setting.name == "STEADFAST_SECRET_ARN");
            assert_eq!(function.login.is_some(), reads, "{}", function.name);
            let granted = function.grants.iter().any(|grant| grant.named.is_some() && grant.named == function.login);
            assert_eq!(function.login.is_some(), granted, "{}", function.name);
        }
    }

    #[test]
    fn evidence_is_written_where_the_role_may_write() {
        let database = ClusterId::new("orders");
        for (function, chain) in [
            (&PROMOTION_COORDINATOR, database.clone()),
            (&SECRET_ROTATOR, Rotation::evidence_of(&database)),
            (&BACKUP_VERIFIER, Run::evidence_of(&database)),
        ] {
            let key = evidence_key(&chain, 7);
            let granted = function.grants.iter().flat_map(|grant| grant.leading_keys);
            let covers = |pattern: &&str| {
                let pattern = pattern.replace("${database}", database.as_str());
                pattern.strip_suffix('*').is_some_and(|start| key.starts_with(start))
            };
            assert!(granted.filter(|pattern| covers(pattern)).count() == 1, "{} may not write {key}", function.name);
        }
    }

    #[test]
    fn nothing_stands_twice() {
        for function in ALL {
            let names: BTreeSet<&str> = function.settings.iter().map(|declared| declared.setting.name).collect();
            assert_eq!(names.len(), function.settings.len(), "{}", function.name);
        }
        let names: BTreeSet<&str> = ALL.iter().map(|function| function.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
