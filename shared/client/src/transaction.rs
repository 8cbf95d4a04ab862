//! What a closure gets: the statements of one attempt.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::Object;
use futures_util::join;
use tokio::sync::Mutex;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::classify::{Class, classify};
use crate::coverage::Coverage;
use crate::error::StatementError;
use crate::key::Key;
use crate::pool::WriterSessions;
use crate::session::Session;
use crate::statement::{self, Refusal};

/// One attempt of a protected transaction. It ends with its closure; kept for longer, it answers
/// [`StatementError::Over`].
///
/// Statements are prepared once per session and run one after another. The first takes the beginning of the
/// transaction, the gate and the ledger's row along, in one round trip.
pub struct Tx {
    running: Arc<Mutex<Option<Running>>>,
}

/// What an attempt has done so far.
pub(crate) struct Running {
    session: Option<Object<WriterSessions>>,
    pub(crate) key: Key,
    pub(crate) begin: &'static str,
    pub(crate) entered: bool,
    limit: Duration,
    seen: Vec<u64>,
    expected: Vec<u64>,
    /// The number of a statement that is under way, or was left.
    under_way: Option<usize>,
    failure: Option<Failure>,
    mark: Option<Refusal>,
    coverage: Arc<Coverage>,
}

/// Why an attempt cannot be committed.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Database(Arc<Error>, Class),
    Silent(Duration),
    Refused(Refusal),
    Diverged(usize),
    Unfinished(usize),
}

/// How an attempt ended before its COMMIT.
pub(crate) struct Ended {
    pub(crate) session: Option<Object<WriterSessions>>,
    pub(crate) entered: bool,
    pub(crate) failure: Option<Failure>,
    pub(crate) seen: Vec<u64>,
    pub(crate) mark: Option<Refusal>,
}

impl Tx {
    pub(crate) fn new(running: Running) -> (Self, Arc<Mutex<Option<Running>>>) {
        let running = Arc::new(Mutex::new(Some(running)));
        (Self { running: Arc::clone(&running) }, running)
    }

