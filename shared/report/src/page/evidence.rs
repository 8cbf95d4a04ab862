//! The evidence, and how anybody can verify it.

use std::path::Path;

use maud::{Markup, html};

use super::table::{cell, section, table};
use crate::episode::Episode;
use crate::facts::{Report, Run};
use crate::words::{count, moment};

/// Verifies a chain without Steadfast.
const SCRIPT: &str = include_str!("verify.py");

/// All chains of the run; of other runs, their verdict.
pub(super) fn evidence(report: &Report, run: &Run) -> Markup {
    if run.episodes.is_empty() {
        return section("evidence", "Evidence", &html! { p { "No episode was opened, so there is no evidence." } });
    }
    let others: Vec<&Episode> =
        report.runs.iter().filter(|other| other.number != run.number).flat_map(|run| &run.episodes).collect();
    let inner = html! {
        @for episode in &run.episodes { (chain(episode)) }
        @if !others.is_empty() { (verdicts(&others)) }
        (how(run))
        @for episode in &run.episodes { (entries(episode)) }
    };
    section("evidence", "Evidence, and how to verify it", &inner)
}

fn chain(episode: &Episode) -> Markup {
    let chain = &episode.chain;
    html! {
        p {
            @if chain.verified {
                span.mark.good { "verifies" }
            } @else {
                span.mark.bad { "does not verify" }
            }
            " Episode " (episode.epoch) " of " (episode.cluster) ": " (count(chain.entries)) " entries. "
            @if let Some(why) = &chain.because { (why) ". " }
            @if chain.compared {
                "The last hash is the one that the state table holds."
            } @else {
                "Compare the last hash with the one that the state table or the closing notice holds: only that shows "
                "that no entry is missing at the end."
            }
        }
        dl.hash {
            dt { "Hash of the last entry (SHA-256)" }
            dd { code { (chain.hash) } }
            @if let Some(file) = &episode.file {
                dt { "File" }
                dd { code { (file.display()) } }
            }
        }
    }
}

fn verdicts(episodes: &[&Episode]) -> Markup {
    let rows: Vec<Vec<Markup>> = episodes
        .iter()
        .map(|episode| {
            let (word, class) = if episode.chain.verified { ("verifies", "good") } else { ("does not verify", "bad") };
            let file = episode.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            vec![
                html! { span.mark.(class) { (word) } },
                cell(count(episode.chain.entries)),
                html! { code { (episode.chain.hash) } },
                html! { code { (file) } },
            ]
        })
        .collect();
    let columns = [("verdict", false), ("entries", true), ("hash of the last entry", false), ("file", false)];
    table("Evidence of the other runs", &columns, &rows)
}

fn how(run: &Run) -> Markup {
    let file = run.episodes.iter().find_map(|episode| episode.file.as_deref());
    let file = file.unwrap_or_else(|| Path::new("evidence.json")).display().to_string();
    html! {
        p {
            "Each entry holds the hash of the one before it, so that a changed, missing or reordered entry shows. The "
            "hash is SHA-256 over the entry as JSON without its " code { "hash" } ", with sorted keys and no white "
            "space. With Steadfast, " code { "make explain EVENTS=" (file) } " verifies it, says what each entry means, "
            "and decides every recorded decision again. Without Steadfast:"
        }
        div.scroll role="group" aria-label="A script that verifies the evidence" tabindex="0" {
            pre { code { (SCRIPT) } }
        }
        p { "Saved as " code { "verify.py" } ", it is started with " code { "python3 verify.py " (file) } "." }
    }
}

fn entries(episode: &Episode) -> Markup {
    let rows: Vec<Vec<Markup>> = episode
        .entries
        .iter()
        .map(|entry| {
            let short: String = entry.hash.chars().take(12).collect();
            vec![
                cell(entry.seq.to_string()),
                cell(moment(entry.at_s)),
                cell(&entry.kind),
                html! { span.says { (entry.says) } },
                html! { code title=(entry.hash) { (short) } },
            ]
        })
        .collect();
    let columns = [("entry", true), ("at, s", true), ("kind", false), ("what it says", false), ("hash begins", false)];
    html! {
        details {
            summary { "All " (count(episode.chain.entries)) " entries of episode " (episode.epoch) }
            (table(&format!("Entries of episode {}", episode.epoch), &columns, &rows))
        }
    }
}
