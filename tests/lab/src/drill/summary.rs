//! All drills in one table, for the console and as markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::result::{DrillResult, Spread};

/// Times are in seconds, counts are sums over the runs.
const HEADS: [&str; 11] =
    ["scenario", "runs", "detected", "outage min", "median", "max", "calls", "lost", "twice", "app errors", "rules"];
/// The last column, beside a number of failures.
const VERDICT: &str = "verdict";

/// Renders them for the console.
pub fn render_all(results: &[DrillResult]) -> String {
    let rows: Vec<Vec<String>> = std::iter::once(heads()).chain(results.iter().map(row)).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=HEADS.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths.iter().copied()).zip(0_usize..).map(|((cell, width), column)| {
            if is_text(column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        push(&mut text, cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    push(&mut text, &passed(results));
    text
}

/// Renders them as a table in markdown.
pub(super) fn markdown(results: &[DrillResult]) -> String {
    let mut text = String::new();
    let rule = (0..=HEADS.len()).map(|column| if is_text(column) { "---" } else { "---:" });
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    push(&mut text, &line(heads()));
    push(&mut text, &line(rule.map(str::to_owned).collect()));
    for result in results {
        push(&mut text, &line(row(result)));
    }
    text
}

/// How many of them met their expectations.
fn passed(results: &[DrillResult]) -> String {
    let passed = results.iter().filter(|result| result.failures.is_empty()).count();
    format!("{passed} of {} scenarios met all that they expect", results.len())
}

fn heads() -> Vec<String> {
    HEADS.iter().chain([&VERDICT]).map(|head| (*head).to_owned()).collect()
}

fn is_text(column: usize) -> bool {
    column == 0 || column >= HEADS.len() - 1
}

fn row(result: &DrillResult) -> Vec<String> {
    let summary = &result.summary;
    let outage = |of: fn(Spread) -> f64| seconds(summary.outage_s.map(of));
    vec![
        result.fault.clone(),
        result.runs.len().to_string(),
        seconds(summary.detected_s.map(|spread| spread.median)),
        outage(|spread| spread.min),
        outage(|spread| spread.median),
        outage(|spread| spread.max),
        summary.failover_calls.to_string(),
        summary.lost.to_string(),
        summary.duplicated.to_string(),
        summary.application_errors.to_string(),
        rules(result),
        verdict(result),
    ]
}

/// The rules that the evidence names, each where it came up first.
fn rules(result: &DrillResult) -> String {
    let mut seen = BTreeSet::new();
    let all = result.runs.iter().flat_map(|run| &run.rules);
    let distinct: Vec<String> = all.filter(|rule| seen.insert(**rule)).map(u64::to_string).collect();
    if distinct.is_empty() { "-".to_owned() } else { distinct.join(" ") }
}

/// What a failure on a machine that stands still is worth shows beside it.
fn verdict(result: &DrillResult) -> String {
    let late = result.runs.iter().map(|run| run.machine_late_s).reduce(f64::max);
    match (result.failures.len(), late) {
        (0, _) => "passed".to_owned(),
        (failures, None) => format!("FAILED: {failures}"),
        (failures, Some(late)) => format!("FAILED: {failures} (machine late by {late:.2} s)"),
    }
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2}"))
}

fn push(text: &mut String, line: &str) {
    // Writing to a String never fails.
    let _written = writeln!(text, "{line}");
}
