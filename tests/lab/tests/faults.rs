//! Faults on the whole lab: what the functions see of them, and that they end.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use steadfast_core::mode::Mode;
use steadfast_core::witness::{Outcome, Sighting};
use steadfast_lab::assembly::{Delivery, Lab, names};
use steadfast_lab::rds::{Failovers, PromotionResult};
use steadfast_lab::services::{Service, Trouble};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const WRITER: &str = names::INSTANCES[0];
const READER: &str = names::INSTANCES[1];

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < LIMIT, "never: {what}");
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until every witness says this of an instance.
async fn every_witness(lab: &Lab, instance: &str, what: &str, says: impl Fn(&Sighting) -> bool) {
    until(&format!("{instance} {what}"), async || {
        let reports = lab.state().await.expect("state").reports;
        let sightings = reports.iter().flat_map(|report| &report.sightings);
        sightings.filter(|seen| seen.instance.as_str() == instance && says(seen)).count() == names::AZS.len()
    })
    .await;
}

async fn seen_as(lab: &Lab, outcome: Outcome) {
    every_witness(lab, WRITER, &format!("{outcome:?}"), |seen| seen.outcome == outcome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_has_its_own_name_with_the_probers_and_ends() {
    let _alone = support::alone().await;
    let config = support::config("faults");
    let lab = Lab::start(&config).await.expect("the lab starts");
    lab.set_mode(Mode::Shadow, "only the probers are asked").await.expect("shadow");
    database_faults(&lab).await;
    lab.until_healthy().await.expect("every fault has ended");
    services(&lab, &config.logs).await;
    platform(&lab).await;
    lab.shutdown().await;
}

async fn database_faults(lab: &Lab) {
    let cluster = &lab.cluster;
    cluster.stall_commits(WRITER).await.expect("stalled");
    seen_as(lab, Outcome::Stalled).await;
    cluster.resume_commits(WRITER).await.expect("resumed");
    seen_as(lab, Outcome::Committing).await;

    cluster.fill_disk(WRITER).await.expect("filled");
    seen_as(lab, Outcome::DiskFull).await;
    cluster.free_disk(WRITER).await.expect("freed");
    seen_as(lab, Outcome::Committing).await;

    cluster.take_connections(WRITER).await.expect("taken");
    seen_as(lab, Outcome::Saturated).await;
    // Nobody has a session now: the first new one shows the password.
    cluster.refuse_password(names::PROBER_ROLE).await.expect("refused");
    cluster.release_connections(WRITER).await.expect("released");
    seen_as(lab, Outcome::BadCredentials).await;
    cluster.accept_password(names::PROBER_ROLE).await.expect("accepted");
    seen_as(lab, Outcome::Committing).await;

    cluster.cut_off(WRITER, 1..=3).expect("cut off");
    seen_as(lab, Outcome::Unreachable).await;
    cluster.reconnect(WRITER, 1..=3).expect("reconnected");
    seen_as(lab, Outcome::Committing).await;

    cluster.delay_replay(READER, Duration::from_secs(3_600)).await.expect("delayed");
    every_witness(lab, READER, "lags", |seen| seen.lag_ms.is_some_and(|lag| lag > 1_000)).await;
    cluster.delay_replay(READER, Duration::ZERO).await.expect("level");
    every_witness(lab, READER, "is level", |seen| seen.lag_ms.is_some_and(|lag| lag < 1_000)).await;
}

/// The functions reach their services through the proxies, and the lab past them.
async fn services(lab: &Lab, logs: &Path) {
    lab.services.set(Service::StateTable, Trouble::Denied, None);
    let order = lab.set_mode(Mode::Shadow, "no table").await;
    assert!(order.is_err(), "{order:?}");
    lab.state().await.expect("the lab still reads the table");
    lab.services.clear(Service::StateTable, Trouble::Denied, None);
    lab.set_mode(Mode::Shadow, "the table is back").await.expect("shadow");

    let failed = |id: &str| {
        json!({ "id": id, "time": "2999-01-01T00:00:00Z", "source": "aws.rds", "detail-type": "RDS DB Cluster Event",
            "detail": { "EventID": "RDS-EVENT-0069", "SourceType": "CLUSTER", "SourceIdentifier": names::CLUSTER,
            "Message": "m" } })
    };
    lab.services.set(Service::Invocations, Trouble::Throttle, Some("Invoke"));
    let woken = lab.invoke(names::ROUTER, &failed("wakes nobody")).await;
    assert!(woken.is_err(), "{woken:?}");
    lab.services.clear_all();
    lab.services.set(Service::Notifier, Trouble::Denied, Some("Publish"));
    lab.invoke(names::ROUTER, &failed("tells nobody")).await.expect("the coordinator is woken all the same");
    let log = logs.join(format!("{}.log", names::ROUTER));
    until("the router says that nobody was told", async || {
        std::fs::read_to_string(&log).unwrap_or_default().contains("AuthorizationError")
    })
    .await;
    lab.services.clear_all();
}

/// Failovers of the real nodes that go wrong, and their events.
async fn platform(lab: &Lab) {
    let runs = async || {
        let records = lab.lambda.records().await;
        records.iter().filter(|record| record.function == names::ROUTER).count()
    };
    let before = runs().await;
    lab.events.set(Delivery::Doubled);
    lab.rds.set_failovers(Failovers::Fail(Duration::from_millis(100)));
    lab.rds.fail_over_now().expect("accepted");
    // Begun and failed, each delivered twice.
    until("four events", async || runs().await == before + 4).await;
    lab.events.clear(Delivery::Doubled);
    assert_eq!(lab.cluster.writer(), WRITER);

    lab.rds.set_failovers(Failovers::Reverse(Duration::ZERO));
    lab.rds.fail_over_now().expect("accepted");
    until("the reversal", async || {
        lab.rds.promotions().last().is_some_and(|promotion| promotion.result == PromotionResult::Reversed)
    })
    .await;
    assert_eq!(lab.cluster.writer(), WRITER);
    // A reader that has not yet followed onto the new timeline cannot be promoted, and this one must succeed.
    lab.until_healthy().await.expect("all nodes have followed");
    lab.rds.set_failovers(Failovers::Succeed);
    lab.rds.keep_endpoint(true);
    let target = lab.rds.fail_over_now().expect("accepted");
    until("the role", async || lab.cluster.writer() == target).await;
    lab.rds.keep_endpoint(false);
    lab.until_healthy().await.expect("the endpoint follows, and all nodes are back");
}
