//! A look at the restored database, by one invocation at a time.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use serde_json::json;

use super::claim::{Claim, RENEWED_AFTER};
use super::executor::{At, NotDone, Step, World};
use super::finding::Check;
use super::refusal::Unseen;
use super::run::{Looked, Run};
use crate::evidence::Kind;
use crate::ports::StateError;

impl<W: World> Step<'_, W> {
    /// Looks, and writes down what was seen, or why nothing was.
    pub(super) async fn look(&self, run: Run, check: Check, at: At<'_>) -> Result<Run, NotDone> {
        let (run, looked) = if check.is_long() {
            self.look_alone(run, check, at).await?
        } else {
            let looked = self.world.inspect(&run, check, at, self.until).await;
            (run, looked)
        };
        match looked {
            Ok(looked) => {
                let told = json!({ "check": check, "looked": looked });
                let seen = Some(run.version);
                let mut next = run;
                next.take(check, looked);
                self.write(next, seen, Kind::Answered, told).await
            }
            Err(error) => self.refused(run, &error).await,
        }
    }

    /// Claims the run for as long as it looks, so that the ticks meanwhile do not look as well.
    async fn look_alone(&self, run: Run, check: Check, at: At<'_>) -> Result<(Run, Result<Looked, Unseen>), NotDone> {
        let claimed = self.claim(run).await?;
        let mut run = claimed.clone();
        let mut look = pin!(self.world.inspect(&claimed, check, at, self.until));
        loop {
            let pause = pin!(self.world.pause(RENEWED_AFTER));
            if let Some(looked) = or_until(look.as_mut(), pause).await {
                return Ok((run, looked));
            }
            run = match self.claim(run.clone()).await {
                Ok(renewed) => renewed,
                // Somebody else has the run: what is seen here would be written over nothing.
                Err(error @ StateError::Superseded { .. }) => return Err(error.into()),
                Err(error) => {
                    self.world.audit("claim_not_renewed", json!({ "error": error.to_string() }));
                    run
                }
            };
        }
    }

    async fn claim(&self, run: Run) -> Result<Run, StateError> {
        let claim = Some(Claim::new(self.me, self.world.now()));
        self.keep(Run { claim, ..run }).await
    }

    /// Keeps the refusal in the run: if none of the next steps is taken either, the verdict quotes it.
    pub(super) async fn refused(&self, run: Run, error: &Unseen) -> Result<Run, NotDone> {
        let mut next = run;
        next.refuse(error, self.world.now());
        self.keep(next).await?;
        Err(NotDone { what: error.to_string(), passes: true })
    }

    /// Writes what is no evidence.
    async fn keep(&self, run: Run) -> Result<Run, StateError> {
        let seen = Some(run.version);
        let next = Run { version: run.version.saturating_add(1), ..run };
        self.world.save(&next, seen, &[]).await?;
        Ok(next)
    }
}

/// What `work` comes to, unless `pause` is over before.
async fn or_until<T>(mut work: Pin<&mut impl Future<Output = T>>, mut pause: Pin<&mut impl Future>) -> Option<T> {
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        pause.as_mut().poll(context).map(|_| None)
    })
    .await
}
