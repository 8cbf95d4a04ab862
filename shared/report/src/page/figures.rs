//! The few numbers that matter most.

use maud::{Markup, html};

use crate::facts::{Report, Run};
use crate::words::{count, duration};

struct Figure {
    name: &'static str,
    value: String,
    note: String,
    bad: bool,
}

pub(super) fn figures(report: &Report, run: &Run) -> Markup {
    let figures: Vec<Figure> = [times(run), counts(report, run)].into_iter().flatten().collect();
    html! {
        dl.figures {
            @for figure in &figures {
                div class=[figure.bad.then_some("bad")] {
                    dt { (figure.name) }
                    dd.value { (figure.value) }
                    @if !figure.note.is_empty() { dd.note { (figure.note) } }
                }
            }
        }
    }
}

fn times(run: &Run) -> Vec<Figure> {
    let figure = |name, value, note: &str| Figure { name, value, note: note.to_owned(), bad: false };
    let at = |name: &str| run.phases.iter().find(|phase| phase.name == name).map(|phase| duration(phase.at_s));
    let mut figures = Vec::new();
    if let Some(outage) = run.outage {
        let name = if run.is_planned() { "Writes waited" } else { "Writes stood still" };
        let note = "the longest time without a commit of any client";
        figures.push(figure(name, duration(outage.lasted_s()), note));
    }
    if let Some(detected) = at("detected") {
        figures.push(figure("Detected after", detected, "a quorum of Availability Zones agreed"));
    }
    if let Some(proved) = at(crate::phases::PROVED) {
        figures.push(figure("Proved after", proved, "a canary commit on the new writer"));
    }
    figures
}

fn counts(report: &Report, run: &Run) -> Vec<Figure> {
    let counts = run.counts.unwrap_or_default();
    let calls: u64 = run.calls.iter().filter(|call| crate::phases::is_promotion(&call.action)).count() as u64;
    let figure = |name, number: u64, note: String, bad| Figure { name, value: count(number), note, bad };
    if run.counts.is_some() {
        let audited = format!("of {} acknowledged writes", count(counts.acknowledged));
        let committed = format!("{} of them had been committed", count(counts.in_doubt_committed));
        let doubt = if counts.in_doubt == 0 { "no COMMIT went unanswered".to_owned() } else { committed };
        let there = "writes are in the database more than once";
        let twice = if counts.duplicated == 0 { "no write is there more than once" } else { there }.to_owned();
        return vec![
            figure("Lost", counts.lost, audited, counts.lost > 0),
            figure("Applied twice", counts.duplicated, twice, counts.duplicated > 0),
            figure("In doubt", counts.in_doubt, doubt, false),
            figure("Failover calls", calls, "each moves the writer".to_owned(), false),
        ];
    }
    let of_runs = report.runs.iter().flat_map(|run| &run.episodes);
    let (mut acknowledged, mut lost, mut entries) = (0, 0, 0);
    for episode in of_runs {
        acknowledged += episode.canaries.iter().map(|canary| canary.acknowledged).sum::<u64>();
        lost += episode.canary_lost();
        entries += episode.chain.entries;
    }
    vec![
        figure("Canary commits lost", lost, format!("of {} acknowledged", count(acknowledged)), lost > 0),
        figure("Entries of evidence", entries, "each holds the hash of the one before".to_owned(), false),
    ]
}
