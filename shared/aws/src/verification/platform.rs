//! What RDS shows of backups and of what was restored, and what is asked of it.

use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rds::primitives::DateTime;
use aws_sdk_rds::types::{DbCluster, DbInstance, MasterUserSecret, ServerlessV2ScalingConfiguration, Tag};
use steadfast_core::ports::CallError;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::Deployment;
use steadfast_core::verification::executor::NotDone;
use steadfast_core::verification::janitor::{EXPIRES_TAG, Found, OWNER_TAG, RUN_TAG, owner};
use steadfast_core::verification::{Action, Backup, Production, Run, Source, Thing};

use super::Verifier;
use crate::control_plane::{call_error, code};

const SERVERLESS: &str = "db.serverless";
/// What a restored cluster scales between: it serves one reader of everything.
const CAPACITY: (f64, f64) = (0.5, 8.0);
const POSTGRES_PORT: u16 = 5432;

impl Verifier {
    pub(super) async fn production(&self) -> Result<Production, NotDone> {
        let (engine_version, restorable_to, groups) = match self.deployment {
            Deployment::Cluster => {
                let cluster = self.cluster(self.database.as_str()).await?.ok_or_else(|| self.unknown())?;
                let groups = cluster.vpc_security_groups.unwrap_or_default();
                (cluster.engine_version, cluster.latest_restorable_time, groups)
            }
            Deployment::Instance => {
                let instance = self.instance(self.database.as_str()).await?.ok_or_else(|| self.unknown())?;
                let groups = instance.vpc_security_groups.unwrap_or_default();
                (instance.engine_version, instance.latest_restorable_time, groups)
            }
        };
        Ok(Production {
            database: self.database.clone(),
            deployment: self.deployment,
            engine_version: engine_version.unwrap_or_default(),
            restorable_to: restorable_to.as_ref().and_then(timestamp),
            security_groups: groups.into_iter().filter_map(|group| group.vpc_security_group_id).collect(),
            isolated: self.isolation.security_groups.clone(),
        })
    }

    pub(super) fn unknown(&self) -> NotDone {
        NotDone { what: format!("RDS does not know {}", self.database), passes: true }
    }

    pub(super) async fn backups(&self) -> Result<Vec<Backup>, NotDone> {
        let id = self.database.as_str();
        let backup = |id: Option<String>, status: Option<String>, at: Option<DateTime>, version: Option<String>| {
            Some(Backup {
                id: id?,
                available: status.as_deref() == Some("available"),
                taken_at: at.as_ref().and_then(timestamp)?,
                engine_version: version.unwrap_or_default(),
            })
        };
        Ok(match self.deployment {
            Deployment::Cluster => {
                let found = self.rds.describe_db_cluster_snapshots().db_cluster_identifier(id).into_paginator().items();
                let found = found.send().collect::<Result<Vec<_>, _>>().await;
                let found = found.map_err(|error| not_done("DescribeDBClusterSnapshots", &error))?;
                let found = found.into_iter();
                found
                    .filter_map(|s| {
                        backup(s.db_cluster_snapshot_identifier, s.status, s.snapshot_create_time, s.engine_version)
                    })
                    .collect()
            }
            Deployment::Instance => {
                let found = self.rds.describe_db_snapshots().db_instance_identifier(id).into_paginator().items();
                let found = found.send().collect::<Result<Vec<_>, _>>().await;
                let found = found.map_err(|error| not_done("DescribeDBSnapshots", &error))?;
                let found = found.into_iter();
                found
                    .filter_map(|s| {
                        backup(s.db_snapshot_identifier, s.status, s.snapshot_create_time, s.engine_version)
                    })
                    .collect()
            }
        })
    }

    /// What the run restored, and the instance of it.
    pub(super) async fn made_by(&self, run: &Run) -> Result<(Thing, Thing), NotDone> {
        let restored = run.restored_id();
        match run.deployment {
            Deployment::Instance => {
                let instance = self.instance(&restored).await?;
                Ok((instance.map_or(Thing::Missing, |instance| self.thing_of_instance(run, instance)), Thing::Missing))
            }
            Deployment::Cluster => {
                let id = run.instance_id();
                let (cluster, instance) = tokio::join!(self.cluster(&restored), self.instance(&id));
                let cluster = cluster?.map_or(Thing::Missing, |cluster| self.thing_of_cluster(run, cluster));
                let instance = instance?.map_or(Thing::Missing, |instance| self.thing_of_instance(run, instance));
                Ok((cluster, instance))
            }
        }
    }

    fn thing_of_cluster(&self, run: &Run, cluster: DbCluster) -> Thing {
        if !self.is_of(run, cluster.tag_list.as_deref()) {
            return Thing::Foreign;
        }
        Thing::Ours {
            status: cluster.status.unwrap_or_default(),
            host: cluster.endpoint.filter(|host| !host.is_empty()),
            port: port(cluster.port),
            secret: ready(cluster.master_user_secret),
        }
    }

