//! The coordinator's world: all ports of the core, over AWS.

use std::time::Duration;

use serde_json::{Value, json};
use steadfast_core::episode::Episode;
use steadfast_core::evidence::Entry;
use steadfast_core::lease::Lease;
use steadfast_core::metric::{self, Metric};
use steadfast_core::notice::Notice;
use steadfast_core::pin::{Aim, Pin, PinName};
use steadfast_core::ports::{
    CallError, Clock, ControlPlane, Drainer, Log, Names, Notifier, State, StateError, StateTable, Under,
};
use steadfast_core::switchover::Quiesced;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, InstanceId, Topology};

use crate::control_plane::Rds;
use crate::names::Route53;
use crate::notifier::Topic;
use crate::siblings::Sibling;
use crate::state::Table;
use crate::{clock, log};

/// Everything the executor reaches.
pub struct World {
    /// State.
    pub table: Table,
    /// RDS.
    pub rds: Rds,
    /// The drainer function. A Multi-AZ DB instance has none: nothing is left to be drained there.
    pub drainer: Option<Sibling>,
    /// The stable name, if there is one.
    pub names: Route53,
    /// People.
    pub topic: Topic,
}

/// How long the drainer is waited for. It opens a gate that it closes later than a second before.
const QUIESCE_LIMIT: Duration = Duration::from_secs(9);
/// One call of the Data API, and a cold start.
const RESUME_LIMIT: Duration = Duration::from_secs(5);
/// The function's name in audit lines.
pub const FUNCTION: &str = "promotion-coordinator";

impl World {
    fn drainer(&self) -> Result<&Sibling, CallError> {
        self.drainer.as_ref().ok_or_else(|| CallError::Refused {
            action: "Invoke",
            code: "NoDrainer".to_owned(),
            message: "STEADFAST_DRAINER is not set".to_owned(),
        })
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn pause(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

impl StateTable for World {
    async fn load(&self, cluster: &ClusterId) -> Result<State, StateError> {
        self.table.load(cluster).await
    }

    async fn write_lease(&self, cluster: &ClusterId, seen: Option<&Lease>, next: &Lease) -> Result<(), StateError> {
        self.table.write_lease(cluster, seen, next).await
    }

    async fn commit(
        &self,
        under: Under<'_>,
        episode: &Episode,
        seen_version: Option<u64>,
        entries: &[Entry],
    ) -> Result<(), StateError> {
        self.table.commit(under, episode, seen_version, entries).await
    }

    async fn write_pin(&self, cluster: &ClusterId, seen: Option<u64>, next: &Pin) -> Result<(), StateError> {
        self.table.write_pin(cluster, seen, next).await
    }
}

impl ControlPlane for World {
    async fn describe(&self, cluster: &ClusterId) -> Result<Topology, CallError> {
        self.rds.describe(cluster).await
    }

    async fn fail_over(&self, cluster: &ClusterId, target: &InstanceId) -> Result<(), CallError> {
        self.rds.fail_over(cluster, target).await
    }
}

impl Drainer for World {
    async fn evict(&self, cluster: &ClusterId, epoch: u64, demoted: &InstanceId) -> Result<(), CallError> {
        let request = json!({ "action": "evict", "cluster": cluster, "epoch": epoch, "demoted": demoted });
        self.drainer()?.wake(&request).await
    }

    async fn quiesce(&self, cluster: &ClusterId, epoch: u64, writer: &InstanceId) -> Result<Quiesced, CallError> {
        let until = clock::now().plus(QUIESCE_LIMIT.saturating_sub(Duration::from_secs(1)));
        let request =
            json!({ "action": "quiesce", "cluster": cluster, "epoch": epoch, "writer": writer, "until": until });
        self.drainer()?.ask(&request, QUIESCE_LIMIT).await
    }

    async fn resume(&self, cluster: &ClusterId, epoch: u64, hold: &str) -> Result<(), CallError> {
        let request = json!({ "action": "resume", "cluster": cluster, "epoch": epoch, "hold": hold });
        self.drainer()?.ask::<_, Value>(&request, RESUME_LIMIT).await.map(|_| ())
    }
}

impl Names for World {
    fn stable_name(&self) -> Option<PinName> {
        self.names.name().cloned()
    }

    async fn point(&self, aim: &Aim) -> Result<(), CallError> {
        self.names.point(aim).await
    }
}

impl Notifier for World {
    async fn notify(&self, notice: &Notice) -> Result<(), CallError> {
        self.topic.notify(notice).await
    }
}

impl Log for World {
    fn audit(&self, what: &str, data: Value) {
        log::audit(FUNCTION, what, &data);
    }

    fn error(&self, what: &str, data: Value) {
        log::error(FUNCTION, what, &data);
    }

    fn measure(&self, cluster: &ClusterId, metrics: &[(Metric, u64)]) {
        log::measure(&[(metric::CLUSTER, cluster.as_str())], metrics);
    }
}
