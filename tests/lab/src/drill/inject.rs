//! What the lab does for each fault: one line per fault, and None for what it cannot do.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use steadfast_scenario::{
    Delivery, Disturbance, Fault, OperatorDeed, Place, PlatformDeed, Role, Service, Trouble, View, Zone,
};

use super::DrillError;
use super::deeds;
use crate::assembly::{self, Lab, PostgresNodes, names};
use crate::lambda::{Lambda, LambdaError};
use crate::network::VIEWS;
use crate::postgres::{Cluster, ClusterError};
use crate::rds::{Closure, Failovers, Rds};
use crate::services;

/// The clients' view; views 1 to 3 are the zones'. The lab's clients live in no zone.
const CLIENTS: u8 = 0;
/// A failover that fails, or reverses itself, takes this long. Aurora's own take 10 to 30 s.
const FAILOVER_TAKES: Duration = Duration::from_secs(10);

/// How a fault begins and ends.
pub(super) struct Injection {
    /// The instance it is about.
    pub(super) place: Option<Place>,
    pub(super) begin: Box<dyn Act>,
    /// None for a fault that is over at once.
    pub(super) end: Option<Box<dyn Act>>,
}

/// Where a fault is injected.
#[derive(Clone)]
pub(super) struct Stage<'l> {
    pub(super) lab: &'l Lab,
    /// The instance that the place stands for, the same from the fault's beginning to its end; empty
    /// for a fault without a place.
    pub(super) instance: String,
}

/// One half of an injection.
pub(super) trait Act {
    /// Does it.
    fn run<'a>(&'a self, stage: &'a Stage<'_>) -> LocalBoxFuture<'a, Result<(), DrillError>>;
}

impl<F: AsyncFn(&Stage<'_>) -> Result<(), DrillError>> Act for F {
    fn run<'a>(&'a self, stage: &'a Stage<'_>) -> LocalBoxFuture<'a, Result<(), DrillError>> {
        Box::pin(self(stage))
    }
}

