//! What a failover leaves behind is told to people, each with whose it is.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use steadfast_lab::assembly::{Lab, names};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The text of the next message with this in its subject.
async fn message(lab: &Lab, about: &str) -> String {
    let sqs = aws_sdk_sqs::Client::new(&lab.aws);
    let began = Instant::now();
    loop {
        let poll = sqs.receive_message().queue_url(&lab.resources.notices_url).max_number_of_messages(10);
        for message in poll.send().await.expect("the queue answers").messages() {
            let body: Value = serde_json::from_str(message.body().unwrap_or_default()).expect("JSON");
            let handle = message.receipt_handle().expect("a handle");
            let delete = sqs.delete_message().queue_url(&lab.resources.notices_url).receipt_handle(handle);
            delete.send().await.expect("deleted");
            if body["Subject"].as_str().unwrap_or_default().contains(about) {
                return body["Message"].as_str().unwrap_or_default().to_owned();
            }
        }
        assert!(began.elapsed() < LIMIT, "nobody is told of {about}");
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until the session has done nothing for so long that the drainer holds it for forgotten.
async fn forgotten(lab: &Lab, instance: &str) {
    let beside = lab.cluster.admin_to(instance, names::DATABASE).await.expect("a second session");
    let began = Instant::now();
    loop {
        let row = beside
            .query_one(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'forgotten report' \
                 AND state_change < clock_timestamp() - interval '5 s'",
                &[],
            )
            .await
            .expect("the reader answers");
        if row.get::<_, i64>(0) == 1 {
            return;
        }
        assert!(began.elapsed() < LIMIT, "the session is at work");
        sleep(LOOK_EVERY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_switchover_leaves_behind_is_told_with_whose_it_is() {
    let _alone = support::alone().await;
    let lab = Lab::start(&support::config("debris")).await.expect("the lab starts");
    let (old, new) = (names::INSTANCES[0], names::INSTANCES[1]);
    // A reader that is promoted keeps its sessions, and with them what they have begun.
    let session = lab.cluster.admin_to(new, names::DATABASE).await.expect("a session on the reader");
    session
        .batch_execute("SET application_name = 'forgotten report'; BEGIN; SELECT pg_advisory_xact_lock_shared(7)")
        .await
        .expect("begun");
    forgotten(&lab, new).await;
    lab.until_healthy().await.expect("nothing stands against a switchover");
    let order = json!({ "cluster": names::CLUSTER, "hint": "operator", "order": "switchover", "target": new,
        "reason": "to see what is left" });
    let answer = lab.invoke(names::COORDINATOR, &order).await.expect("the coordinator answers");
    assert_eq!((&answer["switched_over"], &answer["writer"]), (&json!(true), &json!(new)), "{answer}");
    assert_eq!(lab.cluster.writer(), new);
    let told = message(&lab, "to clear up").await;
    assert!(told.contains("idle in transaction: forgotten report"), "{told}");
    assert!(told.contains("holds an advisory lock from before: forgotten report"), "{told}");
    let again = lab.invoke(names::COORDINATOR, &order).await.expect("the coordinator answers");
    assert_eq!(
        again["because"],
        json!(format!("{new} is the writer already; name a reader, or leave the target out")),
        "{again}"
    );
    assert_ne!(lab.cluster.writer(), old);
    lab.shutdown().await;
}
