//! Protected transactions through the RDS Data API, with the same ledger as `steadfast-client`.
//!
//! The SDK would send a CommitTransaction again by itself, and an answer to the second one says nothing of the first;
//! so its retries are off, and what is in doubt is decided by the ledger. There is no pipelining: beginning, key and
//! COMMIT are three calls beside those of the statements.

mod answer;

use std::time::{Duration, Instant};

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::Builder;
use aws_sdk_rdsdata::config::retry::RetryConfig;
use aws_sdk_rdsdata::config::timeout::TimeoutConfig;
use aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_rdsdata::types::{Field, SqlParameter};
use steadfast_client::{KEY_AGE_MAX, Key};
use steadfast_core::gate;

use answer::Failure;

/// The database of one cluster, as one role.
#[derive(Clone, Debug)]
pub struct Database {
    /// ARN of the cluster.
    pub cluster_arn: String,
    /// ARN of the secret of a role that is a member of `steadfast_application`.
    pub secret_arn: String,
    /// Its name.
    pub name: String,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One call. The service ends a statement after 45 s by itself (RDS Data API reference). Default 50 s.
    pub call: Duration,
    /// A transaction with all that is needed to decide it. An abandoned one holds its key for up to three minutes.
    /// Default 200 s.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { call: Duration::from_secs(50), total: Duration::from_secs(200) }
    }
}

/// One statement with named parameters.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The SQL.
    pub sql: String,
    /// Its parameters.
    pub parameters: Vec<SqlParameter>,
}

/// A transaction that is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// By this call, perhaps found out after a COMMIT in doubt.
    Now,
    /// The key had been applied before. Nothing was done.
    Before,
}

/// What became of a call that did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was applied, and nothing of this call can be applied later.
    #[error("not applied: {cause}")]
    NotApplied {
        /// The service's words, or the network's.
        cause: String,
        /// Whether the key was given up with it: another try needs another key.
        spent: bool,
    },
    /// The key was given up before.
    #[error("{0} was given up; it is not applied and never will be")]
    Abandoned(Key),
    /// The key is older than [`KEY_AGE_MAX`], and not in the ledger. This call did nothing; an earlier one may have
    /// applied it, and its row be pruned.
    #[error("{key} is {age:?} old and not in the ledger: this call did nothing, and an earlier one may be forgotten")]
    Forgotten {
        /// The key.
        key: Key,
        /// Its age.
        age: Duration,
    },
    /// It is not known yet, and the time is over. Come again with the same key.
    #[error("{key} is undecided: {cause}; come again with the same key")]
    Undecided {
        /// The key.
        key: Key,
        /// What stood in the way.
        cause: String,
    },
}

/// The ledger, through the RDS Data API.
#[derive(Clone, Debug)]
pub struct DataApi {
    client: Client,
    database: Database,
    limits: Limits,
}

/// Between two attempts to decide.
const PAUSE: Duration = Duration::from_millis(100);

const GIVE_UP: &str = "INSERT INTO steadfast.ledger (key, applied) VALUES (:key::uuid, false) ON CONFLICT DO NOTHING";
/// Asks by a commit, never by a read.
const ASK: &str =
    "UPDATE steadfast.ledger SET asked = pg_catalog.clock_timestamp() WHERE key = :key::uuid RETURNING applied";

impl DataApi {
    /// Takes the configuration of a client, and turns its retries off.
    #[must_use]
    pub fn new(config: Builder, database: Database, limits: Limits) -> Self {
        let times =
            TimeoutConfig::builder().operation_attempt_timeout(limits.call).operation_timeout(limits.call).build();
        let once = config.retry_config(RetryConfig::disabled()).timeout_config(times).build();
        Self { client: Client::from_conf(once), database, limits }
    }

