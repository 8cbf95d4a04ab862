//! The service: HTTP in front, the platform behind.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Mutex, oneshot};
use uuid::Uuid;

use super::actions::{self, Effect};
use super::beside::{Snapshot, Vault};
use super::config::PlatformConfig;
use super::core::{Core, PendingMaintenance};
use super::error::ApiError;
use super::event::RdsEvent;
use super::fault::{FaultKind, Refusal, Spoilt};
use super::form::Form;
use super::log::{ApiCall, Outcome, Promotion};
use super::nodes::Nodes;
use super::xml::{now_ms, response};
use crate::endpoint::{Cuttable, Open, Switch, Tasks};

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not a loopback address.
    #[error("cannot listen on {0}: the lab is unprotected, use an address of 127.0.0.0/8")]
    NotLoopback(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}; use another port, or 0 for a free one")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration names an instance that the nodes do not have.
    #[error("instance {0} is configured but is none of the nodes: use the nodes' identifiers")]
    UnknownInstance(String),
    /// No configured instance accepts writes.
    #[error("no configured instance accepts writes: start the nodes first")]
    NoWriter,
}

/// A running RDS endpoint; a clone is another handle to the same one. It ends with
/// [`Rds::shutdown`] or when the last handle is dropped.
pub struct Rds<N> {
    platform: Arc<Platform<N>>,
    address: SocketAddr,
    lifetime: Arc<Lifetime>,
}

/// The control plane and the nodes that it steers.
pub(super) struct Platform<N> {
    pub(super) core: Core,
    pub(super) nodes: Arc<N>,
    pub(super) tasks: Arc<Tasks>,
    /// Held while the cluster endpoint moves.
    pub(super) endpoint: Mutex<()>,
}

struct Lifetime {
    tasks: Arc<Tasks>,
    open: Arc<Open>,
}

impl Drop for Lifetime {
    fn drop(&mut self) {
        self.open.cut_all();
        drop(self.tasks.close());
    }
}

impl<N> Clone for Rds<N> {
    fn clone(&self) -> Self {
        Self { platform: Arc::clone(&self.platform), address: self.address, lifetime: Arc::clone(&self.lifetime) }
    }
}

