//! The outside world as the executor needs it. No word of AWS in here.

use std::future::Future;
use std::time::Duration;

use crate::episode::Episode;
use crate::evidence::Entry;
use crate::lease::Lease;
use crate::metric::Metric;
use crate::mode::Mode;
use crate::notice::Notice;
use crate::pin::{Aim, Pin, PinName};
use crate::rotation::Rotation;
use crate::switchover::Quiesced;
use crate::time::Timestamp;
use crate::topology::{ClusterId, InstanceId, Topology};
use crate::witness::WitnessReport;

/// What a call to the control plane may take at most: then its port gives it up.
pub const CALL_LIMIT: Duration = Duration::from_secs(5);

/// What pointing the stable name may take at most.
pub const POINT_LIMIT: Duration = Duration::from_secs(3);

/// Time.
pub trait Clock {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Lets time pass. Safe to cancel.
    fn pause(&self, by: Duration) -> impl Future<Output = ()> + Send;
}

/// What stands in the state table about one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What the operator allows; a table without a word about it means [`Mode::Shadow`].
    pub mode: Mode,
    /// The lease, held or run out.
    pub lease: Option<Lease>,
    /// The latest episode, open or closed.
    pub episode: Option<Episode>,
    /// The latest report of each witness.
    pub reports: Vec<WitnessReport>,
    /// What was done about the stable name.
    pub pin: Option<Pin>,
    /// The latest rotation of each secret.
    pub rotations: Vec<Rotation>,
}

/// Why the state table did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It did not answer, or with an error of its own. The write may have taken effect.
    #[error("state table {table}: {cause}")]
    Unavailable {
        /// The table.
        table: String,
        /// What it or the network said.
        cause: String,
    },
    /// Somebody else wrote meanwhile: the lease or the version is no longer what we saw.
    #[error("state table {table}: somebody else holds the lease or wrote the episode meanwhile")]
    Superseded {
        /// The table.
        table: String,
    },
    /// It holds something that is not ours to read.
    #[error("state table {table}: item {item} cannot be read: {cause}; mend or delete it")]
    Malformed {
        /// The table.
        table: String,
        /// The item's sort key.
        item: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// How a write stands to the lease: it takes effect only under it. Keeps invariant 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Under<'a> {
    /// Valid only while this lease stands in the table.
    Held(&'a Lease),
    /// Valid only while this lease and [`Mode::Armed`] stand in the table: a pause stops what it precedes. Keeps
    /// invariant 9.
    Armed(&'a Lease),
    /// Writes `next` over exactly the lease that was seen, in the same transaction.
    Changing {
        /// What stood there; None for nothing.
        seen: Option<&'a Lease>,
        /// What shall stand there.
        next: &'a Lease,
    },
}

/// The one place where state lives. Reads are consistent, writes are conditional.
pub trait StateTable {
    /// All that stands there about the cluster.
    fn load(&self, cluster: &ClusterId) -> impl Future<Output = Result<State, StateError>> + Send;

    /// Writes only the lease.
    fn write_lease(
        &self,
        cluster: &ClusterId,
        seen: Option<&Lease>,
        next: &Lease,
    ) -> impl Future<Output = Result<(), StateError>> + Send;

    /// Writes the episode and its new evidence in one transaction, which keeps invariant 3: all or nothing, only
    /// under the lease, and only if the episode still has the version `seen_version` (None: there was none).
    fn commit(
        &self,
        under: Under<'_>,
        episode: &Episode,
        seen_version: Option<u64>,
        entries: &[Entry],
    ) -> impl Future<Output = Result<(), StateError>> + Send;

    /// Writes what is said about the stable name, only over the version `seen` (None: nothing stands there). One that
    /// is not settled announces a call, and is written in [`Mode::Armed`] alone.
    fn write_pin(
        &self,
        cluster: &ClusterId,
        seen: Option<u64>,
        next: &Pin,
    ) -> impl Future<Output = Result<(), StateError>> + Send;
}

/// Why a call to the control plane did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It answered with an error: code and message.
    #[error("{action}: {code}: {message}")]
    Refused {
        /// The API action.
        action: &'static str,
        /// Its error code.
        code: String,
        /// Its message.
        message: String,
    },
    /// No answer: the call may have taken effect.
    #[error("{action}: no answer, so it may have taken effect: {cause}")]
    Unanswered {
        /// The API action.
        action: &'static str,
        /// What the network said.
        cause: String,
    },
}

impl CallError {
    /// Whether it was refused for a reason that passes by itself: throttling, or a state of the cluster or an
    /// instance. Source: the RDS API reference, "Common Errors" and the errors of `FailoverDBCluster` and
    /// `RebootDBInstance`.
    pub fn passes(&self) -> bool {
        match self {
            Self::Refused { code, .. } => matches!(
                code.as_str(),
                "Throttling"
                    | "ThrottlingException"
                    | "RequestLimitExceeded"
                    | "InvalidDBClusterStateFault"
                    | "InvalidDBInstanceState"
                    | "InvalidDBInstanceStateFault"
            ),
            Self::Unanswered { .. } => false,
        }
    }
}

/// The platform's control plane.
pub trait ControlPlane {
    /// Describes the cluster and its instances. Eventually consistent.
    fn describe(&self, cluster: &ClusterId) -> impl Future<Output = Result<Topology, CallError>> + Send;

    /// Calls [`crate::topology::Deployment::failover_action`] exactly once: never retried, since a second call can
    /// flip the roles back. A Multi-AZ DB instance has one standby, so its call names no target.
    fn fail_over(&self, cluster: &ClusterId, target: &InstanceId)
    -> impl Future<Output = Result<(), CallError>> + Send;
}

/// The drainer function.
pub trait Drainer {
    /// Asks it to end read-write sessions on the demoted instance; returns when it was asked.
    fn evict(
        &self,
        cluster: &ClusterId,
        epoch: u64,
        demoted: &InstanceId,
    ) -> impl Future<Output = Result<(), CallError>> + Send;

    /// Has it close the gate on the writer, and waits for what comes of it. Whatever becomes of this call, a gate
    /// that was closed opens by itself.
    fn quiesce(
        &self,
        cluster: &ClusterId,
        epoch: u64,
        writer: &InstanceId,
    ) -> impl Future<Output = Result<Quiesced, CallError>> + Send;

    /// Has it let go of a gate that it closed, and waits for that.
    fn resume(&self, cluster: &ClusterId, epoch: u64, hold: &str)
    -> impl Future<Output = Result<(), CallError>> + Send;
}

/// The name service of those who want a stable name for the writer.
pub trait Names {
    /// The name that is kept on the writer; None: there is none, and nothing is done about it.
    fn stable_name(&self) -> Option<PinName>;

    /// Points the name at the endpoint, whatever it led to. One try, given up after [`POINT_LIMIT`].
    fn point(&self, aim: &Aim) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// People.
pub trait Notifier {
    /// Tells them; returns when the message was accepted.
    fn notify(&self, notice: &Notice) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// The log: audit lines and metrics on standard output. Never blocks, never fails.
pub trait Log {
    /// One audit line.
    fn audit(&self, what: &str, data: serde_json::Value);

    /// A line for what the code rules out. Whoever finds one has found a defect, by invariant 11.
    fn error(&self, what: &str, data: serde_json::Value);

    /// One metrics line.
    fn measure(&self, cluster: &ClusterId, metrics: &[(Metric, u64)]);
}

/// All of it.
pub trait World: Clock + StateTable + ControlPlane + Drainer + Names + Notifier + Log {}

impl<T: Clock + StateTable + ControlPlane + Drainer + Names + Notifier + Log> World for T {}
