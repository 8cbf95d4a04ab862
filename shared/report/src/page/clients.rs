//! What the clients saw, and what the database held afterwards.

use maud::{Markup, html};

use super::table::{cell, section, table};
use crate::ReportError;
use crate::chart;
use crate::facts::Run;
use crate::words::{count, moment};

/// A pause of a client that counts as a stall, in seconds.
const STALL_S: f64 = 0.5;

/// Commits per second.
pub(super) fn commits(run: &Run) -> Result<Markup, ReportError> {
    let Some(drawn) = chart::rate(run)? else { return Ok(html! {}) };
    let inner = html! {
        figure {
            (drawn)
            figcaption.legend {
                span { span.key.commit {} "acknowledged commits per second, all clients" }
                span { span.key.outage {} "no commit at all" }
                span { span.key.failed {} "errors" }
            }
        }
    };
    Ok(section("commits", "Commits per second", &inner))
}

/// Client by client.
pub(super) fn each(run: &Run) -> Result<Markup, ReportError> {
    let (Some(load), Some(drawn)) = (&run.load, chart::clients(run)?) else { return Ok(html! {}) };
    let optional = |at: Option<f64>| cell(at.map_or_else(|| "–".to_owned(), moment));
    let rows: Vec<Vec<Markup>> = load
        .clients
        .iter()
        .map(|client| {
            vec![
                cell((client.number + 1).to_string()),
                cell(&client.route),
                cell(client.longest.map_or_else(|| "–".to_owned(), |pause| format!("{:.3}", pause.lasted_s()))),
                cell(client.stalls(STALL_S).to_string()),
                optional(client.first_good_commit_s),
                cell(count(client.acknowledged_s.len() as u64)),
                cell(count(client.failed_s.len() as u64)),
                cell(count(client.in_doubt_s.len() as u64)),
                cell(count(client.refused_connections)),
                cell(count(client.evicted)),
            ]
        })
        .collect();
    let columns = [
        ("client", true),
        ("finds the writer by", false),
        ("longest stall, s", true),
        ("stalls over 0.5 s", true),
        ("works again at, s", true),
        ("committed", true),
        ("failed", true),
        ("in doubt", true),
        ("refused connections", true),
        ("evicted", true),
    ];
    let inner = html! {
        figure {
            (drawn)
            figcaption.legend {
                span { span.key.dot.commit {} "an acknowledged commit" }
                span { span.key.cross {} "a failed transfer" }
                span { span.key.ring {} "a COMMIT without an answer" }
                span { span.key.line {} "the failure, and each step above" }
            }
        }
        (table("Clients", &columns, &rows))
    };
    Ok(section("clients", "What each client saw", &inner))
}

/// What the database held.
pub(super) fn counts(run: &Run) -> Markup {
    let Some(counts) = run.counts else { return html! {} };
    let row = |what: &str, number: String, means: &str| vec![cell(what), cell(number), cell(means)];
    let rows = vec![
        row("acknowledged", count(counts.acknowledged), "The client has the answer to its COMMIT."),
        row("lost", count(counts.lost), "Acknowledged, and not in the database afterwards."),
        row("applied twice", count(counts.duplicated), "In the database more than once."),
        row("in doubt", count(counts.in_doubt), "COMMIT was sent, and no answer came."),
        row(
            "of these, committed",
            count(counts.in_doubt_committed),
            "In the database all the same: a blind retry would have doubled each.",
        ),
        row("failed", count(counts.failed), "Failed for certain, before the COMMIT or by its answer."),
        row("of these, applied", count(counts.failed_but_applied), "In the database against the client's knowledge."),
        row(
            "canary commits lost",
            count(counts.canary_lost),
            "Acknowledged to a prober, and not held by the new writer.",
        ),
    ];
    let sum = if counts.money_conserved {
        "Every balance equals its opening balance plus all transfers in, minus all transfers out."
    } else {
        "BALANCES DO NOT ADD UP."
    };
    let columns = [("writes", false), ("number", true), ("meaning", false)];
    let inner = html! {
        p { "Afterwards every key that a client had written was looked up in the database. " (sum) }
        (table("Writes", &columns, &rows))
    };
    section("counts", "What became of every write", &inner)
}
