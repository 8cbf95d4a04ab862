//! The actions. Each reads and changes only what the control plane knows; what has to be done
//! with the nodes is handed back as an effect.

mod clusters;
mod events;
mod instances;
mod multi_az;
mod resources;

use super::core::Core;
use super::error::ApiError;
use super::failover::Run;
use super::form::{Filter, Form};
use super::xml::Xml;

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
        "DescribeDBClusters" => clusters::describe(core, form, stale),
        "FailoverDBCluster" => clusters::fail_over(core, form),
        "DescribeDBClusterEndpoints" => clusters::endpoints(core, form),
        "DescribeDBInstances" => instances::describe(core, form, stale),
        "RebootDBInstance" => instances::reboot(core, form),
        "ModifyDBInstance" => instances::modify(core, form),
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
