//! What was asked of others, by the evidence and by the control plane's own log.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::table::{cell, section, table};
use crate::facts::{Call, Run};
use crate::words::{count, moment};

/// What the evidence says was asked and answered.
pub(super) fn requests(run: &Run) -> Markup {
    let asked: Vec<_> = run.episodes.iter().flat_map(|episode| &episode.requests).collect();
    if asked.is_empty() {
        return html! {};
    }
    let rows: Vec<Vec<Markup>> = asked
        .iter()
        .map(|request| {
            vec![
                cell(moment(request.at_s)),
                cell(request.action.replace('_', " ")),
                cell(&request.about),
                cell(request.answer.as_deref().unwrap_or("no answer")),
                cell(request.answered_s.map_or_else(|| "–".to_owned(), moment)),
            ]
        })
        .collect();
    let columns =
        [("intended at, s", true), ("action", false), ("about", false), ("answer", false), ("answered at, s", true)];
    let inner = html! {
        p { "Each intention was written before anything was asked, and each answer after it." }
        (table("Actions", &columns, &rows))
    };
    section("actions", "What Steadfast asked for", &inner)
}

/// What arrived at the control plane.
pub(super) fn calls(run: &Run) -> Markup {
    if run.calls.is_empty() {
        return html! {};
    }
    let changing: Vec<Vec<Markup>> = run.calls.iter().filter(|call| call.changes).map(row).collect();
    let columns = [("at, s", true), ("action", false), ("parameters", false), ("outcome", false), ("took, ms", true)];
    let all: Vec<Vec<Markup>> = run.calls.iter().map(row).collect();
    let inner = html! {
        @if changing.is_empty() {
            p { "No call changed anything. " (read(run)) }
        } @else {
            p { "By the control plane's own log. " (read(run)) }
            (table("Calls that change something", &columns, &changing))
        }
        details {
            summary { "All " (count(run.calls.len() as u64)) " calls" }
            (table("All calls", &columns, &all))
        }
    };
    section("calls", "Calls at the control plane", &inner)
}

fn row(call: &Call) -> Vec<Markup> {
    let parameters: Vec<String> = call.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    vec![
        cell(moment(call.at_s)),
        cell(&call.action),
        html! { code { (parameters.join(" ")) } },
        cell(&call.outcome),
        cell(count(call.took_ms)),
    ]
}

/// How often it was only asked.
fn read(run: &Run) -> String {
    let mut reads: BTreeMap<&str, u64> = BTreeMap::new();
    for call in run.calls.iter().filter(|call| !call.changes) {
        let known = reads.entry(&call.action).or_default();
        *known = known.saturating_add(1);
    }
    if reads.is_empty() {
        return String::new();
    }
    let listed: Vec<String> = reads.iter().map(|(action, times)| format!("{action} ({times})")).collect();
    format!("Calls that only read: {}.", listed.join(", "))
}
