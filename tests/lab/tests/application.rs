//! The application probe on real PostgreSQL: what it feels, and whether it notices books that are wrong.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::time::Duration;

use steadfast_core::application::{Audit, Report, felt};
use steadfast_core::topology::Deployment;
use steadfast_lab::assembly::{Lab, LabConfig, names};
use tokio::time::{sleep, timeout};

/// Generous: reports come every five seconds.
const LIMIT: Duration = Duration::from_secs(60);

async fn reports(lab: &Lab) -> Vec<Report> {
    let now = steadfast_aws::clock::now();
    lab.table.application(&lab.cluster_id(), now.minus(Duration::from_secs(600))).await.expect("the table answers")
}

/// Waits until a look into the books has found so much.
async fn until_found(lab: &Lab, what: impl Fn(Audit) -> bool) {
    let found = async {
        while !reports(lab).await.iter().filter_map(|report| report.audit).any(&what) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LIMIT, found).await.expect("the look into the books finds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn books_that_are_wrong_are_noticed() {
    let _alone = support::alone().await;
    let config = LabConfig { application_probe: true, ..support::config("application") };
    let lab = Lab::start(&config).await.expect("the lab starts");
    lab.until_transferring().await.expect("it transfers");
    let all = reports(&lab).await;
    let before = felt(&all, all[0].began, steadfast_aws::clock::now()).expect("it reports");
    assert_eq!(before.errors, 0, "{before:?}");
    until_found(&lab, |audit| audit.wrong() == 0).await;
    let admin = lab.cluster.admin_to(lab.cluster.writer(), names::DATABASE).await.expect("the writer answers");
    let first = "WHERE number = 1 AND run = (SELECT run FROM steadfast.application_transfer ORDER BY at DESC LIMIT 1)";
    let run = |sql: String| {
        let admin = &admin;
        async move { admin.batch_execute(&sql).await.expect("the books are changed") }
    };
    run(format!("INSERT INTO steadfast.application_transfer SELECT * FROM steadfast.application_transfer {first}"))
        .await;
    until_found(&lab, |audit| audit.duplicated == 1 && audit.lost == 0).await;
    run(format!("DELETE FROM steadfast.application_transfer {first}")).await;
    until_found(&lab, |audit| audit.duplicated == 0 && audit.lost == 1).await;
    run("UPDATE steadfast.application_account SET balance = balance + 5 WHERE id = 3".to_owned()).await;
    until_found(&lab, |audit| audit.balance == 5).await;
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_transfers_on_an_instance_too() {
    let _alone = support::alone().await;
    let deployment = Deployment::Instance;
    let config = LabConfig { application_probe: true, deployment, ..support::config("application-instance") };
    let lab = Lab::start(&config).await.expect("the lab starts");
    lab.until_transferring().await.expect("it transfers");
    lab.shutdown().await;
}
