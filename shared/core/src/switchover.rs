//! The planned switchover: what an operator orders, when it may begin, and what is stored of it.
//!
//! It is an episode like any other, with a [`Plan`]: the gate is closed, nobody is inside, and only then the
//! one call is made. Whoever adopts its episode carries nothing out, and brings it to its end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::candidate::{self, Refusal};
use crate::decision::Decision;
use crate::diagnosis::WriterState;
use crate::episode::Episode;
use crate::facts::Platform;
use crate::gate::{Measure, Phase};
use crate::lease::LeaseState;
use crate::mode::Mode;
use crate::policy::Policy;
use crate::ports::CALL_LIMIT;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;
use crate::topology::{Deployment, InstanceId};

/// From the order to the call at most: preflight, quiesce and the call itself take a few seconds.
const PLAN_LASTS: Duration = Duration::from_secs(30);

/// What an operator ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// The instance that shall write; None for the best candidate.
    pub target: Option<InstanceId>,
    /// Who ordered it, and why.
    pub reason: String,
    /// The invocation that brought the order: Lambda may bring it again.
    pub request: String,
}

/// A planned switchover as it is stored in its episode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The instance that shall write.
    pub target: InstanceId,
    /// Who ordered it, and why.
    pub reason: String,
    /// The invocation that brought the order.
    pub request: String,
    /// It is called off if nothing has been called by then.
    pub until: Timestamp,
    /// Whether the drainer was asked to close the gate. It is asked once.
    pub asked: bool,
    /// What is known of the gate.
    pub gate: Phase,
    /// What holds the gate on the old writer: the id of the drainer's transaction.
    pub hold: Option<String>,
    /// Why nothing will be called.
    pub called_off: Option<String>,
    /// Whether the drainer was told to open the gate again.
    pub resumed: bool,
}

/// How a planned switchover stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Planned {
    /// No switchover is planned, or its call was made.
    #[default]
    No,
    /// The next step of the plan is due.
    Due,
    /// Nothing is called any more.
    Off,
}

impl Planned {
    /// All values.
    pub const ALL: [Self; 3] = [Self::No, Self::Due, Self::Off];
}

/// A session that had not ended its transaction when the gate was to be closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Straggler {
    /// Process id on the writer.
    pub pid: i32,
    /// Its role.
    pub role: String,
    /// Its `application_name`.
    pub application: String,
    /// Its address.
    pub address: Option<String>,
    /// What was done to it.
    pub measure: Measure,
}

/// What came of closing the gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiesced {
    /// The gate.
    pub gate: Phase,
    /// What holds it.
    pub hold: Option<String>,
    /// Why it is open, if it is.
    pub because: Option<String>,
    /// Who did not leave by himself in time.
    pub stragglers: Vec<Straggler>,
}

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// Only an armed Steadfast acts.
    #[error("the mode is {}; order `set_mode` with `armed` first", .0.as_str())]
    Mode(Mode),
    /// A Multi-AZ DB instance: without the Data API nothing can hold the gate that outlives its holder.
    #[error(
        "an RDS instance has no Data API to hold the gate; reboot it with failover by hand, at a time when its \
         applications can bear it"
    )]
    NoGate,
    /// Another episode, or another coordinator.
    #[error("episode {0} is open; wait until it is closed")]
    Episode(u64),
    /// Somebody acts, or has just died.
    #[error("another coordinator holds the lease; try again in a few seconds")]
    Lease,
    /// A password is about to change.
    #[error("the secret {0} is being rotated; try again in a minute")]
    Rotation(String),
    /// Only a writer that serves is switched over.
    #[error("the writer is {0:?}, not committing; a switchover needs a healthy cluster")]
    Writer(WriterState),
    /// A change is in progress, or nothing is known.
    #[error("the control plane is {0:?}, not idle; wait until it is")]
    Platform(Platform),
    /// The target writes already.
    #[error("{0} is the writer already; name a reader, or leave the target out")]
    Writes(InstanceId),
    /// The named target is unfit.
    #[error("{0} cannot take over: {1}; name another target, or leave it out")]
    Unfit(InstanceId, Refusal),
    /// There is no such instance.
    #[error("{0} is no member of the cluster; name one of its readers, or leave the target out")]
    Unknown(InstanceId),
    /// Nobody is fit.
    #[error("no candidate is safe: {0}; mend one of them first")]
    NoCandidate(String),
    /// This order was taken before, by the same invocation, and carried out or called off.
    #[error("this order was taken before, in episode {0}; invoke again to order another switchover")]
    Repeated(u64),
}

impl NotReady {
    /// Whether another look a moment later may say otherwise.
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Writer(WriterState::Unknown | WriterState::Suspected)
                | Self::Platform(Platform::Mute)
                | Self::Lease
                | Self::Rotation(_)
        )
    }
}

