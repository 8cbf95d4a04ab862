//! The actions. Each reads and changes only what the control plane knows; what has to be done
//! with the nodes is handed back as an effect.

mod clusters;
mod events;
mod instances;
mod multi_az;
mod resources;
mod restores;

use super::beside::Change;
use super::core::Core;
use super::error::ApiError;
use super::failover::Run;
use super::form::{Filter, Form};
use super::xml::Xml;
use steadfast_core::topology::Deployment;

const VERSION: &str = "2014-10-31";

/// What an action answers and starts.
pub(super) struct Done {
    pub(super) result: Xml,
    pub(super) effect: Option<Effect>,
}

/// Work on the nodes that follows on an accepted request.
#[derive(Debug)]
pub(super) enum Effect {
    Failover(Run),
    Restart(String),
    Beside(Change),
}

/// Carries out one request. `stale`: describe the topology as it was when the fault was set.
pub(super) fn run(core: &Core, action: &str, form: &Form, stale: bool) -> Result<Done, ApiError> {
    if action.is_empty() {
        let message = "The request must contain the parameter Action";
        return Err(ApiError::new(400, "MissingAction", message));
    }
    let version = form.required("Version")?;
    if version != VERSION {
        return Err(ApiError::invalid_action(action, version));
    }
    match action {
        "DescribeDBClusters" => match restores::describe_one(core, form, true) {
            Some(described) => described,
            None => clusters::describe(core, form, stale).map(|done| restores::add_all(core, form, true, done)),
        },
        "FailoverDBCluster" => clusters::fail_over(core, form),
        "DescribeDBClusterEndpoints" => clusters::endpoints(core, form),
        "DescribeDBInstances" => match restores::describe_one(core, form, false) {
            Some(described) => described,
            None => instances::describe(core, form, stale).map(|done| restores::add_all(core, form, false, done)),
        },
        "RebootDBInstance" => instances::reboot(core, form),
        "ModifyDBInstance" if form.get("ManageMasterUserPassword").is_some() => {
            restores::renew_password(core, form, "DBInstanceIdentifier")
        }
        "ModifyDBInstance" => instances::modify(core, form),
        "ModifyDBCluster" => restores::renew_password(core, form, "DBClusterIdentifier"),
        "DescribeDBClusterSnapshots" => restores::snapshots(core, form, Deployment::Cluster),
        "DescribeDBSnapshots" => restores::snapshots(core, form, Deployment::Instance),
        "RestoreDBClusterToPointInTime"
        | "RestoreDBClusterFromSnapshot"
        | "RestoreDBInstanceToPointInTime"
        | "RestoreDBInstanceFromDBSnapshot" => restores::restore(core, form, action),
        "CreateDBInstance" => restores::create_instance(core, form),
        "DeleteDBInstance" => restores::delete(core, form, "DBInstanceIdentifier"),
        "DeleteDBCluster" => restores::delete(core, form, "DBClusterIdentifier"),
        "DescribeEvents" => events::describe(core, form),
        "ListTagsForResource" => resources::tags(core, form),
        "DescribePendingMaintenanceActions" => resources::pending_maintenance(core, form),
        "DescribeBlueGreenDeployments" => resources::blue_green(form),
        _ => Err(ApiError::invalid_action(action, version)),
    }
}

impl Done {
    fn answer(result: Xml) -> Self {
        Self { result, effect: None }
    }
}

/// Whether an entry passes all filters. `known`: each filter that this action has, with the
/// entry's own values for it.
fn passes(filters: &[Filter], known: &[(&str, &[&str])]) -> Result<bool, ApiError> {
    let mut passed = true;
    for filter in filters {
        let Some((_, own)) = known.iter().find(|(name, _)| *name == filter.name) else {
            let message = format!("Unrecognized filter name: {}", filter.name);
            return Err(ApiError::invalid_value(message));
        };
        if filter.values.is_empty() {
            let message = format!("Filter {} has no values", filter.name);
            return Err(ApiError::invalid_value(message));
        }
        passed &= filter.values.iter().any(|wanted| own.iter().any(|value| wanted.eq_ignore_ascii_case(value)));
    }
    Ok(passed)
}

/// A page of entries and the marker of the next one.
fn list<T>(
    form: &Form,
    (name, entry): (&str, &str),
    entries: Vec<(u64, T)>,
    write: impl Fn(&mut Xml, &T),
) -> Result<Done, ApiError> {
    let (page, marker) = form.page(entries)?;
    let mut xml = Xml::new();
    xml.group(name, |list| {
        for shown in &page {
            list.group(entry, |element| write(element, shown));
        }
    });
    if let Some(marker) = marker {
        xml.text("Marker", marker);
    }
    Ok(Done::answer(xml))
}

/// Numbers entries for paging.
fn numbered<T>(entries: impl IntoIterator<Item = T>) -> Vec<(u64, T)> {
    (1..).zip(entries).collect()
}
