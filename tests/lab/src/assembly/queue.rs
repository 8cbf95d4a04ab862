//! Ticks of the schedules, from their queue to the functions.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::lambda::Lambda;

/// A long poll; also how soon a dead emulator is asked again.
const POLL_SECONDS: i32 = 5;
const RETRY: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Tick {
    function: String,
    payload: Value,
}

/// Invokes, asynchronously, what each message asks for.
pub(super) async fn dispatch(sqs: aws_sdk_sqs::Client, url: String, lambda: Lambda) {
    loop {
        let poll = sqs.receive_message().queue_url(&url).wait_time_seconds(POLL_SECONDS).max_number_of_messages(10);
        let Ok(answer) = poll.send().await else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        for message in answer.messages() {
            if let Some(handle) = message.receipt_handle()
                && let Err(error) = sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await
            {
                tracing::warn!(%error, "a tick may come twice");
            }
            match serde_json::from_str::<Tick>(message.body().unwrap_or_default()) {
                Ok(tick) => {
                    if let Err(error) = lambda.invoke_async(&tick.function, tick.payload.to_string().into()).await {
                        tracing::warn!(%error, function = tick.function, "a tick did not reach its function");
                    }
                }
                Err(error) => tracing::warn!(%error, body = message.body(), "not a tick"),
            }
        }
    }
}
