//! One proxy: reads a request, lets the service's troubles have their way, forwards it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::request::Parts;
use axum::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use axum::http::{Method, Request, Response, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::ServicesError;
use super::refusal::{self, Refusal};
use super::trouble::{Service, Trouble, Troubles};
use crate::endpoint::{Cuttable, Open, Switch, Tasks};

/// A listener in front of one service. Dropping it ends it.
pub(super) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    open: Arc<Open>,
}

struct Shared {
    service: Service,
    upstream: SocketAddr,
    client: Client<HttpConnector, Body>,
    troubles: Troubles,
    tasks: Tasks,
}

/// What the caller gets.
enum Reply {
    Answer(Response<Body>),
    Reset,
    Silence,
}

impl Proxy {
    pub(super) async fn start(service: Service, upstream: SocketAddr) -> Result<Self, ServicesError> {
        let failed = |source| ServicesError { service, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let shared = Arc::new(Shared {
            service,
            upstream,
            client: Client::builder(TokioExecutor::new()).build(connector),
            troubles: Troubles::default(),
            tasks: Tasks::new(),
        });
        let open = Arc::new(Open::default());
        let router = Router::new()
            .fallback(handle)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::downgrade(&shared))
            .into_make_service_with_connect_info::<Switch>();
        let listener = Cuttable { listener, open: Arc::clone(&open) };
        shared.tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, ?service, "the proxy of a service stopped");
            }
        });
        Ok(Self { address, shared, open })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn troubles(&self) -> &Troubles {
        &self.shared.troubles
    }

    pub(super) async fn shutdown(&self) {
        self.open.cut_all();
        if let Some(mut tasks) = self.shared.tasks.close() {
            while tasks.join_next().await.is_some() {}
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.open.cut_all();
        drop(self.shared.tasks.close());
    }
}

/// One request. The work goes on when the caller hangs up, as it does on AWS.
async fn handle(
    State(shared): State<std::sync::Weak<Shared>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    parts: Parts,
    body: Bytes,
) -> Response<Body> {
    let (sender, receiver) = oneshot::channel();
    if let Some(shared) = shared.upgrade() {
        let working = Arc::clone(&shared);
        shared.tasks.spawn(async move {
            // Nobody takes the answer if the caller hung up.
            drop(sender.send(working.answer(parts, body).await));
        });
    }
    match receiver.await {
        Ok(Reply::Answer(response)) => response,
        // Ends when the caller hangs up, or with the proxy.
        Ok(Reply::Silence) => std::future::pending().await,
        Ok(Reply::Reset) | Err(_) => {
            switch.cut();
            Response::new(Body::empty())
        }
    }
}

impl Shared {
    async fn answer(&self, parts: Parts, body: Bytes) -> Reply {
        let action = action(&parts, &body);
        let (delay, trouble) = self.troubles.of(&action);
        tokio::time::sleep(delay).await;
        let refuse = |refusal| Reply::Answer(refusal::answer(self.service, refusal, &action));
        match trouble {
            Some(Trouble::Throttle) => refuse(Refusal::Throttled),
            Some(Trouble::Error) => refuse(Refusal::Internal),
            Some(Trouble::Denied) => refuse(Refusal::Denied),
            Some(Trouble::Silence) => Reply::Silence,
            Some(Trouble::LostAnswer) => {
                self.forward(parts, body).await;
                Reply::Reset
            }
            Some(Trouble::ErrorAfterEffect) => match self.forward(parts, body).await {
                Reply::Answer(_) => refuse(Refusal::Internal),
                failed @ (Reply::Reset | Reply::Silence) => failed,
            },
            None | Some(Trouble::Slow(_)) => self.forward(parts, body).await,
        }
    }

    /// A service that cannot be reached resets the connection, as it would without a proxy.
    async fn forward(&self, parts: Parts, body: Bytes) -> Reply {
        let Some(target) = self.target(&parts.uri) else {
            return Reply::Reset;
        };
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = parts.method;
        *request.headers_mut() = parts.headers;
        *request.uri_mut() = target;
        match self.client.request(request).await {
            Ok(mut response) => {
                // These speak of the connection to the service, not of the caller's.
                response.headers_mut().remove(header::CONNECTION);
                response.headers_mut().remove(header::TRANSFER_ENCODING);
                Reply::Answer(response.map(Body::new))
            }
            Err(error) => {
                tracing::debug!(%error, service = ?self.service, "a service was not reached");
                Reply::Reset
            }
        }
    }

    fn target(&self, asked: &Uri) -> Option<Uri> {
        let authority: Authority = self.upstream.to_string().parse().ok()?;
        let path = asked.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build().ok()
    }
}

/// The action's name: in a header (JSON protocols), in the form (Query), or by the path (REST).
fn action(parts: &Parts, body: &[u8]) -> String {
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    if let Some((_, action)) = target.and_then(|target| target.rsplit_once('.')) {
        return action.to_owned();
    }
    if parts.uri.path().ends_with("/invocations") {
        return "Invoke".to_owned();
    }
    if parts.uri.path().trim_end_matches('/').ends_with("/rrset") {
        let action = if parts.method == Method::POST { "ChangeResourceRecordSets" } else { "ListResourceRecordSets" };
        return action.to_owned();
    }
    let form: Vec<(String, String)> = serde_urlencoded::from_bytes(body).unwrap_or_default();
    form.into_iter().find(|(name, _)| name == "Action").map(|(_, action)| action).unwrap_or_default()
}
