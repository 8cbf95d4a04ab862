//! What an installation watches: one cluster, or one Multi-AZ DB instance.

use steadfast_core::topology::{ClusterId, Deployment};

use crate::settings::table::{CLUSTER, INSTANCE};
use crate::settings::{SettingError, Settings};

/// Its kind and its identifier, which names it in the state table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Which of the two.
    pub deployment: Deployment,
    /// `DBClusterIdentifier` or `DBInstanceIdentifier`.
    pub id: ClusterId,
}

impl Watched {
    /// Reads `STEADFAST_CLUSTER` or `STEADFAST_INSTANCE`.
    ///
    /// # Errors
    ///
    /// When neither is set, or both.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, SettingError> {
        match (settings.optional(CLUSTER)?, settings.optional(INSTANCE)?) {
            (Some(id), None) => Ok(Self { deployment: Deployment::Cluster, id: ClusterId::new(id) }),
            (None, Some(id)) => Ok(Self { deployment: Deployment::Instance, id: ClusterId::new(id) }),
            (Some(_), Some(_)) => Err(SettingError::Conflicting { one: CLUSTER.name, other: INSTANCE.name }),
            (None, None) => Err(CLUSTER.missing()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Watched, String> {
        let source = |asked: &str| set.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
        Watched::from_settings(&Settings::from_source(&source)).map_err(|error| error.to_string())
    }

    #[test]
    fn exactly_one_of_cluster_and_instance_is_watched() {
        let watched = |deployment| Ok(Watched { deployment, id: ClusterId::new("orders") });
        assert_eq!(read(&[(CLUSTER.name, "orders")]), watched(Deployment::Cluster));
        assert_eq!(read(&[(INSTANCE.name, "orders"), (CLUSTER.name, "")]), watched(Deployment::Instance));
        assert_eq!(
            read(&[]).expect_err("neither"),
            "setting STEADFAST_CLUSTER is missing: set it to the DB cluster identifier, or STEADFAST_INSTANCE to that \
             of an RDS Multi-AZ DB instance"
        );
        assert_eq!(
            read(&[(CLUSTER.name, "orders"), (INSTANCE.name, "orders")]).expect_err("both"),
            "settings STEADFAST_CLUSTER and STEADFAST_INSTANCE exclude each other: unset one of them"
        );
    }
}
