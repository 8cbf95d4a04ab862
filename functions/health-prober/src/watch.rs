//! Watches one instance for the whole run.

use std::sync::Arc;
use std::time::Duration;

use steadfast_aws::postgres::Target;
use steadfast_aws::{clock, secret};
use steadfast_core::witness::Outcome;
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::{Instant, sleep, timeout};

use crate::board::Board;
use crate::canary::Prepared;
use crate::probe;
use crate::setup::Setup;
use crate::whose::Whose;

/// Between two probes while somebody commits. Half a second costs each prober two commits a second.
const PACE: Duration = Duration::from_millis(500);
/// Between two probes while nobody commits.
const PACE_SUSPICIOUS: Duration = Duration::from_millis(100);
/// Between two probes of a server that answers but refuses us.
const PACE_PATIENT: Duration = Duration::from_secs(1);
/// Between two questions for the readers' lag.
const LAG_EVERY: Duration = Duration::from_secs(2);
/// The lag is asked on the held session and must not hold up a probe.
const LAG_LIMIT: Duration = Duration::from_millis(250);

/// Credentials, shared by all watches and read anew when a server refuses them.
pub(crate) type Shared = (Sender<secret::Credentials>, Receiver<secret::Credentials>);

/// Probes what the target leads to until the task is ended. A lost session is noticed at once, not at the
/// next probe.
pub(crate) async fn watch(
    setup: Arc<Setup>,
    board: Arc<Board>,
    mut whose: Whose,
    target: Target,
    credentials: Arc<Shared>,
) {
    let mut held: Option<Prepared> = None;
    let mut lag_asked = Instant::now();
    loop {
        let current = credentials.1.borrow().clone();
        let probed = probe::probe(&setup, &target, &current, &mut held).await;
        let (instance, finding) = whose.name(probed.address, probed.finding);
        let outcome = finding.outcome;
        if whose.is_alone() {
            board.record_alone(&instance, finding, clock::now());
        } else {
            board.record(&instance, finding, clock::now());
        }
        if outcome == Outcome::BadCredentials {
            refresh(&setup, &credentials).await;
        }
        if outcome == Outcome::Committing && lag_asked.elapsed() >= LAG_EVERY {
            lag_asked = Instant::now();
            ask_lag(&board, &mut held).await;
        }
        rest(&board, held.as_ref(), outcome).await;
    }
}

async fn rest(board: &Board, held: Option<&Prepared>, outcome: Outcome) {
    let suspicious = board.is_suspicious();
    // Trying faster would only fill the server's log, or its connections.
    let patient = matches!(outcome, Outcome::BadCredentials | Outcome::Stalled | Outcome::Saturated);
    let pace = match (patient, suspicious) {
        (true, _) => PACE_PATIENT,
        (false, true) => PACE_SUSPICIOUS,
        (false, false) => PACE,
    };
    tokio::select! {
        () = sleep(pace) => {}
        () = board.alarm(), if !suspicious && !patient => {}
        () = ended(held) => {}
    }
}

async fn ended(held: Option<&Prepared>) {
    match held {
        Some(prepared) => prepared.session.closed().await,
        None => std::future::pending().await,
    }
}

async fn ask_lag(board: &Board, held: &mut Option<Prepared>) {
    let Some(prepared) = held.as_ref() else {
        return;
    };
    match timeout(LAG_LIMIT, prepared.lags()).await {
        Ok(Ok(lags)) => {
            for (instance, lag_ms) in lags.unwrap_or_default() {
                board.record_lag(&instance, lag_ms);
            }
        }
        Ok(Err(error)) => tracing::warn!(%error, "the writer does not tell its readers' lag"),
        // The answer is still on its way on this session: the next probe would wait behind it.
        Err(_) => *held = None,
    }
}

/// A password may have been rotated: reads the secret again.
async fn refresh(setup: &Setup, credentials: &Shared) {
    match secret::credentials(&setup.secrets, &setup.secret).await {
        Ok(fresh) => {
            credentials.0.send_replace(fresh);
        }
        Err(error) => tracing::warn!(%error, "the secret cannot be read again"),
    }
}
