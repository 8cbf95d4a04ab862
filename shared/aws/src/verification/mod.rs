//! The verifier's world: RDS, the state table, and a restored database.

mod assertions;
mod checks;
mod contents;
mod groups;
mod pages;
mod platform;
mod portion;
mod rows;

use std::time::Duration;

use serde_json::Value;
use steadfast_core::evidence::Entry;
use steadfast_core::metric::{self, Metric};
use steadfast_core::notice::Notice;
use steadfast_core::ports::{CallError, Clock, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment};
use steadfast_core::verification::executor::{At, NotDone, World};
use steadfast_core::verification::janitor::Found;
use steadfast_core::verification::run::Looked;
use steadfast_core::verification::{Action, Check, Manifest, Observed, Run, Source, Thing, Unseen};

use crate::grant::{Call, Calls, Condition, On};
use crate::notifier::Topic;
use crate::postgres::Connector;
use crate::state::Table;
use crate::{clock, log};

/// The function's name in audit lines.
pub const FUNCTION: &str = "backup-verifier";

/// Where a restored database is put: apart from production's traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// DB subnet group.
    pub subnet_group: String,
    /// VPC security groups.
    pub security_groups: Vec<String>,
    /// Class of the instance.
    pub class: String,
}

/// Everything that a verification reaches.
pub struct Verifier {
    /// The database whose backups are verified.
    pub database: ClusterId,
    /// What it is.
    pub deployment: Deployment,
    /// State.
    pub table: Table,
    /// RDS.
    pub rds: aws_sdk_rds::Client,
    /// Secrets Manager.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// PostgreSQL.
    pub connector: Connector,
    /// People.
    pub topic: Topic,
    /// Name of the database to look through.
    pub name: String,
    /// Where a restored database is put.
    pub isolation: Isolation,
}

impl Verifier {
    /// What a look at production, at its backups and at what is restored calls.
    pub const LOOK: Calls = &[
        Call::new("rds:DescribeDBClusters", On::AnyCluster),
        Call::new("rds:DescribeDBInstances", On::AnyInstance),
        Call::new("rds:DescribeDBClusterSnapshots", On::Backups).when(Condition::Cluster),
        Call::new("rds:DescribeDBSnapshots", On::Backups).when(Condition::Instance),
    ];
    /// What a restore calls, on what it makes, from what, and with what.
    pub const RESTORE: Calls = &[
        Call::new("rds:RestoreDBClusterFromSnapshot", On::Restoring).when(Condition::Cluster),
        Call::new("rds:RestoreDBClusterToPointInTime", On::Restoring).when(Condition::Cluster),
        Call::new("rds:RestoreDBInstanceFromDBSnapshot", On::Restoring).when(Condition::Instance),
        Call::new("rds:RestoreDBInstanceToPointInTime", On::Restoring).when(Condition::Instance),
        Call::new("rds:CreateDBInstance", On::Restored).when(Condition::Cluster),
        Call::new("rds:ModifyDBCluster", On::Restored).when(Condition::Cluster),
        Call::new("rds:ModifyDBInstance", On::Restored).when(Condition::Instance),
    ];
    /// What a deletion calls.
    pub const DELETE: Calls = &[
        Call::new("rds:DeleteDBCluster", On::Restored).when(Condition::Cluster),
        Call::new("rds:DeleteDBInstance", On::Restored),
    ];
}

impl Clock for Verifier {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn pause(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

impl World for Verifier {
    async fn look(&self, order: Option<&Manifest>) -> Result<Observed, NotDone> {
        let run = self.table.verification(&self.database).await?;
        let production = self.production().await?;
        let open = run.as_ref().filter(|run| run.is_open());
        let from_snapshot = open.is_some_and(|run| matches!(run.source, Source::Snapshot { .. }));
        let backups = if from_snapshot || order.is_some() { self.backups().await? } else { Vec::new() };
        let (restored, instance) = match open {
            None => (Thing::Missing, Thing::Missing),
            Some(run) => self.made_by(run).await?,
        };
        let order = order.cloned();
        Ok(Observed { now: clock::now(), run, order, production, backups, restored, instance })
    }

    async fn call(&self, run: &Run, action: &Action) -> Result<(), NotDone> {
        self.ask_platform(run, action).await
    }

    async fn inspect(&self, run: &Run, check: Check, at: At<'_>, until: Timestamp) -> Result<Looked, Unseen> {
        self.look_inside(run, check, at, until).await
    }

    async fn save(&self, run: &Run, seen: Option<u64>, entries: &[Entry]) -> Result<(), StateError> {
        self.table.write_verification(run, seen, entries).await
    }

    async fn find(&self) -> Result<Vec<Found>, NotDone> {
        self.everything().await
    }

    async fn delete(&self, found: &Found) -> Result<(), NotDone> {
        self.delete_found(found).await
    }

    async fn notify(&self, notice: &Notice) -> Result<(), CallError> {
        self.topic.notify(notice).await
    }

    fn audit(&self, what: &str, data: Value) {
        log::audit(FUNCTION, what, &data);
    }

    fn measure(&self, metrics: &[(Metric, u64)]) {
        log::measure(&[(metric::CLUSTER, self.database.as_str())], metrics);
    }
}
