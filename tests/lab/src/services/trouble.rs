//! What can be wrong with a service.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A service behind a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// DynamoDB.
    StateTable,
    /// SNS.
    Notifier,
    /// Lambda, as functions call it.
    Invocations,
    /// Route 53.
    Names,
}

/// How a service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It refuses by throttling; nothing is done.
    Throttle,
    /// It answers with an internal error; nothing is done.
    Error,
    /// It refuses for want of permission; nothing is done.
    Denied,
    /// It does not answer; nothing is done.
    Silence,
    /// It does what was asked, and the connection is reset in place of the answer.
    LostAnswer,
    /// It does what was asked, and answers with an internal error.
    ErrorAfterEffect,
    /// It takes this long to look at a request.
    Slow(Duration),
}

/// The troubles of one service, in the order in which they were set.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<Vec<(Trouble, Option<String>)>>);

impl Troubles {
    pub(super) fn set(&self, trouble: Trouble, action: Option<&str>) {
        self.all().push((trouble, action.map(str::to_owned)));
    }

    pub(super) fn clear(&self, trouble: Trouble, action: Option<&str>) {
        self.all().retain(|(set, about)| *set != trouble || about.as_deref() != action);
    }

    pub(super) fn clear_all(&self) {
        self.all().clear();
    }

    /// What a request for this action meets: the delay, and the first other trouble.
    pub(super) fn of(&self, action: &str) -> (Duration, Option<Trouble>) {
        let (mut delay, mut first) = (Duration::ZERO, None);
        for (trouble, about) in self.all().iter() {
            if about.as_ref().is_some_and(|about| about != action) {
                continue;
            }
            match trouble {
                Trouble::Slow(by) => delay = delay.saturating_add(*by),
                Trouble::Throttle
                | Trouble::Error
                | Trouble::Denied
                | Trouble::Silence
                | Trouble::LostAnswer
                | Trouble::ErrorAfterEffect => first = first.or(Some(*trouble)),
            }
        }
        (delay, first)
    }

    fn all(&self) -> MutexGuard<'_, Vec<(Trouble, Option<String>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
