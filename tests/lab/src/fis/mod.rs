//! AWS FIS (REST JSON, service model 2020-12-01), as far as experiments go: their faults are the lab's real ones.
//!
//! Served: `StartExperiment`, `GetExperiment`, `StopExperiment`, `GetExperimentTemplate` and `GetSafetyLever`. A client
//! token starts one experiment however often it is sent. Each template asserts first that the alarm of its stop
//! condition is OK, and each experiment ends when that alarm fires. Request signatures are not checked.

mod experiment;
mod http;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast_core::time::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use experiment::Experiment;

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
    /// Its fault, by the name of the action; None: it only asserts and waits.
    pub action: Option<&'static str>,
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
    alarm_fires: bool,
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
    started: Arc<dyn Fn() -> Vec<Timestamp> + Send + Sync>,
    alarm: Arc<dyn Fn(bool) + Send + Sync>,
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
            started: Arc::new(move || counted.state().experiments.values().map(Experiment::began_at).collect()),
            alarm: Arc::new(move |fires| {
                let mut state = fired.state();
                state.alarm_fires = fires;
                for experiment in state.experiments.values_mut().filter(|_| fires) {
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
        (self.started)().len()
    }

    /// When the latest one began.
    pub fn latest(&self) -> Option<Timestamp> {
        (self.started)().into_iter().max()
    }

    /// Lets the alarm of the stop conditions fire, or be OK again.
    pub fn set_alarm(&self, fires: bool) {
        (self.alarm)(fires);
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
