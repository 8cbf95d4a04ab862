//! One function: its pool of environments, its concurrency and the attempts to run it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::answer::{Answer, answer};
use super::environment::{self, Ending, Environment, Ran};
use super::error::LambdaError;
use super::log::{LogSink, LogStream};
use super::process::Spawner;
use super::record::{InvocationKind, InvocationRecord, Outcome, Records};
use super::report::{Report, complaint, init_report};
use super::runtime_api::Event;
use super::spec::{FunctionSpec, Settings};
use super::{epoch_ms, lock};

/// What all functions share.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) settings: Settings,
    pub(super) log: Arc<LogSink>,
    pub(super) records: Records,
    pub(super) spawner: Spawner,
    pub(super) closing: watch::Sender<bool>,
    /// Cloned into every environment; taken away at shutdown.
    pub(super) alive: Mutex<Option<mpsc::Sender<()>>>,
}

impl Platform {
    pub(super) fn alive(&self) -> Option<mpsc::Sender<()>> {
        lock(&self.alive).clone()
    }
}

/// A function and its environments.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) spec: FunctionSpec,
    pub(super) arn: String,
    pub(super) platform: Arc<Platform>,
    pub(super) modified: SystemTime,
    /// How many of the next asynchronous events are delivered twice.
    pub(super) duplicates: AtomicU32,
    /// Whether all of them are.
    pub(super) duplicates_all: AtomicBool,
    delay: Mutex<Duration>,
    pool: Mutex<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    /// Ready environments, the most recently used last.
    idle: Vec<Environment>,
    living: BTreeMap<u64, Arc<Notify>>,
    last_id: u64,
    running: u32,
}

/// One attempt to run the function on an event.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) request_id: String,
    pub(super) trace_id: String,
    pub(super) client_context: Option<String>,
    pub(super) payload: Bytes,
    pub(super) kind: InvocationKind,
    pub(super) number: u32,
    pub(super) queued_ms: u64,
    /// How much later it reaches a process: a fault of its time.
    pub(super) delay: Duration,
}

struct Tried {
    ran: Ran,
    cold_start: bool,
    init_ms: Option<f64>,
    init_failed: bool,
}

impl Function {
    pub(super) fn new(spec: FunctionSpec, arn: String, platform: Arc<Platform>) -> Self {
        let modified = SystemTime::now();
        let (duplicates, duplicates_all) = (AtomicU32::new(0), AtomicBool::new(false));
        let (delay, pool) = (Mutex::default(), Mutex::default());
        Self { spec, arn, platform, modified, duplicates, duplicates_all, delay, pool }
    }

    /// How much later an attempt that is made now reaches a process.
    pub(super) fn delay(&self) -> Duration {
        *lock(&self.delay)
    }

    pub(super) fn set_delay(&self, delay: Duration) {
        *lock(&self.delay) = delay;
    }

    /// Runs one attempt to its end, also when the caller goes away meanwhile.
    pub(super) async fn attempt(self: &Arc<Self>, attempt: Attempt) -> Result<Answer, LambdaError> {
        let function = Arc::clone(self);
        let running = tokio::spawn(async move {
            let mut closing = function.platform.closing.subscribe();
            tokio::select! {
                () = tokio::time::sleep(attempt.delay) => {}
                _ = closing.wait_for(|closing| *closing) => return Err(LambdaError::Closing),
            }
            let arrived_ms = epoch_ms();
            let tried = function.admit_and_try(&attempt).await;
            function.conclude(&attempt, arrived_ms, tried)
        });
        running.await.unwrap_or(Err(LambdaError::Closing))
    }

    /// Kills every environment; the idle ones are not used any more.
    pub(super) fn kill_environments(&self) -> usize {
        let mut pool = lock(&self.pool);
        pool.idle.clear();
        for kill in pool.living.values() {
            kill.notify_one();
        }
        pool.living.len()
    }

    /// Enters a new environment and returns its number.
    pub(super) fn enlist(&self, kill: Arc<Notify>) -> u64 {
        let mut pool = lock(&self.pool);
        pool.last_id += 1;
        let id = pool.last_id;
        pool.living.insert(id, kill);
        id
    }

    /// Makes an environment available for the next invocation.
    pub(super) fn release(&self, environment: Environment) {
        lock(&self.pool).idle.push(environment);
    }

    /// Takes an environment out of use; false when an invocation has just taken it.
    pub(super) fn retire(&self, id: u64) -> bool {
        let mut pool = lock(&self.pool);
        let before = pool.idle.len();
        pool.idle.retain(|environment| environment.id != id);
        pool.idle.len() < before
    }

    /// Forgets an environment that ends.
    pub(super) fn dismiss(&self, id: u64) {
        self.retire(id);
        lock(&self.pool).living.remove(&id);
    }

    async fn admit_and_try(self: &Arc<Self>, attempt: &Attempt) -> Result<Tried, LambdaError> {
        let _slot = Slot::take(self).ok_or(LambdaError::Throttled)?;
        loop {
            let idle = lock(&self.pool).idle.pop();
            let Some(environment) = idle else {
                return self.try_cold(attempt).await;
            };
            if let Some(ran) = environment.run(self.event(attempt), None).await {
                return Ok(Tried { ran, cold_start: false, init_ms: None, init_failed: false });
            }
            self.check_open()?;
        }
    }

