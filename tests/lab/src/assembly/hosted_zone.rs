//! A private hosted zone: its records are held by the emulator's Route 53 and served by the lab's DNS.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_route53::types::{HostedZoneConfig, ResourceRecordSet, RrType, Vpc, VpcRegion};
use tokio::time::sleep;

use super::error::{AssemblyError, call};
use super::names;
use crate::dns::Alias;
use crate::postgres::Cluster;

/// How soon a change is served. On AWS usually well within a minute.
const EVERY: Duration = Duration::from_millis(250);

/// Creates the zone and returns its id, without the path before it.
pub(super) async fn create(aws: &SdkConfig) -> Result<String, AssemblyError> {
    let vpc = Vpc::builder().vpc_id("vpc-1ab7").vpc_region(VpcRegion::from(names::REGION)).build();
    let created = aws_sdk_route53::Client::new(aws)
        .create_hosted_zone()
        .name(names::ZONE)
        .caller_reference(names::CLUSTER)
        .vpc(vpc)
        .hosted_zone_config(HostedZoneConfig::builder().private_zone(true).build())
        .send()
        .await
        .map_err(call("CreateHostedZone"))?;
    let id = created.hosted_zone.map(|zone| zone.id).unwrap_or_default();
    Ok(id.trim_start_matches("/hostedzone/").to_owned())
}

/// Serves what the zone holds, again and again. Name servers go on with what they know while the API is away.
pub(super) async fn propagate(aws: SdkConfig, zone: String, cluster: Arc<Cluster>) {
    let client = aws_sdk_route53::Client::new(&aws);
    loop {
        match client.list_resource_record_sets().hosted_zone_id(&zone).send().await {
            Ok(held) => {
                let aliases: Vec<Alias> = held.resource_record_sets.iter().filter_map(alias).collect();
                if let Err(error) = cluster.dns().host(&aliases) {
                    tracing::warn!(%error, "a record of the hosted zone cannot be served");
                }
            }
            Err(error) => tracing::debug!(%error, "the hosted zone was not read"),
        }
        sleep(EVERY).await;
    }
}

/// A plain CNAME. The zone's own NS and SOA have no readers here.
fn alias(record: &ResourceRecordSet) -> Option<Alias> {
    let target = record.resource_records().first().filter(|_| record.r#type == RrType::Cname)?;
    Some(Alias {
        name: record.name.clone(),
        target: target.value.clone(),
        ttl: Duration::from_secs(u64::try_from(record.ttl?).ok()?),
    })
}
