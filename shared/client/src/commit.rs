//! The COMMIT: sent once, awaited to its end by a task of its own, never cancelled.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use deadpool::managed::Object;
use futures_util::future::maybe_done;
use futures_util::{join, poll};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};

use crate::classify::{Class, classify, leaves_commit_open};
use crate::key::Key;
use crate::pool::WriterSessions;
use crate::session::Session;
use crate::source::Source;
use crate::transaction::enter;

/// A parameter that outlives the call, so that it can be sent again.
pub type Parameter = Box<dyn ToSql + Sync + Send>;

/// One statement of a transaction that is sent as a whole.
pub struct Step {
    /// One SQL statement.
    pub sql: String,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

impl Step {
    /// A statement with its parameters.
    pub fn new(sql: impl Into<String>, parameters: Vec<Parameter>) -> Self {
        Self { sql: sql.into(), parameters }
    }
}

/// All that is sent with a COMMIT, in one flight.
pub(crate) struct Flight {
    pub(crate) session: Object<WriterSessions>,
    pub(crate) key: Key,
    /// How the transaction begins, unless it has.
    pub(crate) begin: Option<&'static str>,
    pub(crate) steps: Arc<[Step]>,
    pub(crate) result: Option<Vec<u8>>,
}

/// What became of it.
pub(crate) enum Landed {
    /// The COMMIT was acknowledged. The rows that each step changed.
    Applied(Vec<u64>),
    /// The transaction was taken back, for certain.
    Aborted(Arc<Error>, Class),
    /// A parameter does not fit its statement. Nothing was sent.
    Unfit(String),
    /// Nobody knows yet.
    InDoubt(Doubt),
}

/// Why a COMMIT is in doubt.
pub(crate) type Doubt = crate::error::Cause;

impl Flight {
    /// Sends it. The task goes on when the caller does not: a COMMIT under way is awaited until it is answered or the
    /// connection ends, and the session is of use again afterwards.
    pub(crate) async fn send(self, source: Arc<Source>, limit: Duration) -> Landed {
        let flight = tokio::spawn(self.fly(source));
        match tokio::time::timeout(limit, flight).await {
            Ok(Ok(landed)) => landed,
            // The task was ended with its runtime; what was sent was sent.
            Ok(Err(_)) | Err(_) => Landed::InDoubt(Doubt::Silent(limit)),
        }
    }

    async fn fly(self, source: Arc<Source>) -> Landed {
        let (asked, epoch, warnings) = (Instant::now(), self.session.epoch(), self.session.warnings());
        let statements = match self.prepared().await {
            Ok(statements) => statements,
            Err(error) => {
                let class = classify(&error);
                self.retire(class != Class::Lost);
                return Landed::Aborted(Arc::new(error), class);
            }
        };
        if let Some(misfit) = self.misfit(&statements) {
            self.retire(true);
            return Landed::Unfit(misfit);
        }
        let (head, counts, committed) = {
            let session: &Session = &self.session;
            join!(self.head(session), self.body(session, &statements), session.plain().batch_execute("COMMIT"))
        };
        let landed = land(head.and(counts), committed, self.session.warnings() != warnings);
        if let Landed::Applied(_) = landed {
            source.note_commit(epoch, asked);
        }
        self.retire(matches!(
            landed,
            Landed::Applied(_)
                | Landed::Aborted(_, Class::Definite | Class::Conflict | Class::Duplicate | Class::Cancelled)
        ));
        landed
    }

    /// Before anything is begun, so that the flight itself is one.
    async fn prepared(&self) -> Result<Vec<Statement>, Error> {
        let mut statements = Vec::with_capacity(self.steps.len());
        for step in self.steps.iter() {
            statements.push(self.session.statement(&step.sql).await?);
        }
        Ok(statements)
    }

    /// A step that the driver could not send would be missing from what is committed behind it.
    fn misfit(&self, statements: &[Statement]) -> Option<String> {
        self.steps.iter().zip(statements).find_map(|(step, statement)| {
            let (given, wanted) = (step.parameters.len(), statement.params().len());
            if given != wanted {
                return Some(format!("{:?} takes {wanted} parameters, not {given}", step.sql));
            }
            let mut fits = step.parameters.iter().zip(statement.params());
            fits.find_map(|(parameter, kind)| parameter.to_sql_checked(kind, &mut BytesMut::new()).err())
                .map(|error| format!("{:?}: {error}", step.sql))
        })
    }

    async fn head(&self, session: &Session) -> Result<(), Error> {
        match self.begin {
            Some(begin) => enter(session, begin, self.key).await,
            None => Ok(()),
        }
    }

    async fn body(&self, session: &Session, statements: &[Statement]) -> Result<Vec<u64>, Error> {
        let client = session.plain();
        let steps = self.steps.iter().zip(statements).map(|(step, statement)| async move {
            let parameters: Vec<&(dyn ToSql + Sync)> = step.parameters.iter().map(|one| &**one as _).collect();
            client.execute(statement, &parameters).await
        });
        let record = async {
            match &self.result {
                Some(result) => {
                    let parameters: [&(dyn ToSql + Sync); 2] = [&self.key, result];
                    client.execute(&session.ledger().record, &parameters).await.map(drop)
                }
                None => Ok(()),
            }
        };
        let mut steps: Vec<_> = steps.map(|step| Box::pin(maybe_done(step))).collect();
        let mut record = pin!(maybe_done(record));
        // In this order they are polled for the first time, and so sent, all before the COMMIT.
        for step in &mut steps {
            let _sent = poll!(step.as_mut());
        }
        let _sent = poll!(record.as_mut());
        let mut counts = Vec::with_capacity(steps.len());
        let mut failed = None;
        for step in &mut steps {
            step.as_mut().await;
            match step.as_mut().take_output() {
                Some(Ok(count)) => counts.push(count),
                Some(Err(error)) => failed = failed.or(Some(error)),
                None => {}
            }
        }
        record.as_mut().await;
        let recorded = record.take_output().unwrap_or(Ok(()));
        failed.map_or_else(|| recorded.map(|()| counts), Err)
    }

    fn retire(self, usable: bool) {
        if !usable {
            drop(Object::take(self.session));
        }
    }
}

/// What the answers mean. An ERROR before the COMMIT, or as its answer, is a rollback. An answer that came with a
/// warning is none: the wait for replication may have been cut short.
fn land(before: Result<Vec<u64>, Error>, committed: Result<(), Error>, warned: bool) -> Landed {
    match (before, committed) {
        (Err(error), _) if !leaves_commit_open(&error) => {
            let class = classify(&error);
            Landed::Aborted(Arc::new(error), class)
        }
        (_, Err(error)) if !leaves_commit_open(&error) => {
            let class = classify(&error);
            Landed::Aborted(Arc::new(error), class)
        }
        (_, Err(error)) | (Err(error), Ok(())) => Landed::InDoubt(Doubt::Database(Arc::new(error))),
        (Ok(_), Ok(())) if warned => Landed::InDoubt(Doubt::Warned),
        (Ok(counts), Ok(())) => Landed::Applied(counts),
    }
}