/// Whether the order may be carried out now, and with which target.
///
/// # Errors
///
/// The first thing that stands in the way.
pub fn preflight(
    snapshot: &Snapshot,
    decision: &Decision,
    order: &Ordered,
    policy: &Policy,
) -> Result<InstanceId, NotReady> {
    let facts = decision.facts;
    if snapshot.deployment() == Deployment::Instance {
        return Err(NotReady::NoGate);
    }
    if let Some(last) = &snapshot.episode {
        if let Some(taken) = last.orders_taken().iter().find(|taken| taken.request == order.request) {
            return Err(NotReady::Repeated(taken.epoch));
        }
        if last.is_open() {
            return Err(NotReady::Episode(last.epoch));
        }
    }
    if facts.mode != Mode::Armed {
        return Err(NotReady::Mode(facts.mode));
    }
    if facts.lease == LeaseState::Theirs {
        return Err(NotReady::Lease);
    }
    if let Some(rotation) = snapshot.rotating(policy) {
        return Err(NotReady::Rotation(rotation.secret.clone()));
    }
    if facts.writer != WriterState::Committing {
        return Err(NotReady::Writer(facts.writer));
    }
    if facts.platform != Platform::Idle {
        return Err(NotReady::Platform(facts.platform));
    }
    match &order.target {
        Some(named) => fit(decision, named).map(|()| named.clone()),
        None => decision.target.clone().ok_or_else(|| NotReady::NoCandidate(none_is_fit(decision))),
    }
}

fn none_is_fit(decision: &Decision) -> String {
    candidate::reasons(&decision.refused).unwrap_or_else(|| "the cluster has no reader".to_owned())
}

fn fit(decision: &Decision, named: &InstanceId) -> Result<(), NotReady> {
    if decision.target.as_ref() == Some(named) || decision.spare.contains(named) {
        return Ok(());
    }
    if decision.diagnosis.presumed.as_ref() == Some(named) {
        return Err(NotReady::Writes(named.clone()));
    }
    match decision.refused.iter().find(|refused| refused.instance == *named) {
        Some(refused) => Err(NotReady::Unfit(named.clone(), refused.because.clone())),
        None => Err(NotReady::Unknown(named.clone())),
    }
}

impl Plan {
    /// A plan for `target` that nothing has been done for yet.
    pub fn new(order: &Ordered, target: InstanceId, now: Timestamp) -> Self {
        Self {
            target,
            reason: order.reason.clone(),
            request: order.request.clone(),
            until: now.plus(PLAN_LASTS),
            asked: false,
            gate: Phase::Open,
            hold: None,
            called_off: None,
            resumed: false,
        }
    }

    /// Whether nobody can be inside when the call that is made now arrives.
    pub fn covers_call(&self, now: Timestamp, policy: &Policy) -> bool {
        !self.resumed && self.gate.covers(now, CALL_LIMIT, policy.clock_skew_max)
    }

    /// Whether its next step can still be taken at `now`: the gate is closed once, and a gate that no longer
    /// covers the call ends the plan.
    fn stands(&self, now: Timestamp, policy: &Policy) -> bool {
        self.called_off.is_none() && now < self.until && (!self.asked || self.covers_call(now, policy))
    }

    /// What holds the gate, while somebody should still let go of it.
    pub fn to_resume(&self) -> Option<&str> {
        self.hold.as_deref().filter(|_| !self.resumed)
    }
}

/// How the plan of the open episode stands. Only the coordinator that was given the order carries it out.
pub fn planned(snapshot: &Snapshot, policy: &Policy) -> Planned {
    let Some((open, plan)) = snapshot.open_episode().and_then(|open| Some((open, open.plan.as_ref()?))) else {
        return Planned::No;
    };
    match &open.promotion {
        Some(promotion) if promotion.refused.is_none() => Planned::No,
        Some(_) => Planned::Off,
        // Once its end has begun, a plan is not taken up again: the gate may have been opened.
        None if open.proved_at.is_some() || plan.resumed => Planned::Off,
        // It was announced before the lease was taken: it would not have been afterwards.
        None if snapshot.rotating(policy).is_some() => Planned::Off,
        None if is_owner(snapshot, open) && plan.stands(snapshot.now, policy) => Planned::Due,
        None => Planned::Off,
    }
}

fn is_owner(snapshot: &Snapshot, open: &Episode) -> bool {
    snapshot.lease.as_ref().is_some_and(|lease| lease.owner == snapshot.me && lease.epoch == open.epoch)
}

/// The only target of a plan whose call has yet to be made, while the writer serves: if it fails meanwhile, any
/// safe candidate will do.
pub fn planned_target(snapshot: &Snapshot, writer: WriterState) -> Option<&InstanceId> {
    let open = snapshot.open_episode().filter(|open| open.promotion.is_none())?;
    open.plan.as_ref().filter(|_| writer == WriterState::Committing).map(|plan| &plan.target)
}
