//! The cluster as the control plane describes it.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the name as it is; AWS has validated it.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The bare name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// `DBClusterIdentifier`.
    ClusterId
}
name! {
    /// `DBInstanceIdentifier`.
    InstanceId
}
name! {
    /// An Availability Zone by name, such as `eu-central-1a`.
    Az
}
name! {
    /// One invocation of the coordinator: whoever may hold the lease.
    Owner
}

impl InstanceId {
    /// The host of a Multi-AZ DB instance in one zone. RDS has no name of its own for it.
    pub fn of_host(instance: &ClusterId, az: &Az) -> Self {
        Self::new(format!("{instance}@{az}"))
    }
}

/// What is watched, and so how its writer role is moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deployment {
    /// An Aurora cluster: its readers answer, and each of them can be the target.
    #[default]
    Cluster,
    /// An RDS Multi-AZ DB instance: one endpoint, and behind it a writer and a standby, of which only the writer can
    /// be reached. Its hosts are its members, named by [`InstanceId::of_host`].
    Instance,
}

impl Deployment {
    /// The API action that moves the role.
    pub fn failover_action(self) -> &'static str {
        match self {
            Self::Cluster => "FailoverDBCluster",
            Self::Instance => "RebootDBInstance",
        }
    }

    /// Who fails it over by itself.
    pub fn platform(self) -> &'static str {
        match self {
            Self::Cluster => "Aurora",
            Self::Instance => "RDS",
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        *self == Self::Cluster
    }
}

/// What the status of a cluster means for acting on it.
///
/// Source: the `Status` values of the Aurora guide, "Viewing DB cluster status".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterStatus {
    /// Nothing stands in the way. Backups and storage work do not block a failover.
    Available,
    /// The platform moves the writer role right now.
    FailingOver,
    /// The platform changes the cluster on purpose; it would refuse or be disturbed by us.
    Changing(String),
    /// The cluster cannot serve: stopped, deleted, its key is gone.
    Unusable(String),
}

impl ClusterStatus {
    /// Reads the control plane's word. A word that is not known counts as [`Self::Changing`].
    pub fn parse(status: &str) -> Self {
        match status {
            "available" | "backing-up" | "storage-optimization" => Self::Available,
            "failing-over" | "promoting" => Self::FailingOver,
            "stopped"
            | "stopping"
            | "starting"
            | "creating"
            | "deleting"
            | "cloning-failed"
            | "migration-failed"
            | "inaccessible-encryption-credentials"
            | "inaccessible-encryption-credentials-recoverable" => Self::Unusable(status.to_owned()),
            _ => Self::Changing(status.to_owned()),
        }
    }

    /// Reads `DBInstanceStatus` of a Multi-AZ DB instance. A word that is not known counts as [`Self::Changing`].
    ///
    /// A reboot is how its role moves, whoever asked for it. A full storage is nothing that the platform does: the
    /// witnesses say what it means.
    ///
    /// Source: the RDS guide, "Viewing Amazon RDS DB instance status".
    pub fn parse_instance(status: &str) -> Self {
        match status {
            "available" | "backing-up" | "storage-optimization" | "storage-full" => Self::Available,
            "rebooting" | "failing-over" => Self::FailingOver,
            "stopped"
            | "stopping"
            | "starting"
            | "creating"
            | "delete-precheck"
            | "deleting"
            | "failed"
            | "restore-error"
            | "insufficient-capacity"
            | "inaccessible-encryption-credentials"
            | "inaccessible-encryption-credentials-recoverable" => Self::Unusable(status.to_owned()),
            status if status.starts_with("incompatible-") => Self::Unusable(status.to_owned()),
            _ => Self::Changing(status.to_owned()),
        }
    }
}

/// One instance of the cluster, or one host of a Multi-AZ DB instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its identifier.
    pub id: InstanceId,
    /// Where it runs, when the control plane says so.
    pub az: Option<Az>,
    /// Promotion tier, 0 (first) to 15.
    pub tier: u8,
    /// `DBInstanceStatus` as the control plane words it.
    pub status: String,
    /// Whether the control plane calls it the writer.
    pub is_writer: bool,
    /// `DBInstanceClass`.
    pub class: String,
    /// DNS name of its instance endpoint.
    pub endpoint: String,
}

impl Member {
    /// Whether the platform would accept it as a failover target.
    pub fn is_available(&self) -> bool {
        matches!(self.status.as_str(), "available" | "backing-up" | "storage-optimization")
    }
}

/// The cluster with its members. Eventually consistent: a hint with an age, not the truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Its identifier: that of the cluster, or of the Multi-AZ DB instance.
    pub cluster: ClusterId,
    /// Which of the two it is.
    #[serde(default, skip_serializing_if = "Deployment::is_cluster")]
    pub deployment: Deployment,
    /// What its status allows.
    pub status: ClusterStatus,
    /// DNS name that follows the writer.
    pub endpoint: String,
    /// TCP port of all its endpoints.
    pub port: u16,
    /// All instances, in the order of the answer.
    pub members: Vec<Member>,
}

impl Topology {
    /// The only member called writer. None while the platform names none, or more than one.
    pub fn writer(&self) -> Option<&Member> {
        let mut writers = self.members.iter().filter(|member| member.is_writer);
        match (writers.next(), writers.next()) {
            (Some(writer), None) => Some(writer),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    /// The member with this identifier.
    pub fn member(&self, id: &InstanceId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_nobody_knows_is_treated_as_a_change_in_progress() {
        assert_eq!(ClusterStatus::parse("failing-over"), ClusterStatus::FailingOver);
        assert_eq!(ClusterStatus::parse("brand-new"), ClusterStatus::Changing("brand-new".to_owned()));
        assert_eq!(ClusterStatus::parse("backing-up"), ClusterStatus::Available);
        assert!(matches!(ClusterStatus::parse("stopped"), ClusterStatus::Unusable(_)));
    }

    #[test]
    fn the_status_of_an_instance_says_whether_its_role_may_move_now() {
        for (status, means) in [
            ("available", ClusterStatus::Available),
            ("backing-up", ClusterStatus::Available),
            ("storage-full", ClusterStatus::Available),
            ("rebooting", ClusterStatus::FailingOver),
            ("modifying", ClusterStatus::Changing("modifying".to_owned())),
            ("maintenance", ClusterStatus::Changing("maintenance".to_owned())),
            ("brand-new", ClusterStatus::Changing("brand-new".to_owned())),
            ("failed", ClusterStatus::Unusable("failed".to_owned())),
            ("incompatible-network", ClusterStatus::Unusable("incompatible-network".to_owned())),
        ] {
            assert_eq!(ClusterStatus::parse_instance(status), means);
        }
    }
}
