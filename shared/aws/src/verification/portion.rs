//! How much of a look one invocation takes upon itself.

use std::future::Future;
use std::time::Duration;

use steadfast_core::time::Timestamp;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use crate::clock;

/// After this nothing further is begun: what was seen is written down, and the next tick goes on.
const BEGINS_FOR: Duration = Duration::from_secs(50);
/// Left of the invocation when nothing further is begun.
const MARGIN: Duration = Duration::from_secs(20);
/// What had so long for itself would not be done in another invocation either.
const WHOLE: Duration = Duration::from_secs(600);
/// The server ends a statement itself; this much later we no longer wait for it.
const GRACE: Duration = Duration::from_secs(1);

/// The time that an invocation has for a look.
pub(super) struct Portion<'c> {
    pub(super) client: &'c Client,
    began: Timestamp,
    until: Timestamp,
}

/// What became of one thing to do.
pub(super) enum Done<T> {
    /// It is done.
    Fully(T),
    /// It was cut off; another invocation has more time for it.
    Cut,
    /// It was cut off after this time, which is as much as there is.
    TooLong(Duration),
}

impl<'c> Portion<'c> {
    /// From now on.
    pub(super) fn new(client: &'c Client, until: Timestamp) -> Self {
        Self { client, began: clock::now(), until }
    }

    /// Whether something further may be begun.
    pub(super) fn has_time(&self) -> bool {
        let now = clock::now();
        now < self.began.plus(BEGINS_FOR) && now.plus(MARGIN) < self.until
    }

    /// Does one thing in the session, which is of no more use once this was cut off.
    ///
    /// # Errors
    ///
    /// Whatever else the server or the connection says.
    pub(super) async fn spend<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<Done<T>, Error> {
        let begun = clock::now();
        let left = self.until.since(begun).max(Duration::from_millis(1));
        // Whatever went on in the server would read beside the next invocation.
        self.client.batch_execute(&format!("SET statement_timeout = {}", left.as_millis())).await?;
        match timeout(left.saturating_add(GRACE), work).await {
            Ok(Ok(done)) => return Ok(Done::Fully(done)),
            Ok(Err(error)) if !self.is_end(&error) => return Err(error),
            Ok(Err(_)) | Err(_) => {}
        }
        let had = clock::now().since(begun);
        Ok(if had < WHOLE { Done::Cut } else { Done::TooLong(had) })
    }

    /// Whether it was our own limit that ended a statement.
    fn is_end(&self, error: &Error) -> bool {
        error.code() == Some(&SqlState::QUERY_CANCELED) && clock::now().plus(GRACE) >= self.until
    }
}