    fn thing_of_instance(&self, run: &Run, instance: DbInstance) -> Thing {
        if !self.is_of(run, instance.tag_list.as_deref()) {
            return Thing::Foreign;
        }
        let (host, listens) = instance.endpoint.map(|endpoint| (endpoint.address, endpoint.port)).unwrap_or_default();
        Thing::Ours {
            status: instance.db_instance_status.unwrap_or_default(),
            host: host.filter(|host| !host.is_empty()),
            port: port(listens),
            secret: ready(instance.master_user_secret),
        }
    }

    fn is_of(&self, run: &Run, tags: Option<&[Tag]>) -> bool {
        let tags = tags.unwrap_or_default();
        tag(tags, OWNER_TAG) == Some(owner(self.database.as_str()).as_str())
            && tag(tags, RUN_TAG) == Some(run.id.to_string().as_str())
    }

    pub(super) async fn cluster(&self, id: &str) -> Result<Option<DbCluster>, NotDone> {
        match self.rds.describe_db_clusters().db_cluster_identifier(id).send().await {
            Ok(answer) => Ok(answer.db_clusters.unwrap_or_default().into_iter().next()),
            Err(error) if code(&error) == Some("DBClusterNotFoundFault") => Ok(None),
            Err(error) => Err(not_done("DescribeDBClusters", &error)),
        }
    }

    pub(super) async fn instance(&self, id: &str) -> Result<Option<DbInstance>, NotDone> {
        match self.rds.describe_db_instances().db_instance_identifier(id).send().await {
            Ok(answer) => Ok(answer.db_instances.unwrap_or_default().into_iter().next()),
            Err(error) if matches!(code(&error), Some("DBInstanceNotFound" | "DBInstanceNotFoundFault")) => Ok(None),
            Err(error) => Err(not_done("DescribeDBInstances", &error)),
        }
    }

    /// One call. What is there already counts as made: the next look says whether it is ours.
    pub(super) async fn ask_platform(&self, run: &Run, action: &Action) -> Result<(), NotDone> {
        match (action, run.deployment) {
            (Action::Restore, Deployment::Cluster) => self.restore_cluster(run).await,
            (Action::Restore, Deployment::Instance) => self.restore_instance(run).await,
            (Action::AddInstance, _) => self.add_instance(run).await,
            (Action::TakePassword, Deployment::Cluster) => {
                let call = self.rds.modify_db_cluster().db_cluster_identifier(run.restored_id());
                let call = call.manage_master_user_password(true).apply_immediately(true);
                settled(call.send().await.map(drop), "ModifyDBCluster", &[])
            }
            (Action::TakePassword, Deployment::Instance) => {
                let call = self.rds.modify_db_instance().db_instance_identifier(run.restored_id());
                let call = call.manage_master_user_password(true).apply_immediately(true);
                settled(call.send().await.map(drop), "ModifyDBInstance", &[])
            }
            (Action::DeleteInstance, _) => self.delete_instance(&run.instance_id()).await,
            (Action::DeleteRestored, Deployment::Cluster) => self.delete_cluster(&run.restored_id()).await,
            (Action::DeleteRestored, Deployment::Instance) => self.delete_instance(&run.restored_id()).await,
            (Action::Begin { .. } | Action::Look { .. } | Action::Fail { .. } | Action::Record | Action::Close, _) => {
                Ok(())
            }
        }
    }

    async fn restore_cluster(&self, run: &Run) -> Result<(), NotDone> {
        let production = self.cluster(self.database.as_str()).await?.ok_or_else(|| self.unknown())?;
        let engine = production.engine.unwrap_or_else(|| "aurora-postgresql".to_owned());
        let parameters = production.db_cluster_parameter_group;
        let (min, max) = CAPACITY;
        let serverless = (self.isolation.class == SERVERLESS)
            .then(|| ServerlessV2ScalingConfiguration::builder().min_capacity(min).max_capacity(max).build());
        let groups = Some(self.isolation.security_groups.clone());
        let there = ["DBClusterAlreadyExistsFault"];
        match &run.source {
            Source::PointInTime { to } => {
                let call = self
                    .rds
                    .restore_db_cluster_to_point_in_time()
                    .source_db_cluster_identifier(self.database.as_str())
                    .db_cluster_identifier(run.restored_id())
                    // A clone would share the volume, and prove nothing.
                    .restore_type("full-copy")
                    .restore_to_time(date_time(*to))
                    .db_subnet_group_name(&self.isolation.subnet_group)
                    .set_vpc_security_group_ids(groups)
                    .set_db_cluster_parameter_group_name(parameters)
                    .set_serverless_v2_scaling_configuration(serverless)
                    .set_port(production.port)
                    .deletion_protection(false)
                    .copy_tags_to_snapshot(false)
                    .set_tags(Some(self.tags(run)));
                settled(call.send().await.map(drop), "RestoreDBClusterToPointInTime", &there)
            }
            Source::Snapshot { id, .. } => {
                let call = self
                    .rds
                    .restore_db_cluster_from_snapshot()
                    .snapshot_identifier(id)
                    .db_cluster_identifier(run.restored_id())
                    .engine(engine)
                    .set_engine_version(production.engine_version)
                    .db_subnet_group_name(&self.isolation.subnet_group)
                    .set_vpc_security_group_ids(groups)
                    .set_db_cluster_parameter_group_name(parameters)
                    .set_serverless_v2_scaling_configuration(serverless)
                    .set_port(production.port)
                    .deletion_protection(false)
                    .copy_tags_to_snapshot(false)
                    .set_tags(Some(self.tags(run)));
                settled(call.send().await.map(drop), "RestoreDBClusterFromSnapshot", &there)
            }
        }
    }