    async fn try_cold(self: &Arc<Self>, attempt: &Attempt) -> Result<Tried, LambdaError> {
        let sink = Arc::clone(&self.platform.log);
        let log = Arc::new(LogStream::new(sink, self.spec.name.as_str().into()));
        let init_limit = self.platform.settings.init_limit;
        let begun = Instant::now();
        let (environment, since, init_ms) = match environment::start(self, &log, init_limit).await {
            Ok((environment, took)) => (environment, None, Some(took.as_secs_f64() * 1000.0)),
            Err(ending) => {
                self.check_start(&ending)?;
                log.note(init_report(begun, "init", &ending));
                // As on AWS, init is started over inside the invocation and within its timeout.
                log.begin(&attempt.request_id);
                let since = Instant::now();
                match environment::start(self, &log, self.spec.timeout).await {
                    Ok((environment, _)) => (environment, Some(since), None),
                    Err(ending) => {
                        self.check_start(&ending)?;
                        return Ok(self.init_failed(attempt, &log, since, ending));
                    }
                }
            }
        };
        match environment.run(self.event(attempt), since).await {
            Some(ran) => Ok(Tried { ran, cold_start: true, init_ms, init_failed: false }),
            None => {
                self.check_open()?;
                let reason = format!("it ended before the event: {}", log.tail());
                Err(LambdaError::Platform { function: self.spec.name.clone(), reason })
            }
        }
    }

    fn init_failed(&self, attempt: &Attempt, log: &LogStream, since: Instant, ending: Ending) -> Tried {
        log.note(init_report(since, "invoke", &ending));
        let timeout = self.spec.timeout;
        if let Some(line) = complaint(&ending, &attempt.request_id, timeout) {
            log.note(line);
        }
        let took = since.elapsed();
        let memory_mb = self.spec.memory_mb;
        let report = Report { took, init_ms: None, memory_mb, peak_mb: 0, ending: &ending };
        let log_tail = log.end(&report.line());
        let ended_ms = epoch_ms();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let started_ms = ended_ms.saturating_sub(took_ms);
        let ran = Ran { ending, started_ms, ended_ms, log_tail };
        Tried { ran, cold_start: true, init_ms: None, init_failed: true }
    }

    fn check_start(&self, ending: &Ending) -> Result<(), LambdaError> {
        if let Ending::Platform(reason) = ending {
            let function = self.spec.name.clone();
            return Err(LambdaError::Platform { function, reason: reason.clone() });
        }
        if matches!(ending, Ending::Closing) { Err(LambdaError::Closing) } else { Ok(()) }
    }

    fn check_open(&self) -> Result<(), LambdaError> {
        if *self.platform.closing.borrow() { Err(LambdaError::Closing) } else { Ok(()) }
    }

    fn event(&self, attempt: &Attempt) -> Event {
        Event {
            request_id: attempt.request_id.clone(),
            deadline_ms: 0,
            arn: self.arn.clone(),
            trace_id: attempt.trace_id.clone(),
            client_context: attempt.client_context.clone(),
            payload: attempt.payload.clone(),
        }
    }

    fn conclude(
        &self,
        attempt: &Attempt,
        arrived_ms: u64,
        tried: Result<Tried, LambdaError>,
    ) -> Result<Answer, LambdaError> {
        let mut record = InvocationRecord {
            function: self.spec.name.clone(),
            request_id: attempt.request_id.clone(),
            attempt: attempt.number,
            kind: attempt.kind,
            cold_start: false,
            queued_ms: attempt.queued_ms,
            started_ms: arrived_ms,
            ended_ms: epoch_ms(),
            init_ms: None,
            outcome: Outcome::Throttled,
            detail: None,
        };
        let answer = match tried {
            Ok(tried) => {
                record.cold_start = tried.cold_start;
                record.init_ms = tried.init_ms;
                record.started_ms = tried.ran.started_ms;
                record.ended_ms = tried.ran.ended_ms;
                let (answer, outcome) = answer(&self.spec, &attempt.request_id, tried.ran.ending, tried.ran.log_tail)?;
                record.outcome = if tried.init_failed { Outcome::InitFailed } else { outcome };
                if answer.function_error.is_some() {
                    let payload = String::from_utf8_lossy(&answer.payload);
                    record.detail = Some(format!("{payload}\n{}", answer.log_tail));
                }
                Ok(answer)
            }
            Err(LambdaError::Throttled) => Err(LambdaError::Throttled),
            Err(error) => {
                record.outcome = Outcome::PlatformError;
                record.detail = Some(error.to_string());
                Err(error)
            }
        };
        self.platform.records.add(record);
        answer
    }
}

/// A place within the function's reserved concurrency.
struct Slot(Arc<Function>);

impl Slot {
    fn take(function: &Arc<Function>) -> Option<Self> {
        let mut pool = lock(&function.pool);
        if function.spec.reserved_concurrency.is_some_and(|limit| pool.running >= limit) {
            return None;
        }
        pool.running += 1;
        Some(Self(Arc::clone(function)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut pool = lock(&self.0.pool);
        pool.running = pool.running.saturating_sub(1);
    }
}
