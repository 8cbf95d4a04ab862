//! Who the writer is: found without DNS, proved by commits, given up when it does not prove itself in time.

mod guard;
mod search;

pub(crate) use search::jitter;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::config::{Config, Endpoint, Instances};
use crate::event::Event;
use crate::session::{Proof, Session};

/// An instance that proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) endpoint: Endpoint,
    pub(crate) node: String,
    pub(crate) epoch: i64,
}

/// What is known of the writer.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// There is none.
    Searching { since: Instant },
    /// It proved itself and was not given up since.
    Proved(Arc<Writer>),
}

/// Knows the writer. Shared by all calls; its task ends with the last of them.
pub(crate) struct Source {
    pub(crate) config: Config,
    process: Uuid,
    standing: watch::Sender<Standing>,
    /// The highest epoch proved; sessions of lower ones end when it rises.
    fence: watch::Sender<i64>,
    /// The latest moment after which the writer is known to have committed.
    proved: Mutex<Instant>,
    suspicion: Notify,
    learned: Mutex<Vec<Endpoint>>,
    oldest: Mutex<Option<SystemTime>>,
}

impl Source {
    pub(crate) fn new(config: Config, process: Uuid) -> Self {
        let now = Instant::now();
        Self {
            config,
            process,
            standing: watch::Sender::new(Standing::Searching { since: now }),
            fence: watch::Sender::new(0),
            proved: Mutex::new(now),
            suspicion: Notify::new(),
            learned: Mutex::default(),
            oldest: Mutex::default(),
        }
    }

    /// Finds the writer, keeps an eye on it, and finds the next one. Never returns.
    pub(crate) async fn keep(&self) {
        let (mut endpoint, mut session) = search::search(self).await;
        loop {
            let writer = self.publish(endpoint, &session);
            if let Err(error) = search::learn_instances(self, &session).await {
                tracing::debug!(%error, "the instances are not learned anew");
            }
            (endpoint, session) = match guard::guard(self, &writer, session).await {
                guard::End::Succeeded(endpoint, session) => (endpoint, *session),
                guard::End::Lost(cause) => {
                    self.give_up(&cause);
                    search::search(self).await
                }
            };
        }
    }

    /// What is known now. A proof that is too old counts as none, also when the task that renews it was kept from
    /// running.
    pub(crate) fn writer(&self) -> Option<Arc<Writer>> {
        match &*self.standing.borrow() {
            Standing::Proved(writer) if self.is_fresh() => Some(Arc::clone(writer)),
            Standing::Proved(_) | Standing::Searching { .. } => None,
        }
    }

    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    pub(crate) fn fence(&self) -> watch::Receiver<i64> {
        self.fence.subscribe()
    }

    /// The highest epoch seen.
    pub(crate) fn epoch(&self) -> i64 {
        *self.fence.borrow()
    }

    /// A session behaved as if its node were not the writer: it must prove itself now.
    pub(crate) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// A commit that was sent at `asked` was acknowledged by the node of this epoch.
    pub(crate) fn note_commit(&self, epoch: i64, asked: Instant) {
        if epoch == self.epoch() {
            let mut proved = lock(&self.proved);
            *proved = (*proved).max(asked);
        }
    }

    /// The oldest key that this process may still ask for: its row is not pruned before.
    pub(crate) fn keep_since(&self, oldest: Option<SystemTime>) {
        *lock(&self.oldest) = oldest;
        // It goes out with a proof, and under load commits take the place of proofs.
        self.suspect();
    }

    fn proof(&self, limit: Duration) -> Proof<'_> {
        Proof { process: self.process, application: &self.config.application, oldest: *lock(&self.oldest), limit }
    }

    fn is_fresh(&self) -> bool {
        lock(&self.proved).elapsed() < self.config.limits.prove_every + self.config.limits.silence
    }

    fn unproved_for(&self) -> Duration {
        lock(&self.proved).elapsed()
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        match &self.config.instances {
            Instances::Listed(endpoints) => endpoints.clone(),
            Instances::Learned(cluster) => {
                let learned = lock(&self.learned);
                if learned.is_empty() { vec![cluster.clone()] } else { learned.clone() }
            }
        }
    }

    fn publish(&self, endpoint: Endpoint, session: &Session) -> Arc<Writer> {
        let writer = Arc::new(Writer { endpoint, node: session.node().to_owned(), epoch: session.epoch() });
        self.fence.send_modify(|highest| *highest = (*highest).max(writer.epoch));
        let after = match self.standing.send_replace(Standing::Proved(Arc::clone(&writer))) {
            Standing::Searching { since } => Some(since.elapsed()),
            Standing::Proved(before) => (*before != *writer).then_some(Duration::ZERO),
        };
        if let Some(after) = after {
            self.config.tell(&Event::WriterProved { node: writer.node.clone(), epoch: writer.epoch, after });
        }
        writer
    }

    fn give_up(&self, cause: &str) {
        self.standing.send_replace(Standing::Searching { since: Instant::now() });
        self.config.tell(&Event::WriterLost { cause: cause.to_owned() });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
