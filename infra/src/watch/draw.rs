//! Draws the screen. Colours only underline what the words say already.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, Wrap};
use serde::Serialize;
use serde_json::Value;
use steadfast_core::episode::Episode;
use steadfast_core::evidence::{Entry, Kind};
use steadfast_core::mode::Mode;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::Member;
use steadfast_core::witness::WitnessReport;

use super::screen::{Asking, Screen};
use super::seen::{Record, Seen, step};

/// A report that is older does not count any more; the same as the policy's `report_age_max`.
const REPORT_OLD_MS: u128 = 5_000;
/// As many entries of evidence as fit below the episode.
const ENTRIES: usize = 8;

const GOOD: Style = Style::new().fg(Color::Green);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const WARNING: Style = Style::new().fg(Color::Yellow);
const QUIET: Style = Style::new().fg(Color::DarkGray);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws everything as of `now`.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen, now: Timestamp) {
    let area = frame.area();
    let Some(seen) = &screen.seen else {
        frame.render_widget(Paragraph::new("Looking …"), area);
        return;
    };
    let members = seen.topology.as_ref().map_or(1, |topology| topology.members.len().max(1));
    let [head, instances, episode, assurance, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(u16::try_from(members).unwrap_or(1).saturating_add(3)),
        Constraint::Min(6),
        Constraint::Length(4),
        Constraint::Length(2),
    ])
    .areas(area);
    header(frame, head, seen, now);
    self::instances(frame, instances, seen, now);
    self::episode(frame, episode, seen, now);
    self::assurance(frame, assurance, seen, now);
    footer(frame, foot, screen);
    ask(frame, area, screen);
}

fn header(frame: &mut Frame<'_>, area: Rect, seen: &Seen, now: Timestamp) {
    let mode = seen.state.as_ref().map(|state| state.mode);
    let (word, style) = match mode {
        Ok(Mode::Armed) => ("ARMED", GOOD),
        Ok(Mode::Shadow) => ("SHADOW: acts on nothing", WARNING),
        Ok(Mode::Paused) => ("PAUSED", BAD),
        Err(_) => ("MODE UNKNOWN", BAD),
    };
    let why = seen.mode_set.as_ref().map(|set| format!(" since {} ({})", ago(set.at, now), set.reason));
    let (state, state_style) = match seen.diagnosis() {
        Some(diagnosis) => {
            let healthy = name(&diagnosis.writer) == "committing";
            let writer = diagnosis.presumed.map_or_else(|| "nobody".to_owned(), |writer| writer.to_string());
            (format!("writer {writer} is {}", name(&diagnosis.writer)), if healthy { GOOD } else { BAD })
        }
        None => ("nothing is known of the writer".to_owned(), BAD),
    };
    let lines = vec![
        Line::from(vec![
            Span::styled(format!("Steadfast  {}", seen.id), STRONG),
            Span::raw("  "),
            Span::styled(word, style),
            Span::styled(why.unwrap_or_default(), QUIET),
        ]),
        Line::from(vec![
            Span::styled(state, state_style),
            Span::styled(format!("   looked {} at {}", ago(seen.at, now), seen.at.rfc3339()), QUIET),
        ]),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

fn instances(frame: &mut Frame<'_>, area: Rect, seen: &Seen, now: Timestamp) {
    let block = Block::bordered().title(" Instances, and what each Availability Zone sees ");
    let topology = match &seen.topology {
        Ok(topology) => topology,
        Err(error) => {
            frame.render_widget(Paragraph::new(Span::styled(error, BAD)).wrap(Wrap::default()).block(block), area);
            return;
        }
    };
    let mut reports: Vec<&WitnessReport> = seen.state.iter().flat_map(|state| &state.reports).collect();
    reports.sort_by(|a, b| a.az.cmp(&b.az));
    let mut heads =
        vec!["instance".to_owned(), "role".to_owned(), "zone".to_owned(), "status".to_owned(), "lag".to_owned()];
    heads.extend(reports.iter().map(|report| format!("{} {}", short(report.az.as_str()), age(report, now))));
    let rows = topology.members.iter().map(|member| row(member, &reports, now));
    let mut widths = vec![
        Constraint::Fill(3),
        Constraint::Length(6),
        Constraint::Fill(3),
        Constraint::Fill(3),
        Constraint::Length(7),
    ];
    widths.extend(reports.iter().map(|_| Constraint::Fill(3)));
    let table = Table::new(rows, widths).header(Row::new(heads).style(QUIET)).block(block);
    frame.render_widget(table, area);
}

fn row<'r>(member: &Member, reports: &[&WitnessReport], now: Timestamp) -> Row<'r> {
    let lag = reports.iter().filter_map(|report| report.sighting(&member.id)?.lag_ms).min();
    let role = if member.is_writer { Cell::from(Span::styled("writer", STRONG)) } else { Cell::from("reader") };
    let status = Span::styled(member.status.clone(), if member.is_available() { GOOD } else { WARNING });
    let mut cells = vec![
        Cell::from(member.id.to_string()),
        role,
        Cell::from(member.az.as_ref().map_or_else(|| "?".to_owned(), |az| az.to_string())),
        Cell::from(status),
        Cell::from(lag.filter(|_| !member.is_writer).map_or_else(|| "-".to_owned(), |lag| format!("{lag} ms"))),
    ];
    cells.extend(reports.iter().map(|report| match report.sighting(&member.id) {
        Some(sighting) => {
            let style = if is_old(report, now) {
                QUIET
            } else if sighting.outcome.healthy() {
                GOOD
            } else {
                BAD
            };
            Cell::from(Span::styled(name(&sighting.outcome), style))
        }
        None => Cell::from("-"),
    }));
    Row::new(cells)
}

fn episode(frame: &mut Frame<'_>, area: Rect, seen: &Seen, now: Timestamp) {
    let open = seen.episode().is_some_and(Episode::is_open);
    let title = if open { " EPISODE OPEN " } else { " Latest episode " };
    let block = Block::bordered().title(title).border_style(if open { BAD } else { Style::new() });
    let lines = match (&seen.state, seen.episode()) {
        (Err(error), _) => vec![Line::styled(error.clone(), BAD)],
        (Ok(_), None) => vec![Line::styled("There has been none.", QUIET)],
        (Ok(_), Some(episode)) => told(episode, &seen.evidence, now),
    };
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), area);
}