    /// The rows of a statement.
    ///
    /// Not safe to cancel: an attempt with a statement that was begun and not awaited is not committed.
    ///
    /// # Errors
    ///
    /// [`StatementError`]; the attempt is over then.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StatementError> {
        let mut running = self.running.lock().await;
        let running = running.as_mut().ok_or(StatementError::Over)?;
        running.allow(sql)?;
        let rows = running.exchange(Ask::Rows, sql, parameters).await?.rows;
        if !rows.is_empty() && statement::shows_sequence(sql) {
            running.mark(Refusal::SequenceShown, sql);
        }
        running.saw(sql, |hasher| {
            for row in &rows {
                hash_row(row, hasher);
            }
        })?;
        Ok(rows)
    }

    /// The one row of a statement. Not safe to cancel, as [`Self::query`].
    ///
    /// # Errors
    ///
    /// [`StatementError::Rows`] when there are none or more; that does not end the attempt by itself.
    pub async fn query_one(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, StatementError> {
        let rows = self.query(sql, parameters).await?;
        let count = rows.len();
        let mut rows = rows.into_iter();
        match (rows.next(), rows.next()) {
            (Some(row), None) => Ok(row),
            _ => Err(StatementError::Rows { rows: count }),
        }
    }

    /// How many rows a statement changed. Not safe to cancel, as [`Self::query`].
    ///
    /// # Errors
    ///
    /// [`StatementError`]; the attempt is over then.
    pub async fn execute(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, StatementError> {
        let mut running = self.running.lock().await;
        let running = running.as_mut().ok_or(StatementError::Over)?;
        running.allow(sql)?;
        let count = running.exchange(Ask::Count, sql, parameters).await?.count;
        running.saw(sql, |hasher| count.hash(hasher))?;
        Ok(count)
    }

    /// Marks that the closure has done something outside the database that must not be done again. From here on the
    /// transaction is not replayed: should it be lost, the first error comes back, and it is certain that nothing was
    /// applied.
    pub async fn side_effect(&self, what: &str) {
        if let Some(running) = self.running.lock().await.as_mut() {
            running.mark(Refusal::SideEffect, what);
        }
    }
}

impl Running {
    pub(crate) fn new(
        session: Object<WriterSessions>,
        key: Key,
        begin: &'static str,
        limit: Duration,
        expected: Vec<u64>,
        coverage: Arc<Coverage>,
    ) -> Self {
        let session = Some(session);
        let (entered, under_way, failure, mark) = (false, None, None, None);
        Self { session, key, begin, entered, limit, seen: Vec::new(), expected, under_way, failure, mark, coverage }
    }

    /// Ends the attempt; the session is no longer its own.
    pub(crate) fn end(mut self) -> Ended {
        if let Some(at) = self.under_way {
            self.failure.get_or_insert(Failure::Unfinished(at));
        }
        if self.failure.is_none() && self.seen.len() < self.expected.len() {
            self.failure = Some(Failure::Diverged(self.seen.len()));
        }
        Ended {
            session: self.session.take(),
            entered: self.entered,
            failure: self.failure.take(),
            seen: std::mem::take(&mut self.seen),
            mark: self.mark,
        }
    }

    fn allow(&mut self, sql: &str) -> Result<(), StatementError> {
        if self.failure.is_some() || self.under_way.is_some() {
            return Err(StatementError::Over);
        }
        if let Some(refusal) = statement::refused(sql) {
            self.coverage.refused(sql, refusal);
            self.failure = Some(Failure::Refused(refusal));
            return Err(StatementError::Refused(refusal));
        }
        Ok(())
    }

    fn mark(&mut self, refusal: Refusal, what: &str) {
        self.coverage.not_replayable(what, refusal);
        self.mark.get_or_insert(refusal);
    }

    /// One statement; the first one behind the beginning, without waiting for it.
    async fn exchange(
        &mut self,
        ask: Ask,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Answer, StatementError> {
        let session = self.session.as_ref().ok_or(StatementError::Over)?;
        self.under_way = Some(self.seen.len());
        let entered = std::mem::replace(&mut self.entered, true);
        let (key, begin) = (self.key, self.begin);
        let exchanged = async {
            if entered {
                return ask.of(session, sql, parameters).await;
            }
            let (head, answer) = join!(enter(session, begin, key), ask.of(session, sql, parameters));
            head.and(answer)
        };
        let answer = tokio::time::timeout(self.limit, exchanged).await;
        self.under_way = None;
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let (class, error) = (classify(&error), Arc::new(error));
                self.failure = Some(Failure::Database(Arc::clone(&error), class));
                Err(if class == Class::Duplicate { StatementError::Over } else { StatementError::Database(error) })
            }
            Err(_) => {
                self.failure = Some(Failure::Silent(self.limit));
                Err(StatementError::Silent(self.limit))
            }
        }
    }

    fn saw(&mut self, sql: &str, result: impl FnOnce(&mut DefaultHasher)) -> Result<(), StatementError> {
        let mut hasher = DefaultHasher::new();
        sql.hash(&mut hasher);
        result(&mut hasher);
        let digest = hasher.finish();
        let at = self.seen.len();
        self.seen.push(digest);
        if self.expected.get(at).is_some_and(|expected| *expected != digest) {
            self.failure = Some(Failure::Diverged(at));
            return Err(StatementError::Over);
        }
        Ok(())
    }
}

/// What is wanted of a statement.
#[derive(Clone, Copy)]
enum Ask {
    Rows,
    Count,
}

struct Answer {
    rows: Vec<Row>,
    count: u64,
}

impl Ask {
    async fn of(self, session: &Session, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Answer, Error> {
        let statement = session.statement(sql).await?;
        match self {
            Self::Rows => {
                let rows = session.plain().query(&statement, parameters).await?;
                Ok(Answer { rows, count: 0 })
            }
            Self::Count => {
                let count = session.plain().execute(&statement, parameters).await?;
                Ok(Answer { rows: Vec::new(), count })
            }
        }
    }
}

/// A session in the middle of a transaction never goes back to the pool: with its connection the transaction ends.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            drop(Object::take(session));
        }
    }
}

/// Begins, waits at the gate and writes the ledger's row: sent at once.
pub(crate) async fn enter(session: &Session, begin: &str, key: Key) -> Result<(), Error> {
    let client = session.plain();
    let parameters: [&(dyn ToSql + Sync); 1] = [&key];
    let (begun, entered) = join!(client.batch_execute(begin), client.execute(&session.ledger().enter, &parameters));
    begun.and(entered.map(drop))
}

/// A value as the server sent it.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn hash_row(row: &Row, hasher: &mut DefaultHasher) {
    row.len().hash(hasher);
    for column in 0..row.len() {
        // Every type is accepted, so there is a value or NULL.
        row.try_get::<_, Raw<'_>>(column).ok().and_then(|raw| raw.0).hash(hasher);
    }
}
