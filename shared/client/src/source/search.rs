//! Asks all instances at once, until one proves that it is the writer.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::{Source, lock};
use crate::config::{Endpoint, Instances};
use crate::error::ConnectError;
use crate::event::Event;
use crate::session::{Acquaintance, Session};
use crate::topology::{self, Unlearned};

/// Between two questions to a reader, which may be promoted any moment: one small query.
const READER_PAUSE: Duration = Duration::from_millis(25);
/// Between two attempts to reach an instance, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// How often a reader is asked which instances there are: one of them may be new, and the next writer.
const LEARN_EVERY: Duration = Duration::from_secs(3);

/// The first instance that proves itself, with the session that did.
pub(super) async fn search(source: &Source) -> (Endpoint, Session) {
    loop {
        let mut pursuits: FuturesUnordered<_> =
            source.endpoints().into_iter().map(|endpoint| pursue(source, endpoint)).collect();
        match pursuits.next().await {
            Some(Found::Writer(endpoint, session)) => return (endpoint, *session),
            // The next round asks all of them.
            Some(Found::Instances) => {}
            // Nobody to ask: whoever configured it is told by the deadline of the calls.
            None => tokio::time::sleep(PAUSE_MAX).await,
        }
    }
}

/// Learns the instances anew from the writer, if they are to be learned; those that are gone are forgotten.
pub(super) async fn learn_instances(source: &Source, session: &Session) -> Result<(), Unlearned> {
    if let Instances::Learned(cluster) = &source.config.instances {
        let limits = &source.config.limits;
        // No longer than its next proof may take: until then nobody looks after it.
        let found = topology::learn(session.plain(), cluster, limits.connect.min(limits.silence)).await?;
        if !found.is_empty() {
            *lock(&source.learned) = found;
        }
    }
    Ok(())
}

/// Learns from any instance; whether there are new ones.
async fn learn_more(source: &Source, acquaintance: &Acquaintance) -> bool {
    let Instances::Learned(cluster) = &source.config.instances else {
        return false;
    };
    match topology::learn(acquaintance.client(), cluster, source.config.limits.connect).await {
        Ok(found) => source.add_learned(found),
        Err(error) => {
            tracing::debug!(%error, "the instances are not learned");
            false
        }
    }
}

enum Found {
    Writer(Endpoint, Box<Session>),
    Instances,
}

/// Asks one instance until it is the writer. It keeps the connection to a reader: sessions may outlive a promotion.
async fn pursue(source: &Source, endpoint: Endpoint) -> Found {
    let mut known: Option<Acquaintance> = None;
    let mut learned: Option<Instant> = None;
    let mut pause = PAUSE_MIN;
    loop {
        match ask(source, &endpoint, known.take()).await {
            Ok(Answer::Writer(session)) => {
                return Found::Writer(source.own_endpoint(endpoint, session.node()), session);
            }
            Ok(Answer::Instances) => return Found::Instances,
            Ok(Answer::Reader(acquaintance)) => {
                source.accepted(&endpoint);
                if learned.is_none_or(|at| at.elapsed() >= LEARN_EVERY) {
                    if learn_more(source, &acquaintance).await {
                        return Found::Instances;
                    }
                    learned = Some(Instant::now());
                }
                known = Some(*acquaintance);
                tokio::time::sleep(jitter(READER_PAUSE)).await;
            }
            Err(error) => {
                source.refused(&error);
                tokio::time::sleep(jitter(pause)).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

enum Answer {
    Writer(Box<Session>),
    Reader(Box<Acquaintance>),
    Instances,
}

async fn ask(source: &Source, endpoint: &Endpoint, known: Option<Acquaintance>) -> Result<Answer, ConnectError> {
    let config = &source.config;
    let limit = config.limits.connect;
    let acquaintance = match known.filter(|known| !known.is_closed()) {
        Some(known) => known,
        None => Acquaintance::make(config, endpoint, source.fence()).await?,
    };
    let none_learned = lock(&source.learned).is_empty();
    if none_learned && learn_more(source, &acquaintance).await {
        return Ok(Answer::Instances);
    }
    let identity = acquaintance.inspect(limit).await?;
    if identity.reader {
        return Ok(Answer::Reader(Box::new(acquaintance)));
    }
    let seen = source.epoch();
    if identity.epoch < seen {
        let (node, epoch) = (identity.node, identity.epoch);
        config.tell(&Event::Fenced { node, epoch, seen });
        return Err(ConnectError::Fenced { endpoint: endpoint.clone(), epoch, seen });
    }
    let mut session = acquaintance.into_session(identity, limit).await?;
    match session.prove(&source.proof(limit)).await {
        Ok(proved) if proved.epoch >= source.epoch() => {
            // Noted before it is published: the proof must not look old at first sight.
            *lock(&source.proved) = proved.asked;
            Ok(Answer::Writer(Box::new(session)))
        }
        Ok(proved) => {
            Err(ConnectError::Fenced { endpoint: endpoint.clone(), epoch: proved.epoch, seen: source.epoch() })
        }
        Err(unproved) => Err(ConnectError::Unproved { endpoint: endpoint.clone(), cause: unproved.to_string() }),
    }
}

/// Between half and all of it, so that processes which lost the same writer do not come back together.
pub(crate) fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
}
