//! The handle on the whole service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use serde::de::IgnoredAny;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use super::answer::Answer;
use super::error::LambdaError;
use super::function::{Attempt, Function, Platform};
use super::log::{LogLine, LogSink};
use super::process::Spawner;
use super::record::{InvocationKind, InvocationRecord, Records};
use super::spec::{FunctionSpec, Settings};
use super::{epoch_ms, invoke_api, lock, name, queue};

/// The largest synchronous payload, in bytes (6 MB).
const LARGEST_SYNCHRONOUS: usize = 6 * 1024 * 1024;
/// The largest asynchronous payload, in bytes (1 MB since October 2025).
const LARGEST_ASYNCHRONOUS: usize = 1024 * 1024;

/// The answer of a function.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The id in the function's log and in the records.
    pub request_id: String,
    /// The function's answer, or the error document.
    pub payload: Vec<u8>,
    /// `Unhandled` when the function failed.
    pub function_error: Option<String>,
    /// The last 4 KB of the invocation's log.
    pub log_tail: String,
}

/// A running Lambda service. Clones are handles on the same service.
///
/// Call [`Lambda::shutdown`] to end it; when the runtime or this process ends first, its function
/// processes are killed all the same.
#[derive(Clone, Debug)]
pub struct Lambda(Arc<Service>);

#[derive(Debug)]
struct Service {
    address: SocketAddr,
    platform: Arc<Platform>,
    functions: Mutex<BTreeMap<String, Arc<Function>>>,
    server: Mutex<Option<JoinHandle<()>>>,
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

/// What an invocation says about itself beside the payload.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    pub(super) trace_id: Option<String>,
    pub(super) client_context: Option<String>,
}

impl Lambda {
    /// Starts the Invoke API on `listen`, a loopback address whose port may be 0.
    ///
    /// Function logs go to `log_dir/<function>.log`. Fails without `setpriv`, a free address or a
    /// folder to write to.
    pub async fn start(listen: SocketAddr, log_dir: &Path, settings: Settings) -> Result<Self, LambdaError> {
        if !listen.ip().is_loopback() {
            return Err(LambdaError::NotLoopback(listen));
        }
        let unusable = |source| LambdaError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let (alive, ended) = mpsc::channel(1);
        let platform = Platform {
            settings,
            log: Arc::new(LogSink::start(log_dir)?),
            records: Records::default(),
            spawner: Spawner::start()?,
            closing: watch::Sender::new(false),
            alive: Mutex::new(Some(alive)),
        };
        let closing = platform.closing.subscribe();
        let lambda = Self(Arc::new(Service {
            address,
            platform: Arc::new(platform),
            functions: Mutex::default(),
            server: Mutex::new(None),
            ended: tokio::sync::Mutex::new(ended),
        }));
        let server = tokio::spawn(invoke_api::serve(listener, lambda.clone(), closing));
        *lock(&lambda.0.server) = Some(server);
        Ok(lambda)
    }

    /// Where the Invoke API listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Adds a function. Fails on a value out of range, a bootstrap that cannot be run, or a name
    /// that is taken.
    pub async fn create_function(&self, mut spec: FunctionSpec) -> Result<(), LambdaError> {
        spec.check()?;
        spec.bootstrap = std::path::absolute(&spec.bootstrap).map_err(|error| {
            let (function, path) = (spec.name.clone(), spec.bootstrap.clone());
            LambdaError::Bootstrap { function, path, problem: error.to_string() }
        })?;
        let mut functions = lock(&self.0.functions);
        if functions.contains_key(&spec.name) {
            return Err(LambdaError::Exists(spec.name));
        }
        let name = spec.name.clone();
        let arn = name::arn(self.settings(), &name);
        let function = Function::new(spec, arn, Arc::clone(&self.0.platform));
        functions.insert(name, Arc::new(function));
        Ok(())
    }

    /// Runs the function `name` (or its ARN) on `payload`, JSON or empty, and waits for its answer.
    ///
    /// A failing function is an [`Invocation`] with `function_error`; the error is for what AWS
    /// answers with a status of 400 and more.
    pub async fn invoke(&self, name: &str, payload: Vec<u8>) -> Result<Invocation, LambdaError> {
        let function = self.function(name, None)?;
        let (request_id, answer) = self.invoke_now(&function, payload.into(), Headers::default()).await?;
        Ok(Invocation {
            request_id,
            payload: answer.payload.into(),
            function_error: answer.function_error.map(str::to_owned),
            log_tail: answer.log_tail,
        })
    }

