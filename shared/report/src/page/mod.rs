//! The page: HTML with everything in it, for screens, telephones and paper.

mod clients;
mod decisions;
mod evidence;
mod figures;
mod requests;
mod runs;
mod table;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::facts::{Kind, Report, Run};
use crate::headline::Verdict;
use crate::{ReportError, chart};

const STYLE: &str = include_str!("style.css");

/// Renders the page.
///
/// # Errors
///
/// When there is neither a run nor a failure to tell, or a chart cannot be drawn.
pub fn render(report: &Report) -> Result<String, ReportError> {
    if report.runs.is_empty() && report.failures.is_empty() {
        return Err(ReportError::Empty);
    }
    let body = match report.shown() {
        Some(run) => in_full(report, run)?,
        None => html! {},
    };
    let title = format!("{} · {}", report.subject.name, report.headline.sentence);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(chart::style())) }
            }
            body {
                a.skip href="#main" { "Skip to the report" }
                (head(report))
                main #main {
                    (failures(report))
                    (body)
                }
                (foot(report))
            }
        }
    };
    Ok(page.into_string())
}

fn head(report: &Report) -> Markup {
    let subject = &report.subject;
    let (kind, badge, class) = match (subject.kind, report.headline.verdict) {
        (Kind::Drill, Verdict::Passed | Verdict::Recorded) => ("Drill", "Passed: everything expected held", "good"),
        (Kind::GameDay, Verdict::Passed | Verdict::Recorded) => ("Game day", "Passed: the hypothesis held", "good"),
        (Kind::Episode, Verdict::Passed | Verdict::Recorded) => ("Episode", "The evidence verifies", "good"),
        (Kind::Drill, Verdict::Failed) => ("Drill", "Failed: see what did not hold", "bad"),
        (Kind::GameDay, Verdict::Failed) => ("Game day", "Failed: see what did not hold", "bad"),
        (Kind::Episode, Verdict::Failed) => ("Episode", "The evidence does not verify", "bad"),
    };
    html! {
        header {
            p.eyebrow { "Steadfast · " (kind) " · " (subject.name) }
            h1 { (report.headline.sentence) }
            p.badge.(class) { (badge) }
            @if !subject.about.is_empty() { p.about { (subject.about) } }
            @if let Some(run) = report.shown() {
                p.meta {
                    (subject.place) ". Seconds count from " (run.zero) ", "
                    time datetime=(run.zero_at.rfc3339()) { (run.zero_at.rfc3339()) } "."
                }
            }
        }
    }
}

fn failures(report: &Report) -> Markup {
    html! {
        @if !report.failures.is_empty() {
            section aria-labelledby="failures" {
                h2 #failures { "What did not hold" }
                ul.failures { @for failure in &report.failures { li { (failure) } } }
            }
        }
    }
}

/// Everything about one run.
fn in_full(report: &Report, run: &Run) -> Result<Markup, ReportError> {
    Ok(html! {
        (figures::figures(report, run))
        (runs::runs(report, run))
        (runs::steps(run)?)
        (clients::commits(run)?)
        (clients::each(run)?)
        (clients::counts(run))
        (runs::injected(run))
        @for episode in &run.episodes { (decisions::decisions(run, episode)) }
        (requests::requests(run))
        (requests::calls(run))
        (runs::expectations(run))
        (evidence::evidence(report, run))
    })
}

fn foot(report: &Report) -> Markup {
    html! {
        footer {
            p {
                "Made by Steadfast on " (report.made_at.rfc3339()) ". The page holds no script and loads nothing; "
                "the same facts stand beside it as JSON."
            }
        }
    }
}
