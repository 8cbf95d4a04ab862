//! Snapshots, restores, and what can be done to what was restored.

use super::super::beside::{Beside, Change, OWN_GROUP, RestoreFrom, Restored, Snapshot};
use super::super::core::Core;
use super::super::error::ApiError;
use super::super::form::Form;
use super::super::xml::{Xml, now_ms};
use super::{Done, Effect, list, numbered};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::Deployment;

/// `DescribeDBClusterSnapshots`, or `DescribeDBSnapshots` of an instance.
pub(super) fn snapshots(core: &Core, form: &Form, of: Deployment) -> Result<Done, ApiError> {
    let (names, own, parent) = match of {
        Deployment::Cluster => {
            (("DBClusterSnapshots", "DBClusterSnapshot"), "DBClusterSnapshotIdentifier", "DBClusterIdentifier")
        }
        Deployment::Instance => (("DBSnapshots", "DBSnapshot"), "DBSnapshotIdentifier", "DBInstanceIdentifier"),
    };
    let config = &core.config;
    let asked = form.get(parent).is_none_or(|name| name.eq_ignore_ascii_case(&config.identifier));
    let mut found = core.beside().snapshots.clone();
    found.retain(|snapshot| asked && config.deployment == of && form.get(own).is_none_or(|id| id == snapshot.id));
    list(form, names, numbered(found), |xml, snapshot| {
        xml.text(own, &snapshot.id);
        xml.text(parent, &config.identifier);
        xml.time("SnapshotCreateTime", snapshot.taken_ms);
        xml.text("Engine", &config.engine);
        xml.text("EngineVersion", &snapshot.engine_version);
        xml.text("Status", "available");
        xml.text("SnapshotType", "automated");
        xml.text("PercentProgress", 100);
    })
}

/// The four restores.
pub(super) fn restore(core: &Core, form: &Form, action: &str) -> Result<Done, ApiError> {
    let of = core.config.deployment;
    let (target, source, snapshot, time) = match action {
        "RestoreDBClusterToPointInTime" => ("DBClusterIdentifier", "SourceDBClusterIdentifier", None, "RestoreToTime"),
        "RestoreDBClusterFromSnapshot" => ("DBClusterIdentifier", "", Some("SnapshotIdentifier"), ""),
        "RestoreDBInstanceToPointInTime" => {
            ("TargetDBInstanceIdentifier", "SourceDBInstanceIdentifier", None, "RestoreTime")
        }
        _ => ("DBInstanceIdentifier", "", Some("DBSnapshotIdentifier"), ""),
    };
    let is_cluster = action.starts_with("RestoreDBCluster");
    if is_cluster != (of == Deployment::Cluster) {
        return Err(ApiError::cluster_not_found(&core.config.identifier));
    }
    let id = form.required(target)?.to_lowercase();
    let mut beside = core.beside();
    let from = match snapshot {
        Some(parameter) => from_snapshot(&beside, form.required(parameter)?, is_cluster)?,
        None => {
            let named = form.required(source)?;
            if !named.eq_ignore_ascii_case(&core.config.identifier) {
                return Err(if is_cluster {
                    ApiError::cluster_not_found(named)
                } else {
                    ApiError::instance_not_found(named)
                });
            }
            let text = form.required(time)?;
            let at = Timestamp::parse(text)
                .ok_or_else(|| ApiError::invalid_value(format!("Invalid value {text} for {time}")))?;
            RestoreFrom::PointInTime(at.as_millis())
        }
    };
    if beside.restored.contains_key(&id) || id == core.config.identifier {
        return Err(already(&id, is_cluster));
    }
    let made = made(core, form, &id, is_cluster, None);
    let mut result = Xml::new();
    write(&mut result, core, &made, &beside);
    beside.restored.insert(id.clone(), made);
    Ok(Done { result, effect: Some(Effect::Beside(Change::Restore(id, from))) })
}

fn from_snapshot(beside: &Beside, id: &str, is_cluster: bool) -> Result<RestoreFrom, ApiError> {
    let found: Option<&Snapshot> = beside.snapshots.iter().find(|snapshot| snapshot.id == id);
    let code = if is_cluster { "DBClusterSnapshotNotFoundFault" } else { "DBSnapshotNotFound" };
    let snapshot = found.ok_or_else(|| ApiError::new(404, code, format!("{id} not found.")))?;
    if !snapshot.key_usable {
        let message = "The specified KMS key is not accessible: it is disabled, or you have no permission to use it";
        return Err(ApiError::new(400, "KMSKeyNotAccessibleFault", message));
    }
    Ok(RestoreFrom::Snapshot(id.to_owned()))
}

