//! Open transactions and their expiry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex, Notify, OwnedMutexGuard, watch};
use tokio::time::Instant;

use super::Settings;
use super::error::{ApiError, Code};
use super::request::Target;
use super::session::{Breaker, Session};

/// One transaction. Its session is locked while a statement runs.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) id: String,
    /// The instance it runs on.
    pub(super) instance: String,
    resource_arn: String,
    database: Option<String>,
    session: Arc<Mutex<Session>>,
    breaker: Breaker,
    started: Instant,
    last_call: StdMutex<Instant>,
}

/// All open transactions.
#[derive(Debug)]
pub(super) struct Transactions {
    open: StdMutex<HashMap<String, Arc<Transaction>>>,
    changed: Notify,
    settings: Settings,
}

impl Transactions {
    pub(super) fn new(settings: Settings) -> Self {
        Self { open: StdMutex::default(), changed: Notify::new(), settings }
    }

    /// Takes a session in which BEGIN has run; returns the transaction id.
    pub(super) fn insert(&self, target: Target, instance: String, session: Session) -> String {
        // As opaque and as long-lived as AWS's: 64 hexadecimal characters.
        let id = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let now = Instant::now();
        let transaction = Transaction {
            id: id.clone(),
            instance,
            resource_arn: target.resource_arn,
            database: target.database,
            breaker: session.breaker(),
            session: Arc::new(Mutex::new(session)),
            started: now,
            last_call: StdMutex::new(now),
        };
        lock(&self.open).insert(id.clone(), Arc::new(transaction));
        self.changed.notify_one();
        id
    }

    pub(super) fn get(&self, id: &str, target: &Target) -> Result<Arc<Transaction>, ApiError> {
        let found = lock(&self.open).get(id).cloned();
        let transaction = found
            .filter(|transaction| transaction.resource_arn == target.resource_arn)
            .ok_or_else(|| ApiError::transaction_not_found(id))?;
        if target.database.is_some() && target.database != transaction.database {
            return Err(ApiError::new(
                Code::BadRequestException,
                "Database name is not the same as transaction's; leave it out or use that of BeginTransaction",
            ));
        }
        transaction.touch();
        Ok(transaction)
    }

    /// Forgets a transaction. It is rolled back, unless it was committed, once nobody uses it.
    pub(super) fn remove(&self, id: &str) {
        lock(&self.open).remove(id);
    }

    /// Removes what has expired and returns when to look again.
    fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        let mut expired = Vec::new();
        lock(&self.open).retain(|_, transaction| {
            let deadline = transaction.deadline(now, &self.settings);
            if deadline <= now {
                expired.push(Arc::clone(transaction));
                return false;
            }
            next = Some(next.map_or(deadline, |next: Instant| next.min(deadline)));
            true
        });
        for transaction in expired {
            tracing::debug!(instance = transaction.instance, "a transaction expired");
            // Only a statement that is still running needs this; an idle session is dropped here.
            if transaction.session.try_lock().is_err() {
                transaction.breaker.cut();
            }
        }
        next
    }

    fn clear(&self) {
        lock(&self.open).clear();
    }
}

/// Rolls back expired transactions until `stopped` turns true, then all of them.
pub(super) async fn sweep(transactions: Arc<Transactions>, mut stopped: watch::Receiver<bool>) {
    loop {
        let next = transactions.expire();
        let wake = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wake => {}
            () = transactions.changed.notified() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
    transactions.clear();
}

impl Transaction {
    /// The session for one statement.
    ///
    /// # Errors
    /// If another statement runs in it, or if the transaction has ended since.
    pub(super) fn lock(&self) -> Result<OwnedMutexGuard<Session>, ApiError> {
        let session = Arc::clone(&self.session)
            .try_lock_owned()
            .map_err(|_| ApiError::new(Code::DatabaseErrorException, "Transaction is still running a query"))?;
        if session.ended || session.client.is_closed() {
            return Err(ApiError::transaction_not_found(&self.id));
        }
        Ok(session)
    }

    /// Restarts the idle time.
    pub(super) fn touch(&self) {
        *lock(&self.last_call) = Instant::now();
    }

    fn deadline(&self, now: Instant, settings: &Settings) -> Instant {
        let busy = self.session.try_lock().is_err();
        let idle_since = if busy { now } else { *lock(&self.last_call) };
        (idle_since + settings.transaction_idle_timeout).min(self.started + settings.transaction_lifetime)
    }
}

/// Nothing panics while one of these locks is held, so a poisoned one is still consistent.
fn lock<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
