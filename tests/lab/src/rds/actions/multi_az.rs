//! `DescribeDBInstances` and `RebootDBInstance` for a Multi-AZ DB instance.

use super::super::core::{Core, Topology};
use super::super::error::ApiError;
use super::super::form::Form;
use super::super::xml::Xml;
use super::restores::{groups, own_groups};
use super::{Done, Effect, list, numbered, passes};

pub(super) fn describe(core: &Core, form: &Form, stale: bool) -> Result<Done, ApiError> {
    let config = &core.config;
    if let Some(name) = form.get("DBInstanceIdentifier")
        && !config.is_multi_az_instance(name)
    {
        return Err(ApiError::instance_not_found(name));
    }
    let arn = config.own_arn();
    let known: [(&str, &[&str]); 5] = [
        ("db-cluster-id", &[]),
        ("db-instance-id", &[&config.identifier, &arn]),
        ("dbi-resource-id", &[&config.resource_id]),
        ("engine", &[&config.engine]),
        ("domain", &[]),
    ];
    let shown = passes(&form.filters(), &known)?.then(|| core.topology(stale));
    list(form, ("DBInstances", "DBInstance"), numbered(shown), |xml, topology| {
        write_instance(core, xml, topology);
    })
}

/// With failover the answer still shows the status of before, as for `FailoverDBCluster`.
pub(super) fn reboot(core: &Core, form: &Form) -> Result<Done, ApiError> {
    let before = core.topology(false);
    let effect = if form.flag("ForceFailover")? == Some(true) {
        Effect::Failover(core.begin_reboot_with_failover()?)
    } else {
        let writer = core.state().writer.clone();
        core.begin_restart(&writer)?;
        Effect::Restart(writer)
    };
    let mut result = Xml::new();
    result.group("DBInstance", |xml| write_instance(core, xml, &before));
    Ok(Done { result, effect: Some(effect) })
}

/// The status of the whole: a role that moves is a reboot. Before the platform does something about a writer that has
/// died, it says nothing of it.
fn status<'a>(core: &Core, topology: &'a Topology) -> &'a str {
    match topology.status.as_str() {
        "failing-over" => "rebooting",
        _ if core.state().restarting.contains(&topology.writer) => "rebooting",
        status => status,
    }
}

fn write_instance(core: &Core, xml: &mut Xml, topology: &Topology) {
    let config = &core.config;
    let writer = config.instance(&topology.writer);
    let standby = config.instances.iter().find(|host| host.identifier != topology.writer);
    xml.text("DBInstanceIdentifier", &config.identifier);
    xml.text("DBInstanceArn", config.own_arn());
    xml.text("DbiResourceId", &config.resource_id);
    if let Some(writer) = writer {
        xml.text("DBInstanceClass", &writer.class);
    }
    xml.text("DBInstanceStatus", status(core, topology));
    xml.text("Engine", &config.engine);
    xml.text("EngineVersion", &config.engine_version);
    xml.text("DBName", &config.database);
    xml.text("MasterUsername", &config.master_username);
    xml.group("Endpoint", |endpoint| {
        endpoint.text("Address", &config.endpoint);
        endpoint.text("Port", config.port);
        endpoint.text("HostedZoneId", &config.hosted_zone_id);
    });
    if let Some(writer) = writer {
        xml.text("AvailabilityZone", &writer.az);
    }
    xml.text("MultiAZ", standby.is_some());
    if let Some(standby) = standby {
        xml.text("SecondaryAvailabilityZone", &standby.az);
    }
    xml.text("StorageType", "gp3");
    xml.text("AllocatedStorage", 20);
    xml.text("StorageEncrypted", false);
    xml.text("PubliclyAccessible", false);
    xml.text("AutoMinorVersionUpgrade", false);
    xml.text("DeletionProtection", false);
    xml.text("IAMDatabaseAuthenticationEnabled", false);
    xml.text("PerformanceInsightsEnabled", false);
    xml.text("MonitoringInterval", 0);
    xml.text("BackupRetentionPeriod", 1);
    xml.time("InstanceCreateTime", core.created_ms);
    xml.time("LatestRestorableTime", core.restorable_ms());
    groups(xml, &config.security_groups);
    own_groups(xml);
    xml.tags(&config.tags);
}