    /// Runs statements as one transaction under a key: applied once, or certainly not. Nothing is replayed: come again
    /// with the same key when nothing was applied and the key is not spent.
    ///
    /// Not safe to cancel: what was sent may be applied, which a call with the same key tells.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn transaction(&self, key: Key, statements: &[Statement]) -> Result<Applied, Error> {
        let not_applied = |failure: Failure| Error::NotApplied { cause: failure.to_string(), spent: false };
        let deadline = Instant::now() + self.limits.total;
        let age = std::time::SystemTime::now().duration_since(key.made()).unwrap_or_default();
        if age > KEY_AGE_MAX {
            return self.old(key, age, deadline).await;
        }
        let transaction = self.begin().await.map_err(not_applied)?;
        if let Err(failure) = self.execute(&enter(), vec![parameter(key)], Some(&transaction)).await {
            self.roll_back(&transaction).await;
            return if failure.is_duplicate() { self.before(key, deadline).await } else { Err(not_applied(failure)) };
        }
        for statement in statements {
            if let Err(failure) = self.execute(&statement.sql, statement.parameters.clone(), Some(&transaction)).await {
                // Without a COMMIT it is never applied, whatever was not answered.
                self.roll_back(&transaction).await;
                return Err(not_applied(failure));
            }
        }
        match self.commit(&transaction).await {
            Ok(()) => Ok(Applied::Now),
            Err(failure) if failure.is_rollback() => Err(not_applied(failure)),
            Err(failure) => {
                tracing::warn!(%key, %failure, "a commit is in doubt");
                // If it is not committed, it holds the key until it ends.
                self.roll_back(&transaction).await;
                self.decide(key, &failure, deadline).await
            }
        }
    }

    async fn begin(&self) -> Result<String, Failure> {
        let (database, client) = (&self.database, &self.client);
        let call = client.begin_transaction().resource_arn(&database.cluster_arn).secret_arn(&database.secret_arn);
        let begun = call.database(&database.name).send().await.map_err(|error| Failure::of(&error))?;
        begun.transaction_id.ok_or_else(|| Failure::unanswered("the answer has no transaction id"))
    }

    async fn execute(
        &self,
        sql: &str,
        parameters: Vec<SqlParameter>,
        transaction: Option<&str>,
    ) -> Result<ExecuteStatementOutput, Failure> {
        let database = &self.database;
        let call = self.client.execute_statement().resource_arn(&database.cluster_arn).secret_arn(&database.secret_arn);
        let call = call.database(&database.name).sql(sql).set_parameters(Some(parameters));
        let call = call.set_transaction_id(transaction.map(str::to_owned));
        call.send().await.map_err(|error| Failure::of(&error))
    }

    async fn commit(&self, transaction: &str) -> Result<(), Failure> {
        let database = &self.database;
        let call =
            self.client.commit_transaction().resource_arn(&database.cluster_arn).secret_arn(&database.secret_arn);
        call.transaction_id(transaction).send().await.map(drop).map_err(|error| Failure::of(&error))
    }

    async fn roll_back(&self, transaction: &str) {
        let database = &self.database;
        let call =
            self.client.rollback_transaction().resource_arn(&database.cluster_arn).secret_arn(&database.secret_arn);
        if let Err(error) = call.transaction_id(transaction).send().await {
            tracing::debug!(failure = %Failure::of(&error), "not rolled back; the service does it by itself");
        }
    }

    /// The key is there: what does it say?
    async fn before(&self, key: Key, deadline: Instant) -> Result<Applied, Error> {
        match self.repeat(key, deadline, Self::asked).await? {
            Some(true) => Ok(Applied::Before),
            Some(false) => Err(Error::Abandoned(key)),
            None => {
                Err(Error::NotApplied { cause: "what was there is lost with the old writer".to_owned(), spent: false })
            }
        }
    }

    /// An old key is only asked for: its row may be pruned, so that its absence proves nothing.
    async fn old(&self, key: Key, age: Duration, deadline: Instant) -> Result<Applied, Error> {
        match self.repeat(key, deadline, Self::asked).await? {
            Some(true) => Ok(Applied::Before),
            Some(false) => Err(Error::Abandoned(key)),
            None => Err(Error::Forgotten { key, age }),
        }
    }

    /// Gives the key up, unless it is applied.
    async fn decide(&self, key: Key, failure: &Failure, deadline: Instant) -> Result<Applied, Error> {
        match self.repeat(key, deadline, Self::given_up).await? {
            Some(true) => Ok(Applied::Now),
            Some(false) | None => Err(Error::NotApplied { cause: failure.to_string(), spent: true }),
        }
    }

    async fn repeat(
        &self,
        key: Key,
        deadline: Instant,
        question: impl AsyncFn(&Self, Key) -> Result<Option<bool>, Failure>,
    ) -> Result<Option<bool>, Error> {
        loop {
            match question(self, key).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if Instant::now() + PAUSE > deadline => {
                    return Err(Error::Undecided { key, cause: failure.to_string() });
                }
                Err(failure) => tracing::debug!(%key, %failure, "not decided yet"),
            }
            tokio::time::sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
        }
    }

    /// Whether it is applied; None when the ledger does not know it.
    async fn asked(&self, key: Key) -> Result<Option<bool>, Failure> {
        let answer = self.execute(ASK, vec![parameter(key)], None).await?;
        match answer.records().first().and_then(|row| row.first()) {
            Some(Field::BooleanValue(applied)) => Ok(Some(*applied)),
            Some(_) => Err(Failure::unanswered("the answer is no boolean")),
            None => Ok(None),
        }
    }

    async fn given_up(&self, key: Key) -> Result<Option<bool>, Failure> {
        let answer = self.execute(GIVE_UP, vec![parameter(key)], None).await?;
        if answer.number_of_records_updated() > 0 {
            return Ok(Some(false));
        }
        match self.asked(key).await? {
            None => Err(Failure::unanswered("what was there is lost with the old writer")),
            answer @ Some(_) => Ok(answer),
        }
    }
}

/// The gate before the key, in one statement, as the client has it.
fn enter() -> String {
    let gate = gate::ENTER.trim_start_matches("SELECT ");
    format!("INSERT INTO steadfast.ledger (key) SELECT :key::uuid FROM {gate}")
}

fn parameter(key: Key) -> SqlParameter {
    SqlParameter::builder().name("key").value(Field::StringValue(key.to_string())).build()
}
