//! The database cluster as it truly is, and what control plane and witnesses say of it.

use std::time::Duration;

use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Az, ClusterId, ClusterStatus, Deployment, InstanceId, Member, Topology};
use steadfast_core::witness::{Canary, EndpointSighting, Outcome, Sighting, WitnessReport};

use super::stored::Instance;
use crate::scale::{Scale, Ticks, aged, moment};

/// The instances, in the order in which they are preferred as targets.
pub const INSTANCES: [&str; 3] = ["w", "r1", "r2"];
/// The Availability Zones, one per instance, with a witness in each.
pub const AZS: [&str; 3] = ["a", "b", "c"];
/// The cluster's name.
pub const CLUSTER: &str = "orders";
/// The one that may be unfit.
const UNFIT: Instance = 1;
/// Failures come between ticks, so that a commit is either before or after them.
const BETWEEN: Duration = Duration::from_millis(500);

/// How the instance that holds the writer role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It commits.
    Committing,
    /// It is dead: the platform sees that too.
    Dead(Ticks),
    /// Its commits stand still: only witnesses see that.
    Stalled,
}

/// A failover in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moving {
    /// Who takes over.
    pub target: Instance,
    /// Whether a call of ours began it, not the platform.
    pub ours: bool,
    /// For how long.
    pub age: Ticks,
}

/// The cluster. The control plane says the truth about it and the witnesses all see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// Who holds the writer role.
    pub writer: Instance,
    /// How it is.
    pub health: Health,
    /// The failover in progress.
    pub moving: Option<Moving>,
    /// Whether the first reader is unfit: the control plane would refuse it.
    pub unfit: bool,
}

/// `FailoverDBCluster` on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The place of the coordinator that waits for the answer, while it runs.
    pub by: Option<u8>,
    /// Its target.
    pub target: Instance,
    /// For how long it has been on its way.
    pub age: Ticks,
}

/// What the control plane said once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Described {
    /// Whom it named writer.
    pub writer: Instance,
    /// Whether a failover was in progress.
    pub moving: bool,
    /// Whether the first reader was unfit.
    pub unfit: bool,
    /// When, by the clock of who asked.
    pub at: Ticks,
}

/// What the witnesses said once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reported {
    /// Who held the writer role.
    pub writer: Instance,
    /// How it was.
    pub health: Health,
    /// When, by true time.
    pub at: Ticks,
}

impl Health {
    fn age(&mut self, scale: &Scale) {
        match self {
            Self::Committing | Self::Stalled => {}
            Self::Dead(since) => *since = aged(*since, scale.failure_floor()),
        }
    }
}

impl Cluster {
    pub(crate) fn age(&mut self, scale: &Scale) {
        self.health.age(scale);
        if let Some(moving) = &mut self.moving {
            moving.age = moving.age.saturating_add(1);
        }
    }

    /// A failover begins, unless the control plane refuses it: with which code.
    pub fn begin(&mut self, target: Instance, ours: bool) -> Result<(), &'static str> {
        if self.moving.is_some() {
            return Err("InvalidDBClusterStateFault");
        }
        if target == self.writer || (self.unfit && target == UNFIT) {
            return Err("InvalidDBInstanceState");
        }
        self.moving = Some(Moving { target, ours, age: 0 });
        Ok(())
    }

    /// The failover in progress ends: its target commits.
    pub(crate) fn finish(&mut self) {
        if let Some(moving) = self.moving.take() {
            self.writer = moving.target;
            self.health = Health::Committing;
        }
    }

    /// What the control plane says, asked at `at` by the clock of who asks.
    pub fn described(&self, at: Ticks) -> Described {
        Described { writer: self.writer, moving: self.moving.is_some(), unfit: self.unfit, at }
    }

    /// What the witnesses say now.
    pub fn reported(&self) -> Reported {
        Reported { writer: self.writer, health: self.health, at: 0 }
    }
}

impl Described {
    pub(crate) fn age(&mut self, scale: &Scale) {
        self.at = aged(self.at, scale.fact_floor());
    }

    /// The description as the core reads it.
    pub fn topology(&self) -> Topology {
        let members = INSTANCES.iter().zip(AZS).zip(0..).map(|((id, az), place): (_, Instance)| Member {
            id: InstanceId::new(*id),
            az: Some(Az::new(az)),
            tier: 1,
            status: if self.unfit && place == UNFIT { "storage-full" } else { "available" }.to_owned(),
            is_writer: place == self.writer,
            class: "db.r6g.large".to_owned(),
            endpoint: format!("{id}.example"),
        });
        Topology {
            cluster: ClusterId::new(CLUSTER),
            deployment: Deployment::Cluster,
            status: if self.moving { ClusterStatus::FailingOver } else { ClusterStatus::Available },
            endpoint: "orders.cluster.example".to_owned(),
            port: 5432,
            members: members.collect(),
        }
    }
}

impl Reported {
    pub(crate) fn age(&mut self, scale: &Scale) {
        self.at = aged(self.at, scale.fact_floor());
        self.health.age(scale);
    }

    /// The reports as the core reads them, when the true time is `now`.
    pub fn reports(&self, now: Timestamp) -> Vec<WitnessReport> {
        let at = moment(now, self.at);
        let long_ago = now.minus(Duration::from_secs(60));
        let of_writer = match self.health {
            Health::Committing => (Outcome::Committing, long_ago),
            Health::Dead(since) => (Outcome::Unreachable, failure(now, since)),
            Health::Stalled => (Outcome::Stalled, long_ago),
        };
        let sighting = |(id, place): (&&str, Instance)| {
            let (outcome, since) = if place == self.writer { of_writer } else { (Outcome::Reading, long_ago) };
            Sighting {
                instance: InstanceId::new(*id),
                outcome,
                since,
                committed_at: (outcome == Outcome::Committing).then_some(at),
                latency_ms: Some(2),
                lag_ms: None,
                detail: None,
            }
        };
        let sightings: Vec<Sighting> = INSTANCES.iter().zip(0..).map(sighting).collect();
        AZS.iter()
            .map(|az| WitnessReport {
                az: Az::new(*az),
                run: long_ago,
                at,
                sightings: sightings.clone(),
                endpoint: EndpointSighting::default(),
                canary: Canary::default(),
            })
            .collect()
    }
}

/// When a failure was, when the true time is `now`.
pub fn failure(now: Timestamp, since: Ticks) -> Timestamp {
    moment(now, since).minus(BETWEEN)
}

/// How long ago a failure was that the core dates `since`, when the true time is `now`.
pub fn failed_ticks_ago(since: Timestamp, now: Timestamp, scale: &Scale) -> Ticks {
    let ago = now.since(since.plus(BETWEEN)).as_secs();
    Ticks::try_from(ago).map_or(scale.failure_floor(), |ago| (-ago).max(scale.failure_floor()))
}
