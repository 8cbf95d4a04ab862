//! One probe of one instance: over the held session, and over a fresh one as soon as that is late.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use steadfast_aws::clock;
use steadfast_aws::postgres::{ConnectError, ConnectLimits, Target};
use steadfast_aws::secret::Credentials;
use steadfast_core::board::Finding;
use steadfast_core::classify;
use steadfast_core::time::Timestamp;
use steadfast_core::witness::Outcome;
use tokio::time::timeout;

use crate::canary::{Answer, Prepared};
use crate::setup::Setup;

/// A held session that has not answered by then is doubted, and a fresh one is tried beside it.
/// Healthy probes in one Region take a few milliseconds.
const DOUBT_AFTER: Duration = Duration::from_millis(250);
/// TCP within a Region connects in about a millisecond.
const LIMITS: ConnectLimits = ConnectLimits { tcp: Duration::from_millis(400), total: Duration::from_millis(1_000) };
/// Answers on a session that is connected.
const ANSWER_LIMIT: Duration = Duration::from_millis(750);
/// A canary commit: beyond this, commits count as standing still.
const COMMIT_LIMIT: Duration = Duration::from_millis(750);

/// What came of one probe.
pub(crate) struct Probed {
    pub(crate) finding: Finding,
    /// The address that was tried; None if the endpoint has none.
    pub(crate) address: Option<IpAddr>,
}

/// Probes once, and keeps or replaces the held session.
pub(crate) async fn probe(
    setup: &Setup,
    target: &Target,
    credentials: &Credentials,
    held: &mut Option<Prepared>,
) -> Probed {
    let began = Began { sent_at: clock::now(), clock: Instant::now() };
    let Some(session) = held.take() else {
        return fresh(setup, target, credentials, held, began).await;
    };
    let address = Some(session.session.address.ip());
    let at = |finding: Finding| Probed { finding, address };
    let doubted = {
        let probe = session.probe(&setup.az, COMMIT_LIMIT);
        tokio::pin!(probe);
        match timeout(DOUBT_AFTER, &mut probe).await {
            Ok(answer) => answer,
            Err(_) => {
                let mut replacement = None;
                tokio::select! {
                    answer = &mut probe => answer,
                    probed = fresh(setup, target, credentials, &mut replacement, began) => {
                        *held = replacement;
                        return probed;
                    }
                }
            }
        }
    };
    match doubted {
        Ok(Answer::Stalled) => at(began.answered(Answer::Stalled)),
        Ok(answer) => {
            *held = Some(session);
            at(began.answered(answer))
        }
        Err(error) if error.code().is_some_and(|code| classify::sqlstate(code.code()) != Outcome::Restarting) => {
            at(began.refused(&error))
        }
        // The session is gone; only a fresh one can tell what became of the server.
        Err(_) => fresh(setup, target, credentials, held, began).await,
    }
}

async fn fresh(
    setup: &Setup,
    target: &Target,
    credentials: &Credentials,
    held: &mut Option<Prepared>,
    began: Began,
) -> Probed {
    let session = match setup.connector.connect(target, credentials, LIMITS).await {
        Ok(session) => session,
        Err(error) => {
            let address = error.address().map(|address| address.ip());
            return Probed { finding: began.unconnected(&error), address };
        }
    };
    let address = Some(session.address.ip());
    let work = async {
        let prepared = Prepared::new(session, setup.check.as_deref()).await?;
        let answer = prepared.probe(&setup.az, COMMIT_LIMIT).await?;
        Ok((prepared, answer))
    };
    let finding = match timeout(ANSWER_LIMIT.saturating_add(COMMIT_LIMIT), work).await {
        Ok(Ok((_, Answer::Stalled))) => began.answered(Answer::Stalled),
        Ok(Ok((prepared, answer))) => {
            *held = Some(prepared);
            began.answered(answer)
        }
        Ok(Err(error)) => began.refused(&error),
        Err(_) => began.nothing(Outcome::Silent, "connected, but no answer".to_owned()),
    };
    Probed { finding, address }
}

/// Whether the connection broke, as opposed to an answer that could not be read.
fn has_broken(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

/// When a probe began, by the shared clock and by one that never jumps.
#[derive(Clone, Copy)]
struct Began {
    sent_at: Timestamp,
    clock: Instant,
}

impl Began {
    fn answered(self, answer: Answer) -> Finding {
        let (outcome, committed) = match answer {
            Answer::Reader => (Outcome::Reading, None),
            Answer::Committed(value) => (Outcome::Committing, Some(value)),
            Answer::Stalled => (Outcome::Stalled, None),
            Answer::CheckFailed => (Outcome::CheckFailed, None),
        };
        let latency = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        Finding { sent_at: self.sent_at, outcome, latency_ms: Some(latency), committed, detail: None }
    }

    fn refused(self, error: &tokio_postgres::Error) -> Finding {
        let outcome = match error.code() {
            Some(code) => classify::sqlstate(code.code()),
            None if error.is_closed() || has_broken(error) => Outcome::Refused,
            None => Outcome::Failed,
        };
        let words = error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
        self.nothing(outcome, words)
    }

    fn unconnected(self, error: &ConnectError) -> Finding {
        let outcome = match error {
            ConnectError::Unresolved { .. } => Outcome::Unresolved,
            ConnectError::Unreachable { .. } => Outcome::Unreachable,
            ConnectError::Refused { .. } => Outcome::Refused,
            ConnectError::Silent { .. } => Outcome::Silent,
            ConnectError::Answered { cause, .. } => {
                cause.code().map_or(Outcome::Failed, |code| classify::sqlstate(code.code()))
            }
        };
        self.nothing(outcome, error.to_string())
    }

    fn nothing(self, outcome: Outcome, detail: String) -> Finding {
        Finding { sent_at: self.sent_at, outcome, latency_ms: None, committed: None, detail: Some(detail) }
    }
}
