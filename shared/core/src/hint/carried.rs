//! Events inside what carried them: SNS notifications, SQS batches, lists.

use serde_json::Value;

use super::{Envelope, text};

/// A batch of SQS, its message, a notification of SNS, its message: nothing real is wrapped deeper.
const DEPTH_MAX: usize = 4;
/// An SQS batch holds no more. What a longer list holds beyond is not read.
const EVENTS_MAX: usize = 10_000;

/// How something holds events.
enum Layer<'a> {
    /// A list of them.
    List(&'a [Value]),
    /// A message around one, as text or as it is.
    Message { envelope: Envelope, body: &'a Value },
}

/// Shows every event in `payload` with the envelope of what carried it, and whether it came bare.
pub(super) fn each(payload: &Value, see: &mut dyn FnMut(&Value, &Envelope, bool)) {
    let mut left = EVENTS_MAX;
    open(payload, &Envelope::default(), 0, &mut |event, envelope, bare| {
        let within = left > 0;
        left = left.saturating_sub(1);
        if within {
            see(event, envelope, bare);
        }
        within
    });
}

/// Goes on as long as `see` wants more.
fn open(value: &Value, around: &Envelope, depth: usize, see: &mut dyn FnMut(&Value, &Envelope, bool) -> bool) -> bool {
    match layer(value).filter(|_| depth < DEPTH_MAX) {
        None => see(value, around, depth == 0),
        Some(Layer::List(items)) => items.iter().all(|item| open(item, around, depth + 1, see)),
        Some(Layer::Message { envelope, body }) => {
            let envelope = envelope.within(around);
            let inner = body.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
            open(inner.as_ref().unwrap_or(body), &envelope, depth + 1, see)
        }
    }
}

fn layer(value: &Value) -> Option<Layer<'_>> {
    if let Value::Array(items) = value {
        return Some(Layer::List(items));
    }
    // `Records` of SNS and SQS; `Events` of DescribeEvents.
    if let Some(Value::Array(items)) = value.get("Records").or_else(|| value.get("Events")) {
        return Some(Layer::List(items));
    }
    let notification = match value.get("Sns") {
        Some(inside) => Some(inside),
        None => Some(value).filter(|value| value.get("TopicArn").is_some()),
    };
    if let Some(notification) = notification {
        let envelope =
            Envelope { id: text(notification, "/MessageId"), time: text(notification, "/Timestamp"), replay: None };
        return Some(Layer::Message { envelope, body: notification.get("Message")? });
    }
    if value.get("eventSource").is_some_and(|source| source == "aws:sqs") {
        let envelope = Envelope { id: text(value, "/messageId"), ..Envelope::default() };
        return Some(Layer::Message { envelope, body: value.get("body")? });
    }
    None
}
