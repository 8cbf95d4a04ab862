//! Who the writer is: found without DNS, proved by commits, given up when it does not prove itself in time.

mod guard;
mod refusal;
mod search;

pub(crate) use search::jitter;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::config::{Config, Endpoint, Instances};
use crate::error::ConnectError;
use crate::event::Event;
use crate::session::{Proof, Session};
use crate::topology;
use refusal::Refusals;

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
    refusals: Refusals,
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
            refusals: Refusals::default(),
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

    /// An instance gave no session, or did not prove that it is the writer.
    pub(crate) fn refused(&self, error: &ConnectError) {
        self.refusals.note(error);
    }

    /// An instance gave a session, or is a reader in good order.
    pub(crate) fn accepted(&self, endpoint: &Endpoint) {
        self.refusals.forget(endpoint);
    }

    /// What an instance said last instead of becoming the writer, if one said so since there was a writer.
    pub(crate) fn last_refusal(&self) -> Option<String> {
        self.refusals.latest()
    }

    /// All that may be the writer. The cluster's endpoint stays among them: it also leads to an instance that came later
    /// than the instances were learned.
    fn endpoints(&self) -> Vec<Endpoint> {
        match &self.config.instances {
            Instances::Listed(endpoints) => endpoints.clone(),
            Instances::Learned(cluster) => {
                let mut endpoints = lock(&self.learned).clone();
                endpoints.push(cluster.clone());
                endpoints
            }
        }
    }

    /// The endpoint under which a node is known itself, if it was reached over the cluster's, which will lead elsewhere.
    fn own_endpoint(&self, reached: Endpoint, node: &str) -> Endpoint {
        match &self.config.instances {
            Instances::Learned(cluster) if *cluster == reached => {
                let own = topology::instance_endpoint(cluster, node);
                own.filter(|own| lock(&self.learned).contains(own)).unwrap_or(reached)
            }
            Instances::Learned(_) | Instances::Listed(_) => reached,
        }
    }

    /// Adds instances to those that are asked; whether there were new ones. None is left out by the word of a reader,
    /// which may be behind.
    fn add_learned(&self, found: Vec<Endpoint>) -> bool {
        let mut learned = lock(&self.learned);
        let known = learned.len();
        for endpoint in found {
            if !learned.contains(&endpoint) {
                learned.push(endpoint);
            }
        }
        learned.len() > known
    }

    fn publish(&self, endpoint: Endpoint, session: &Session) -> Arc<Writer> {
        let writer = Arc::new(Writer { endpoint, node: session.node().to_owned(), epoch: session.epoch() });
        self.fence.send_modify(|highest| *highest = (*highest).max(writer.epoch));
        self.refusals.forget_all();
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

#[cfg(test)]
mod tests {
    use rustls::{ClientConfig, RootCertStore};

    use super::*;
    use crate::config::Credentials;

    fn endpoint(host: &str) -> Endpoint {
        Endpoint::new(format!("{host}.eu-central-1.rds.amazonaws.com"), 5432)
    }

    fn source() -> Source {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let credentials = Credentials { user: "payments".to_owned(), password: "none".to_owned() };
        let cluster = endpoint("orders.cluster-c0ffee");
        Source::new(Config::cluster(cluster, "bank", credentials, tls), Uuid::nil())
    }

    #[test]
    fn the_cluster_endpoint_is_always_asked_too() {
        let source = source();
        assert_eq!(source.endpoints(), [endpoint("orders.cluster-c0ffee")]);
        assert!(source.add_learned(vec![endpoint("orders-1.c0ffee"), endpoint("orders-2.c0ffee")]));
        assert!(!source.add_learned(vec![endpoint("orders-2.c0ffee")]));
        assert!(source.add_learned(vec![endpoint("orders-2.c0ffee"), endpoint("orders-4.c0ffee")]));
        let hosts = ["orders-1.c0ffee", "orders-2.c0ffee", "orders-4.c0ffee", "orders.cluster-c0ffee"];
        assert_eq!(source.endpoints(), hosts.map(endpoint));
    }

    #[test]
    fn a_writer_is_known_by_an_endpoint_that_leads_nowhere_else() {
        let source = source();
        let cluster = endpoint("orders.cluster-c0ffee");
        assert_eq!(source.own_endpoint(cluster.clone(), "orders-1"), cluster);
        source.add_learned(vec![endpoint("orders-1.c0ffee")]);
        assert_eq!(source.own_endpoint(cluster.clone(), "orders-1"), endpoint("orders-1.c0ffee"));
        assert_eq!(source.own_endpoint(cluster.clone(), "10.0.0.1:5432"), cluster);
        assert_eq!(source.own_endpoint(endpoint("orders-2.c0ffee"), "orders-1"), endpoint("orders-2.c0ffee"));
    }
}