    async fn restore_instance(&self, run: &Run) -> Result<(), NotDone> {
        let own = self.groups_of_instance().await?;
        let groups = Some(self.isolation.security_groups.clone());
        let there = ["DBInstanceAlreadyExists", "DBInstanceAlreadyExistsFault"];
        match &run.source {
            Source::PointInTime { to } => {
                let call = self
                    .rds
                    .restore_db_instance_to_point_in_time()
                    .source_db_instance_identifier(self.database.as_str())
                    .target_db_instance_identifier(run.restored_id())
                    .restore_time(date_time(*to))
                    .db_instance_class(&self.isolation.class)
                    .db_subnet_group_name(&self.isolation.subnet_group)
                    .set_vpc_security_group_ids(groups)
                    .set_db_parameter_group_name(own.parameters)
                    .set_option_group_name(own.options)
                    .multi_az(false)
                    .publicly_accessible(false)
                    .deletion_protection(false)
                    .copy_tags_to_snapshot(false)
                    .set_tags(Some(self.tags(run)));
                settled(call.send().await.map(drop), "RestoreDBInstanceToPointInTime", &there)
            }
            Source::Snapshot { id, engine_version, .. } => {
                let own = own.at(engine_version);
                let call = self
                    .rds
                    .restore_db_instance_from_db_snapshot()
                    .db_snapshot_identifier(id)
                    .db_instance_identifier(run.restored_id())
                    .db_instance_class(&self.isolation.class)
                    .db_subnet_group_name(&self.isolation.subnet_group)
                    .set_vpc_security_group_ids(groups)
                    .set_db_parameter_group_name(own.parameters)
                    .set_option_group_name(own.options)
                    .multi_az(false)
                    .publicly_accessible(false)
                    .deletion_protection(false)
                    .copy_tags_to_snapshot(false)
                    .set_tags(Some(self.tags(run)));
                settled(call.send().await.map(drop), "RestoreDBInstanceFromDBSnapshot", &there)
            }
        }
    }

    async fn add_instance(&self, run: &Run) -> Result<(), NotDone> {
        let own = self.groups_of_writer().await?;
        let call = self
            .rds
            .create_db_instance()
            .db_instance_identifier(run.instance_id())
            .db_cluster_identifier(run.restored_id())
            .db_instance_class(&self.isolation.class)
            .engine("aurora-postgresql")
            .set_db_parameter_group_name(own.parameters)
            .publicly_accessible(false)
            .set_tags(Some(self.tags(run)));
        let there = ["DBInstanceAlreadyExists", "DBInstanceAlreadyExistsFault"];
        settled(call.send().await.map(drop), "CreateDBInstance", &there)
    }

    async fn delete_instance(&self, id: &str) -> Result<(), NotDone> {
        let call = self.rds.delete_db_instance().db_instance_identifier(id).skip_final_snapshot(true);
        let call = call.delete_automated_backups(true);
        settled(call.send().await.map(drop), "DeleteDBInstance", &["DBInstanceNotFound", "DBInstanceNotFoundFault"])
    }

    async fn delete_cluster(&self, id: &str) -> Result<(), NotDone> {
        let call = self.rds.delete_db_cluster().db_cluster_identifier(id).skip_final_snapshot(true);
        let call = call.delete_automated_backups(true);
        settled(call.send().await.map(drop), "DeleteDBCluster", &["DBClusterNotFoundFault"])
    }

    pub(super) async fn delete_found(&self, found: &Found) -> Result<(), NotDone> {
        if found.is_cluster { self.delete_cluster(&found.id).await } else { self.delete_instance(&found.id).await }
    }