fn told<'l>(episode: &Episode, evidence: &[Entry], now: Timestamp) -> Vec<Line<'l>> {
    let what = match &episode.plan {
        Some(plan) => format!("switchover from {} to {} ordered", episode.old_writer, plan.target),
        None => format!("writer {} was {}", episode.old_writer, name(&episode.cause)),
    };
    let ended = episode.closed.as_ref().map(|closed| {
        format!("; {} writes, brought back by {}, {}", closed.writer, name(&closed.by), ago(closed.at, now))
    });
    let mut lines = vec![
        Line::from(format!("{}: {what}, {}{}", episode.epoch, ago(episode.opened_at, now), ended.unwrap_or_default())),
        Line::from(vec![Span::styled("step: ", QUIET), Span::raw(step(episode))]),
    ];
    let skipped = evidence.len().saturating_sub(ENTRIES);
    lines.extend(evidence.iter().skip(skipped).map(|entry| {
        Line::from(vec![
            Span::styled(format!("{:>3} {:>9} ", entry.seq, after(episode.opened_at, entry.at)), QUIET),
            Span::raw(entry_says(entry)),
        ])
    }));
    lines
}

fn entry_says(entry: &Entry) -> String {
    let text = |pointer: &str| match entry.data.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => other.to_string(),
    };
    match entry.kind {
        Kind::Opened => format!("opened: {}", text("/cause")),
        Kind::Adopted => format!("adopted under epoch {}", text("/lease_epoch")),
        Kind::Decided => format!("rule {}: {}", text("/rule"), text("/says")),
        Kind::Intended => format!("intends {} {}{}", text("/action"), text("/target"), text("/demoted")),
        Kind::Answered => format!("{}: {}", text("/action"), text("/result")),
        Kind::Proved => format!("proved by a commit on {}", text("/writer")),
        Kind::Closed => format!("closed: {} writes", text("/writer")),
    }
}

