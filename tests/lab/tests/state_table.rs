//! The state table's conditions, on a real DynamoDB wire: what may not be written is not.

#![expect(clippy::expect_used, reason = "a test ends where its ground is missing")]

use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use steadfast_aws::state::Table;
use steadfast_core::diagnosis::{Diagnosis, WriterState};
use steadfast_core::episode::Episode;
use steadfast_core::evidence::{Entry, Kind};
use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::pin::{Aim, Pin, PinName};
use steadfast_core::policy::Policy;
use steadfast_core::ports::{State, StateError, Under};
use steadfast_core::rotation::row::{Announced, Writing};
use steadfast_core::rotation::{Effect, Rotation};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Az, ClusterId, InstanceId, Owner};
use steadfast_core::witness::{Canary, EndpointSighting, WitnessReport};
use steadfast_lab::assembly::{self, LabConfig, names};
use steadfast_lab::emulator::Emulator;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A fresh table in an emulator of its own, which ends when it is dropped.
async fn table() -> (Table, Emulator) {
    let config = LabConfig::of_checkout(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let emulator = Emulator::start(&config.venv, &config.logs.join("state-table")).await.expect("the emulator starts");
    let client = Client::new(&assembly::emulator_config(&emulator.endpoint()).await);
    assembly::create_table(&client).await.expect("the table is made");
    (Table::new(client, names::TABLE.to_owned()), emulator)
}

fn lease(owner: &str, epoch: u64, lasts: u64) -> Lease {
    Lease { owner: Owner::new(owner), epoch, expires_at: NOW.plus(Duration::from_secs(lasts)) }
}

fn episode(cluster: &ClusterId, version: u64) -> Episode {
    let diagnosis =
        Diagnosis { presumed: None, writer: WriterState::Dead, since: None, committed: None, votes: Vec::new() };
    let old_writer = InstanceId::new("orders-1");
    let opened = Episode::open(cluster, 1, &diagnosis, old_writer, None, NOW, &Policy::default());
    Episode { version, ..opened }
}

/// The entry `number` of a chain; a chain that does not fit is refused by its number alone.
fn entry(cluster: &ClusterId, number: u64, text: &str) -> Entry {
    let mut head = steadfast_core::evidence::Head::default();
    loop {
        let by = Owner::new("a");
        let (entry, next) = head.append(cluster, 1, NOW, &by, Kind::Decided, serde_json::json!({ "text": text }));
        head = next;
        if entry.seq == number {
            return entry;
        }
    }
}

fn superseded(result: &Result<(), StateError>) -> bool {
    matches!(result, Err(StateError::Superseded { .. }))
}

#[tokio::test]
async fn what_may_not_be_written_is_not() {
    let (table, emulator) = table().await;
    let cluster = ClusterId::new(names::CLUSTER);
    leases(&table, &cluster).await;
    transactions(&table, &cluster).await;
    modes(&table, &cluster).await;
    reports(&table, &cluster).await;
    rotations(&table, &ClusterId::new("ledger")).await;
    emulator.shutdown().await.expect("the emulator ends");
}

/// A lease is written over exactly the one that was seen.
async fn leases(table: &Table, cluster: &ClusterId) {
    let (first, other) = (lease("a", 1, 10), lease("b", 2, 10));
    table.write_lease(cluster, None, &first).await.expect("nothing stands there");
    assert!(superseded(&table.write_lease(cluster, None, &other).await), "over one that was not seen");
    for wrong in [lease("b", 1, 10), lease("a", 2, 10), lease("a", 1, 11)] {
        assert!(superseded(&table.write_lease(cluster, Some(&wrong), &other).await), "over {wrong:?}");
    }
    assert_eq!(table.load(cluster).await.expect("loads").lease.as_ref(), Some(&first));
    let renewed = lease("a", 1, 20);
    table.write_lease(cluster, Some(&first), &renewed).await.expect("the one that stands there");
}

/// An episode and its evidence are written together, under the lease and over the version seen, or not at all.
async fn transactions(table: &Table, cluster: &ClusterId) {
    let (seen, held) = (lease("a", 1, 10), lease("a", 1, 20));
    let first = entry(cluster, 1, "first");
    table
        .commit(Under::Held(&seen), &episode(cluster, 1), None, std::slice::from_ref(&first))
        .await
        .expect("a renewal of our own does not take the lease away");
    for wrong in [lease("b", 1, 20), lease("a", 2, 20), lease("a", 1, 21)] {
        let written = table.commit(Under::Held(&wrong), &episode(cluster, 2), Some(1), &[]).await;
        assert!(superseded(&written), "under {wrong:?}");
    }
    for version in [None, Some(0), Some(2)] {
        let written = table.commit(Under::Held(&held), &episode(cluster, 2), version, &[]).await;
        assert!(superseded(&written), "over version {version:?}");
    }
    let again = table.commit(Under::Held(&held), &episode(cluster, 2), Some(1), &[entry(cluster, 1, "other")]).await;
    assert!(superseded(&again), "an entry that stands there is not written over");
    let next = lease("b", 2, 10);
    let stale = Under::Changing { seen: Some(&seen), next: &next };
    assert!(superseded(&table.commit(stale, &episode(cluster, 2), Some(1), &[]).await), "a lease seen earlier");
    let state = table.load(cluster).await.expect("loads");
    assert_eq!((state.lease, state.episode.map(|episode| episode.version)), (Some(held), Some(1)));
    assert_eq!(table.evidence(cluster, 1).await.expect("loads"), [first]);
}

/// An effect is intended in armed mode alone.
async fn modes(table: &Table, cluster: &ClusterId) {
    let held = lease("a", 1, 20);
    let intends = async |version: u64| {
        table.commit(Under::Armed(&held), &episode(cluster, version + 1), Some(version), &[]).await
    };
    assert!(superseded(&intends(1).await), "a table without a word about the mode is in shadow mode");
    for mode in [Mode::Shadow, Mode::Paused] {
        table.set_mode(cluster, mode, "a test", NOW).await.expect("written");
        assert!(superseded(&intends(1).await), "{mode:?}");
    }
    table.set_mode(cluster, Mode::Armed, "a test", NOW).await.expect("written");
    assert_eq!(table.load(cluster).await.expect("loads").mode, Mode::Armed);
    intends(1).await.expect("armed");
    for wrong in [lease("b", 1, 20), lease("a", 2, 20), lease("a", 1, 21)] {
        let written = table.commit(Under::Armed(&wrong), &episode(cluster, 3), Some(2), &[]).await;
        assert!(superseded(&written), "armed, but under {wrong:?}");
    }
}

/// An older run of a prober does not write over a newer one, nor a report that comes late over one of its own run.
async fn reports(table: &Table, cluster: &ClusterId) {
    let report = |run: u64, at: u64| WitnessReport {
        az: Az::new("az-a"),
        run: Timestamp::from_millis(run),
        at: Timestamp::from_millis(at),
        sightings: Vec::new(),
        endpoint: EndpointSighting::default(),
        canary: Canary::default(),
    };
    table.report(cluster, &report(2, 10)).await.expect("nothing stands there");
    assert!(superseded(&table.report(cluster, &report(1, 20)).await), "an older run");
    table.report(cluster, &report(2, 11)).await.expect("the same run");
    table.report(cluster, &report(2, 11)).await.expect("the same report, sent again");
    assert!(superseded(&table.report(cluster, &report(2, 10)).await), "a late report of the same run");
    table.report(cluster, &report(3, 9)).await.expect("a newer run, by a clock that is behind");
    table.report(cluster, &report(3, 12)).await.expect("the newer run");
    let reports = table.load(cluster).await.expect("loads").reports;
    assert_eq!(reports, [report(3, 12)]);
}

/// A rotation is announced only over the lease, the episode and the row that were seen.
async fn rotations(table: &Table, cluster: &ClusterId) {
    let announce = async |seen: &State| {
        let next = Announced { secret: "s", token: "t", role: "app", old_role: "app_old", effect: Effect::SetPassword };
        let by = Owner::new("rotator");
        let (row, entry) = Rotation::announced(seen.rotations.first(), next, Writing { cluster, by: &by, now: NOW });
        table.announce_rotation(cluster, seen, &row, &entry).await
    };
    let nothing = table.load(cluster).await.expect("loads");
    table.write_lease(cluster, None, &lease("a", 1, 10)).await.expect("nothing stands there");
    assert!(superseded(&announce(&nothing).await), "a lease was taken meanwhile");
    let leased = table.load(cluster).await.expect("loads");
    for wrong in [lease("b", 1, 10), lease("a", 2, 10), lease("a", 1, 9), lease("a", 1, 11)] {
        let seen = State { lease: Some(wrong.clone()), ..leased.clone() };
        assert!(superseded(&announce(&seen).await), "over {wrong:?}");
    }
    let held = lease("a", 1, 10);
    table.commit(Under::Held(&held), &episode(cluster, 1), None, &[]).await.expect("opened");
    assert!(superseded(&announce(&leased).await), "an episode was opened meanwhile");
    let opened = table.load(cluster).await.expect("loads");
    table.commit(Under::Held(&held), &episode(cluster, 2), Some(1), &[]).await.expect("written");
    assert!(superseded(&announce(&opened).await), "the episode went on meanwhile");
    let seen = table.load(cluster).await.expect("loads");
    announce(&seen).await.expect("all is as it was seen");
    assert!(superseded(&announce(&seen).await), "the rotation was announced meanwhile");
    assert_eq!(table.load(cluster).await.expect("loads").rotations.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_written_over_the_version_that_was_seen_and_announced_in_armed_mode_alone() {
    let (table, _emulator) = table().await;
    let cluster = ClusterId::new("orders");
    let name = PinName { zone: "Z1".to_owned(), name: "writer.orders.internal".to_owned() };
    let aim = Aim { name, writer: InstanceId::new("orders-1"), endpoint: "orders-1.example".to_owned(), epoch: 3 };
    let pin = |version, settled| Pin { aim: aim.clone(), asked_at: NOW, settled, told: false, version };
    for mode in [Mode::Shadow, Mode::Paused] {
        table.set_mode(&cluster, mode, "test", NOW).await.expect("set");
        assert!(superseded(&table.write_pin(&cluster, None, &pin(1, false)).await), "{mode:?}");
    }
    table.set_mode(&cluster, Mode::Armed, "test", NOW).await.expect("set");
    table.write_pin(&cluster, None, &pin(1, false)).await.expect("announced");
    assert!(superseded(&table.write_pin(&cluster, None, &pin(1, false)).await));
    table.set_mode(&cluster, Mode::Paused, "test", NOW).await.expect("set");
    table.write_pin(&cluster, Some(1), &pin(2, true)).await.expect("what came of it is written in any mode");
    assert!(superseded(&table.write_pin(&cluster, Some(1), &pin(2, true)).await));
    assert_eq!(table.load(&cluster).await.expect("loaded").pin, Some(pin(2, true)));
}
