//! A small cluster to look at: three instances, three witnesses, `w` writes.

use std::time::Duration;

use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::policy::Policy;
use steadfast_core::snapshot::{Seen, Snapshot};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Az, ClusterId, ClusterStatus, Deployment, InstanceId, Member, Owner, Topology};
use steadfast_core::witness::{Canary, EndpointSighting, Outcome, Sighting, WitnessReport};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(crate) const WRITER: &str = "w";
pub(crate) const READERS: [&str; 2] = ["r1", "r2"];
pub(crate) const AZS: [&str; 3] = ["a", "b", "c"];

pub(crate) fn ago(millis: u64) -> Timestamp {
    NOW.minus(Duration::from_millis(millis))
}

/// Policy of the lab: the platform does nothing by itself, so it gets no grace.
pub(crate) fn no_grace() -> Policy {
    Policy { platform_grace: Duration::ZERO, ..Policy::default() }
}

pub(crate) fn sighting(instance: &str, outcome: Outcome, since: Timestamp) -> Sighting {
    Sighting {
        instance: InstanceId::new(instance),
        outcome,
        since,
        committed_at: (outcome == Outcome::Committing).then(|| ago(100)),
        latency_ms: Some(2),
        lag_ms: None,
        detail: None,
    }
}

/// A witness that sees the writer so since `since` and both readers well.
pub(crate) fn report(az: &str, writer: Outcome, since: Timestamp) -> WitnessReport {
    let readers = READERS.map(|reader| sighting(reader, Outcome::Reading, ago(60_000)));
    WitnessReport {
        az: Az::new(az),
        run: ago(60_000),
        at: ago(50),
        sightings: [sighting(WRITER, writer, since)].into_iter().chain(readers).collect(),
        endpoint: EndpointSighting::default(),
        canary: Canary::default(),
    }
}

pub(crate) fn member(id: &str, az: &str, is_writer: bool) -> Member {
    Member {
        id: InstanceId::new(id),
        az: Some(Az::new(az)),
        tier: 1,
        status: "available".to_owned(),
        is_writer,
        class: "db.r6g.large".to_owned(),
        endpoint: format!("{id}.example"),
    }
}

pub(crate) fn topology() -> Topology {
    Topology {
        cluster: ClusterId::new("orders"),
        deployment: Deployment::Cluster,
        status: ClusterStatus::Available,
        endpoint: "orders.cluster.example".to_owned(),
        port: 5432,
        members: vec![member(WRITER, "a", true), member("r1", "b", false), member("r2", "c", false)],
    }
}

/// An armed coordinator with the lease looks at what these witnesses report.
pub(crate) fn snapshot(reports: Vec<WitnessReport>) -> Snapshot {
    let me = Owner::new("me");
    Snapshot {
        now: NOW,
        lease: Some(Lease { owner: me.clone(), epoch: 7, expires_at: NOW.plus(Duration::from_secs(10)) }),
        me,
        cluster: ClusterId::new("orders"),
        mode: Mode::Armed,
        topology: Some(Seen { at: ago(100), what: topology() }),
        reports,
        episode: None,
        rotations: Vec::new(),
    }
}

/// All witnesses see the same of the writer.
pub(crate) fn unanimous(writer: Outcome, since: Timestamp) -> Snapshot {
    snapshot(AZS.map(|az| report(az, writer, since)).into())
}