/// What the lab does for a fault; None for what it cannot do.
pub(super) fn injection(fault: &Fault) -> Option<Injection> {
    match *fault {
        Fault::KillHost(place) => lasting(place, deeds::kill_host, deeds::bring_back),
        Fault::KillPostgres(place) => at_once(place, deeds::kill_postgres),
        Fault::Freeze(place) => server(place, Cluster::freeze, Cluster::thaw),
        Fault::Restart(place) => at_once(place, deeds::restart),
        Fault::StallCommits(place) => server(place, Cluster::stall_commits, Cluster::resume_commits),
        Fault::FillDisk(place) => server(place, Cluster::fill_disk, Cluster::free_disk),
        Fault::FailCommits(place) => server(place, Cluster::fail_commits, Cluster::mend_commits),
        Fault::RefuseWrites(place) => server(place, Cluster::refuse_writes, Cluster::accept_writes),
        Fault::TakeConnections(place) => server(place, Cluster::take_connections, Cluster::release_connections),
        Fault::Linger(place) => deeds::lingerer(place),
        Fault::Lag(place, by) => server(
            place,
            async move |db, id| db.delay_replay(id, by).await,
            async |db, id| db.delay_replay(id, Duration::ZERO).await,
        ),
        Fault::Cut(place, view) => path(place, move |stage| vec![(stage.instance.clone(), views(view))]),
        Fault::Blind(zone) => path(None, move |stage| outward(stage.lab, zone)),
        Fault::Delay(zone, by) => slow(zone, by),
        Fault::Isolate(zone) => path(None, move |stage| [outward(stage.lab, zone), inward(stage.lab, zone)].concat()),
        Fault::RefusePassword(Role::Prober) => deeds::password(names::PROBER_ROLE),
        Fault::RefusePassword(Role::Application) => deeds::password(names::APPLICATION),
        Fault::RotatePassword(role) => deeds::rotation(role),
        Fault::Fail(Service::Rds, trouble, action) => deeds::control_plane(trouble, action.unwrap_or("*")),
        Fault::Fail(Service::StateTable, trouble, action) => service(services::Service::StateTable, trouble, action),
        Fault::Fail(Service::Notifier, trouble, action) => service(services::Service::Notifier, trouble, action),
        Fault::Fail(Service::Invocations, trouble, action) => service(services::Service::Invocations, trouble, action),
        Fault::Events(Delivery::Late(by)) => events(assembly::Delivery::Late(by)),
        Fault::Events(Delivery::Dropped) => events(assembly::Delivery::Dropped),
        Fault::Events(Delivery::Doubled) => events(assembly::Delivery::Doubled),
        Fault::Events(Delivery::Reordered) => events(assembly::Delivery::Reordered),
        Fault::Coordinator(Disturbance::Killed) => at_once(None, deeds::kill_coordinators),
        Fault::Coordinator(Disturbance::Doubled) => coordinator(
            async |lambda| lambda.duplicate_all(names::COORDINATOR, true).await,
            async |lambda| lambda.duplicate_all(names::COORDINATOR, false).await,
        ),
        Fault::Coordinator(Disturbance::Delayed(by)) => coordinator(
            async move |lambda| lambda.delay_invocations(names::COORDINATOR, by).await,
            async |lambda| lambda.delay_invocations(names::COORDINATOR, Duration::ZERO).await,
        ),
        Fault::KillProber(zone) => at_once(None, async move |stage| deeds::kill_prober(stage, zone).await),
        Fault::Platform(PlatformDeed::FailsOver) => at_once(None, async |s| Ok(s.lab.rds.fail_over_now().map(drop)?)),
        Fault::Platform(PlatformDeed::FailoversFail) => failovers(Failovers::Fail(FAILOVER_TAKES)),
        Fault::Platform(PlatformDeed::FailoversReverse) => failovers(Failovers::Reverse(FAILOVER_TAKES)),
        Fault::Platform(PlatformDeed::ChangesCluster) => {
            platform(|rds| rds.set_cluster_status("modifying"), |rds| rds.set_cluster_status("available"))
        }
        Fault::Platform(PlatformDeed::KeepsEndpoint) => {
            platform(|rds| rds.keep_endpoint(true), |rds| rds.keep_endpoint(false))
        }
        Fault::Platform(PlatformDeed::PausesCluster) => lasting(None, deeds::pause_cluster, deeds::resume_cluster),
        Fault::Platform(PlatformDeed::StopsCluster) => deeds::closure(Closure::Stopped),
        Fault::Platform(PlatformDeed::LosesKey) => deeds::closure(Closure::KeyLost),
        Fault::Platform(PlatformDeed::SwitchesBlueGreen) => {
            platform(|rds| rds.begin_switchover(), |rds| rds.complete_switchover())
        }
        Fault::Operator(OperatorDeed::Sets(mode)) => at_once(None, async move |s| deeds::set_mode(s, mode).await),
        Fault::Operator(OperatorDeed::FailsOver) => at_once(None, deeds::fail_over_by_hand),
        Fault::Operator(OperatorDeed::DeletesLease) => at_once(None, deeds::delete_lease),
        Fault::Operator(OperatorDeed::SwitchesOver) => at_once(None, deeds::switch_over),
        Fault::Coordinator(Disturbance::Ahead(_) | Disturbance::Behind(_)) => None,
    }
}