/// `CreateDBInstance` in a restored cluster.
pub(super) fn create_instance(core: &Core, form: &Form) -> Result<Done, ApiError> {
    let id = form.required("DBInstanceIdentifier")?.to_lowercase();
    let cluster = form.required("DBClusterIdentifier")?.to_lowercase();
    let mut beside = core.beside();
    if beside.restored.contains_key(&id) || core.config.instance(&id).is_some() {
        return Err(already(&id, false));
    }
    match beside.restored.get(&cluster) {
        Some(made) if made.is_cluster && made.status == "available" => {}
        Some(made) => return Err(ApiError::cluster_state(format!("{cluster} is {}", made.status))),
        None => return Err(ApiError::cluster_not_found(&cluster)),
    }
    let made = made(core, form, &id, false, Some(cluster));
    let mut result = Xml::new();
    write(&mut result, core, &made, &beside);
    beside.restored.insert(id.clone(), made);
    Ok(Done { result, effect: Some(Effect::Beside(Change::Start(id))) })
}

/// `ModifyDBCluster`, or `ModifyDBInstance` of a restored instance: only the master password.
pub(super) fn renew_password(core: &Core, form: &Form, parameter: &'static str) -> Result<Done, ApiError> {
    let id = form.required(parameter)?.to_lowercase();
    if form.flag("ManageMasterUserPassword")? != Some(true) {
        return Err(ApiError::combination("Only ManageMasterUserPassword can be modified here."));
    }
    let mut beside = core.beside();
    let made = known(&mut beside, &id, parameter)?;
    if made.status != "available" {
        return Err(ApiError::cluster_state(format!("{id} is {}", made.status)));
    }
    made.status = "resetting-master-credentials".to_owned();
    let made = made.clone();
    let mut result = Xml::new();
    write(&mut result, core, &made, &beside);
    Ok(Done { result, effect: Some(Effect::Beside(Change::RenewPassword(id))) })
}

/// `DeleteDBCluster` and `DeleteDBInstance`. Production is refused: nobody here may delete it.
pub(super) fn delete(core: &Core, form: &Form, parameter: &'static str) -> Result<Done, ApiError> {
    let id = form.required(parameter)?.to_lowercase();
    if id == core.config.identifier || core.config.instance(&id).is_some() {
        return Err(ApiError::new(403, "AccessDenied", format!("{id} is production")));
    }
    let mut beside = core.beside();
    let members =
        beside.restored.values().any(|made| made.member_of.as_ref() == Some(&id) && made.status != "deleting");
    if members {
        return Err(ApiError::cluster_state(format!("{id} still has instances in non-deleting state.")));
    }
    let made = known(&mut beside, &id, parameter)?;
    if made.status == "deleting" {
        return Err(ApiError::cluster_state(format!("{id} is being deleted.")));
    }
    made.status = "deleting".to_owned();
    let made = made.clone();
    let mut result = Xml::new();
    write(&mut result, core, &made, &beside);
    Ok(Done { result, effect: Some(Effect::Beside(Change::Delete(id))) })
}

/// The description of one that was restored; None for every other name.
pub(super) fn describe_one(core: &Core, form: &Form, is_cluster: bool) -> Option<Result<Done, ApiError>> {
    let parameter = if is_cluster { "DBClusterIdentifier" } else { "DBInstanceIdentifier" };
    let id = form.get(parameter)?.to_lowercase();
    let beside = core.beside();
    let made = beside.restored.get(&id).filter(|made| made.is_cluster == is_cluster)?.clone();
    let names = if is_cluster { ("DBClusters", "DBCluster") } else { ("DBInstances", "DBInstance") };
    Some(list(form, names, numbered([made]), |xml, made| fill(xml, core, made, &beside)))
}

/// Adds those that were restored to a description of everything, which names nothing and filters nothing.
pub(super) fn add_all(core: &Core, form: &Form, is_cluster: bool, described: Done) -> Done {
    let named = form.get("DBClusterIdentifier").or(form.get("DBInstanceIdentifier")).is_some();
    if named || !form.filters().is_empty() {
        return described;
    }
    let beside = core.beside();
    let mut more = Xml::new();
    for made in beside.restored.values().filter(|made| made.is_cluster == is_cluster) {
        write(&mut more, core, made, &beside);
    }
    let end = if is_cluster { "</DBClusters>" } else { "</DBInstances>" };
    Done { result: described.result.inserted(end, &more), ..described }
}

