//! Routes and answers.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::experiment::{Experiment, template};
use super::{Core, Injector};

/// The largest request body in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// An error as FIS words it.
struct Refused(StatusCode, &'static str, String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    client_token: String,
    experiment_template_id: String,
}

/// Serves until `stopped` turns true.
pub(super) async fn run<I: Injector>(listener: TcpListener, core: Arc<Core<I>>, mut stopped: watch::Receiver<bool>) {
    let router = Router::new().fallback(answer::<I>).with_state(core);
    let until = async move {
        // An error means that the sender is gone, which also ends the server.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
        tracing::error!(%error, "the FIS server ended");
    }
}

async fn answer<I: Injector>(State(core): State<Arc<Core<I>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let done = match to_bytes(body, MAX_REQUEST).await {
        Ok(body) => handle(&core, &parts.method, parts.uri.path(), &body),
        Err(error) => Err(Refused(StatusCode::BAD_REQUEST, "ValidationException", error.to_string())),
    };
    match done {
        Ok(document) => ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response(),
        Err(Refused(status, code, message)) => {
            let mut response =
                (status, [(header::CONTENT_TYPE, "application/json")], json!({ "message": message }).to_string())
                    .into_response();
            let name = HeaderName::from_static("x-amzn-errortype");
            response.headers_mut().insert(name, HeaderValue::from_static(code));
            response
        }
    }
}

fn handle<I: Injector>(core: &Arc<Core<I>>, method: &Method, path: &str, body: &[u8]) -> Result<Value, Refused> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("POST", ["experiments"]) => start(core, body),
        ("GET", ["experiments", id]) => with_experiment(core, id, |_| {}),
        ("DELETE", ["experiments", id]) => {
            with_experiment(core, id, |experiment| experiment.stop("Experiment stopped by user."))
        }
        ("GET", ["experimentTemplates", id]) => match core.templates.iter().find(|template| template.id == *id) {
            Some(found) => Ok(json!({ "experimentTemplate": template(found) })),
            None => Err(missing("experiment template", id)),
        },
        ("GET", ["safetyLevers", id]) => {
            let status = if core.state().lever_engaged { "engaged" } else { "disengaged" };
            Ok(json!({ "safetyLever": { "id": id, "state": { "status": status, "reason": "set in the lab" } } }))
        }
        _ => Err(Refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", format!("{method} {path} is not served"))),
    }
}

fn start<I: Injector>(core: &Arc<Core<I>>, body: &[u8]) -> Result<Value, Refused> {
    let invalid = |error: serde_json::Error| Refused(StatusCode::BAD_REQUEST, "ValidationException", error.to_string());
    let wanted: Start = serde_json::from_slice(body).map_err(invalid)?;
    let known = core.templates.iter().find(|template| template.id == wanted.experiment_template_id);
    let template = known.ok_or_else(|| missing("experiment template", &wanted.experiment_template_id))?;
    let mut state = core.state();
    if let Some(id) = state.tokens.get(&wanted.client_token) {
        let document = state.experiments.get(id).map(Experiment::document);
        return Ok(json!({ "experiment": document }));
    }
    if state.lever_engaged {
        let message = "the safety lever is engaged".to_owned();
        return Err(Refused(StatusCode::CONFLICT, "ConflictException", message));
    }
    let id = format!("EXP{}", &uuid::Uuid::new_v4().simple().to_string()[..14]);
    let asserted = !state.alarm_fires;
    let experiment = if asserted { Experiment::begin(&id, template) } else { Experiment::unsteady(&id, template) };
    let document = experiment.document();
    state.experiments.insert(id.clone(), experiment);
    state.tokens.insert(wanted.client_token, id.clone());
    drop(state);
    if !asserted {
        return Ok(json!({ "experiment": document }));
    }
    let (core, template) = (Arc::clone(core), template.id);
    tokio::spawn(async move {
        let result = core.injector.inject(template).await;
        if let Some(experiment) = core.state().experiments.get_mut(&id) {
            experiment.end(result);
        }
    });
    Ok(json!({ "experiment": document }))
}

fn with_experiment<I>(core: &Core<I>, id: &str, change: impl FnOnce(&mut Experiment)) -> Result<Value, Refused> {
    let mut state = core.state();
    let experiment = state.experiments.get_mut(id).ok_or_else(|| missing("experiment", id))?;
    change(experiment);
    Ok(json!({ "experiment": experiment.document() }))
}

fn missing(what: &str, id: &str) -> Refused {
    Refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", format!("there is no {what} {id}"))
}
