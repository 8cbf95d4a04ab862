//! The experiments of FIS in the lab, and how each breaks something real.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_rds::error::DisplayErrorContext;
use tokio::time::sleep;

use super::{AssemblyError, names};
use crate::fis::{Fis, Injector, Template};
use crate::network::VIEWS;
use crate::postgres::Cluster;

/// How long an experiment is watched in the lab: a failover takes a second here.
pub(super) const WATCH: Duration = Duration::from_secs(20);
/// How long a zone is cut off.
const CUT: Duration = Duration::from_secs(8);
/// The zone that is cut off, as the proxies count them.
const ZONE: u8 = 2;

const FAILOVER: Template = Template {
    id: "EXTfailover",
    description: "Fail the cluster over to another instance, in order",
    action: "aws:rds:failover-db-cluster",
};
const ZONE_UNREACHABLE: Template = Template {
    id: "EXTzoneunreachable",
    description: "Cut one Availability Zone off",
    action: "aws:network:disrupt-connectivity",
};
const REBOOT: Template =
    Template { id: "EXTrebootwithfailover", description: "Reboot the writer", action: "aws:rds:reboot-db-instances" };

/// Templates by the names of the experiments, as the scheduler's setting wants them.
pub(super) fn named() -> String {
    let named = [("failover", FAILOVER), ("zone-unreachable", ZONE_UNREACHABLE), ("reboot-with-failover", REBOOT)];
    named.map(|(name, template)| format!("{name}={}", template.id)).join(",")
}

pub(super) async fn start(cluster: &Arc<Cluster>, rds: SocketAddr, aws: &SdkConfig) -> Result<Fis, AssemblyError> {
    let config = aws.to_builder().endpoint_url(format!("http://{rds}")).build();
    let injector = Faults { cluster: Arc::clone(cluster), rds: aws_sdk_rds::Client::new(&config) };
    let templates = vec![FAILOVER, ZONE_UNREACHABLE, REBOOT];
    Fis::start(templates, injector).await.map_err(|source| AssemblyError::Listen { what: "FIS", source })
}

/// The lab's real faults.
struct Faults {
    cluster: Arc<Cluster>,
    rds: aws_sdk_rds::Client,
}

impl Injector for Faults {
    async fn inject(&self, template: &str) -> Result<(), String> {
        match template {
            id if id == FAILOVER.id => self.fail_over().await,
            id if id == ZONE_UNREACHABLE.id => self.cut().await,
            id if id == REBOOT.id => {
                let restarted = self.cluster.restart_in_place(self.cluster.writer()).await;
                restarted.map(drop).map_err(|error| error.to_string())
            }
            other => Err(format!("template {other} has no fault in the lab")),
        }
    }
}

impl Faults {
    /// As FIS does it: without a target.
    async fn fail_over(&self) -> Result<(), String> {
        let call = self.rds.failover_db_cluster().db_cluster_identifier(names::CLUSTER);
        call.send().await.map(|_| ()).map_err(|error| DisplayErrorContext(&error).to_string())
    }

    /// The zone's instance from everybody, and every instance from the zone.
    async fn cut(&self) -> Result<(), String> {
        let failed = |error: crate::postgres::ClusterError| error.to_string();
        let paths = || {
            let inward =
                self.cluster.ids().get(usize::from(ZONE) - 1).map(|id| ((*id).to_owned(), (0..VIEWS).collect()));
            let outward = self.cluster.ids().iter().map(|id| ((*id).to_owned(), vec![ZONE]));
            outward.chain(inward).collect::<Vec<(String, Vec<u8>)>>()
        };
        paths().into_iter().try_for_each(|(id, views)| self.cluster.cut_off(&id, views)).map_err(failed)?;
        sleep(CUT).await;
        paths().into_iter().try_for_each(|(id, views)| self.cluster.reconnect(&id, views)).map_err(failed)
    }
}
