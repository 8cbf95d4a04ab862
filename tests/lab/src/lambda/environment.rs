//! One execution environment: its process, its Runtime API and the life between init and end.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::epoch_ms;
use super::function::Function;
use super::log::{LogStream, Output};
use super::process::{self, Process};
use super::report::{Report, complaint};
use super::runtime_api::{self, Call, Event, Refusal, Reply, Submission};
use super::variables;

/// The pool's handle on an environment that is ready for one invocation.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    pub(super) id: u64,
    jobs: mpsc::Sender<Job>,
}

impl Environment {
    /// Runs one event; `None` when the environment ended before the process saw it.
    pub(super) async fn run(&self, event: Event, since: Option<Instant>) -> Option<Ran> {
        let (reply, ran) = oneshot::channel();
        self.jobs.send(Job { event, since, reply }).await.ok()?;
        ran.await.ok()
    }
}

#[derive(Debug)]
struct Job {
    event: Event,
    /// When the invocation began, if init had to be repeated inside it.
    since: Option<Instant>,
    reply: oneshot::Sender<Ran>,
}

/// One finished invocation.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) ending: Ending,
    pub(super) started_ms: u64,
    pub(super) ended_ms: u64,
    pub(super) log_tail: String,
}

/// How an init phase or an invocation ended.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    /// The function answered.
    Answered(Bytes),
    /// The function posted an error document.
    Reported(Bytes),
    /// The function's answer was too large.
    TooLarge,
    /// The process ended; Lambda's words for it.
    Exited(String),
    /// The time was up.
    TimedOut,
    /// The service is ending.
    Closing,
    /// No process could be started.
    Platform(String),
}

/// Starts a process for `function` and waits up to `limit` until it asks for its first event.
pub(super) async fn start(
    function: &Arc<Function>,
    log: &Arc<LogStream>,
    limit: Duration,
) -> Result<(Environment, Duration), Ending> {
    let platform = &function.platform;
    let alive = platform.alive().ok_or(Ending::Closing)?;
    let failed = |error: std::io::Error| Ending::Platform(error.to_string());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (calls, received) = mpsc::channel(4);
    let endpoint = Endpoint(tokio::spawn(runtime_api::serve(listener, calls)));
    let variables = variables::of_environment(&platform.settings, &function.spec, address, log.name());
    let begun = Instant::now();
    let bootstrap = function.spec.bootstrap.clone();
    let mut process = platform.spawner.spawn(bootstrap, variables).await.map_err(failed)?;
    let pipe = process.take_output();
    let pipe = pipe.ok_or_else(|| Ending::Platform("the process has no output".to_owned()))?;
    let output = Output::new(pipe, Arc::clone(log)).map_err(failed)?;
    let (jobs, queued) = mpsc::channel(1);
    let kill = Arc::new(Notify::new());
    let mut worker = Worker {
        handle: Environment { id: function.enlist(Arc::clone(&kill)), jobs },
        function: Arc::clone(function),
        log: Arc::clone(log),
        process,
        output,
        jobs: queued,
        calls: received,
        kill,
        closing: platform.closing.subscribe(),
        parked: None,
        init_ms: None,
        _endpoint: endpoint,
        _alive: alive,
    };
    if let Err(ending) = worker.initialise(begun + limit).await {
        worker.end().await;
        return Err(ending);
    }
    let took = begun.elapsed();
    worker.init_ms = Some(took.as_secs_f64() * 1000.0);
    let handle = worker.handle.clone();
    tokio::spawn(worker.live());
    Ok((handle, took))
}

/// The serving task; it ends with the environment.
#[derive(Debug)]
struct Endpoint(JoinHandle<()>);

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
struct Worker {
    handle: Environment,
    function: Arc<Function>,
    log: Arc<LogStream>,
    process: Process,
    output: Output,
    jobs: mpsc::Receiver<Job>,
    calls: mpsc::Receiver<Call>,
    kill: Arc<Notify>,
    closing: watch::Receiver<bool>,
    /// The process's open request for the next event.
    parked: Option<oneshot::Sender<Result<Event, Refusal>>>,
    /// The init time, until it has been reported.
    init_ms: Option<f64>,
    _endpoint: Endpoint,
    /// Shutdown waits until every environment has dropped this.
    _alive: mpsc::Sender<()>,
}

impl Worker {
    async fn initialise(&mut self, deadline: Instant) -> Result<(), Ending> {
        loop {
            tokio::select! {
                biased;
                Some(call) = self.calls.recv() => match call {
                    Call::Next { reply } => {
                        self.parked = Some(reply);
                        return Ok(());
                    }
                    Call::InitError { body, reply } => {
                        let _gone = reply.send(Ok(()));
                        return Err(Ending::Reported(body));
                    }
                    Call::Done { reply, .. } => refuse(reply),
                },
                status = self.process.wait() => {
                    return Err(Ending::Exited(process::describe(status)));
                }
                () = self.kill.notified() => self.process.kill(),
                () = closed(&mut self.closing) => return Err(Ending::Closing),
                () = sleep_until(deadline) => return Err(Ending::TimedOut),
            }
        }
    }

    async fn live(mut self) {
        while let Some(job) = self.next_job().await {
            let Job { event, since, reply } = job;
            let ran = self.serve(event, since).await;
            let goes_on = self.parked.is_some();
            if goes_on {
                self.process.freeze();
                self.function.release(self.handle.clone());
            }
            drop(reply.send(ran));
            if !goes_on {
                break;
            }
        }
        self.end().await;
    }

