//! Asynchronous events: delivery, retries and the on-failure record.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::Answer;
use super::error::LambdaError;
use super::function::{Attempt, Function};
use super::name::LATEST;

/// Accepts one event; delivers it twice if a duplicate was asked for.
pub(super) fn accept(function: &Arc<Function>, attempt: &Attempt) {
    let spare = function.duplicates.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |spare| spare.checked_sub(1));
    let twice = spare.is_ok() || function.duplicates_all.load(Ordering::SeqCst);
    let deliveries = if twice { 2 } else { 1 };
    for _ in 0..deliveries {
        let function = Arc::clone(function);
        let attempt = attempt.clone();
        tokio::spawn(async move {
            let mut closing = function.platform.closing.subscribe();
            tokio::select! {
                () = Delivery::new(&function, attempt).run() => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        });
    }
}

struct Delivery<'a> {
    function: &'a Arc<Function>,
    attempt: Attempt,
    expires: Instant,
    backoff: Duration,
    /// How often the function has run on the event.
    runs: u32,
    last: Option<Answer>,
}

enum Condition {
    RetriesExhausted,
    EventAgeExceeded,
}

impl<'a> Delivery<'a> {
    fn new(function: &'a Arc<Function>, attempt: Attempt) -> Self {
        let expires = Instant::now() + function.spec.max_event_age;
        let backoff = function.platform.settings.backoff;
        Self { function, attempt, expires, backoff, runs: 0, last: None }
    }

    async fn run(mut self) {
        loop {
            let wait = match self.function.attempt(self.attempt.clone()).await {
                Ok(answer) if answer.function_error.is_none() => return,
                Ok(answer) => {
                    self.last = Some(answer);
                    self.runs += 1;
                    match self.retry_delay() {
                        Some(delay) => delay,
                        None => return self.give_up(Condition::RetriesExhausted),
                    }
                }
                Err(LambdaError::Closing) => return,
                // A function turned off by reserved concurrency 0 gets no retries.
                Err(LambdaError::Throttled) if self.function.spec.reserved_concurrency == Some(0) => {
                    return self.give_up(Condition::RetriesExhausted);
                }
                Err(_) => self.next_backoff(),
            };
            let next = Instant::now() + wait;
            if next >= self.expires {
                tokio::time::sleep_until(self.expires).await;
                return self.give_up(Condition::EventAgeExceeded);
            }
            tokio::time::sleep_until(next).await;
            self.attempt.number += 1;
            self.attempt.delay = self.function.delay();
        }
    }

    /// The wait before the next try after a function error; `None` when there is none left.
    fn retry_delay(&self) -> Option<Duration> {
        if self.runs > self.function.spec.retries {
            return None;
        }
        let [first, second] = self.function.platform.settings.retry_delays;
        Some(if self.runs == 1 { first } else { second })
    }

    fn next_backoff(&mut self) -> Duration {
        let settings = &self.function.platform.settings;
        let wait = self.backoff.min(settings.backoff_limit);
        self.backoff = wait.saturating_mul(2);
        wait
    }

    fn give_up(self, condition: Condition) {
        let function = self.function;
        tracing::warn!(
            function = %function.spec.name,
            request_id = %self.attempt.request_id,
            condition = condition.name(),
            runs = self.runs,
            "an event was given up"
        );
        if let Some(destination) = &function.spec.on_failure {
            // The receiver may be gone, as a deleted queue would be.
            drop(destination.send(self.failure_record(&condition)));
        }
    }

    /// The on-failure record of the Lambda guide (retaining records of asynchronous invocations);
    /// an event that never reached the function has neither response context nor payload.
    fn failure_record(&self, condition: &Condition) -> Value {
        let mut record = json!({
            "version": "1.0",
            "timestamp": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            "requestContext": {
                "requestId": self.attempt.request_id,
                "functionArn": format!("{}:{LATEST}", self.function.arn),
                "condition": condition.name(),
                "approximateInvokeCount": self.runs,
            },
            "requestPayload": as_json(&self.attempt.payload),
        });
        if let (Some(answer), Some(fields)) = (&self.last, record.as_object_mut()) {
            let context = json!({
                "statusCode": 200,
                "executedVersion": LATEST,
                "functionError": answer.function_error,
            });
            fields.insert("responseContext".to_owned(), context);
            fields.insert("responsePayload".to_owned(), as_json(&answer.payload));
        }
        record
    }
}

impl Condition {
    fn name(&self) -> &'static str {
        match self {
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
        }
    }
}

fn as_json(payload: &[u8]) -> Value {
    let text = || Value::String(String::from_utf8_lossy(payload).into_owned());
    serde_json::from_slice(payload).unwrap_or_else(|_| text())
}
