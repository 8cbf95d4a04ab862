//! The five operations.

use std::future::Future;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::Instant;

use super::error::{ApiError, Code};
use super::request::{Request, Target};
use super::scan::scan;
use super::session::{Breaker, Credentials, Session};
use super::statement;
use super::transaction::{Transaction, Transactions};
use super::{Backend, Settings, Writer};

/// The Data API on one backend.
#[derive(Debug)]
pub(super) struct Service<B> {
    backend: B,
    settings: Settings,
    transactions: Arc<Transactions>,
    stopped: watch::Receiver<bool>,
}

/// What happens to a statement that outlasts the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterTimeout {
    Cancel,
    Continue,
}

impl<B: Backend> Service<B> {
    pub(super) fn new(backend: B, settings: Settings, stopped: watch::Receiver<bool>) -> Self {
        Self { backend, transactions: Arc::new(Transactions::new(settings.clone())), settings, stopped }
    }

    pub(super) fn transactions(&self) -> Arc<Transactions> {
        Arc::clone(&self.transactions)
    }

    pub(super) fn serves(path: &str) -> bool {
        matches!(
            path,
            "/Execute" | "/BatchExecute" | "/BeginTransaction" | "/CommitTransaction" | "/RollbackTransaction"
        )
    }

    /// Answers one call.
    pub(super) async fn call(&self, path: &str, body: &[u8]) -> Result<Value, ApiError> {
        let request = Request::parse(body)?;
        match path {
            "/Execute" => self.execute(request).await,
            "/BatchExecute" => self.batch(request).await,
            "/BeginTransaction" => self.begin(request).await,
            "/CommitTransaction" => self.end(request, "COMMIT", "Transaction Committed").await,
            "/RollbackTransaction" => self.end(request, "ROLLBACK", "Rollback Complete").await,
            _ => Err(ApiError::new(Code::UnknownOperationException, path)),
        }
    }

    async fn execute(&self, mut request: Request) -> Result<Value, ApiError> {
        let deadline = self.deadline();
        let target = request.target()?;
        let sql = scan(&request.sql()?);
        let options = request.result_options();
        let after = if request.continue_after_timeout() { AfterTimeout::Continue } else { AfterTimeout::Cancel };
        let parameters = request.take_parameters();
        let (mut session, transaction) = self.session(&target, request.transaction_id()?, deadline).await?;
        let work = Work::of(&session, deadline, after);
        work.run(async move {
            let result = statement::execute(&mut session, &sql, &parameters, options).await;
            release(session, transaction);
            result
        })
        .await
    }

    async fn batch(&self, mut request: Request) -> Result<Value, ApiError> {
        let deadline = self.deadline();
        let target = request.target()?;
        let sql = scan(&request.sql()?);
        let sets = request.take_parameter_sets();
        let (mut session, transaction) = self.session(&target, request.transaction_id()?, deadline).await?;
        let work = Work::of(&session, deadline, AfterTimeout::Cancel);
        work.run(async move {
            let own = transaction.is_none();
            if own {
                command(&session, "BEGIN").await?;
            }
            // A session of its own is closed after an error, which rolls back.
            let result = statement::execute_batch(&mut session, &sql, &sets).await;
            if own && result.is_ok() {
                command(&session, "COMMIT").await?;
            }
            release(session, transaction);
            result
        })
        .await
    }

    async fn begin(&self, request: Request) -> Result<Value, ApiError> {
        let deadline = self.deadline();
        let target = request.target()?;
        let writer = self.writer(&target).await?;
        let session = self.open(&target, &writer, deadline).await?;
        tokio::time::timeout_at(deadline, command(&session, "BEGIN"))
            .await
            .map_err(|_| ApiError::timed_out(session.connection_id))??;
        let id = self.transactions.insert(target, writer.instance, session);
        Ok(json!({ "transactionId": id }))
    }

