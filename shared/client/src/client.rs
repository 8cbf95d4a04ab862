//! The client: what an application holds, one per process and database.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use deadpool::managed::{BuildError, Pool};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::call::{Call, expired};
use crate::commit::Step;
use crate::config::{Config, Credentials};
use crate::coverage::{Coverage, CoverageReport};
use crate::decide;
use crate::error::{Cause, Error, HoldError};
use crate::hold::Hold;
use crate::key::Key;
use crate::lent::LentSession;
use crate::outcome::{Fate, Options, Outcome, Recorded};
use crate::pool::WriterSessions;
use crate::source::Source;
use crate::statement;
use crate::transaction::Tx;

/// Runs protected transactions. Cheap to clone; the last one that is dropped ends its task and its sessions.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    hold: Hold,
    coverage: Arc<Coverage>,
    keeper: JoinHandle<()>,
    emptier: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.keeper.abort();
        self.emptier.abort();
    }
}

impl Client {
    /// Begins to look for the writer, and returns at once: the first calls are held until it is proved. Must be
    /// called on a tokio runtime with time and network, which the client uses until it is dropped.
    ///
    /// # Errors
    ///
    /// When the pool cannot be built with these limits.
    pub fn start(config: Config) -> Result<Self, BuildError> {
        let sessions = config.limits.sessions;
        let process = config.process.unwrap_or_else(Uuid::new_v4);
        let source = Arc::new(Source::new(config, process));
        let manager = WriterSessions::new(Arc::clone(&source));
        let pool = Pool::builder(manager).max_size(sessions).runtime(deadpool::Runtime::Tokio1).build()?;
        let keeper = tokio::spawn({
            let source = Arc::clone(&source);
            async move { source.keep().await }
        });
        let emptier = tokio::spawn(empty(Arc::clone(&source), pool.clone()));
        let coverage = Arc::default();
        Ok(Self { inner: Arc::new(Inner { hold: Hold::new(source, pool), coverage, keeper, emptier }) })
    }

