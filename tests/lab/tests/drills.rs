//! The main job on real parts: faults under load, nothing lost, one promotion, evidence that verifies.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::time::Duration;

use steadfast_core::episode::RecoveredBy;
use steadfast_lab::drill::{DrillPlan, DrillResult, Fault, Progress, drill};

struct Quiet;

impl Progress for Quiet {
    fn say(&self, line: &str) {
        tracing::info!(line);
    }
}

async fn drilled(name: &str, change: impl FnOnce(&mut DrillPlan)) -> DrillResult {
    let _alone = support::alone().await;
    let config = support::config(name);
    let mut plan = DrillPlan::new(Fault::KillPostgres, &config.logs.join("drill"));
    change(&mut plan);
    let result = drill(&config, &plan, &Quiet).await.expect("the drill is carried out");
    assert_eq!(result.failures(), Vec::<String>::new(), "{result:#?}");
    result
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_is_replaced_with_one_call_and_nothing_lost() {
    let result = drilled("kill-postgres", |_| {}).await;
    let run = &result.runs[0];
    assert_eq!(run.failover_calls, 1);
    assert_eq!(run.recovered_by, Some(RecoveredBy::Steadfast));
    assert!(run.rules.contains(&640), "{:?}", run.rules);
    assert!(run.audit.acknowledged > 100, "the load was real: {:?}", run.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_host_is_replaced_with_one_call_although_the_coordinator_is_invoked_twice() {
    let result = drilled("kill-host", |plan| {
        plan.fault = Fault::KillHost;
        plan.duplicate = true;
        plan.repeat = 2;
    })
    .await;
    for run in &result.runs {
        assert_eq!(run.failover_calls, 1);
        assert_ne!(run.new_writer.as_deref(), Some(run.old_writer.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_own_failover_is_awaited_and_proved_without_a_call() {
    let result = drilled("native", |plan| plan.native = Some(Duration::from_secs(4))).await;
    let run = &result.runs[0];
    assert_eq!(run.failover_calls, 0);
    assert_eq!(run.recovered_by, Some(RecoveredBy::Platform));
    assert!(run.proved_s.is_some());
    assert!(run.rules.contains(&550), "{:?}", run.rules);
}
