//! Backups that are restored onto real servers and opened.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::time::Duration;

use serde_json::json;
use steadfast_core::topology::Deployment;
use steadfast_core::verification::{Check, Run};
use steadfast_lab::assembly::{Lab, LabConfig, names};
use steadfast_lab::drill::{BackupPlan, Progress, drill_backup};
use steadfast_lab::rds::OWN_GROUP;
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(240);

struct Quiet;

impl Progress for Quiet {
    fn say(&self, line: &str) {
        tracing::info!(line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn good_backups_are_verified_damaged_ones_are_found_and_nothing_is_left() {
    let _alone = support::alone().await;
    let config = support::config("verification-drill");
    let plan = BackupPlan { repeat: 1, output: config.logs.join("drill") };
    let result = drill_backup(&config, &plan, &Quiet).await.expect("the drill is carried out");
    assert_eq!(result.failures, Vec::<String>::new(), "{result:#?}");
    assert_eq!((result.good, result.verified), (2, 2));
    assert_eq!((result.corruptions_planted, result.corruptions_found), (3, 3), "{:#?}", result.planted);
    assert_eq!(result.planted[0].found_by, Some(Check::Pages));
    assert!(result.left_behind.is_empty() && result.decoy_untouched, "{result:#?}");
    assert!(result.crashes > 0 && result.crashes as usize == result.crashed_in.len(), "{result:#?}");
    assert!(result.crashed_in.len() + result.answered_in.len() > 8, "{:?} {:?}", result.crashed_in, result.answered_in);
    for (refused, says) in
        result.refused.iter().zip(["KMSKeyNotAccessibleFault", "99.1", "no snapshot can be restored"])
    {
        assert!(refused.said.as_ref().is_some_and(|said| said.contains(says)), "{says}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backup_of_an_instance_is_restored_to_a_point_in_time_and_opened() {
    let _alone = support::alone().await;
    let config = LabConfig {
        deployment: Deployment::Instance,
        restorable_lag: Some(Duration::from_secs(1)),
        ..support::config("verification-instance")
    };
    let lab = Lab::start(&config).await.expect("the lab starts");
    let admin = lab.cluster.admin_to(lab.cluster.writer(), names::DATABASE).await.expect("a session");
    let parted = "CREATE TABLE public.parted (id int) PARTITION BY RANGE (id);
        CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES FROM (0) TO (2);
        CREATE TABLE public.parted_2 PARTITION OF public.parted FOR VALUES FROM (2) TO (9);
        INSERT INTO public.parted VALUES (1), (2), (3)";
    admin.batch_execute(parted).await.expect("a table with partitions");
    lab.take_snapshot("rds:orders-first").await.expect("a snapshot");
    sleep(Duration::from_secs(2)).await;
    let order = json!({ "order": "verify", "manifest": { "tables": { "steadfast.canary": { "at_least": 1 },
        "public.parted": { "at_least": 3, "at_most": 3 }, "public.parted_2": { "at_least": 2, "at_most": 2 },
        "steadfast.nowhere": {} }, "settings": { "server_encoding": "LATIN1" } } });
    let run = verified(&lab, &order).await;
    let found: Vec<(Check, &str)> =
        run.findings.iter().map(|finding| (finding.check, finding.about.as_str())).collect();
    assert_eq!(found, [(Check::Open, "server_encoding"), (Check::Rows, "steadfast.nowhere")], "{run:#?}");
    assert!(run.achieved_rpo().is_some() && run.achieved_rto().is_some(), "{run:#?}");
    assert_eq!(run.opened.as_deref(), Some(names::DATABASE));
    assert_eq!(lab.rds.restored(), Vec::<String>::new());
    let mut calls = lab.rds.calls();
    calls.retain(|call| call.action == "RestoreDBInstanceToPointInTime");
    assert!(!calls.is_empty());
    for group in ["DBParameterGroupName", "OptionGroupName"] {
        assert!(calls.iter().all(|call| call.parameters.get(group).is_some_and(|name| name == OWN_GROUP)), "{calls:?}");
    }
    let refused = lab.invoke(names::VERIFIER, &json!({ "order": "verify", "manifest": { "tabels": {} } })).await;
    assert!(refused.expect_err("refused").to_string().contains("tabels"));
    lab.shutdown().await;
}

async fn verified(lab: &Lab, order: &serde_json::Value) -> Run {
    let began = Instant::now();
    lab.invoke(names::VERIFIER, order).await.expect("begins");
    loop {
        if let Err(error) = lab.invoke(names::VERIFIER, &json!({ "hint": "tick" })).await {
            tracing::info!(%error, "a step was not taken");
        }
        let run = lab.table.verification(&lab.cluster_id()).await.expect("the table answers").expect("a run");
        if !run.is_open() {
            return run;
        }
        assert!(began.elapsed() < LIMIT, "the run is not over: {run:#?}");
        sleep(Duration::from_millis(100)).await;
    }
}
