//! The runs, their steps, what was injected and what was expected.

use maud::{Markup, html};

use super::table::{cell, section, table};
use crate::ReportError;
use crate::chart;
use crate::facts::{Report, Run};
use crate::words::{count, moment};

/// All runs in one table, where there are several.
pub(super) fn runs(report: &Report, shown: &Run) -> Markup {
    if report.runs.len() < 2 {
        return html! {};
    }
    let at = |run: &Run, name: &str| run.phases.iter().find(|phase| phase.name == name).map(|phase| phase.at_s);
    let rows: Vec<Vec<Markup>> = report
        .runs
        .iter()
        .map(|run| {
            let counts = run.counts.unwrap_or_default();
            let counted = |number: u64| cell(if run.counts.is_some() { count(number) } else { "–".to_owned() });
            vec![
                cell(run.number.to_string()),
                cell(run.zero_at.rfc3339()),
                cell(at(run, "detected").map_or_else(|| "–".to_owned(), moment)),
                cell(at(run, crate::phases::PROVED).map_or_else(|| "–".to_owned(), moment)),
                cell(format!("{:.3}", run.outage_s())),
                counted(counts.lost),
                counted(counts.duplicated),
                counted(counts.in_doubt),
            ]
        })
        .collect();
    let columns = [
        ("run", true),
        ("began", false),
        ("detected, s", true),
        ("proved, s", true),
        ("outage, s", true),
        ("lost", true),
        ("twice", true),
        ("in doubt", true),
    ];
    let inner = html! {
        p { "Everything below is about run " (shown.number) ", the one with the longest outage." }
        (table("All runs", &columns, &rows))
    };
    section("runs", "All runs", &inner)
}

/// From the failure to the proof.
pub(super) fn steps(run: &Run) -> Result<Markup, ReportError> {
    if run.phases.is_empty() {
        return Ok(section("steps", "What Steadfast did", &html! { p { "No episode was opened." } }));
    }
    let mut before = 0.0;
    let rows: Vec<Vec<Markup>> = run
        .phases
        .iter()
        .map(|phase| {
            let took = phase.at_s - before;
            before = phase.at_s;
            vec![cell(&phase.name), cell(moment(phase.at_s)), cell(moment(took)), html! { span.says { (phase.says) } }]
        })
        .collect();
    let columns = [("step", false), ("at, s", true), ("after the step before, s", true), ("what it means", false)];
    let drawn = chart::steps(run)?;
    let inner = html! {
        @if let Some(drawn) = drawn { figure { (drawn) } }
        (table("Steps", &columns, &rows))
    };
    Ok(section("steps", "From the failure to the proof", &inner))
}

/// What was made to fail.
pub(super) fn injected(run: &Run) -> Markup {
    if run.injected.is_empty() {
        return html! {};
    }
    let rows: Vec<Vec<Markup>> =
        run.injected.iter().map(|fault| vec![cell(moment(fault.at_s)), cell(&fault.what)]).collect();
    section("injected", "What was injected", &table("What was injected", &[("at, s", true), ("what", false)], &rows))
}

/// What was expected.
pub(super) fn expectations(run: &Run) -> Markup {
    if run.expectations.is_empty() {
        return html! {};
    }
    let rows: Vec<Vec<Markup>> = run
        .expectations
        .iter()
        .map(|expected| {
            let (word, class) = match expected.held {
                Some(true) => ("held", "good"),
                Some(false) => ("did not hold", "bad"),
                None => ("not asked", "none"),
            };
            vec![cell(&expected.expectation), html! { span.mark.(class) { (word) } }, cell(&expected.seen)]
        })
        .collect();
    let columns = [("expected", false), ("verdict", false), ("seen", false)];
    section("expected", "What was expected", &table("Expectations", &columns, &rows))
}
