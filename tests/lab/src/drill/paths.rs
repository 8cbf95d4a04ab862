//! Paths that are cut, each by as many faults as want it so.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use steadfast_scenario::Zone;

use crate::assembly::names;
use crate::network::VIEWS;
use crate::postgres::{Cluster, ClusterError};
use crate::proxy::Link;

/// From a view to an instance.
pub(super) type Path = (u8, String);

/// How many faults cut each path now.
#[derive(Debug, Default)]
pub(super) struct Paths(Mutex<BTreeMap<Path, u32>>);

impl Paths {
    /// Cuts each of these paths.
    pub(super) fn cut(&self, cluster: &Cluster, paths: Vec<Path>) -> Result<(), ClusterError> {
        let mut cuts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for path in paths {
            cluster.set_link(path.0, &path.1, Link::Cut)?;
            *cuts.entry(path).or_default() += 1;
        }
        Ok(())
    }

    /// Takes one cut of each of these paths back; the last one opens it.
    pub(super) fn mend(&self, cluster: &Cluster, paths: Vec<Path>) -> Result<(), ClusterError> {
        let mut cuts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for path in paths {
            let left = cuts.get(&path).map_or(0, |count| count.saturating_sub(1));
            if left == 0 {
                cluster.set_link(path.0, &path.1, Link::Open)?;
            }
            cuts.insert(path, left);
        }
        Ok(())
    }
}

/// What a zone's prober and clients see: views 1 to 3 are the zones.
pub(super) fn view(zone: Zone) -> u8 {
    zone.0.saturating_add(1)
}

/// From these views to one instance.
pub(super) fn to(instance: &str, views: impl IntoIterator<Item = u8>) -> Vec<Path> {
    views.into_iter().map(|view| (view, instance.to_owned())).collect()
}

/// From one view to all these instances.
pub(super) fn from<'i>(view: u8, instances: impl IntoIterator<Item = &'i str>) -> Vec<Path> {
    instances.into_iter().map(|instance| (view, instance.to_owned())).collect()
}

/// Every view: the clients' and the zones'.
pub(super) fn everywhere() -> std::ops::Range<u8> {
    0..VIEWS
}

/// From the zone to every instance, and from everywhere to the zone's instance.
pub(super) fn in_and_out(zone: Zone) -> Vec<Path> {
    let out = from(view(zone), names::INSTANCES);
    let within = names::INSTANCES.get(usize::from(zone.0)).into_iter();
    let mut paths: Vec<Path> = within.flat_map(|instance| to(instance, everywhere())).chain(out).collect();
    paths.sort();
    paths.dedup();
    paths
}