    /// Waits, frozen, for the next invocation; `None` when the environment's life is over.
    async fn next_job(&mut self) -> Option<Job> {
        let idle = sleep(idle_time(self.function.platform.settings.idle_limit));
        tokio::pin!(idle);
        let mut expired = false;
        loop {
            tokio::select! {
                biased;
                () = self.kill.notified() => return None,
                _ = self.process.wait() => return None,
                () = closed(&mut self.closing) => return None,
                Some(job) = self.jobs.recv() => return Some(job),
                Some(call) = self.calls.recv() => match call {
                    Call::Next { reply } => self.parked = Some(reply),
                    Call::Done { reply, .. } | Call::InitError { reply, .. } => {
                        refuse(reply);
                    }
                },
                () = &mut idle, if !expired => {
                    // Not in the pool any more: a job is on its way.
                    expired = true;
                    if self.function.retire(self.handle.id) {
                        return None;
                    }
                }
            }
        }
    }

    async fn serve(&mut self, mut event: Event, since: Option<Instant>) -> Ran {
        if since.is_none() {
            self.log.begin(&event.request_id);
        }
        let request_id = event.request_id.clone();
        let begun = since.unwrap_or_else(Instant::now);
        let timeout = self.function.spec.timeout;
        let started_ms = epoch_ms();
        let left = timeout.saturating_sub(begun.elapsed());
        event.deadline_ms = started_ms.saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        self.process.thaw();
        let ending = self.exchange(event, begun + timeout).await;
        let took = begun.elapsed();
        self.output.drain();
        if let Some(line) = complaint(&ending, &request_id, timeout) {
            self.log.note(line);
        }
        let report = Report {
            took,
            init_ms: self.init_ms.take().filter(|_| since.is_none()),
            memory_mb: self.function.spec.memory_mb,
            peak_mb: self.process.peak_mb(),
            ending: &ending,
        };
        let log_tail = self.log.end(&report.line());
        Ran { ending, started_ms, ended_ms: epoch_ms(), log_tail }
    }

    /// Hands over `event` and waits for its result and for the request for the next event.
    ///
    /// The process may be frozen only when `parked` is set again: it then waits for nothing else.
    async fn exchange(&mut self, event: Event, deadline: Instant) -> Ending {
        let request_id = event.request_id.clone();
        let mut waiting = hand_over(self.parked.take(), event);
        let mut result = None;
        loop {
            tokio::select! {
                           biased;
                           Some(call) = self.calls.recv() => match call {
                               Call::Next { reply } => match (waiting.take(), result.take()) {
                                   (Some(event), _) => waiting = hand_over(Some(reply), event),
                                   (None, Some(ending)) => {
                                       self.parked = Some(reply);
                                       return ending;
                                   }
                                   (None, None) => {
            let _gone = reply.send(Err(Refusal::NotNow)); },
                               },
                               Call::Done { request_id: id, submission, reply } => {
                                   let verdict = if id != request_id {
                                       Err(Refusal::UnknownRequest)
                                   } else if waiting.is_some() || result.is_some() {
                                       Err(Refusal::NotNow)
                                   } else {
                                       let (ending, verdict) = judge(submission);
                                       result = Some(ending);
                                       verdict
                                   };
                                   let _gone = reply.send(verdict);
                               }
                               Call::InitError { reply, .. } => refuse(reply),
                           },
                           // An answer that was accepted before the end stays the answer.
                           status = self.process.wait() => {
                               let exited = Ending::Exited(process::describe(status));
                               return result.unwrap_or(exited);
                           }
                           () = self.kill.notified() => self.process.kill(),
                           () = closed(&mut self.closing) => return result.unwrap_or(Ending::Closing),
                           () = sleep_until(deadline) => return result.unwrap_or(Ending::TimedOut),
                       }
        }
    }

    async fn end(mut self) {
        self.function.dismiss(self.handle.id);
        // Also after the process itself is gone: what it started is in its group.
        self.process.kill();
        if let Err(error) = self.process.wait().await {
            tracing::warn!(function = %self.function.spec.name, %error, "cannot wait for a process");
        }
        self.output.finish();
    }
}

/// Gives `event` to the waiting process; hands it back when nobody waits.
fn hand_over(parked: Option<oneshot::Sender<Result<Event, Refusal>>>, event: Event) -> Option<Event> {
    match parked {
        None => Some(event),
        Some(parked) => parked.send(Ok(event)).err().and_then(Result::ok),
    }
}

fn refuse(reply: Reply) {
    let _gone = reply.send(Err(Refusal::NotNow));
}

fn judge(submission: Submission) -> (Ending, Result<(), Refusal>) {
    match submission {
        Submission::Response(body) => (Ending::Answered(body), Ok(())),
        Submission::Error(body) => (Ending::Reported(body), Ok(())),
        Submission::TooLarge => (Ending::TooLarge, Err(Refusal::TooLarge)),
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // A dropped sender means the same.
    drop(closing.wait_for(|closing| *closing).await);
}

/// Between `limit` and twice that, so that environments started together do not end together.
fn idle_time(limit: Duration) -> Duration {
    let [random, ..] = *uuid::Uuid::new_v4().as_bytes();
    limit + limit.mul_f64(f64::from(random) / 256.0)
}
