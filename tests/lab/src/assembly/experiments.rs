//! The experiments of FIS in the lab, and how each breaks something real.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_rds::error::DisplayErrorContext;
use steadfast_core::game_day::catalogue::GUARD;
use steadfast_core::topology::Deployment;
use tokio::time::sleep;

use super::{AssemblyError, names};
use crate::fis::{Fis, Injector, Template};
use crate::network::VIEWS;
use crate::postgres::Cluster;

/// How long an experiment is watched in the lab: a failover takes a second here.
pub(super) const WATCH: Duration = Duration::from_secs(20);
/// For how long FIS stands around a statement.
const GUARDED: Duration = Duration::from_secs(12);
/// How long a zone is cut off.
const CUT: Duration = Duration::from_secs(8);
/// The zone that is cut off, as the proxies count them.
const ZONE: u8 = 2;

const FAILOVER: Template = Template { id: "EXTfailover", action: Some("aws:rds:failover-db-cluster") };
const ZONE_UNREACHABLE: Template =
    Template { id: "EXTzoneunreachable", action: Some("aws:network:disrupt-connectivity") };
const REBOOT: Template = Template { id: "EXTrebootwithfailover", action: Some("aws:rds:reboot-db-instances") };
const GUARDING: Template = Template { id: "EXTguard", action: None };

/// The templates of a deployment, by the names of the experiments.
fn templates(deployment: Deployment) -> Vec<(&'static str, Template)> {
    let of_deployment = match deployment {
        Deployment::Cluster => ("failover", FAILOVER),
        Deployment::Instance => ("reboot-with-failover", REBOOT),
    };
    vec![of_deployment, ("zone-unreachable", ZONE_UNREACHABLE), (GUARD, GUARDING)]
}

/// The same, as the scheduler's setting wants them.
pub(super) fn named(deployment: Deployment) -> String {
    let named = templates(deployment).into_iter().map(|(name, template)| format!("{name}={}", template.id));
    named.collect::<Vec<_>>().join(",")
}

pub(super) async fn start(
    cluster: &Arc<Cluster>,
    deployment: Deployment,
    rds: SocketAddr,
    aws: &SdkConfig,
) -> Result<Fis, AssemblyError> {
    let config = aws.to_builder().endpoint_url(format!("http://{rds}")).build();
    let injector = Faults { cluster: Arc::clone(cluster), rds: aws_sdk_rds::Client::new(&config) };
    let templates = templates(deployment).into_iter().map(|(_, template)| template).collect();
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
            id if id == REBOOT.id => self.reboot().await,
            id if id == GUARDING.id => {
                sleep(GUARDED).await;
                Ok(())
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

    async fn reboot(&self) -> Result<(), String> {
        let call = self.rds.reboot_db_instance().db_instance_identifier(names::CLUSTER).force_failover(true);
        call.send().await.map(|_| ()).map_err(|error| DisplayErrorContext(&error).to_string())
    }

    /// The zone's instance from everybody, and every instance from the zone.
    async fn cut(&self) -> Result<(), String> {
        let failed = |error: crate::postgres::ClusterError| error.to_string();
        let paths = || {
            let ids = self.cluster.ids();
            let inward = ids.get(usize::from(ZONE) - 1).map(|id| ((*id).to_owned(), (0..VIEWS).collect()));
            let outward = ids.iter().map(|id| ((*id).to_owned(), vec![ZONE]));
            outward.chain(inward).collect::<Vec<(String, Vec<u8>)>>()
        };
        paths().into_iter().try_for_each(|(id, views)| self.cluster.cut_off(&id, views)).map_err(failed)?;
        sleep(CUT).await;
        paths().into_iter().try_for_each(|(id, views)| self.cluster.reconnect(&id, views)).map_err(failed)
    }
}