    /// All clusters and instances that carry our owner tag.
    pub(super) async fn everything(&self) -> Result<Vec<Found>, NotDone> {
        let clusters = self.rds.describe_db_clusters().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
        let instances = self.rds.describe_db_instances().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
        let (clusters, instances) = tokio::join!(clusters, instances);
        let clusters = clusters.map_err(|error| not_done("DescribeDBClusters", &error))?;
        let instances = instances.map_err(|error| not_done("DescribeDBInstances", &error))?;
        let clusters = clusters.into_iter().filter_map(|cluster| {
            let tags = cluster.tag_list.unwrap_or_default();
            Some(found(cluster.db_cluster_identifier?, None, cluster.status, true, &tags))
        });
        let instances = instances.into_iter().filter_map(|instance| {
            let tags = instance.tag_list.unwrap_or_default();
            let (id, of) = (instance.db_instance_identifier?, instance.db_cluster_identifier);
            Some(found(id, of, instance.db_instance_status, false, &tags))
        });
        Ok(clusters.chain(instances).filter(|found| found.owner.is_some()).collect())
    }

    fn tags(&self, run: &Run) -> Vec<Tag> {
        let tag = |key: &str, value: String| Tag::builder().key(key).value(value).build();
        vec![
            tag(OWNER_TAG, owner(self.database.as_str())),
            tag(RUN_TAG, run.id.to_string()),
            tag(EXPIRES_TAG, run.expires_at().as_millis().to_string()),
        ]
    }
}

fn found(id: String, member_of: Option<String>, status: Option<String>, is_cluster: bool, tags: &[Tag]) -> Found {
    Found {
        id,
        is_cluster,
        member_of,
        status: status.unwrap_or_default(),
        owner: tag(tags, OWNER_TAG).map(str::to_owned),
        run: tag(tags, RUN_TAG).and_then(|run| run.parse().ok()),
        expires_at: tag(tags, EXPIRES_TAG).and_then(|at| at.parse().ok()).map(Timestamp::from_millis),
    }
}

fn tag<'t>(tags: &'t [Tag], key: &str) -> Option<&'t str> {
    tags.iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value)
}

/// A secret that RDS has yet to fill is none.
fn ready(secret: Option<MasterUserSecret>) -> Option<String> {
    secret.filter(|secret| secret.secret_status() == Some("active")).and_then(|secret| secret.secret_arn)
}

fn port(port: Option<i32>) -> u16 {
    port.filter(|port| *port != 0).and_then(|port| u16::try_from(port).ok()).unwrap_or(POSTGRES_PORT)
}

fn timestamp(at: &DateTime) -> Option<Timestamp> {
    at.to_millis().ok().and_then(|millis| u64::try_from(millis).ok()).map(Timestamp::from_millis)
}

fn date_time(at: Timestamp) -> DateTime {
    DateTime::from_millis(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))
}

/// An answer that says that nothing is left to do is one of success.
fn settled<E, R>(answer: Result<(), SdkError<E, R>>, action: &'static str, fine: &[&str]) -> Result<(), NotDone>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match answer {
        Err(error) if !code(&error).is_some_and(|code| fine.contains(&code)) => Err(not_done(action, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn not_done<E, R>(action: &'static str, error: &SdkError<E, R>) -> NotDone
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let error = call_error(action, error);
    let passes = match &error {
        CallError::Unanswered { .. } => true,
        CallError::Refused { code, .. } => error.passes() || code.starts_with("Insufficient"),
    };
    let remedy = match &error {
        CallError::Refused { code, .. } => remedy(code),
        CallError::Unanswered { .. } => "",
    };
    NotDone { what: format!("{error}{remedy}"), passes }
}

/// Source: the errors of the restores in the RDS API reference.
fn remedy(code: &str) -> &'static str {
    match code {
        "KMSKeyNotAccessibleFault" => {
            "; the snapshot is encrypted with a key that cannot be used: enable it, or give the role kms:CreateGrant and \
             kms:Decrypt on it"
        }
        "DBClusterSnapshotNotFoundFault" | "DBSnapshotNotFound" | "DBSnapshotNotFoundFault" => {
            "; the snapshot is missing: it was deleted, or has another name"
        }
        "InvalidRestoreFault" => "; the snapshot may be of a newer engine version than this Region can restore",
        "InvalidDBClusterSnapshotStateFault" | "InvalidDBSnapshotState" => "; the snapshot is not available",
        "DBClusterQuotaExceededFault" | "InstanceQuotaExceeded" | "StorageQuotaExceeded" => {
            "; ask for a higher quota: the same would stop a restore in need"
        }
        "DBSubnetGroupNotFoundFault" => "; mend STEADFAST_VERIFY_SUBNET_GROUP",
        _ => "",
    }
}
