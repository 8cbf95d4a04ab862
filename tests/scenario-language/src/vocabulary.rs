//! The words of the language, each with what it stands for. Reading and writing use the same tables.

use steadfast_core::episode::RecoveredBy;
use steadfast_core::mode::Mode;
use steadfast_core::topology::Deployment;

use crate::scenario::{Interpreter, Milestone, PlatformDeed, Role, Service, Threshold, Zone};

/// A closed set of values, each with its own word.
pub(crate) trait Vocabulary: Copy + 'static {
    /// What one of them is called in an error.
    const WHAT: &'static str;
    /// All of them.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for this one.
    fn word(self) -> &'static str;
}

/// Makes the table and its reverse out of one list; a value without a word does not compile.
macro_rules! vocabulary {
    ($what:literal, $type:ty, $($word:literal => $value:path),+ $(,)?) => {
        impl Vocabulary for $type {
            const WHAT: &'static str = $what;
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $value)),+];

            fn word(self) -> &'static str {
                match self {
                    $($value => $word),+
                }
            }
        }
    };
}

vocabulary!("a mode", Mode,
    "armed" => Mode::Armed,
    "shadow" => Mode::Shadow,
    "paused" => Mode::Paused,
);

vocabulary!("a deployment", Deployment,
    "cluster" => Deployment::Cluster,
    "multi-az" => Deployment::Instance,
);

vocabulary!("a threshold of the policy", Threshold,
    "platform_grace" => Threshold::PlatformGrace,
    "platform_deadline" => Threshold::PlatformDeadline,
    "promotion_deadline" => Threshold::PromotionDeadline,
    "episode_deadline" => Threshold::EpisodeDeadline,
    "silent_after" => Threshold::SilentAfter,
    "stalled_after" => Threshold::StalledAfter,
    "lag_max" => Threshold::LagMax,
);

vocabulary!("a place where scenarios run", Interpreter,
    "simulation" => Interpreter::Simulation,
    "lab" => Interpreter::Lab,
);

vocabulary!("a milestone", Milestone,
    "opened" => Milestone::Opened,
    "intended" => Milestone::Intended,
    "called" => Milestone::Called,
    "promoted" => Milestone::Promoted,
    "proved" => Milestone::Proved,
    "evicting" => Milestone::Evicting,
    "closed" => Milestone::Closed,
);

vocabulary!("a service", Service,
    "rds" => Service::Rds,
    "state-table" => Service::StateTable,
    "notifier" => Service::Notifier,
    "invocations" => Service::Invocations,
);

vocabulary!("whose password", Role,
    "prober" => Role::Prober,
    "application" => Role::Application,
);

vocabulary!("who brings the writes back", RecoveredBy,
    "steadfast" => RecoveredBy::Steadfast,
    "platform" => RecoveredBy::Platform,
    "itself" => RecoveredBy::Itself,
);

vocabulary!("something the platform does", PlatformDeed,
    "fails-over" => PlatformDeed::FailsOver,
    "fails-failovers" => PlatformDeed::FailoversFail,
    "reverses-failovers" => PlatformDeed::FailoversReverse,
    "changes-cluster" => PlatformDeed::ChangesCluster,
    "keeps-endpoint" => PlatformDeed::KeepsEndpoint,
    "pauses-cluster" => PlatformDeed::PausesCluster,
    "switches-blue-green" => PlatformDeed::SwitchesBlueGreen,
    "stops-cluster" => PlatformDeed::StopsCluster,
    "loses-key" => PlatformDeed::LosesKey,
);

/// The zones: three, as the design provisions them.
pub(crate) const ZONES: &[(&str, Zone)] = &[("az-a", Zone(0)), ("az-b", Zone(1)), ("az-c", Zone(2))];

/// The API actions that the functions call on a service.
pub(crate) fn actions(service: Service) -> &'static [&'static str] {
    match service {
        Service::Rds => &["DescribeDBClusters", "DescribeDBInstances", "FailoverDBCluster", "RebootDBInstance"],
        Service::StateTable => &["GetItem", "PutItem", "Query", "TransactWriteItems"],
        Service::Notifier => &["Publish"],
        Service::Invocations => &["Invoke"],
    }
}
