//! Turns any event into a typed hint, drops duplicates and stale ones, wakes the coordinator,
//! tells people by severity.
//!
//! Woken by: EventBridge (RDS, CloudWatch alarms, FIS, Secrets Manager), alarms directly. Writes:
//! a mark per handled event. Never fails on an unknown event, and trusts no payload: whoever is
//! woken looks for itself.

mod setup;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use steadfast_aws::{clock, log, startup};
use steadfast_core::hint::{self, Event, Wake};
use steadfast_core::metric;
use steadfast_core::route::{self, Dropped, Route};

use setup::Setup;

pub(crate) const FUNCTION: &str = "event-router";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = startup::ready(Setup::from_environment()).await;
    lambda_runtime::run(service_fn(|event| handle(&setup, event))).await
}

/// Routes every event of the payload; answers with the route, or with all of them.
async fn handle(setup: &Setup, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let mut routes = Vec::new();
    for event in hint::events(&event.payload) {
        routes.push(handle_one(setup, event).await?);
    }
    match routes.as_slice() {
        [route] => Ok(json!(route)),
        routes => Ok(json!(routes)),
    }
}

async fn handle_one(setup: &Setup, event: Event) -> Result<Route, Error> {
    let Event { envelope, hint } = event;
    let route = match route::stale(&hint, &envelope, clock::now()) {
        Some(reason) => Route::dropped(reason),
        None if was_handled(setup, envelope.id.as_deref()).await => Route::dropped(Dropped::Duplicate),
        None => route::choose(&hint, &setup.cluster, setup.deployment),
    };
    let dropped = u64::from(route.dropped.is_some());
    log::audit(FUNCTION, "hint", &json!({ "event": envelope.id, "hint": hint, "route": route }));
    log::measure(&[(metric::CLUSTER, setup.cluster.as_str())], &[(metric::HINTS, 1), (metric::HINTS_DROPPED, dropped)]);
    if let Some(notice) = &route.notice
        && let Err(error) = setup.topic.notify(notice).await
    {
        log::audit(FUNCTION, "notice_failed", &json!({ "error": error.to_string() }));
    }
    if route.wakes {
        let wake = Wake { cluster: setup.cluster.clone(), hint };
        setup.coordinator.wake(&wake).await?;
    }
    // Marked last: an event that failed half way is handled again when Lambda retries it.
    if let Some(event) = envelope.id.filter(|_| route.dropped.is_none())
        && let Err(error) = setup.table.mark_handled(&event, clock::now(), setup::REMEMBER).await
    {
        log::audit(FUNCTION, "state_lost", &json!({ "error": error.to_string() }));
    }
    Ok(route)
}

/// Whether this event was handled before. When the table does not answer it counts as new: a hint
/// too many only makes somebody look.
async fn was_handled(setup: &Setup, event: Option<&str>) -> bool {
    let Some(event) = event else {
        return false;
    };
    match setup.table.was_handled(event).await {
        Ok(handled) => handled,
        Err(error) => {
            log::audit(FUNCTION, "state_lost", &json!({ "error": error.to_string() }));
            false
        }
    }
}
