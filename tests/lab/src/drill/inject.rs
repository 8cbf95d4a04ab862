//! What the lab does for each fault: one entry per fault, and None for what it cannot do.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use steadfast_scenario::{Disturbance, Fault, OperatorDeed, Place, PlatformDeed, Role, Service, View};

use super::DrillError;
use super::deeds;
use super::paths::{self, Path, Paths};
use crate::assembly::{Lab, names};

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
    pub(super) paths: Rc<Paths>,
    /// The instance that `place` stands for, the same from the fault's beginning to its end; empty
    /// for a fault without a place.
    pub(super) instance: String,
    /// What the beginning leaves for the end.
    pub(super) kept: Rc<RefCell<Option<String>>>,
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
        Fault::KillPostgres(place) => at_once(place, async |s| Ok(s.lab.cluster.kill_postgres(&s.instance).await?)),
        Fault::Freeze(place) => lasting(place, deeds::freeze, async |s| Ok(s.lab.cluster.thaw(&s.instance).await?)),
        Fault::Restart(place) => at_once(place, deeds::restart),
        Fault::Lag(place, by) => lasting(place, async move |s| deeds::delay_replay(s, by).await, deeds::replay_at_once),
        Fault::Cut(place, View::Zone(zone)) => cut(place, move |s| paths::to(&s.instance, [paths::view(zone)])),
        Fault::Cut(place, View::Everyone) => cut(place, |s| paths::to(&s.instance, paths::everywhere())),
        Fault::Cut(place, View::Clients) => cut(place, |s| paths::to(&s.instance, [0])),
        Fault::Blind(zone) => cut(None, move |_| paths::from(paths::view(zone), names::INSTANCES)),
        Fault::Isolate(zone) => cut(None, move |_| paths::in_and_out(zone)),
        Fault::RefusePassword(Role::Prober) => deeds::password(names::PROBER_ROLE),
        Fault::RefusePassword(Role::Application) => deeds::password(names::APPLICATION),
        Fault::Fail(Service::Rds, trouble, action) => deeds::control_plane(trouble, action.unwrap_or("*")),
        Fault::Coordinator(Disturbance::Killed) => {
            at_once(None, async |s| deeds::kill_function(s, names::COORDINATOR).await)
        }
        Fault::KillProber(zone) => at_once(None, async move |s| deeds::kill_prober(s, zone).await),
        Fault::Platform(PlatformDeed::ChangesCluster) => deeds::cluster_status("modifying"),
        Fault::Operator(OperatorDeed::Sets(mode)) => {
            at_once(None, async move |s| Ok(s.lab.set_mode(mode, "the scenario's operator").await?))
        }
        Fault::Operator(OperatorDeed::FailsOver) => at_once(None, deeds::fail_over_by_hand),
        Fault::Operator(OperatorDeed::DeletesLease) => at_once(None, deeds::delete_lease),
        Fault::StallCommits(_)
        | Fault::FillDisk(_)
        | Fault::TakeConnections(_)
        | Fault::Fail(Service::StateTable | Service::Notifier | Service::Invocations, ..)
        | Fault::Events(_)
        | Fault::Coordinator(
            Disturbance::Delayed(_) | Disturbance::Doubled | Disturbance::Ahead(_) | Disturbance::Behind(_),
        )
        | Fault::Platform(
            PlatformDeed::FailsOver
            | PlatformDeed::FailoversFail
            | PlatformDeed::FailoversReverse
            | PlatformDeed::KeepsEndpoint,
        )
        | Fault::Operator(OperatorDeed::SwitchesOver) => None,
    }
}

/// A fault that is over as soon as it has happened.
pub(super) fn at_once(
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

/// Packets vanish on these paths.
fn cut(place: impl Into<Option<Place>>, paths: impl Fn(&Stage<'_>) -> Vec<Path> + Copy + 'static) -> Option<Injection> {
    lasting(
        place,
        async move |s| Ok(s.paths.cut(&s.lab.cluster, paths(s))?),
        async move |s| Ok(s.paths.mend(&s.lab.cluster, paths(s))?),
    )
}
