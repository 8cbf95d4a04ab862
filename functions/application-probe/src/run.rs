//! One run: transfers at their pace, and beside them the report.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use steadfast_aws::{clock, log};
use steadfast_client::Client;
use steadfast_core::application::{Answer, Report};
use steadfast_core::metric;
use steadfast_core::ports::StateError;
use steadfast_core::time::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use crate::setup::{BeginError, Setup};
use crate::{FUNCTION, books, transfer};

/// Between the beginnings of two transfers, as often as the canary commits.
const PACE: Duration = Duration::from_millis(500);
/// Between two reports.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// A look into the books must not hold a report up.
const LOOK_LIMIT: Duration = Duration::from_secs(4);
/// Runs that ended longer ago were looked after by others.
const BEFORE: Duration = Duration::from_secs(600);

/// What came of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    acknowledged: u64,
    errors: u64,
    longest_ms: u64,
    wrong: Option<u64>,
}

/// A run whose parts share its report.
struct Run<'s> {
    setup: &'s Setup,
    client: Client,
    kept: Mutex<Kept>,
}

struct Kept {
    report: Report,
    /// When the transfer that is under way began.
    waiting: Option<Instant>,
}

/// Transfers until the run is over, and reports.
pub(crate) async fn run(setup: &Setup, id: &str) -> Result<Summary, BeginError> {
    let began = clock::now();
    let kept = Mutex::new(Kept { report: Report::new(id, began), waiting: None });
    let run = Run { setup, client: setup.client().await?, kept };
    tokio::select! {
        () = run.transfers(Instant::now() + setup.run_for) => {}
        () = run.reports() => {}
    }
    run.report().await;
    run.look_after_others(began).await;
    books::forget(&run.client).await;
    Ok(run.summary())
}

impl Run<'_> {
    async fn transfers(&self, until: Instant) {
        let id = self.kept().report.run.clone();
        while Instant::now() < until {
            let began = Instant::now();
            let number = self.begin(began);
            let answer = transfer::transfer(&self.client, &id, number).await;
            self.settle(number, began.elapsed(), answer);
            sleep_until(began + PACE).await;
        }
    }

    /// Never ends. Safe to cancel: the next report replaces this one.
    async fn reports(&self) {
        let mut ticks = interval_at(Instant::now() + REPORT_EVERY, REPORT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.report().await;
        }
    }

    async fn report(&self) {
        let interval = {
            let mut kept = self.kept();
            let waiting = kept.waiting.map(|since| since.elapsed()).unwrap_or_default();
            kept.report.close(clock::now(), waiting)
        };
        log::measure(
            &[(metric::CLUSTER, self.setup.cluster.as_str())],
            &[
                (metric::APPLICATION_TRANSFERS, interval.acknowledged),
                (metric::APPLICATION_ERRORS, interval.errors),
                (metric::APPLICATION_WAIT, interval.longest_ms),
            ],
        );
        let report = self.kept().report.clone();
        if let Some(audited) = self.audited(report).await {
            self.kept().report.audit = audited.audit;
        }
        let report = self.kept().report.clone();
        said(self.setup.table.report_application(&self.setup.cluster, &report).await);
    }

    /// The report with what its books say; None when they cannot be read now.
    async fn audited(&self, mut report: Report) -> Option<Report> {
        match timeout(LOOK_LIMIT, books::audit(&self.client, &report)).await {
            Ok(Ok(audit)) => {
                log::measure(
                    &[(metric::CLUSTER, self.setup.cluster.as_str())],
                    &[(metric::APPLICATION_WRONG, audit.wrong())],
                );
                if audit.wrong() > 0 {
                    log::audit(FUNCTION, "wrong", &json!({ "run": report.run, "audit": audit }));
                }
                report.audit = Some(audit);
                return Some(report);
            }
            Ok(Err(error)) => tracing::warn!(%error, "the books cannot be read"),
            Err(_) => tracing::warn!("the books do not answer"),
        }
        None
    }

    /// Runs that ended without a last look into their books, since there was no writer or they were ended.
    async fn look_after_others(&self, began: Timestamp) {
        let reports = match self.setup.table.application(&self.setup.cluster, began.minus(BEFORE)).await {
            Ok(reports) => reports,
            Err(error) => return tracing::warn!(%error, "the runs before stay as they are"),
        };
        for report in reports.into_iter().filter(|report| report.began < began && report.is_unaudited()) {
            if let Some(audited) = self.audited(report).await {
                said(self.setup.table.report_application(&self.setup.cluster, &audited).await);
            }
        }
    }

    fn begin(&self, at: Instant) -> u64 {
        let mut kept = self.kept();
        kept.waiting = Some(at);
        kept.report.begin()
    }

    fn settle(&self, number: u64, took: Duration, answer: Answer) {
        if let Answer::Denied(error) | Answer::Undecided(error) = &answer {
            log::audit(FUNCTION, "failed", &json!({ "number": number, "error": error, "after_ms": took.as_millis() }));
        }
        let mut kept = self.kept();
        kept.waiting = None;
        kept.report.settle(number, took, answer);
    }

    fn summary(&self) -> Summary {
        let kept = self.kept();
        let intervals = &kept.report.intervals;
        Summary {
            acknowledged: intervals.iter().map(|interval| interval.acknowledged).sum(),
            errors: intervals.iter().map(|interval| interval.errors).sum(),
            longest_ms: intervals.iter().map(|interval| interval.longest_ms).max().unwrap_or_default(),
            wrong: kept.report.audit.map(|audit| audit.wrong()),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A report that is not written is replaced by the next one.
fn said(written: Result<(), StateError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "the report is not written");
    }
}
