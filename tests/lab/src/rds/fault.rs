//! Faults of the control plane, armed per action.

use std::time::Duration;

use super::error::ApiError;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// 400 `Throttling`, "Rate exceeded"; nothing is done.
    Throttle,
    /// 500 `InternalFailure`; nothing is done.
    InternalError,
    /// 503 `ServiceUnavailable`; nothing is done.
    Unavailable,
    /// 403 `AccessDenied`; nothing is done.
    AccessDenied,
    /// The connection is reset; nothing is done.
    ConnectionReset,
    /// The request is not answered, nor the connection closed; nothing is done.
    Silence,
    /// The request is carried out, then the connection is reset in place of the answer.
    ReplyLost,
    /// The request is carried out, then answered with 500 `InternalFailure`.
    ErrorAfterEffect,
    /// The request waits this long before it is looked at.
    Latency(Duration),
    /// The descriptions show status and writer as they were when this fault was set.
    StaleTopology,
}

/// What one request meets.
#[derive(Debug, Default)]
pub(super) struct Hits {
    pub(super) latency: Duration,
    pub(super) stale: bool,
    pub(super) refusal: Option<Refusal>,
    pub(super) spoilt: Option<Spoilt>,
}

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    Error(ApiError),
    Reset,
    Silence,
}

/// What becomes of the answer to a request that was carried out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spoilt {
    Lost,
    Error,
}

#[derive(Debug)]
struct Armed {
    action: String,
    kind: FaultKind,
    left: Option<u32>,
}

/// All armed faults, in the order in which they were set.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Armed>);

impl Faults {
    /// `action` is the name of an action or `*`; `times` is how many requests it meets, `None`
    /// for all until it is cleared.
    pub(super) fn set(&mut self, action: &str, kind: FaultKind, times: Option<u32>) {
        self.0.push(Armed { action: action.to_owned(), kind, left: times });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes back what was set with the same words.
    pub(super) fn clear_one(&mut self, action: &str, kind: FaultKind) {
        self.0.retain(|armed| armed.action != action || armed.kind != kind);
    }

    /// The faults that this request meets. Of several refusals the first counts; the others
    /// keep their count.
    pub(super) fn take(&mut self, action: &str) -> Hits {
        let mut hits = Hits::default();
        for armed in &mut self.0 {
            let meets = armed.action == "*" || armed.action == action;
            if !meets || armed.left == Some(0) || !hits.add(armed.kind, action) {
                continue;
            }
            armed.left = armed.left.map(|left| left.saturating_sub(1));
        }
        self.0.retain(|armed| armed.left != Some(0));
        hits
    }
}

impl Hits {
    /// Whether the fault took effect.
    fn add(&mut self, kind: FaultKind, action: &str) -> bool {
        let refusal = match kind {
            FaultKind::Latency(delay) => {
                self.latency = self.latency.saturating_add(delay);
                return true;
            }
            FaultKind::StaleTopology => {
                self.stale = true;
                return true;
            }
            FaultKind::ReplyLost => return self.spoil(Spoilt::Lost),
            FaultKind::ErrorAfterEffect => return self.spoil(Spoilt::Error),
            FaultKind::ConnectionReset => Refusal::Reset,
            FaultKind::Silence => Refusal::Silence,
            FaultKind::Throttle => refuse(400, "Throttling", "Rate exceeded"),
            FaultKind::InternalError => Refusal::Error(ApiError::internal()),
            FaultKind::Unavailable => refuse(503, "ServiceUnavailable", "Service unavailable"),
            FaultKind::AccessDenied => {
                let message = format!("User is not authorized to perform: rds:{action}");
                refuse(403, "AccessDenied", &message)
            }
        };
        let first = self.is_free();
        if first {
            self.refusal = Some(refusal);
        }
        first
    }

    fn spoil(&mut self, spoilt: Spoilt) -> bool {
        let first = self.is_free();
        if first {
            self.spoilt = Some(spoilt);
        }
        first
    }

    fn is_free(&self) -> bool {
        self.refusal.is_none() && self.spoilt.is_none()
    }
}

fn refuse(status: u16, code: &'static str, message: &str) -> Refusal {
    Refusal::Error(ApiError::new(status, code, message))
}
