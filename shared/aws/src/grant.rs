//! What a function may call. Each port says beside its methods which IAM actions they need and on what; a function
//! names the methods that it uses, and the policy of its role is printed from that.

use serde::Serialize;

/// What must hold for an installation to have something at all. The module knows each by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A cluster is watched.
    Cluster,
    /// An RDS Multi-AZ DB instance is watched.
    Instance,
    /// The cluster has Serverless v2 instances.
    Serverless,
    /// The cluster has none.
    Provisioned,
    /// The cluster's Data API is on.
    DataApi,
    /// A name is pinned to the writer.
    Pin,
    /// The writer's name leads elsewhere when most zones see no commits.
    Secondary,
    /// There are templates for drills.
    Drills,
    /// Passwords are rotated.
    Rotation,
    /// Backups are verified.
    Verification,
    /// Something is broken on purpose once a week.
    GameDays,
    /// An application of our own is at work.
    ApplicationProbe,
}

/// What an action works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// The state table.
    Table,
    /// The watched cluster.
    Cluster,
    /// Instances: reading them takes no narrower resource, since their filter is by cluster.
    Instances,
    /// The cluster with the members that may be named as a target, or the instance.
    Promotable,
    /// The topic of notices.
    Topic,
    /// The hosted zone of the stable name.
    Zone,
    /// Another function of ours, named by the grant.
    Function,
    /// A login's secret, named by the grant.
    Secret,
    /// The secrets whose passwords are rotated.
    Rotated,
    /// Any cluster: what was left over is found by its tags, and they can only be read with all the others.
    AnyCluster,
    /// Any instance, for the same reason.
    AnyInstance,
    /// Snapshots and points in time of what is watched.
    Backups,
    /// What a restore reads and makes, with its subnet group, parameter groups and option groups.
    Restoring,
    /// What was restored: its name begins with `verify-`.
    Restored,
    /// The templates of experiments, and experiments.
    Experiments,
    /// The account's safety lever.
    Lever,
    /// Nothing that could be named: the action takes no resource.
    Nothing,
}

impl On {
    /// The module's word for it. `named` is what a grant names.
    pub fn target(self, named: Option<&str>) -> String {
        let of = |kind: &str| format!("{kind}/{}", named.unwrap_or_default());
        match self {
            Self::Table => "table".to_owned(),
            Self::Cluster => "cluster".to_owned(),
            Self::Instances => "instances".to_owned(),
            Self::Promotable => "promotable".to_owned(),
            Self::Topic => "topic".to_owned(),
            Self::Zone => "zone".to_owned(),
            Self::Function => of("function"),
            Self::Secret => of("secret"),
            Self::Rotated => "rotated".to_owned(),
            Self::AnyCluster => "any_cluster".to_owned(),
            Self::AnyInstance => "any_instance".to_owned(),
            Self::Backups => "backups".to_owned(),
            Self::Restoring => "restoring".to_owned(),
            Self::Restored => "restored".to_owned(),
            Self::Experiments => "experiments".to_owned(),
            Self::Lever => "lever".to_owned(),
            Self::Nothing => "nothing".to_owned(),
        }
    }
}

/// One IAM action that a method needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// `service:Operation`.
    pub action: &'static str,
    /// What it works on.
    pub on: On,
    /// When it is made at all.
    pub when: Option<Condition>,
}

/// The actions that one method of a port needs.
pub type Calls = &'static [Call];

impl Call {
    /// An action that is made in every installation.
    pub const fn new(action: &'static str, on: On) -> Self {
        Self { action, on, when: None }
    }

    /// An action that is made only when `condition` holds.
    pub const fn when(self, condition: Condition) -> Self {
        Self { when: Some(condition), ..self }
    }
}

/// What one function is granted of one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The methods it uses.
    pub calls: &'static [Calls],
    /// The function or secret meant by [`On::Function`] and [`On::Secret`].
    pub named: Option<&'static str>,
    /// Partition keys it may touch, of a table. `${database}` is what is watched.
    pub leading_keys: &'static [&'static str],
    /// When it is granted at all.
    pub when: Option<Condition>,
}

impl Grant {
    /// Methods of a port with one place to work on.
    pub const fn of(calls: &'static [Calls]) -> Self {
        Self { calls, named: None, leading_keys: &[], when: None }
    }

    /// Methods of the state table, on these partition keys alone.
    pub const fn table(leading_keys: &'static [&'static str], calls: &'static [Calls]) -> Self {
        Self { leading_keys, ..Self::of(calls) }
    }

    /// Methods on a function or secret by name.
    pub const fn named(name: &'static str, calls: &'static [Calls]) -> Self {
        Self { named: Some(name), ..Self::of(calls) }
    }

    /// Only when `condition` holds.
    pub const fn when(self, condition: Condition) -> Self {
        Self { when: Some(condition), ..self }
    }
}
