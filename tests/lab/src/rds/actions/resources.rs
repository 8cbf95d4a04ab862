//! `ListTagsForResource`, `DescribePendingMaintenanceActions`, `DescribeBlueGreenDeployments`.

use super::super::core::Core;
use super::super::error::ApiError;
use super::super::form::Form;
use super::super::xml::Xml;
use super::{Done, list, numbered, passes};

pub(super) fn tags(core: &Core, form: &Form) -> Result<Done, ApiError> {
    let arn = form.required("ResourceName")?;
    check_resource(core, arn)?;
    let mut result = Xml::new();
    result.tags(&core.config.tags);
    Ok(Done::answer(result))
}

pub(super) fn pending_maintenance(core: &Core, form: &Form) -> Result<Done, ApiError> {
    let wanted = form.get("ResourceIdentifier");
    let filters = form.filters();
    let config = &core.config;
    let mut shown = Vec::new();
    for pending in core.state().pending_maintenance.clone() {
        let arn = pending.resource_arn.as_str();
        let is_cluster = arn == config.cluster_arn();
        let name = arn.rsplit(':').next().unwrap_or(arn);
        let own: &[&str] = &[arn, name];
        let known: [(&str, &[&str]); 2] = [
            ("db-cluster-id", if is_cluster { own } else { &[] }),
            ("db-instance-id", if is_cluster { &[] } else { own }),
        ];
        if passes(&filters, &known)? && wanted.is_none_or(|wanted| wanted == arn) {
            shown.push(pending);
        }
    }
    let names = ("PendingMaintenanceActions", "ResourcePendingMaintenanceActions");
    list(form, names, numbered(shown), |xml, pending| {
        xml.text("ResourceIdentifier", &pending.resource_arn);
        xml.group("PendingMaintenanceActionDetails", |details| {
            details.group("PendingMaintenanceAction", |action| {
                action.text("Action", &pending.action);
                action.text("Description", &pending.description);
            });
        });
    })
}

/// There never is one.
pub(super) fn blue_green(form: &Form) -> Result<Done, ApiError> {
    if let Some(name) = form.get("BlueGreenDeploymentIdentifier") {
        let message = format!("BlueGreenDeployment {name} not found.");
        return Err(ApiError::new(404, "BlueGreenDeploymentNotFoundFault", message));
    }
    list(form, ("BlueGreenDeployments", "member"), Vec::<(u64, ())>::new(), |_, ()| {})
}

fn check_resource(core: &Core, arn: &str) -> Result<(), ApiError> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let ["arn", _, "rds", _, _, kind, name] = parts[..] else {
        let message = format!("Invalid resource name: {arn}");
        return Err(ApiError::invalid_value(message));
    };
    match kind {
        "cluster" if arn == core.config.cluster_arn() => Ok(()),
        "db" if core.config.instance(arn).is_some() || core.config.is_multi_az_instance(arn) => Ok(()),
        "cluster" => Err(ApiError::cluster_not_found(name)),
        "db" => Err(ApiError::instance_not_found(name)),
        _ => {
            let message = format!("Invalid resource name: {arn}");
            Err(ApiError::invalid_value(message))
        }
    }
}