    /// COMMIT or ROLLBACK. One that takes too long goes on, as nobody can take it back.
    async fn end(&self, request: Request, sql: &'static str, status: &'static str) -> Result<Value, ApiError> {
        let deadline = self.deadline();
        let target = request.target()?;
        let id = request.required_transaction_id()?;
        let (mut session, transaction) = self.session(&target, Some(id), deadline).await?;
        let work = Work::of(&session, deadline, AfterTimeout::Continue);
        self.transactions.remove(id);
        session.ended = true;
        work.run(async move {
            // PostgreSQL answers COMMIT in an aborted transaction with a silent rollback.
            if sql == "COMMIT" && session.failed {
                command(&session, "SELECT 1").await?;
            }
            let result = command(&session, sql).await;
            release(session, transaction);
            result.map(|()| json!({ "transactionStatus": status }))
        })
        .await
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.settings.statement_timeout
    }

    /// The session of the transaction, or a new one.
    async fn session(
        &self,
        target: &Target,
        transaction_id: Option<&str>,
        deadline: Instant,
    ) -> Result<(OwnedMutexGuard<Session>, Option<Arc<Transaction>>), ApiError> {
        let Some(id) = transaction_id else {
            let writer = self.writer(target).await?;
            let session = Arc::new(Mutex::new(self.open(target, &writer, deadline).await?));
            return Ok((session.lock_owned().await, None));
        };
        let transaction = self.transactions.get(id, target)?;
        let writer = self.writer(target).await?;
        let session = if writer.instance == transaction.instance {
            transaction.lock()
        } else {
            Err(ApiError::transaction_not_found(id))
        };
        if let Err(error) = &session
            && error.code == Code::TransactionNotFoundException
        {
            self.transactions.remove(id);
        }
        Ok((session?, Some(transaction)))
    }

    async fn writer(&self, target: &Target) -> Result<Writer, ApiError> {
        self.backend.writer(&target.resource_arn).await.map_err(|error| ApiError::backend(error, &target.resource_arn))
    }

    async fn open(&self, target: &Target, writer: &Writer, deadline: Instant) -> Result<Session, ApiError> {
        let secret = self
            .backend
            .secret(&target.secret_arn)
            .await
            .map_err(|error| ApiError::backend(error, &target.resource_arn))?;
        let credentials = Credentials::parse(&secret)?;
        let left = deadline.saturating_duration_since(Instant::now());
        Session::open(
            writer,
            &credentials,
            target.database.as_deref(),
            self.settings.connect_timeout.min(left),
            self.stopped.clone(),
        )
        .await
    }
}

/// The limits of one statement.
struct Work {
    breaker: Breaker,
    connection_id: i64,
    deadline: Instant,
    after: AfterTimeout,
}

impl Work {
    fn of(session: &Session, deadline: Instant, after: AfterTimeout) -> Self {
        Self { breaker: session.breaker(), connection_id: session.connection_id, deadline, after }
    }

    /// Waits for the work until the deadline. The work is a task of its own, so that the session
    /// stays locked for as long as the server is busy with it.
    async fn run(
        self,
        work: impl Future<Output = Result<Value, ApiError>> + Send + 'static,
    ) -> Result<Value, ApiError> {
        let mut task = tokio::spawn(work);
        match tokio::time::timeout_at(self.deadline, &mut task).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => {
                tracing::error!(%error, "a statement of the Data API ended without a result");
                Err(ApiError::new(Code::InternalServerErrorException, "the statement ended without a result"))
            }
            Err(_) => {
                if self.after == AfterTimeout::Cancel {
                    tokio::spawn(self.breaker.stop(task));
                }
                Err(ApiError::timed_out(self.connection_id))
            }
        }
    }
}

async fn command(session: &Session, sql: &str) -> Result<(), ApiError> {
    session.client.batch_execute(sql).await.map_err(|error| session.broken(&error))
}

/// The idle time of a transaction counts from the end of its last statement.
fn release(session: OwnedMutexGuard<Session>, transaction: Option<Arc<Transaction>>) {
    if let Some(transaction) = transaction {
        transaction.touch();
    }
    drop(session);
}
