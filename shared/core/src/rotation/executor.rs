//! Brings a step, or a sweep, to its end: look, judge, act, look again.

use std::future::Future;
use std::time::Duration;

use serde_json::json;

use super::blocked::Blocked;
use super::observed::Observed;
use super::row::Rotation;
use super::step::{self, Action, Progress, Step};
use super::sweep::{self, Patience};
use crate::ports::Clock;
use crate::time::Timestamp;

/// Between two looks at what stands in the way.
const PAUSE: Duration = Duration::from_millis(250);

/// Which secret, and which of its versions is to become current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which<'a> {
    /// ARN of the secret.
    pub secret: &'a str,
    /// The version.
    pub token: &'a str,
}

/// How much of the database is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Nothing of it.
    Secret,
    /// Logins, roles and sessions, and what was done to them since this began.
    Database {
        /// Whether sessions were ended.
        drained: bool,
        /// Whether the pending password was given to its user.
        changed: bool,
    },
}

impl Depth {
    /// What the next look must know of a deed. Sessions may be gone although nobody answered.
    fn after(self, action: &Action, done: bool) -> Self {
        match self {
            Self::Secret => Self::Secret,
            Self::Database { drained, changed } => Self::Database {
                drained: drained || matches!(action, Action::Drain { .. }),
                changed: changed || done && matches!(action, Action::SetPassword { .. }),
            },
        }
    }
}

/// Secrets, database and state table.
pub trait World: Clock {
    /// Looks at everything now.
    fn look(&self, which: Which<'_>, depth: Depth) -> impl Future<Output = Result<Observed, Blocked>> + Send;

    /// Does one thing, once. An error of unknown effect is one that passes: the next look shows what has become of it.
    fn act(
        &self,
        which: Which<'_>,
        action: &Action,
        seen: &Observed,
    ) -> impl Future<Output = Result<(), Blocked>> + Send;

    /// One audit line. Never blocks, never fails.
    fn audit(&self, what: &str, data: serde_json::Value);
}

/// Carries out a step of Secrets Manager. Cancelling it anywhere leaves a state from which it goes on.
///
/// # Errors
///
/// What still stood in the way at `until`, or what no waiting helps against.
pub async fn carry_out<W: World>(
    world: &W,
    which: Which<'_>,
    step: Step,
    patience: &Patience,
    until: Timestamp,
) -> Result<(), Blocked> {
    run(world, which, until, |seen| step::judge(step, seen, patience)).await
}

/// Does what an announced rotation has left. Cancelling it anywhere leaves it to the next sweep.
///
/// # Errors
///
/// As [`carry_out`].
pub async fn sweep<W: World>(world: &W, row: &Rotation, patience: &Patience, until: Timestamp) -> Result<(), Blocked> {
    let which = Which { secret: &row.secret, token: &row.token };
    run(world, which, until, |seen| match seen.row() {
        Some(now) if now.token == row.token => sweep::sweep(seen, now, patience),
        // Another rotation has begun.
        Some(_) | None => Progress::Done,
    })
    .await
}

async fn run<W: World>(
    world: &W,
    which: Which<'_>,
    until: Timestamp,
    judge: impl Fn(&Observed) -> Progress,
) -> Result<(), Blocked> {
    let mut depth = Depth::Secret;
    loop {
        let stopped = match world.look(which, depth).await {
            Err(blocked) => blocked,
            Ok(seen) => match judge(&seen) {
                Progress::Done => return Ok(()),
                Progress::Ready(Action::LookAtDatabase) if depth == Depth::Secret => {
                    depth = Depth::Database { drained: false, changed: false };
                    continue;
                }
                Progress::Ready(action) => {
                    world.audit("rotation", json!({ "secret": which.secret, "token": which.token, "does": action }));
                    let done = world.act(which, &action, &seen).await;
                    depth = depth.after(&action, done.is_ok());
                    match done {
                        Ok(()) if world.now() < until => continue,
                        Ok(()) => Blocked::Failed { what: "the invocation's time is up".to_owned(), passes: true },
                        Err(blocked) => blocked,
                    }
                }
                Progress::Blocked(blocked) => blocked,
            },
        };
        if !stopped.passes() || world.now().plus(PAUSE) >= until {
            return Err(stopped);
        }
        world.pause(PAUSE).await;
    }
}