/// A fault that is over as soon as it has happened.
fn at_once(
    place: impl Into<Option<Place>>,
    begin: impl AsyncFn(&Stage<'_>) -> Result<(), DrillError> + 'static,
) -> Option<Injection> {
    Some(Injection { place: place.into(), begin: Box::new(begin), end: None })
}

/// A fault that lasts until it is ended.
pub(super) fn lasting(
    place: impl Into<Option<Place>>,
    begin: impl AsyncFn(&Stage<'_>) -> Result<(), DrillError> + 'static,
    end: impl AsyncFn(&Stage<'_>) -> Result<(), DrillError> + 'static,
) -> Option<Injection> {
    Some(Injection { place: place.into(), begin: Box::new(begin), end: Some(Box::new(end)) })
}

/// A fault of one PostgreSQL server.
fn server(
    place: Place,
    begin: impl AsyncFn(&Cluster, &str) -> Result<(), ClusterError> + 'static,
    end: impl AsyncFn(&Cluster, &str) -> Result<(), ClusterError> + 'static,
) -> Option<Injection> {
    lasting(
        place,
        async move |stage| Ok(begin(&stage.lab.cluster, &stage.instance).await?),
        async move |stage| Ok(end(&stage.lab.cluster, &stage.instance).await?),
    )
}

/// Paths, each from some views to an instance, on which packets vanish.
fn path(
    place: impl Into<Option<Place>>,
    paths: impl Fn(&Stage<'_>) -> Vec<(String, Vec<u8>)> + Copy + 'static,
) -> Option<Injection> {
    lasting(
        place,
        async move |stage| {
            let cluster = &stage.lab.cluster;
            Ok(paths(stage).into_iter().try_for_each(|(instance, views)| cluster.cut_off(&instance, views))?)
        },
        async move |stage| {
            let cluster = &stage.lab.cluster;
            Ok(paths(stage).into_iter().try_for_each(|(instance, views)| cluster.reconnect(&instance, views))?)
        },
    )
}

/// Everything between a zone and every instance comes this much later.
fn slow(zone: Zone, by: Duration) -> Option<Injection> {
    let delay = move |stage: &Stage<'_>, by| {
        let mut all = outward(stage.lab, zone).into_iter();
        all.try_for_each(|(instance, views)| stage.lab.cluster.delay_path(&instance, views, by))
    };
    lasting(None, async move |stage| Ok(delay(stage, by)?), async move |stage| Ok(delay(stage, Duration::ZERO)?))
}

/// Where an instance is looked at from.
fn views(view: View) -> Vec<u8> {
    match view {
        View::Zone(zone) => vec![of_zone(zone)],
        View::Everyone => (0..VIEWS).collect(),
        View::Clients => vec![CLIENTS],
    }
}

fn of_zone(zone: Zone) -> u8 {
    zone.0.saturating_add(1)
}

/// From the zone to every instance.
fn outward(lab: &Lab, zone: Zone) -> Vec<(String, Vec<u8>)> {
    lab.cluster.ids().iter().map(|instance| ((*instance).to_owned(), vec![of_zone(zone)])).collect()
}

/// From everywhere to the zone's instance.
fn inward(lab: &Lab, zone: Zone) -> Vec<(String, Vec<u8>)> {
    let instances = lab.cluster.ids();
    let instance = instances.get(usize::from(zone.0));
    instance.map(|instance| ((*instance).to_owned(), views(View::Everyone))).into_iter().collect()
}

/// A service that functions call, for one of its actions or for all.
fn service(service: services::Service, trouble: Trouble, action: Option<&'static str>) -> Option<Injection> {
    let trouble = match trouble {
        Trouble::Throttle => services::Trouble::Throttle,
        Trouble::Error => services::Trouble::Error,
        Trouble::Denied => services::Trouble::Denied,
        Trouble::Silence => services::Trouble::Silence,
        Trouble::LostAnswer => services::Trouble::LostAnswer,
        Trouble::ErrorAfterEffect => services::Trouble::ErrorAfterEffect,
        Trouble::Slow(by) => services::Trouble::Slow(by),
        // Only a description can be stale.
        Trouble::Stale => return None,
    };
    lasting(
        None,
        async move |stage| {
            stage.lab.services.set(service, trouble, action);
            Ok(())
        },
        async move |stage| {
            stage.lab.services.clear(service, trouble, action);
            Ok(())
        },
    )
}

/// What happens to the platform's events on their way.
fn events(delivery: assembly::Delivery) -> Option<Injection> {
    lasting(
        None,
        async move |stage| {
            stage.lab.events.set(delivery);
            Ok(())
        },
        async move |stage| {
            stage.lab.events.clear(delivery);
            Ok(())
        },
    )
}

/// What happens to invocations of the coordinator.
fn coordinator(
    begin: impl AsyncFn(&Lambda) -> Result<(), LambdaError> + 'static,
    end: impl AsyncFn(&Lambda) -> Result<(), LambdaError> + 'static,
) -> Option<Injection> {
    lasting(
        None,
        async move |stage| deeds::invocations(begin(&stage.lab.lambda).await),
        async move |stage| deeds::invocations(end(&stage.lab.lambda).await),
    )
}

/// What the platform does by itself.
fn platform(
    begin: impl Fn(&Rds<PostgresNodes>) + 'static,
    end: impl Fn(&Rds<PostgresNodes>) + 'static,
) -> Option<Injection> {
    lasting(
        None,
        async move |stage| {
            begin(&stage.lab.rds);
            Ok(())
        },
        async move |stage| {
            end(&stage.lab.rds);
            Ok(())
        },
    )
}

/// How the platform's failovers go.
fn failovers(go: Failovers) -> Option<Injection> {
    platform(move |rds| rds.set_failovers(go), |rds| rds.set_failovers(Failovers::Succeed))
}
