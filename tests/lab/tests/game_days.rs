//! Game days on real parts: the scheduler's binary, FIS on its wire, and the lab's faults.

#![expect(clippy::expect_used, reason = "a test ends where its ground is missing")]

mod support;

use serde_json::json;
use steadfast_core::game_day::conduct::Outcome;
use steadfast_core::game_day::week::End;
use steadfast_lab::assembly::{Lab, names};
use steadfast_lab::drill::{Progress, game_day};

struct Quiet;

impl Progress for Quiet {
    fn say(&self, line: &str) {
        tracing::info!(line);
    }
}

async fn due(lab: &Lab) -> Outcome {
    let order = json!({ "cluster": names::CLUSTER, "game_day": "due", "experiment": "failover" });
    let answer = lab.invoke(names::SCHEDULER, &order).await.expect("the scheduler answers");
    serde_json::from_value(answer).expect("an outcome")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_by_fis_is_followed_and_judged_by_numbers() {
    let _alone = support::alone().await;
    let config = support::config("game-day");
    let result = game_day(&config, "failover", &config.logs.join("drill"), &Quiet).await.expect("it is conducted");
    assert_eq!((result.failures.as_slice(), result.verdict.as_str()), (&[][..], "passed"), "{result:#?}");
    assert_eq!((result.experiments_started, result.lost, result.duplicated), (1, 0, 0));
    assert!(result.report.is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_broken_while_a_reason_stands_and_a_slot_has_one_experiment() {
    let _alone = support::alone().await;
    let lab = Lab::start(&support::config("game-day-skipped")).await.expect("a lab");
    let week = due(&lab).await.week.expect("it is recorded");
    assert_eq!((week.end, lab.fis.started()), (End::Skipped, 0));
    assert!(week.says.contains("510 no backup was ever verified"), "{week:?}");
    let verified = json!({ "at": steadfast_aws::clock::now(), "verdict": "verified" });
    lab.table.write_record(&lab.cluster_id(), "backup", None, 1, &verified).await.expect("it is recorded");
    lab.fis.pull_lever(true);
    let week = due(&lab).await.week.expect("it is recorded");
    assert!(week.end == End::Skipped && week.says.contains("240"), "{week:?}");
    lab.fis.pull_lever(false);
    lab.until_healthy().await.expect("all is well");
    let done = due(&lab).await;
    assert_eq!((done.week.map(|week| week.end), lab.fis.started()), (Some(End::Passed), 1), "{:?}", done.findings);
    let again = due(&lab).await;
    assert_eq!((again.week, lab.fis.started()), (None, 1), "the slot is spent");
    lab.shutdown().await;
}
