//! An event, and what the router does with it.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::Value;
use steadfast_core::hint::{self, Event, Hint, Order, RdsHint};
use steadfast_core::rds_event::Meaning;
use steadfast_core::route::{self, Dropped, Route};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment};

use super::read::Place;
use super::words::{name, shown};

/// A router that meets the events in the order of the text, each at the moment it was sent.
#[derive(Debug, Default)]
pub(super) struct Router {
    handled: BTreeMap<String, Place>,
}

impl Router {
    /// One line for each event in the payload.
    pub(super) fn explain(&mut self, place: &Place, payload: &Value) -> Vec<String> {
        let events = hint::events(payload);
        events.iter().map(|event| format!("{place}: {}", self.one(place, payload, event))).collect()
    }

    fn one(&mut self, place: &Place, payload: &Value, event: &Event) -> String {
        let sent = event.envelope.time.as_deref().and_then(Timestamp::parse).unwrap_or_default();
        let named = payload.get("cluster").and_then(Value::as_str).map(str::to_owned);
        let own = own_cluster(&event.hint).map(str::to_owned);
        let cluster = ClusterId::new(named.clone().or_else(|| own.clone()).unwrap_or_default());
        let said = said(&event.hint);
        if let Some(stale) = route::stale(&event.hint, &event.envelope, sent) {
            return format!("{said} -> {}", consequence(&Route::dropped(stale)));
        }
        let id = event.envelope.id.as_ref();
        if let Some(before) = id.and_then(|id| self.handled.get(id)) {
            return format!("{said} -> {}: the event of {before}", consequence(&Route::dropped(Dropped::Duplicate)));
        }
        let route = route::choose(&event.hint, &cluster, Deployment::Cluster);
        if let Some(id) = id.filter(|_| route.dropped.is_none()) {
            self.handled.insert(id.clone(), place.clone());
        }
        let others = match (route.dropped, own) {
            (Some(Dropped::Foreign), None) => "; it names no cluster".to_owned(),
            (None, Some(_)) => "; the router of another cluster drops it".to_owned(),
            (_, _) => instances(&event.hint, named, &route),
        };
        format!("{said} -> {}{others}{}", consequence(&route), aside(&event.hint))
    }
}

/// The cluster that an event is about, if it says so. A blue/green deployment's stands in its message alone.
fn own_cluster(hint: &Hint) -> Option<&str> {
    let Hint::Rds(hint) = hint else { return None };
    match hint.source_type.as_str() {
        "CLUSTER" => Some(hint.identifier.as_str()).filter(|name| !name.is_empty()),
        kind if kind == "BLUE_GREEN_DEPLOYMENT" || hint.meaning == Meaning::Switchover => {
            route::names_in(hint.message.split_once("DB cluster ")?.1).next()
        }
        _ => None,
    }
}

/// What the routers of Multi-AZ DB instances make of an event that is about an instance.
fn instances(hint: &Hint, named: Option<String>, of_cluster: &Route) -> String {
    let Hint::Rds(event) = hint else { return String::new() };
    if event.source_type != "DB_INSTANCE" || event.identifier.is_empty() {
        return String::new();
    }
    let ours = ClusterId::new(named.unwrap_or_else(|| event.identifier.clone()));
    let route = route::choose(hint, &ours, Deployment::Instance);
    if route == *of_cluster {
        return "; the router of another Multi-AZ DB instance drops it".to_owned();
    }
    format!("; if {} is a Multi-AZ DB instance: {}", shown(ours.as_str()), consequence(&route))
}

/// What the router wrote down about an event it met.
pub(super) fn logged(data: &Value) -> Result<String, String> {
    let part = |name: &str| data.get(name).unwrap_or(&Value::Null);
    let hint = Hint::deserialize(part("hint")).map_err(|error| format!("no hint in it: {error}"))?;
    let route = Route::deserialize(part("route")).map_err(|error| format!("no route in it: {error}"))?;
    Ok(format!("the router met {} -> {}", said(&hint), consequence(&route)))
}

fn said(hint: &Hint) -> String {
    match hint {
        Hint::Rds(hint) => rds(hint),
        Hint::Alarm { name, state } => format!("alarm {} is {}", shown(name), shown(state)),
        Hint::Experiment { id, status } => format!("experiment {} is {}", shown(id), shown(status)),
        Hint::Rotation { secret, what } => format!("{} of secret {}", shown(what), shown(secret)),
        Hint::Tick => "a schedule's tick".to_owned(),
        Hint::Suspicion { az, instance } => {
            format!("the prober of {} suspects {}", shown(az.as_str()), shown(instance.as_str()))
        }
        Hint::Operator(Order::SetMode { mode, reason }) => {
            format!("an operator's order: mode {}, because: {}", name(mode), shown(reason))
        }
        Hint::Operator(Order::Switchover { target, reason }) => {
            let target =
                target.as_ref().map_or_else(|| "the best candidate".to_owned(), |target| shown(target.as_str()));
            format!("an operator's order: switchover to {target}, because: {}", shown(reason))
        }
        Hint::Unknown { source, detail_type } if source.is_empty() && detail_type.is_empty() => {
            "not understood".to_owned()
        }
        Hint::Unknown { source, detail_type } => {
            format!("not understood: {} from {}", shown(detail_type), shown(source))
        }
    }
}

fn rds(hint: &RdsHint) -> String {
    let id = hint.id.as_deref().map_or_else(|| "RDS event without an id".to_owned(), shown);
    let target = hint.target.as_ref().map(|target| format!(", target {target}")).unwrap_or_default();
    format!(
        "{id} {} of {} {}{target}, \"{}\"",
        name(&hint.meaning),
        shown(&hint.source_type),
        shown(&hint.identifier),
        shown(&hint.message)
    )
}

fn consequence(route: &Route) -> String {
    if let Some(because) = route.dropped {
        let why = match because {
            Dropped::Duplicate => "it was handled before",
            Dropped::Stale => "it happened too long before it was sent",
            Dropped::Replayed => "an archive replays it",
            Dropped::Foreign => "it is of another cluster",
            Dropped::Unknown => "the router does not know what to do with it",
        };
        return format!("dropped, {why}");
    }
    let wakes = if route.wakes { "wakes the coordinator" } else { "wakes nobody" };
    match &route.notice {
        Some(notice) => format!("{wakes}, tells people ({})", notice.severity.as_str()),
        None => format!("{wakes}, tells nobody"),
    }
}

fn aside(hint: &Hint) -> &'static str {
    match hint {
        Hint::Operator(_) => "; the coordinator obeys it when it is invoked with it",
        Hint::Rds(_)
        | Hint::Alarm { .. }
        | Hint::Experiment { .. }
        | Hint::Rotation { .. }
        | Hint::Tick
        | Hint::Suspicion { .. }
        | Hint::Unknown { .. } => "",
    }
}