fn assurance(frame: &mut Frame<'_>, area: Rect, seen: &Seen, now: Timestamp) {
    let block = Block::bordered().title(" Practice ");
    let lines = vec![
        record("last game day", seen.drill.as_ref(), "none is recorded", now),
        record("last verified backup", seen.backup.as_ref(), "none is recorded", now),
    ];
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn record<'l>(what: &str, record: Option<&Record>, none: &str, now: Timestamp) -> Line<'l> {
    let label = Span::styled(format!("{what}: "), QUIET);
    match record {
        Some(record) => {
            let style = if matches!(record.verdict.as_str(), "passed" | "verified") { GOOD } else { BAD };
            let says = if record.says.is_empty() { String::new() } else { format!(": {}", record.says) };
            Line::from(vec![
                label,
                Span::styled(record.verdict.clone(), style),
                Span::raw(format!(" {}{says}", ago(record.at, now))),
            ])
        }
        None => Line::from(vec![label, Span::styled(none.to_owned(), WARNING)]),
    }
}

fn footer(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let message = match &screen.ordered {
        Some(_) => Line::styled("the order is on its way …", WARNING),
        None => Line::styled(screen.message.clone(), STRONG),
    };
    let keys = Line::styled("a arm   p pause   s switch over   r look now   q leave", QUIET);
    frame.render_widget(Paragraph::new(vec![message, keys]), area);
}

/// What is asked lies over everything else.
fn ask(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let (title, lines) = match &screen.asking {
        Asking::Nothing => return,
        Asking::Target(chosen) => (" Which instance shall write? ", targets(screen, *chosen)),
        Asking::Sure(order, typed) => {
            let Some(seen) = &screen.seen else { return };
            let says = Line::styled(order.says(&seen.id), STRONG);
            let how = if order.is_grave() {
                Line::from(format!("Type the name {} and press Enter; Esc leaves all as it is.", seen.id))
            } else {
                Line::from("y does it; n or Esc leaves all as it is.")
            };
            let typed = if order.is_grave() { Line::from(format!("> {typed}▏")) } else { Line::default() };
            (" Sure? ", vec![says, how, typed])
        }
    };
    let height = u16::try_from(lines.len()).unwrap_or(3).saturating_add(2).min(area.height);
    let width = area.width.saturating_sub(8).clamp(20, 78).min(area.width);
    let place = Rect {
        x: area.x + area.width.saturating_sub(width) / 2,
        y: area.y + area.height.saturating_sub(height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(title).border_style(WARNING);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), place);
}

fn targets<'l>(screen: &Screen, chosen: usize) -> Vec<Line<'l>> {
    let names =
        std::iter::once("the best candidate".to_owned()).chain(screen.targets().iter().map(ToString::to_string));
    let mut lines: Vec<Line<'l>> = names
        .enumerate()
        .map(|(at, name)| {
            let (mark, style) = if at == chosen { ("> ", STRONG) } else { ("  ", Style::new()) };
            Line::styled(format!("{mark}{name}"), style)
        })
        .collect();
    lines.push(Line::styled("Up and Down choose, Enter goes on, Esc leaves all as it is.", QUIET));
    lines
}

/// The name that a value has in our JSON, with spaces.
fn name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name.replace('_', " "),
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

fn is_old(report: &WitnessReport, now: Timestamp) -> bool {
    now.since(report.at).as_millis() > REPORT_OLD_MS
}

fn age(report: &WitnessReport, now: Timestamp) -> String {
    if is_old(report, now) { format!("(old: {})", ago(report.at, now)) } else { String::new() }
}

/// The last part of a zone's name tells them apart.
fn short(az: &str) -> &str {
    az.rsplit_once('-').map_or(az, |(_, last)| last)
}

fn after(from: Timestamp, at: Timestamp) -> String {
    format!("+{:.3} s", at.since(from).as_secs_f64())
}

/// How long ago, such as `3 min ago`.
fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(at).as_secs();
    match seconds {
        0 => "just now".to_owned(),
        1..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