impl<N: Nodes> Rds<N> {
    /// Starts the endpoint and the platform behind it. Events go to `events` in the order in
    /// which they happen.
    ///
    /// # Errors
    /// [`StartError`] if the address cannot be used, or nodes and configuration do not fit.
    pub async fn start(
        listen: SocketAddr,
        config: PlatformConfig,
        nodes: Arc<N>,
        events: UnboundedSender<RdsEvent>,
    ) -> Result<Self, StartError> {
        if !listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(listen));
        }
        let writer = check_members(&config, &*nodes).await?;
        let bind = |source| StartError::Bind { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let lifetime = Arc::new(Lifetime { tasks: Arc::new(Tasks::new()), open: Arc::new(Open::default()) });
        let platform = Arc::new(Platform {
            core: Core::new(config, writer, events),
            nodes,
            tasks: Arc::clone(&lifetime.tasks),
            endpoint: Mutex::new(()),
        });
        let open = Arc::clone(&lifetime.open);
        let tasks = &lifetime.tasks;
        tasks.spawn(serve(Cuttable { listener, open }, Arc::clone(&platform)));
        tasks.spawn(Arc::clone(&platform).watch());
        Ok(Self { platform, address, lifetime })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far, in the order of their answers.
    #[must_use]
    pub fn calls(&self) -> Vec<ApiCall> {
        self.platform.core.state().calls.clone()
    }

    /// All failovers so far, in the order of their starts.
    #[must_use]
    pub fn promotions(&self) -> Vec<Promotion> {
        self.platform.core.state().promotions.clone()
    }

    /// Lets the next `times` requests (`None`: all, until cleared) of an action, or of all
    /// actions with `*`, go wrong. Faults add up; of several refusals the first one set counts.
    pub fn set_fault(&self, action: &str, kind: FaultKind, times: Option<u32>) {
        self.platform.core.set_fault(action, kind, times);
    }

    /// Takes one fault back, by the words it was set with.
    pub fn clear_fault(&self, action: &str, kind: FaultKind) {
        self.platform.core.clear_fault(action, kind);
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.platform.core.clear_faults();
    }

    /// Gives the cluster a status such as `maintenance` or `upgrading`; `available` ends it. A
    /// running failover is shown as `failing-over` all the same.
    pub fn set_cluster_status(&self, status: &str) {
        self.platform.core.force_status(status);
    }

    /// Replaces what `DescribePendingMaintenanceActions` answers.
    pub fn set_pending_maintenance(&self, pending: Vec<PendingMaintenance>) {
        self.platform.core.state().pending_maintenance = pending;
    }

    /// From now on backups can be restored.
    pub fn offer(&self, vault: Arc<dyn Vault>) {
        self.platform.core.beside().vault = Some(vault);
    }

    /// Shows a snapshot, in place of one by the same name.
    pub fn show_snapshot(&self, snapshot: Snapshot) {
        let mut beside = self.platform.core.beside();
        beside.snapshots.retain(|known| known.id != snapshot.id);
        beside.snapshots.push(snapshot);
    }

    /// A snapshot is gone.
    pub fn hide_snapshot(&self, id: &str) {
        self.platform.core.beside().snapshots.retain(|known| known.id != id);
    }

    /// Identifiers of all that was restored and is still there.
    #[must_use]
    pub fn restored(&self) -> Vec<String> {
        self.platform.core.beside().restored.keys().cloned().collect()
    }

    pub(super) fn platform(&self) -> &Arc<Platform<N>> {
        &self.platform
    }

    /// Ends the service: connections are cut, running failovers are abandoned where they are.
    pub async fn shutdown(&self) {
        self.lifetime.open.cut_all();
        if let Some(mut tasks) = self.lifetime.tasks.close() {
            while tasks.join_next().await.is_some() {}
        }
    }
}

async fn check_members<N: Nodes>(config: &PlatformConfig, nodes: &N) -> Result<String, StartError> {
    let known = nodes.instances();
    let missing = config.instances.iter().find(|member| !known.contains(&member.identifier));
    if let Some(missing) = missing {
        return Err(StartError::UnknownInstance(missing.identifier.clone()));
    }
    let writer = nodes.writer().await.ok_or(StartError::NoWriter)?;
    match config.instance(&writer) {
        Some(member) => Ok(member.identifier.clone()),
        None => Err(StartError::NoWriter),
    }
}

async fn serve<N: Nodes>(listener: Cuttable, platform: Arc<Platform<N>>) {
    let router = Router::new().fallback(handle::<N>).with_state(platform);
    let service = router.into_make_service_with_connect_info::<Switch>();
    if let Err(error) = axum::serve(listener, service).await {
        tracing::error!(%error, "the RDS endpoint stopped");
    }
}

/// One request. The work goes on when the caller hangs up, as it does on AWS.
async fn handle<N: Nodes>(
    State(platform): State<Arc<Platform<N>>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (sender, receiver) = oneshot::channel();
    let tasks = Arc::clone(&platform.tasks);
    tasks.spawn(async move {
        // Nobody takes the answer if the caller hung up.
        drop(sender.send(platform.answer(&uri, &headers, &body).await));
    });
    match receiver.await {
        Ok(Reply::Answer(answer)) => answer.into_response(),
        // Ends when the caller hangs up, or with the service.
        Ok(Reply::Silence) => std::future::pending().await,
        Ok(Reply::Reset) | Err(_) => {
            switch.cut();
            Response::new(Body::empty())
        }
    }
}

/// What the caller gets.
enum Reply {
    Answer(Answer),
    Reset,
    Silence,
}