fn made(core: &Core, form: &Form, id: &str, is_cluster: bool, member_of: Option<String>) -> Restored {
    let config = &core.config;
    let tags = (1_u32..).map_while(|n| {
        let prefix = format!("Tags.Tag.{n}");
        Some((form.get(&format!("{prefix}.Key"))?.to_owned(), form.get(&format!("{prefix}.Value"))?.to_owned()))
    });
    let kind = if is_cluster { "cluster-" } else { "" };
    Restored {
        id: id.to_owned(),
        is_cluster,
        member_of,
        status: "creating".to_owned(),
        host: format!("{id}.{kind}c7steadfast.{}.rds.amazonaws.com", config.region),
        engine_version: config.engine_version.clone(),
        class: form.get("DBInstanceClass").unwrap_or_default().to_owned(),
        tags: tags.collect(),
        security_groups: form.list("VpcSecurityGroupIds.VpcSecurityGroupId"),
        subnet_group: form.get("DBSubnetGroupName").unwrap_or_default().to_owned(),
        secret: None,
        created_ms: now_ms(),
    }
}

fn already(id: &str, is_cluster: bool) -> ApiError {
    let code = if is_cluster { "DBClusterAlreadyExistsFault" } else { "DBInstanceAlreadyExists" };
    ApiError::new(400, code, format!("{id} already exists"))
}

fn known<'b>(beside: &'b mut Beside, id: &str, parameter: &str) -> Result<&'b mut Restored, ApiError> {
    let is_cluster = parameter == "DBClusterIdentifier";
    let missing = if is_cluster { ApiError::cluster_not_found(id) } else { ApiError::instance_not_found(id) };
    beside.restored.get_mut(id).filter(|made| made.is_cluster == is_cluster).ok_or(missing)
}

fn write(xml: &mut Xml, core: &Core, made: &Restored, beside: &Beside) {
    let name = if made.is_cluster { "DBCluster" } else { "DBInstance" };
    xml.group(name, |xml| fill(xml, core, made, beside));
}

fn fill(xml: &mut Xml, core: &Core, made: &Restored, beside: &Beside) {
    let config = &core.config;
    let is_ready = made.status != "creating";
    if made.is_cluster {
        xml.text("DBClusterIdentifier", &made.id);
        xml.text("Status", &made.status);
        xml.text("DBSubnetGroup", &made.subnet_group);
        xml.text("Endpoint", &made.host);
        xml.text("Port", config.port);
        xml.group("DBClusterMembers", |members| {
            let own = beside.restored.values().filter(|other| other.member_of.as_ref() == Some(&made.id));
            for member in own {
                members.group("DBClusterMember", |xml| {
                    xml.text("DBInstanceIdentifier", &member.id);
                    xml.text("IsClusterWriter", true);
                });
            }
        });
        xml.time("ClusterCreateTime", made.created_ms);
    } else {
        xml.text("DBInstanceIdentifier", &made.id);
        xml.text("DBInstanceStatus", &made.status);
        xml.text("DBInstanceClass", &made.class);
        if let Some(cluster) = &made.member_of {
            xml.text("DBClusterIdentifier", cluster);
        }
        if is_ready {
            let of = made.member_of.as_ref().and_then(|of| beside.restored.get(of));
            xml.group("Endpoint", |endpoint| {
                endpoint.text("Address", of.map_or(&made.host, |cluster| &cluster.host));
                endpoint.text("Port", config.port);
            });
        }
        xml.text("MultiAZ", false);
        xml.text("PubliclyAccessible", false);
        xml.time("InstanceCreateTime", made.created_ms);
    }
    xml.text("Engine", &config.engine);
    xml.text("EngineVersion", &made.engine_version);
    xml.text("MasterUsername", &config.master_username);
    if let Some(secret) = &made.secret {
        xml.group("MasterUserSecret", |xml| {
            xml.text("SecretArn", secret);
            xml.text("SecretStatus", "active");
        });
    }
    groups(xml, &made.security_groups);
    xml.tags(&made.tags);
}

/// The security groups of a cluster or an instance.
pub(super) fn groups(xml: &mut Xml, groups: &[String]) {
    xml.group("VpcSecurityGroups", |list| {
        for group in groups {
            list.group("VpcSecurityGroupMembership", |xml| {
                xml.text("VpcSecurityGroupId", group);
                xml.text("Status", "active");
            });
        }
    });
}

/// The parameter group and the option group of production's instances: what is restored without naming them gets
/// others, and other settings.
pub(super) fn own_groups(xml: &mut Xml) {
    xml.group("DBParameterGroups", |list| {
        list.group("DBParameterGroup", |xml| {
            xml.text("DBParameterGroupName", OWN_GROUP);
            xml.text("ParameterApplyStatus", "in-sync");
        });
    });
    xml.group("OptionGroupMemberships", |list| {
        list.group("OptionGroupMembership", |xml| {
            xml.text("OptionGroupName", OWN_GROUP);
            xml.text("Status", "in-sync");
        });
    });
}