    /// Queues `payload` for the function `name` (or its ARN) and returns the request id.
    pub async fn invoke_async(&self, name: &str, payload: Vec<u8>) -> Result<String, LambdaError> {
        let function = self.function(name, None)?;
        self.invoke_later(&function, payload.into(), Headers::default())
    }

    /// Every attempt that has ended, oldest first (the last 100,000).
    pub async fn records(&self) -> Vec<InvocationRecord> {
        self.0.platform.records.all()
    }

    /// Every log line from now on; a slow reader loses lines, the files do not.
    pub fn lines(&self) -> broadcast::Receiver<LogLine> {
        self.0.platform.log.subscribe()
    }

    /// Ends every environment, waits for the processes and closes the Invoke API.
    ///
    /// Events still queued are dropped; every handle answers [`LambdaError::Closing`] from now on.
    pub async fn shutdown(self) {
        self.0.platform.closing.send_replace(true);
        drop(lock(&self.0.platform.alive).take());
        // Returns when the last environment has dropped its sender.
        let _none: Option<()> = self.0.ended.lock().await.recv().await;
        let server = lock(&self.0.server).take();
        if let Some(server) = server {
            drop(server.await);
        }
        self.0.platform.log.finish().await;
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.platform.settings
    }

    pub(super) fn functions(&self) -> Vec<Arc<Function>> {
        lock(&self.0.functions).values().cloned().collect()
    }

    pub(super) fn function(&self, given: &str, qualifier: Option<&str>) -> Result<Arc<Function>, LambdaError> {
        let resolved = name::resolve(self.settings(), given, qualifier)?;
        let found = lock(&self.0.functions).get(&resolved).cloned();
        found.ok_or_else(|| LambdaError::NotFound(name::arn(self.settings(), &resolved)))
    }

    pub(super) async fn invoke_now(
        &self,
        function: &Arc<Function>,
        payload: Bytes,
        headers: Headers,
    ) -> Result<(String, Answer), LambdaError> {
        let payload = check_payload(payload, "RequestResponse", LARGEST_SYNCHRONOUS)?;
        let attempt = self.attempt(function, payload, headers, InvocationKind::Synchronous)?;
        let request_id = attempt.request_id.clone();
        Ok((request_id, function.attempt(attempt).await?))
    }

    pub(super) fn invoke_later(
        &self,
        function: &Arc<Function>,
        payload: Bytes,
        headers: Headers,
    ) -> Result<String, LambdaError> {
        let payload = check_payload(payload, "Event", LARGEST_ASYNCHRONOUS)?;
        let attempt = self.attempt(function, payload, headers, InvocationKind::Asynchronous)?;
        queue::accept(function, &attempt);
        Ok(attempt.request_id)
    }

    fn attempt(
        &self,
        function: &Function,
        payload: Bytes,
        headers: Headers,
        kind: InvocationKind,
    ) -> Result<Attempt, LambdaError> {
        if *self.0.platform.closing.borrow() {
            return Err(LambdaError::Closing);
        }
        let queued_ms = epoch_ms();
        Ok(Attempt {
            request_id: uuid::Uuid::new_v4().to_string(),
            trace_id: headers.trace_id.unwrap_or_else(|| new_trace_id(queued_ms)),
            client_context: headers.client_context,
            payload,
            kind,
            number: 1,
            queued_ms,
            delay: function.delay(),
        })
    }
}

fn check_payload(payload: Bytes, kind: &'static str, limit: usize) -> Result<Bytes, LambdaError> {
    let bytes = payload.len();
    if bytes > limit {
        return Err(LambdaError::TooLarge { bytes, kind, limit });
    }
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    match serde_json::from_slice::<IgnoredAny>(&payload) {
        Ok(IgnoredAny) => Ok(payload),
        Err(error) => Err(LambdaError::NotJson(error.to_string())),
    }
}

/// An unsampled X-Ray header: epoch seconds and 96 random bits in hex, and a 64-bit parent.
fn new_trace_id(now_ms: u64) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    let parent = uuid::Uuid::new_v4().simple().to_string();
    let root = random.get(..24).unwrap_or_default();
    let parent = parent.get(..16).unwrap_or_default();
    format!("Root=1-{:08x}-{root};Parent={parent};Sampled=0", now_ms / 1000)
}
