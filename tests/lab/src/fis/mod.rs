//! AWS FIS (REST JSON, service model 2020-12-01), as far as experiments go: their faults are the lab's real ones.
//!
//! Served: `StartExperiment`, `GetExperiment`, `StopExperiment`, `GetExperimentTemplate` and `GetSafetyLever`. A client
//! token starts one experiment however often it is sent. Request signatures are not checked.

mod experiment;
mod http;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use experiment::Experiment;

pub use experiment::Status;

/// Carries out the fault of a template, and ends it.
pub trait Injector: Send + Sync + 'static {
    /// Begins it, and returns when it is over.
    fn inject(&self, template: &str) -> impl Future<Output = Result<(), String>> + Send;
}

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its id.
    pub id: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Its fault, by the name of the action.
    pub action: &'static str,
}

/// ARN of the alarm that every template has as its stop condition.
pub const STOP_ALARM: &str = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:person-called";

struct Core<I> {
    injector: I,
    templates: Vec<Template>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    experiments: BTreeMap<String, Experiment>,
    /// Experiments by their client token.
    tokens: BTreeMap<String, String>,
    lever_engaged: bool,
}

impl<I> Core<I> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server. Dropping it ends it.
pub struct Fis {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    started: Arc<dyn Fn() -> usize + Send + Sync>,
    condition: Arc<dyn Fn() + Send + Sync>,
    lever: Arc<dyn Fn(bool) + Send + Sync>,
    task: JoinHandle<()>,
}

impl Fis {
    /// Serves on a free port of the loopback address.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start<I: Injector>(templates: Vec<Template>, injector: I) -> std::io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let core = Arc::new(Core { injector, templates, state: Mutex::default() });
        let (stop, stopped) = watch::channel(false);
        let (counted, fired, pulled) = (Arc::clone(&core), Arc::clone(&core), Arc::clone(&core));
        Ok(Self {
            address,
            stop,
            started: Arc::new(move || counted.state().experiments.len()),
            condition: Arc::new(move || {
                for experiment in fired.state().experiments.values_mut() {
                    experiment.stop("Experiment halted by stop condition.");
                }
            }),
            lever: Arc::new(move |engaged| pulled.state().lever_engaged = engaged),
            task: tokio::spawn(http::run(listener, core, stopped)),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many experiments were started.
    pub fn started(&self) -> usize {
        (self.started)()
    }

    /// Lets the stop condition of every running experiment fire.
    pub fn fire_stop_condition(&self) {
        (self.condition)();
    }

    /// Engages the safety lever, or disengages it.
    pub fn pull_lever(&self, engaged: bool) {
        (self.lever)(engaged);
    }

    /// Ends it and waits until it has ended.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.task).await {
            tracing::warn!(%error, "the FIS server did not end by itself");
        }
    }
}

impl Drop for Fis {
    fn drop(&mut self) {
        self.task.abort();
    }
}
