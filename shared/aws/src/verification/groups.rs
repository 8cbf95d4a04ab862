//! Production's parameter and option groups. What is restored without naming them gets the default ones, and with them
//! other settings than production has.

use aws_sdk_rds::types::{DbCluster, DbInstance};
use steadfast_core::verification::executor::NotDone;

use super::Verifier;

/// The groups of an instance, by name. None for a default one: RDS chooses that by the version it restores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    pub(super) parameters: Option<String>,
    pub(super) options: Option<String>,
    /// The major version that they are for.
    major: String,
}

impl Verifier {
    /// Those of the instance that is watched.
    pub(super) async fn groups_of_instance(&self) -> Result<Groups, NotDone> {
        let instance = self.instance(self.database.as_str()).await?;
        Ok(Groups::of(instance.ok_or_else(|| self.unknown())?))
    }

    /// Those of the writer of the cluster that is watched.
    pub(super) async fn groups_of_writer(&self) -> Result<Groups, NotDone> {
        let cluster = self.cluster(self.database.as_str()).await?.ok_or_else(|| self.unknown())?;
        match writer(cluster) {
            None => Ok(Groups::default()),
            Some(writer) => Ok(self.instance(&writer).await?.map(Groups::of).unwrap_or_default()),
        }
    }
}

fn writer(cluster: DbCluster) -> Option<String> {
    let mut members = cluster.db_cluster_members.unwrap_or_default().into_iter();
    members.find(|member| member.is_cluster_writer == Some(true)).and_then(|member| member.db_instance_identifier)
}

impl Groups {
    fn of(instance: DbInstance) -> Self {
        let parameters = instance.db_parameter_groups.unwrap_or_default().into_iter();
        let options = instance.option_group_memberships.unwrap_or_default().into_iter();
        Self {
            parameters: own(parameters.filter_map(|group| group.db_parameter_group_name)),
            options: own(options.filter_map(|group| group.option_group_name)),
            major: major(instance.engine_version.as_deref().unwrap_or_default()).to_owned(),
        }
    }

    /// For what is restored at this version: RDS refuses the groups of another major one, and chooses its own.
    pub(super) fn at(self, engine_version: &str) -> Self {
        if engine_version.is_empty() || major(engine_version) == self.major { self } else { Self::default() }
    }
}

fn major(version: &str) -> &str {
    version.split_once('.').map_or(version, |(major, _)| major)
}

/// Default groups are named `default.FAMILY` and `default:ENGINE-VERSION`.
fn own(mut names: impl Iterator<Item = String>) -> Option<String> {
    names.find(|name| !name.starts_with("default.") && !name.starts_with("default:"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::types::{DbClusterMember, DbParameterGroupStatus, OptionGroupMembership};

    use super::*;

    #[test]
    fn own_groups_are_taken_over_and_default_ones_are_left_to_rds() {
        let instance = |parameters: &str, options: &str| {
            let parameters = DbParameterGroupStatus::builder().db_parameter_group_name(parameters).build();
            let options = OptionGroupMembership::builder().option_group_name(options).build();
            Groups::of(DbInstance::builder().db_parameter_groups(parameters).option_group_memberships(options).build())
        };
        assert_eq!(instance("default.postgres15", "default:postgres-15"), Groups::default());
        let own = instance("orders", "orders-options");
        assert_eq!((own.parameters.as_deref(), own.options.as_deref()), (Some("orders"), Some("orders-options")));
        let own = Groups { major: "15".to_owned(), ..own };
        assert_eq!(own.clone().at("15.4"), own);
        assert_eq!(own.at("14.9"), Groups::default());
    }

    #[test]
    fn the_writer_is_found_among_the_members() {
        let member =
            |id: &str, writes| DbClusterMember::builder().db_instance_identifier(id).is_cluster_writer(writes).build();
        let cluster = DbCluster::builder().db_cluster_members(member("a", false)).db_cluster_members(member("b", true));
        assert_eq!(writer(cluster.build()).as_deref(), Some("b"));
        assert_eq!(writer(DbCluster::builder().build()), None);
    }
}
