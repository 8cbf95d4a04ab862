//! One run: transfers at their pace, and beside them the report.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use steadfast_aws::functions::APPLICATION_PROBE;
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
/// So far back others are looked after, and as far as reports are kept when the oldest of them was not.
const BEFORE: [Duration; 2] = [Duration::from_secs(900), Duration::from_secs(24 * 3_600)];

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

/// Transfers until the run is over, and reports; ends at `until` whatever still waits.
pub(crate) async fn run(setup: &Setup, request: &str, until: Timestamp) -> Result<Summary, BeginError> {
    let began = clock::now();
    // Lambda may deliver one event twice, under one request id.
    let name = format!("{request}@{}", began.as_millis());
    let kept = Mutex::new(Kept { report: Report::new(name, began), waiting: None });
    let run = Run { setup, client: setup.client().await?, kept };
    if timeout(until.since(began), run.work(began)).await.is_err() {
        tracing::warn!("the invocation is over before the run is");
    }
    Ok(run.summary())
}

impl Run<'_> {
    async fn work(&self, began: Timestamp) {
        tokio::select! {
            () = self.transfers(Instant::now() + self.setup.run_for) => {}
            () = self.reports() => {}
        }
        self.kept().report.ended = Some(clock::now());
        // Where the books cannot be read there is nothing to be done for others either.
        if self.report().await {
            self.look_after_others(began).await;
            books::forget(&self.client, LOOK_LIMIT).await;
        }
    }

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
            let _is_read = self.report().await;
        }
    }

    /// Whether the books could be read.
    async fn report(&self) -> bool {
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
        let audited = self.audited(report).await;
        let is_read = audited.is_some();
        if let Some(audited) = audited {
            self.kept().report.audit = audited.audit;
        }
        let report = self.kept().report.clone();
        said(self.setup.table.report_application(&self.setup.cluster, &report).await);
        is_read
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

    /// Runs whose books nobody has looked into since their end, or only at a writer before this one.
    async fn look_after_others(&self, began: Timestamp) {
        let epoch = self.client.epoch();
        let recent = began.minus(BEFORE[0]);
        let is_due = |report: &Report| {
            let is_left = report.began < began && report.is_left(clock::now(), APPLICATION_PROBE.limit());
            let is_older = report.began >= recent && report.begun > 0 && report.is_audited_before(epoch);
            is_left && (report.is_unaudited() || is_older)
        };
        for report in self.before(began).await.into_iter().filter(is_due) {
            let Some(audited) = self.audited(report).await else { return };
            said(self.setup.table.report_application(&self.setup.cluster, &audited).await);
        }
    }

    /// The reports before, as far back as books may be unread.
    async fn before(&self, began: Timestamp) -> Vec<Report> {
        let mut reports = Vec::new();
        for back in BEFORE {
            match self.setup.table.application(&self.setup.cluster, began.minus(back)).await {
                Ok(found) => reports = found,
                Err(error) => tracing::warn!(%error, "runs before stay as they are"),
            }
            if !reports.first().is_some_and(Report::is_unaudited) {
                break;
            }
        }
        reports
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
