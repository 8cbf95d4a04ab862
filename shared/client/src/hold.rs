//! Where calls wait while there is no writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use deadpool::managed::{Object, Pool, PoolError, Timeouts};

use crate::error::HoldError;
use crate::event::Event;
use crate::pool::WriterSessions;
use crate::source::{Source, Standing, jitter};

/// Hands out sessions with the proved writer, and holds calls while there is none.
pub(crate) struct Hold {
    pub(crate) source: Arc<Source>,
    pub(crate) pool: Pool<WriterSessions>,
    held: AtomicUsize,
}

/// Whether the number of those who wait is bounded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Bounded,
    Open,
}

/// A place among those who wait.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hold {
    pub(crate) fn new(source: Arc<Source>, pool: Pool<WriterSessions>) -> Self {
        Self { source, pool, held: AtomicUsize::new(0) }
    }

    /// How many calls wait.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// A session with the proved writer for a call that has not begun. Safe to cancel.
    pub(crate) async fn session(&self, deadline: Instant) -> Result<Object<WriterSessions>, HoldError> {
        self.session_for(deadline, Line::Bounded).await
    }

    /// The same for a call that was sent before: it is never turned away, or what became of it would stay unknown.
    /// Safe to cancel.
    pub(crate) async fn session_of_begun(&self, deadline: Instant) -> Result<Object<WriterSessions>, HoldError> {
        self.session_for(deadline, Line::Open).await
    }

    async fn session_for(&self, deadline: Instant, line: Line) -> Result<Object<WriterSessions>, HoldError> {
        let began = Instant::now();
        let expired = || HoldError::Expired { waited: began.elapsed(), refusal: self.source.last_refusal() };
        let mut place = None;
        let mut pause = std::time::Duration::from_millis(5);
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Err(expired());
            }
            if self.source.writer().is_none() {
                if place.is_none() {
                    place = Some(self.wait_in_line(line)?);
                }
                let proved = tokio::time::timeout(rest, self.writer_proved()).await;
                proved.map_err(|_| expired())?;
                continue;
            }
            let limits = Timeouts { wait: Some(rest), create: Some(rest), recycle: Some(rest) };
            match self.pool.timeout_get(&limits).await {
                Ok(session) if session.epoch() == self.source.epoch() && !session.is_closed() => return Ok(session),
                Ok(outdated) => drop(Object::take(outdated)),
                Err(PoolError::Timeout(_) | PoolError::Closed | PoolError::NoRuntimeSpecified) => return Err(expired()),
                Err(PoolError::Backend(error)) => {
                    tracing::debug!(%error, "no session");
                    tokio::time::sleep(jitter(pause).min(rest)).await;
                    pause = (pause * 2).min(std::time::Duration::from_millis(500));
                }
                Err(PoolError::PostCreateHook(_)) => {}
            }
        }
    }

    fn wait_in_line(&self, line: Line) -> Result<Place<'_>, HoldError> {
        let most = self.source.config.limits.held;
        let calls = self.held.fetch_add(1, Ordering::Relaxed) + 1;
        let place = Place(&self.held);
        if calls > most && line == Line::Bounded {
            drop(place);
            self.source.config.tell(&Event::TurnedAway { calls: most });
            return Err(HoldError::Full { calls: most });
        }
        self.source.config.tell(&Event::Held { calls });
        Ok(place)
    }

    async fn writer_proved(&self) {
        let mut standing = self.source.standing();
        // A proof that went stale is renewed without a change of standing, or ends in one.
        let stale = matches!(&*standing.borrow_and_update(), Standing::Proved(_));
        if stale {
            self.source.suspect();
            let renewed = self.source.config.limits.silence;
            drop(tokio::time::timeout(renewed.min(std::time::Duration::from_millis(20)), standing.changed()).await);
            return;
        }
        // An error means that the source is gone, and the deadline ends the wait.
        if standing.wait_for(|standing| matches!(standing, Standing::Proved(_))).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
