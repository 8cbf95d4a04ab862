//! What an operator may order, as the coordinator takes it.

use std::time::Duration;

use serde_json::{Value, json};
use steadfast_core::mode::Mode;
use steadfast_core::topology::{ClusterId, InstanceId};

use super::Reach;

/// A switchover is answered once it has ended.
const LIMIT: Duration = Duration::from_secs(300);

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// What Steadfast may do.
    Mode(Mode),
    /// Move the writer role; None: to the best candidate.
    Switchover(Option<InstanceId>),
}

impl Order {
    /// What it does, for the one who confirms it.
    pub(crate) fn says(&self, id: &ClusterId) -> String {
        match self {
            Self::Mode(Mode::Armed) => format!("Arm Steadfast: it may move the writer of {id} by itself."),
            Self::Mode(Mode::Paused) => format!("Pause Steadfast: it neither decides nor acts on {id}."),
            Self::Mode(Mode::Shadow) => {
                format!("Shadow mode: Steadfast decides and records about {id}, and acts on nothing.")
            }
            Self::Switchover(None) => format!("Move the writer of {id} to the best candidate now."),
            Self::Switchover(Some(target)) => format!("Move the writer of {id} to {target} now."),
        }
    }

    /// Whether the name must be typed: what moves a writer, now or later, is not ordered by one key. A pause is.
    pub(crate) fn is_grave(&self) -> bool {
        match self {
            Self::Mode(Mode::Armed) | Self::Switchover(_) => true,
            Self::Mode(Mode::Paused | Mode::Shadow) => false,
        }
    }

    /// The coordinator's payload for it.
    pub fn payload(&self, id: &ClusterId, reason: &str) -> Value {
        match self {
            Self::Mode(mode) => {
                json!({ "cluster": id, "hint": "operator", "order": "set_mode", "mode": mode, "reason": reason })
            }
            Self::Switchover(None) => {
                json!({ "cluster": id, "hint": "operator", "order": "switchover", "reason": reason })
            }
            Self::Switchover(Some(target)) => json!({ "cluster": id, "hint": "operator", "order": "switchover",
                "target": target, "reason": reason }),
        }
    }

    /// The coordinator's answer to it in words.
    pub fn answered(&self, answer: &Value) -> String {
        let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(why) = text("ignored") {
            return format!("the order was not taken: {why}");
        }
        match self {
            Self::Mode(mode) => {
                let before = text("before").map(|before| format!("; it was {before}")).unwrap_or_default();
                format!("the mode is {}{before}", text("mode").unwrap_or_else(|| mode.as_str().to_owned()))
            }
            Self::Switchover(_) => match answer.get("switched_over").and_then(Value::as_bool) {
                Some(true) => format!("{} writes now", text("writer").unwrap_or_else(|| "another instance".to_owned())),
                Some(false) => format!("the writer stays: {}", text("because").unwrap_or_else(|| answer.to_string())),
                None => text("because").unwrap_or_else(|| answer.to_string()),
            },
        }
    }
}

/// Gives the order, once, and says what came of it.
pub(crate) async fn give(reach: &Reach, order: &Order) -> String {
    let Some(coordinator) = &reach.coordinator else {
        return "nothing was ordered: set STEADFAST_COORDINATOR to the coordinator's name or ARN".to_owned();
    };
    let reason = format!("ordered at the console by {}", operator());
    match coordinator.ask::<Value, Value>(&order.payload(&reach.id, &reason), LIMIT).await {
        Ok(answer) => order.answered(&answer),
        Err(error) => format!("what came of the order is not known: {error}"),
    }
}

fn operator() -> String {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|who| !who.is_empty()));
    named.unwrap_or_else(|| "an operator".to_owned())
}
