//! `DescribeDBClusters`, `FailoverDBCluster`, `DescribeDBClusterEndpoints`.

use std::collections::BTreeSet;

use steadfast_core::topology::Deployment;

use super::super::core::{Core, Topology};
use super::super::error::ApiError;
use super::super::form::Form;
use super::super::log::Trigger;
use super::super::xml::Xml;
use super::restores::groups;
use super::{Done, Effect, list, numbered, passes};

pub(super) fn describe(core: &Core, form: &Form, stale: bool) -> Result<Done, ApiError> {
    let config = &core.config;
    if let Some(name) = form.get("DBClusterIdentifier")
        && !config.is_cluster(name)
    {
        return Err(ApiError::cluster_not_found(name));
    }
    let arn = config.cluster_arn();
    let known: [(&str, &[&str]); 5] = [
        ("db-cluster-id", &[&config.identifier, &arn]),
        ("db-cluster-resource-id", &[&config.resource_id]),
        ("engine", &[&config.engine]),
        ("clone-group-id", &[]),
        ("domain", &[]),
    ];
    let is_there = passes(&form.filters(), &known)? && config.deployment == Deployment::Cluster;
    let shown = is_there.then(|| core.topology(stale));
    list(form, ("DBClusters", "DBCluster"), numbered(shown), |xml, topology| {
        write_cluster(core, xml, topology);
    })
}

/// Answers with the cluster as it was before, the way AWS does.
pub(super) fn fail_over(core: &Core, form: &Form) -> Result<Done, ApiError> {
    let name = form.required("DBClusterIdentifier")?;
    if !core.config.is_cluster(name) {
        return Err(ApiError::cluster_not_found(name));
    }
    let run = core.begin_failover(Trigger::Api, form.get("TargetDBInstanceIdentifier"))?;
    let before = Topology { status: "available".to_owned(), writer: run.old_writer.clone() };
    let mut result = Xml::new();
    result.group("DBCluster", |xml| write_cluster(core, xml, &before));
    Ok(Done { result, effect: Some(Effect::Failover(run)) })
}

pub(super) fn endpoints(core: &Core, form: &Form) -> Result<Done, ApiError> {
    let config = &core.config;
    if let Some(name) = form.get("DBClusterIdentifier")
        && !config.is_cluster(name)
    {
        return Err(ApiError::cluster_not_found(name));
    }
    // Only custom endpoints have identifiers, and there are none.
    let asks_custom = form.get("DBClusterEndpointIdentifier").is_some();
    let filters = form.filters();
    let mut shown = Vec::new();
    for (kind, host) in [("WRITER", &config.endpoint), ("READER", &config.reader_endpoint)] {
        let known: [(&str, &[&str]); 4] = [
            ("db-cluster-endpoint-type", &[kind]),
            ("db-cluster-endpoint-custom-type", &[]),
            ("db-cluster-endpoint-id", &[]),
            ("db-cluster-endpoint-status", &["available"]),
        ];
        if passes(&filters, &known)? && !asks_custom {
            shown.push((kind, host));
        }
    }
    let names = ("DBClusterEndpoints", "DBClusterEndpointList");
    list(form, names, numbered(shown), |xml, (kind, host)| {
        xml.text("DBClusterIdentifier", &config.identifier);
        xml.text("Endpoint", host);
        xml.text("Status", "available");
        xml.text("EndpointType", kind);
    })
}

fn write_cluster(core: &Core, xml: &mut Xml, topology: &Topology) {
    let config = &core.config;
    let zones: BTreeSet<&str> = config.instances.iter().map(|member| &*member.az).collect();
    xml.text("DBClusterIdentifier", &config.identifier);
    xml.text("DBClusterArn", config.cluster_arn());
    xml.text("DbClusterResourceId", &config.resource_id);
    xml.text("Status", &topology.status);
    xml.text("Engine", &config.engine);
    xml.text("EngineVersion", &config.engine_version);
    xml.text("EngineMode", "provisioned");
    xml.text("DatabaseName", &config.database);
    xml.text("MasterUsername", &config.master_username);
    xml.text("Endpoint", &config.endpoint);
    xml.text("ReaderEndpoint", &config.reader_endpoint);
    xml.text("Port", config.port);
    xml.text("HostedZoneId", &config.hosted_zone_id);
    xml.text("MultiAZ", zones.len() > 1);
    xml.texts("AvailabilityZones", "AvailabilityZone", zones);
    write_members(core, xml, &topology.writer);
    xml.group("MasterUserSecret", |secret| {
        secret.text("SecretArn", &config.secret_arn);
        secret.text("SecretStatus", "active");
    });
    xml.group("ServerlessV2ScalingConfiguration", |scaling| {
        scaling.text("MinCapacity", config.min_capacity);
        scaling.text("MaxCapacity", config.max_capacity);
    });
    xml.text("HttpEndpointEnabled", true);
    xml.text("AllocatedStorage", 1);
    xml.text("StorageEncrypted", false);
    xml.text("DeletionProtection", false);
    xml.text("IAMDatabaseAuthenticationEnabled", false);
    xml.text("PerformanceInsightsEnabled", false);
    xml.text("BackupRetentionPeriod", 1);
    xml.time("ClusterCreateTime", core.created_ms);
    xml.time("EarliestRestorableTime", core.created_ms);
    xml.time("LatestRestorableTime", core.restorable_ms());
    groups(xml, &config.security_groups);
    xml.tags(&config.tags);
}

fn write_members(core: &Core, xml: &mut Xml, writer: &str) {
    let state = core.state();
    xml.group("DBClusterMembers", |members| {
        for member in &core.config.instances {
            let name = &member.identifier;
            let tier = state.tiers.get(name).unwrap_or(&member.promotion_tier);
            members.group("DBClusterMember", |xml| {
                xml.text("DBInstanceIdentifier", name);
                xml.text("IsClusterWriter", name == writer);
                xml.text("DBClusterParameterGroupStatus", "in-sync");
                xml.text("PromotionTier", tier);
            });
        }
    });
}