struct Answer {
    status: u16,
    request_id: String,
    body: String,
}

impl Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        let status = StatusCode::from_u16(self.status);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let xml = HeaderValue::from_static("text/xml;charset=utf-8");
        headers.insert(header::CONTENT_TYPE, xml);
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
        }
        response
    }
}

impl<N: Nodes> Platform<N> {
    async fn answer(self: &Arc<Self>, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Reply {
        let at_ms = now_ms();
        let request_id = Uuid::new_v4().to_string();
        let encoded = if body.is_empty() { uri.query().unwrap_or_default().as_bytes() } else { body };
        let parsed = Form::parse(encoded);
        let form = parsed.as_ref().cloned().unwrap_or_default();
        let action = form.get("Action").unwrap_or_default().to_owned();
        let (result, outcome) = self.carry_out(&action, parsed, headers, &request_id).await;
        let mut parameters = form.into_pairs();
        parameters.remove("Action");
        let user_agent = headers.get(header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| value.to_str().ok());
        let reply = match (result, &outcome) {
            (Some((status, body)), _) => Reply::Answer(Answer { status, request_id: request_id.clone(), body }),
            (None, Outcome::Silence) => Reply::Silence,
            (None, _) => Reply::Reset,
        };
        self.core.state().calls.push(ApiCall {
            at_ms,
            answered_ms: now_ms(),
            action,
            parameters,
            outcome,
            request_id,
            user_agent: user_agent.unwrap_or_default().to_owned(),
        });
        reply
    }

    /// The answer's status and body; none where there is no answer.
    async fn carry_out(
        self: &Arc<Self>,
        action: &str,
        form: Result<Form, ApiError>,
        headers: &HeaderMap,
        request_id: &str,
    ) -> (Option<(u16, String)>, Outcome) {
        let hits = self.core.take_faults(action);
        tokio::time::sleep(hits.latency).await;
        let result = match hits.refusal {
            Some(Refusal::Reset) => return (None, Outcome::Reset),
            Some(Refusal::Silence) => return (None, Outcome::Silence),
            Some(Refusal::Error(error)) => Err(error),
            None => form.and_then(|form| {
                check_signed(headers, &form)?;
                actions::run(&self.core, action, &form, hits.stale)
            }),
        };
        let (answer, outcome) = match result {
            Ok(done) => {
                self.start(done.effect);
                let body = response(action, request_id, &done.result);
                ((200, body), Outcome::Answered)
            }
            Err(error) => {
                let refused = Outcome::Refused { status: error.status, code: error.code.to_owned() };
                ((error.status, error.to_xml(request_id)), refused)
            }
        };
        match hits.spoilt {
            None => (Some(answer), outcome),
            Some(Spoilt::Lost) => (None, Outcome::ReplyLost),
            Some(Spoilt::Error) => {
                let error = ApiError::internal();
                (Some((error.status, error.to_xml(request_id))), Outcome::ErrorAfterEffect)
            }
        }
    }

    fn start(self: &Arc<Self>, effect: Option<Effect>) {
        match effect {
            Some(Effect::Failover(run)) => self.tasks.spawn(Arc::clone(self).fail_over(run)),
            Some(Effect::Restart(instance)) => {
                self.tasks.spawn(Arc::clone(self).restart(instance));
            }
            Some(Effect::Beside(change)) => self.tasks.spawn(Arc::clone(self).change_beside(change)),
            None => {}
        }
    }
}

/// Signatures are not verified, but a request without one is refused as on AWS.
fn check_signed(headers: &HeaderMap, form: &Form) -> Result<(), ApiError> {
    if headers.contains_key(header::AUTHORIZATION) || form.get("X-Amz-Signature").is_some() {
        return Ok(());
    }
    let message = "Request is missing Authentication Token";
    Err(ApiError::new(403, "MissingAuthenticationToken", message))
}
