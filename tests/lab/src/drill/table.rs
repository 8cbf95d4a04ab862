//! The result of a drill as a table for the console.

use std::fmt::Write as _;

use super::result::{DrillResult, RunResult, Spread};
use crate::workload::Route;

/// Columns: seconds after the fault, then the outage and the counts.
const HEADS: [&str; 12] = [
    "fault", "detected", "decided", "called", "promoted", "proved", "outage", "slowest", "lost", "twice", "doubt",
    "calls",
];

/// The first column is at least this wide.
const FAULT_WIDTH: usize = 14;

/// Renders the runs, the clients' first good commits and the summary.
pub fn render(result: &DrillResult) -> String {
    let mut text = String::new();
    let rows: Vec<Vec<String>> = result.runs.iter().map(|run| row(&result.fault, run)).collect();
    let width = result.fault.len().saturating_add(2).max(FAULT_WIDTH);
    line(&mut text, &HEADS.map(str::to_owned), width);
    for row in &rows {
        line(&mut text, row, width);
    }
    for (run, number) in result.runs.iter().zip(1..) {
        clients(&mut text, run, number);
        expectations(&mut text, run);
    }
    summary(&mut text, result);
    text
}

fn row(fault: &str, run: &RunResult) -> Vec<String> {
    let free = run.clients.iter().filter(|client| client.route != Route::Pinned);
    let slowest = free.map(|client| client.outage_s).fold(0.0, f64::max);
    vec![
        fault.to_owned(),
        optional(run.detected_s),
        optional(run.decided_s),
        optional(run.called_s),
        optional(run.promoted_s),
        optional(run.proved_s),
        format!("{:.3}", run.outage_s),
        format!("{slowest:.3}"),
        run.lost.to_string(),
        run.duplicated.to_string(),
        run.in_doubt.to_string(),
        run.failover_calls.to_string(),
    ]
}

fn clients(text: &mut String, run: &RunResult, number: u32) {
    let commits: Vec<String> = run
        .clients
        .iter()
        .map(|client| format!("{} {}", route(client.route), optional(client.first_good_commit_s)))
        .collect();
    push(text, format_args!("run {number}, first good commit per client: {}", commits.join(", ")));
    push(text, format_args!("       {}", episode(run)));
}

fn episode(run: &RunResult) -> String {
    if run.detected_s.is_none() {
        return "no episode was opened".to_owned();
    }
    let rules: Vec<String> = run.rules.iter().map(u64::to_string).collect();
    format!(
        "{} -> {}, by {}; rules {}; evidence {} ({})",
        run.old_writer,
        run.new_writer.as_deref().unwrap_or("none"),
        run.recovered_by.map_or("nobody".to_owned(), |by| format!("{by:?}").to_lowercase()),
        rules.join(", "),
        if run.chain_verified { "verified" } else { "NOT VERIFIED" },
        run.evidence_file.display()
    )
}

fn expectations(text: &mut String, run: &RunResult) {
    let held = run.expectations.iter().filter(|judged| judged.held == Some(true)).count();
    let asked = run.expectations.iter().filter(|judged| judged.held.is_some()).count();
    push(text, format_args!("       {held} of {asked} expectations held{}", unasked(run.expectations.len() - asked)));
    for judged in run.expectations.iter().filter(|judged| judged.held == Some(false)) {
        push(text, format_args!("       DID NOT HOLD: {}; seen: {}", judged.expectation, judged.seen));
    }
}

fn unasked(number: usize) -> String {
    match number {
        0 => String::new(),
        number => format!("; {number} not asked, since another platform was chosen than the scenario's"),
    }
}

fn route(route: Route) -> &'static str {
    match route {
        Route::Instances => "instances",
        Route::ClusterEndpoint => "cluster-dns",
        Route::Pinned => "pinned",
    }
}

fn summary(text: &mut String, result: &DrillResult) {
    let summary = &result.summary;
    push(text, format_args!("outage   min/median/max: {}", spread(summary.outage_s)));
    push(text, format_args!("detected min/median/max: {}", spread(summary.detected_s)));
    push(
        text,
        format_args!(
            "lost {}, applied twice {}, in doubt {}, application errors {}, failover calls {}",
            summary.lost, summary.duplicated, summary.in_doubt, summary.application_errors, summary.failover_calls
        ),
    );
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "-".to_owned(),
        |spread| format!("{:.3} / {:.3} / {:.3} s", spread.min, spread.median, spread.max),
    )
}

fn optional(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.3}"))
}

fn line(text: &mut String, cells: &[String], first: usize) {
    let mut row = String::new();
    for (index, cell) in cells.iter().enumerate() {
        let width = if index == 0 { first } else { 9 };
        let padded = if index == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
        row.push_str(&padded);
    }
    push(text, format_args!("{row}"));
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String never fails.
    let _written = writeln!(text, "{line}");
}
