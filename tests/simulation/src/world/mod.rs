//! The simulated world: one struct, one file for each part of it.

pub(crate) mod client;
pub(crate) mod dns;
mod drainer;
pub(crate) mod fault;
pub(crate) mod function;
pub(crate) mod gate;
pub(crate) mod instance;
mod password;
pub(crate) mod platform;
mod prober;
pub(crate) mod quiesce;
mod router;
pub(crate) mod service;
mod stable;
mod supervise;
pub(crate) mod table;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::policy::Policy;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Az, ClusterId, Deployment, InstanceId};

use crate::dice::Dice;
use crate::kernel::{Agenda, Micros, Root};
use crate::plan::Plan;

use client::Clients;
use dns::Dns;
use drainer::Drainers;
use fault::Faults;
use function::Functions;
use gate::Gate;
use instance::{Instance, Storage};
use password::Passwords;
use platform::Platform;
use prober::Probers;
use router::Router;
use service::Services;
use stable::StableName;
use supervise::Supervision;
use table::Table;
use watch::Watch;

/// Where virtual time begins: any moment long after the Unix epoch.
const EPOCH: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// One millisecond.
pub(crate) const MS: Micros = 1_000;
/// One second.
pub(crate) const SECOND: Micros = 1_000 * MS;

/// A number of an instance, a zone or a client.
pub(crate) type Nth = usize;

/// The names of everything, made once.
pub(crate) struct Names {
    pub(crate) cluster: ClusterId,
    pub(crate) instances: Vec<InstanceId>,
    pub(crate) zones: Vec<Az>,
}

impl Names {
    fn new(deployment: Deployment, instances: usize) -> Self {
        let cluster = ClusterId::new("orders");
        let zones: Vec<Az> = ["az-a", "az-b", "az-c"].map(Az::new).into();
        let instances = match deployment {
            Deployment::Cluster => (1..=instances).map(|n| InstanceId::new(format!("orders-{n}"))).collect(),
            Deployment::Instance => zones.iter().take(instances).map(|az| InstanceId::of_host(&cluster, az)).collect(),
        };
        Self { cluster, instances, zones }
    }
}

/// Everything outside the coordinator.
pub(crate) struct World {
    pub(crate) agenda: Agenda,
    pub(crate) dice: Dice,
    pub(crate) root: Root,
    pub(crate) plan: Plan,
    pub(crate) policy: Arc<Policy>,
    pub(crate) names: Names,
    pub(crate) instances: Vec<Instance>,
    pub(crate) storage: Storage,
    pub(crate) gate: Gate,
    pub(crate) platform: Platform,
    pub(crate) dns: Dns,
    pub(crate) stable: StableName,
    pub(crate) passwords: Passwords,
    pub(crate) table: Table,
    pub(crate) services: Services,
    pub(crate) probers: Probers,
    pub(crate) router: Router,
    pub(crate) functions: Functions,
    pub(crate) drainers: Drainers,
    pub(crate) clients: Clients,
    pub(crate) faults: Faults,
    pub(crate) supervision: Supervision,
    pub(crate) watch: Watch,
}

impl World {
    /// A healthy cluster with its first instance as the writer, or a Multi-AZ DB instance with its first host.
    pub(crate) fn new(plan: Plan, root: Root) -> Self {
        let instances = match plan.scenario.deployment {
            Deployment::Cluster => usize::from(plan.scenario.readers).saturating_add(1),
            Deployment::Instance => 2,
        };
        let names = Names::new(plan.scenario.deployment, instances);
        let dice = Dice::new(plan.seed);
        let zones = names.zones.len();
        let policy = Arc::new(plan.policy());
        Self {
            agenda: Agenda::default(),
            dice,
            root,
            policy,
            instances: (0..instances).map(|nth| Instance::new(nth, &plan)).collect(),
            storage: Storage::new(instances),
            gate: Gate::default(),
            platform: Platform::new(instances),
            dns: Dns::new(zones),
            stable: StableName::default(),
            passwords: Passwords::default(),
            table: Table::new(plan.scenario.mode),
            services: Services::default(),
            probers: Probers::default(),
            router: Router::default(),
            functions: Functions::default(),
            drainers: Drainers::default(),
            clients: Clients::new(&plan),
            faults: Faults::new(&plan),
            supervision: Supervision::default(),
            watch: Watch::new(plan.trace),
            names,
            plan,
        }
    }

    /// Sets everything in motion.
    pub(crate) fn begin(&mut self) {
        self.begin_probing();
        self.begin_ticks();
        self.begin_clients();
        self.begin_fencing();
        self.begin_faults();
        self.begin_supervision();
    }

    /// The present by a clock that is this many milliseconds ahead (or behind).
    pub(crate) fn clock(&self, ahead_ms: i64) -> Timestamp {
        let ms = EPOCH.as_millis().saturating_add(self.agenda.now() / MS);
        Timestamp::from_millis(ms.saturating_add_signed(ahead_ms))
    }

    /// A deviation of a clock within what the run allows.
    pub(crate) fn any_skew(&mut self) -> i64 {
        let max = self.plan.noise.skew_max;
        let max = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
        if max == 0 {
            return 0;
        }
        let of_both = match self.dice.between(0, 5) {
            0 => 0,
            1 => max.saturating_mul(2),
            _ => self.dice.between(0, max.saturating_mul(2)),
        };
        i64::try_from(of_both).unwrap_or(0).saturating_sub(i64::try_from(max).unwrap_or(0))
    }

    /// Whether it is a Multi-AZ DB instance: one endpoint, and a standby that nobody reaches.
    pub(crate) fn is_multi_az(&self) -> bool {
        self.plan.scenario.deployment == Deployment::Instance
    }

    /// Whether nobody reaches it, since it stands by.
    pub(crate) fn is_hidden(&self, nth: Nth) -> bool {
        self.is_multi_az() && nth != self.platform.writer
    }

    /// The name of this instance.
    pub(crate) fn id(&self, nth: Nth) -> Option<&InstanceId> {
        self.names.instances.get(nth)
    }

    /// The instance of this name.
    pub(crate) fn nth(&self, id: &InstanceId) -> Option<Nth> {
        self.names.instances.iter().position(|name| name == id)
    }

    /// The zone of this instance.
    pub(crate) fn zone_of(&self, instance: Nth) -> Nth {
        instance % self.names.zones.len()
    }

    /// Writes a line of the trace, if there is one.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let now = self.agenda.now();
        self.watch.note(now, line);
    }
}

/// A duration as virtual time.
pub(crate) fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
