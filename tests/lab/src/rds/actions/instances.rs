//! `DescribeDBInstances`, `RebootDBInstance`, `ModifyDBInstance`.

use steadfast_core::topology::Deployment;

use super::super::config::InstanceConfig;
use super::super::core::Core;
use super::super::error::ApiError;
use super::super::form::Form;
use super::super::xml::Xml;
use super::restores::own_groups;
use super::{Done, Effect, list, multi_az, numbered, passes};

/// What `ModifyDBInstance` may change here.
const MODIFIABLE: [&str; 5] = ["Action", "Version", "DBInstanceIdentifier", "ApplyImmediately", "PromotionTier"];

pub(super) fn describe(core: &Core, form: &Form, stale: bool) -> Result<Done, ApiError> {
    let config = &core.config;
    if config.deployment == Deployment::Instance {
        return multi_az::describe(core, form, stale);
    }
    let wanted = form.get("DBInstanceIdentifier");
    let named = wanted.map(|name| instance(core, name)).transpose()?;
    let filters = form.filters();
    let cluster_arn = config.cluster_arn();
    let mut shown = Vec::new();
    for member in &config.instances {
        let arn = config.instance_arn(&member.identifier);
        let known: [(&str, &[&str]); 5] = [
            ("db-cluster-id", &[&config.identifier, &cluster_arn]),
            ("db-instance-id", &[&member.identifier, &arn]),
            ("dbi-resource-id", &[&member.resource_id]),
            ("engine", &[&config.engine]),
            ("domain", &[]),
        ];
        let named = named.is_none_or(|named| named.identifier == member.identifier);
        if passes(&filters, &known)? && named {
            shown.push(member);
        }
    }
    let names = ("DBInstances", "DBInstance");
    list(form, names, numbered(shown), |xml, member| {
        write_instance(core, xml, member);
    })
}

pub(super) fn reboot(core: &Core, form: &Form) -> Result<Done, ApiError> {
    let name = form.required("DBInstanceIdentifier")?;
    if core.config.is_multi_az_instance(name) {
        return multi_az::reboot(core, form);
    }
    let member = instance(core, name)?;
    if form.flag("ForceFailover")? == Some(true) {
        return Err(ApiError::combination(
            "Force failover cannot be specified since the instance is not configured for MultiAZ.",
        ));
    }
    core.begin_restart(&member.identifier)?;
    let mut result = Xml::new();
    result.group("DBInstance", |xml| write_instance(core, xml, member));
    Ok(Done { result, effect: Some(Effect::Restart(member.identifier.clone())) })
}

pub(super) fn modify(core: &Core, form: &Form) -> Result<Done, ApiError> {
    let member = instance(core, form.required("DBInstanceIdentifier")?)?;
    if let Some(other) = form.names().find(|name| !MODIFIABLE.contains(name)) {
        return Err(ApiError::combination(format!("{other} cannot be modified here: only PromotionTier can")));
    }
    form.flag("ApplyImmediately")?;
    if let Some(asked) = form.number("PromotionTier")? {
        let tier = u8::try_from(asked).ok().filter(|tier| *tier <= 15);
        let tier = tier.ok_or_else(|| {
            ApiError::invalid_value(format!("Invalid value {asked} for PromotionTier. Must be between 0 and 15"))
        })?;
        let name = member.identifier.clone();
        core.state().tiers.insert(name, tier);
    }
    let mut result = Xml::new();
    result.group("DBInstance", |xml| write_instance(core, xml, member));
    Ok(Done::answer(result))
}

fn instance<'core>(core: &'core Core, name: &str) -> Result<&'core InstanceConfig, ApiError> {
    let found = core.config.instance(name).filter(|_| core.config.deployment == Deployment::Cluster);
    found.ok_or_else(|| ApiError::instance_not_found(name))
}

fn write_instance(core: &Core, xml: &mut Xml, member: &InstanceConfig) {
    let config = &core.config;
    let name = &member.identifier;
    let tier = core.state().tiers.get(name).copied();
    xml.text("DBInstanceIdentifier", name);
    xml.text("DBInstanceArn", config.instance_arn(name));
    xml.text("DbiResourceId", &member.resource_id);
    xml.text("DBInstanceClass", &member.class);
    xml.text("DBInstanceStatus", core.instance_status(name));
    xml.text("DBClusterIdentifier", &config.identifier);
    xml.text("Engine", &config.engine);
    xml.text("EngineVersion", &config.engine_version);
    xml.text("DBName", &config.database);
    xml.text("MasterUsername", &config.master_username);
    xml.group("Endpoint", |endpoint| {
        endpoint.text("Address", &member.address);
        endpoint.text("Port", member.port);
        endpoint.text("HostedZoneId", &config.hosted_zone_id);
    });
    xml.text("AvailabilityZone", &member.az);
    // Of Aurora only the cluster spans zones.
    xml.text("MultiAZ", false);
    xml.text("PromotionTier", tier.unwrap_or(member.promotion_tier));
    xml.text("StorageType", "aurora");
    xml.text("AllocatedStorage", 1);
    xml.text("StorageEncrypted", false);
    xml.text("PubliclyAccessible", false);
    xml.text("AutoMinorVersionUpgrade", false);
    xml.text("DeletionProtection", false);
    xml.text("IAMDatabaseAuthenticationEnabled", false);
    xml.text("PerformanceInsightsEnabled", false);
    xml.text("MonitoringInterval", 0);
    xml.text("BackupRetentionPeriod", 1);
    xml.time("InstanceCreateTime", core.created_ms);
    own_groups(xml);
    xml.tags(&config.tags);
}