    /// Runs a transaction under a key: applied once, whatever fails, or certainly not.
    ///
    /// The closure may run several times, and the part before its first statement also when the key is applied
    /// already. What it returns is recorded in the ledger as JSON, so that whoever comes with the same key gets it;
    /// keep it small. It must return the errors of its statements.
    ///
    /// Safe to cancel before its COMMIT is sent: nothing is applied then. Afterwards the COMMIT is awaited in the
    /// background all the same; whether it took effect is told by [`Self::outcome`], or by a call with the same key.
    ///
    /// # Errors
    ///
    /// [`Error`]. All but [`Error::Undecided`], [`Error::Forgotten`] and [`Error::Unreadable`] mean that nothing was
    /// applied.
    pub async fn transaction<T, E, F, Fut>(&self, key: Key, closure: F) -> Result<Outcome<T>, Error<E>>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.transaction_with(key, &Options::default(), closure).await
    }

    /// The same with options.
    ///
    /// # Errors
    ///
    /// As [`Self::transaction`].
    pub async fn transaction_with<T, E, F, Fut>(
        &self,
        key: Key,
        options: &Options,
        closure: F,
    ) -> Result<Outcome<T>, Error<E>>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Call::new(&self.inner.hold, &self.inner.coverage, key, options.clone()).run(closure).await
    }

    /// Runs a transaction whose statements are known beforehand, in one round trip: beginning, gate, ledger, steps and
    /// COMMIT. The value is the number of rows that each step changed; nothing is recorded, so it is empty when the
    /// key was found applied.
    ///
    /// What must hold must be an error in SQL: nobody looks at the row counts before the COMMIT. Cancel safety as of
    /// [`Self::transaction`].
    ///
    /// # Errors
    ///
    /// As [`Self::transaction`].
    pub async fn send(
        &self,
        key: Key,
        steps: impl Into<Arc<[Step]>>,
    ) -> Result<Outcome<Vec<u64>>, Error<std::convert::Infallible>> {
        let options = Options::default();
        Call::new(&self.inner.hold, &self.inner.coverage, key, options).send(steps.into()).await
    }

    /// What became of a key, asked by a commit on the proved writer. [`Fate::Open`] is no promise: an attempt may be
    /// under way. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When there is no answer by the deadline of a call; [`Cause::Expired`] when the ledger does not have the key, and
    /// it is older than [`crate::KEY_AGE_MAX`].
    pub async fn outcome(&self, key: Key) -> Result<Fate, Cause> {
        let fate = decide::ask(&self.inner.hold, key, self.deadline()).await.map(fate)?;
        match (fate, expired(key)) {
            (Fate::Open, Some(age)) => Err(Cause::Expired { age }),
            (fate, _) => Ok(fate),
        }
    }

    /// Gives a key up, unless it is applied: then it never will be. Waits for an attempt under way on the same server.
    /// Safe to cancel; it may have been done then.
    ///
    /// # Errors
    ///
    /// As [`Self::outcome`].
    pub async fn abandon(&self, key: Key) -> Result<Fate, Cause> {
        if expired(key).is_some() {
            return self.outcome(key).await;
        }
        decide::give_up(&self.inner.hold, key, self.deadline()).await.map(fate)
    }

    /// A session with the proved writer, for reads and whatever needs no protection. When it is handed out, its node was
    /// heard as the writer within [`crate::Limits::prove_every`] and [`crate::Limits::silence`]: a read at once may be
    /// older by no more than that. Do not keep it: it ends by itself only when another writer is proved, and until then
    /// an old writer may go on answering. For reads that must not be old at all use a transaction: its commit is the
    /// proof. What is set on it or begun with it is taken back when it is dropped. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When there is no writer by the deadline of a call, or too many calls wait already.
    pub async fn session(&self) -> Result<LentSession, HoldError> {
        let session = self.inner.hold.session(self.deadline()).await?;
        Ok(LentSession::new(session, self.inner.hold.source.config.limits.connect))
    }

    /// Runs one statement without protection and counts it as such ([`CoverageReport::unprotected`]). What may not stand
    /// in a protected transaction, such as `SET` and `BEGIN`, is refused here too: it would reach into the next use of
    /// the session. Not safe to cancel: the statement may run to its end; its session is closed.
    ///
    /// # Errors
    ///
    /// [`Cause::Refused`], and nothing was sent; when there is no session; or the driver's error, and whether it took
    /// effect is unknown then.
    pub async fn unprotected(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, Cause> {
        if let Some(refusal) = statement::refused(sql) {
            self.inner.coverage.refused(sql, refusal);
            return Err(Cause::Refused(refusal));
        }
        let session = self.inner.hold.session(self.deadline()).await?;
        let under_way = session.under_way();
        let done = async {
            let statement = session.statement(sql).await?;
            session.plain().execute(&statement, parameters).await
        };
        let done = done.await;
        under_way.answered();
        let rows = done.map_err(|error| Cause::Database(Arc::new(error)))?;
        self.inner.coverage.unprotected();
        Ok(rows)
    }

    /// Waits until a writer is proved. Safe to cancel.
    ///
    /// # Errors
    ///
    /// As [`Self::session`].
    pub async fn ready(&self) -> Result<(), HoldError> {
        self.inner.hold.session(self.deadline()).await.map(drop)
    }

    /// What a pool of the application's own needs to hold sessions with the proved writer only.
    #[must_use]
    pub fn sessions(&self) -> WriterSessions {
        WriterSessions::new(Arc::clone(&self.inner.hold.source))
    }

    /// The fencing epoch: the highest one that was proved.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.inner.hold.source.epoch()
    }

    /// How many calls wait for a writer.
    #[must_use]
    pub fn held(&self) -> usize {
        self.inner.hold.held()
    }

    /// What was protected so far, and what was not and why.
    #[must_use]
    pub fn coverage(&self) -> CoverageReport {
        self.inner.coverage.report()
    }

    /// New connections log in with these from now on, as after a rotation.
    pub fn set_credentials(&self, credentials: Credentials) {
        let known = &self.inner.hold.source.config.credentials;
        *known.write().unwrap_or_else(std::sync::PoisonError::into_inner) = credentials;
    }

    /// The oldest key that this process may still ask for: the ledger keeps rows from then on, also when the process
    /// is gone, until the same process ([`Config::process`]) says otherwise. Reaches the database with the next proof.
    pub fn keep_since(&self, oldest: Option<SystemTime>) {
        self.inner.hold.source.keep_since(oldest);
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.inner.hold.source.config.limits.call
    }
}

/// Drops idle sessions of an old epoch as soon as a higher one is proved.
async fn empty(source: Arc<Source>, pool: Pool<WriterSessions>) {
    let mut fence = source.fence();
    while fence.changed().await.is_ok() {
        let epoch = *fence.borrow_and_update();
        pool.retain(|session, _| session.epoch() >= epoch);
    }
}

fn fate(recorded: Recorded) -> Fate {
    match recorded {
        Recorded::Applied(_) => Fate::Applied,
        Recorded::GivenUp => Fate::Abandoned,
        Recorded::Nothing => Fate::Open,
    }
}
