//! Sessions in the hands of the application.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::Object;
use tokio::runtime::Handle;

use crate::pool::WriterSessions;
use crate::session::Session;

/// A session that is lent. When it is given back by dropping it, what was set on it or begun with it is taken back in
/// the background before it is used again; a session that does not answer in time is closed.
pub struct LentSession {
    session: Arc<Object<WriterSessions>>,
    /// How long the cleaning may take.
    limit: Duration,
}

impl LentSession {
    pub(crate) fn new(session: Object<WriterSessions>, limit: Duration) -> Self {
        Self { session: Arc::new(session), limit }
    }
}

impl Deref for LentSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for LentSession {
    fn drop(&mut self) {
        let (cleaning, limit) = (Cleaning { session: Arc::clone(&self.session), done: false }, self.limit);
        // Outside of a runtime there is nobody to clean it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(cleaning.run(limit));
        }
    }
}

/// Ends its session if it is dropped before it is done, also by a runtime that shuts down.
struct Cleaning {
    session: Arc<Object<WriterSessions>>,
    done: bool,
}

impl Cleaning {
    async fn run(mut self, limit: Duration) {
        self.session.clean(limit).await;
        self.done = true;
    }
}

impl Drop for Cleaning {
    fn drop(&mut self) {
        if !self.done {
            self.session.end();
        }
    }
}
