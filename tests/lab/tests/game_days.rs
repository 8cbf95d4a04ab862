//! Game days on real parts: the scheduler's binary, FIS on its wire, and the lab's faults.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use serde_json::json;
use steadfast_core::game_day::conduct::Outcome;
use steadfast_core::game_day::week::{End, Week};
use steadfast_lab::assembly::{Lab, names};
use steadfast_lab::drill::{Progress, game_day, verify_backup};

struct Quiet;

impl Progress for Quiet {
    fn say(&self, line: &str) {
        tracing::info!(line);
    }
}

async fn ordered(lab: &Lab) -> Outcome {
    let order = json!({ "cluster": names::CLUSTER, "order": "game_day", "experiment": "failover" });
    let answer = lab.invoke(names::SCHEDULER, &order).await.expect("the scheduler answers");
    serde_json::from_value(answer).expect("an outcome")
}

async fn week(lab: &Lab) -> Week {
    ordered(lab).await.week.expect("it is recorded")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_by_fis_is_followed_and_judged_by_numbers() {
    let _alone = support::alone().await;
    let config = support::config("game-day");
    let result = game_day(&config, "failover", &config.logs.join("drill"), &Quiet).await.expect("it is conducted");
    assert_eq!((result.failures.as_slice(), result.verdict.as_str()), (&[][..], "passed"), "{result:#?}");
    assert_eq!((result.experiments_started, result.lost, result.duplicated), (1, 0, 0));
    let felt = result.application.expect("the application probe is at work");
    assert!(felt.acknowledged > 0 && felt.errors == 0, "{felt:?}");
    assert_eq!(felt.audit.map(|audit| audit.wrong()), Some(0), "{felt:?}");
    assert!(result.report.is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_broken_while_a_reason_stands_and_a_slot_has_one_experiment() {
    let _alone = support::alone().await;
    let lab = Lab::start(&support::config("game-day-skipped")).await.expect("a lab");
    let skipped = week(&lab).await;
    assert_eq!((skipped.end, lab.fis.started()), (End::Skipped, 0));
    assert!(skipped.says.contains("510 no backup was ever verified"), "{skipped:?}");
    verify_backup(&lab).await.expect("a backup is verified");
    lab.fis.pull_lever(true);
    let skipped = week(&lab).await;
    assert!(skipped.end == End::Skipped && skipped.says.contains("240"), "{skipped:?}");
    lab.fis.pull_lever(false);
    lab.fis.set_alarm(true);
    lab.until_healthy().await.expect("all is well");
    let skipped = week(&lab).await;
    assert!(skipped.end == End::Skipped && skipped.says.contains("920"), "{skipped:?}");
    let calls = lab.rds.calls();
    assert!(calls.iter().all(|call| call.action != "FailoverDBCluster"), "FIS has broken something all the same");
    lab.fis.set_alarm(false);
    lab.until_healthy().await.expect("all is well");
    let before = lab.fis.started();
    let done = ordered(&lab).await;
    assert_eq!(done.week.map(|week| week.end), Some(End::Passed), "{:?}", done.findings);
    assert_eq!(lab.fis.started(), before + 1, "what had not begun is no experiment");
    let again = ordered(&lab).await;
    assert_eq!((again.week, lab.fis.started()), (None, before + 1), "the slot is spent");
    lab.shutdown().await;
}
