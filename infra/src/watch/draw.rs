//! Draws the screen, as lines.

use serde::Serialize;
use serde_json::Value;
use steadfast_core::application::Felt;
use steadfast_core::episode::Episode;
use steadfast_core::evidence::{Entry, Kind};
use steadfast_core::mode::Mode;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::Member;
use steadfast_core::witness::WitnessReport;

use super::paint::{Line, Tone, table, wrapped};
use super::practice::{self, Practised};
use super::screen::{Asking, Screen};
use super::seen::{Seen, step};

/// A report that is older does not count any more; the same as the policy's `report_age_max`.
const REPORT_OLD_MS: u128 = 5_000;

/// Everything as of `now`, in at most `height` lines of at most `width` columns.
pub fn draw(screen: &Screen, now: Timestamp, width: u16, height: u16) -> Vec<Line> {
    let (width, height) = (usize::from(width), usize::from(height));
    let Some(seen) = &screen.seen else {
        return vec![Line::of("Looking …", Tone::Plain).cut(width)];
    };
    let mut top = header(seen, now);
    top.extend(instances(seen, now, width));
    let (practice, foot) = (practice(seen, now), footer(screen));
    let left = height.saturating_sub(top.len() + practice.len() + foot.len()).max(3);
    // What is asked stands in place of the episode.
    let middle = ask(screen).unwrap_or_else(|| episode(seen, now, width, left.saturating_sub(1)));
    let blank = left.saturating_sub(middle.len());
    let body = top.into_iter().chain(middle).chain(std::iter::repeat_n(Line::default(), blank)).chain(practice);
    let mut lines: Vec<Line> = body.take(height.saturating_sub(foot.len())).collect();
    lines.extend(foot);
    lines.into_iter().take(height).map(|line| line.cut(width)).collect()
}

fn title(text: &str, tone: Tone) -> Line {
    Line::of(format!("── {text} "), tone).with("─".repeat(200), Tone::Quiet)
}

fn header(seen: &Seen, now: Timestamp) -> Vec<Line> {
    let mode = seen.state.as_ref().map(|state| state.mode);
    let (word, tone) = match mode {
        Ok(Mode::Armed) => ("ARMED", Tone::Good),
        Ok(Mode::Shadow) => ("SHADOW: acts on nothing", Tone::Warning),
        Ok(Mode::Paused) => ("PAUSED", Tone::Bad),
        Err(_) => ("MODE UNKNOWN", Tone::Bad),
    };
    let why = seen.mode_set.as_ref().map(|set| format!(" since {} ({})", ago(set.at, now), set.reason));
    let (state, state_tone) = match seen.diagnosis() {
        Some(diagnosis) => {
            let healthy = name(&diagnosis.writer) == "committing";
            let writer = diagnosis.presumed.map_or_else(|| "nobody".to_owned(), |writer| writer.to_string());
            (format!("writer {writer} is {}", name(&diagnosis.writer)), if healthy { Tone::Good } else { Tone::Bad })
        }
        None => ("nothing is known of the writer".to_owned(), Tone::Bad),
    };
    vec![
        Line::of(format!("Steadfast  {}  ", seen.id), Tone::Strong)
            .with(word, tone)
            .with(why.unwrap_or_default(), Tone::Quiet),
        Line::of(state, state_tone)
            .with(format!("   looked {} at {}", ago(seen.at, now), seen.at.rfc3339()), Tone::Quiet),
    ]
}

fn instances(seen: &Seen, now: Timestamp, width: usize) -> Vec<Line> {
    let mut lines = vec![title("Instances, and what each Availability Zone sees", Tone::Plain)];
    match &seen.topology {
        Ok(topology) => {
            let mut reports: Vec<&WitnessReport> = seen.state.iter().flat_map(|state| &state.reports).collect();
            reports.sort_by(|a, b| a.az.cmp(&b.az));
            let mut heads: Vec<_> = ["instance", "role", "zone", "status", "lag"].map(str::to_owned).into();
            heads.extend(reports.iter().map(|report| format!("{} {}", short(report.az.as_str()), age(report, now))));
            let mut rows = vec![heads.into_iter().map(|head| (head, Tone::Quiet)).collect()];
            rows.extend(topology.members.iter().map(|member| row(member, &reports, now)));
            lines.extend(table(rows));
        }
        Err(error) => lines.extend(wrapped(error, Tone::Bad, width)),
    }
    lines
}

fn row(member: &Member, reports: &[&WitnessReport], now: Timestamp) -> Vec<(String, Tone)> {
    let lag = reports.iter().filter_map(|report| report.sighting(&member.id)?.lag_ms).min();
    let lag = lag.filter(|_| !member.is_writer).map_or_else(|| "-".to_owned(), |lag| format!("{lag} ms"));
    let (role, role_tone) = if member.is_writer { ("writer", Tone::Strong) } else { ("reader", Tone::Plain) };
    let status = if member.is_available() { Tone::Good } else { Tone::Warning };
    let mut cells = vec![
        (member.id.to_string(), Tone::Plain),
        (role.to_owned(), role_tone),
        (member.az.as_ref().map_or_else(|| "?".to_owned(), |az| az.to_string()), Tone::Plain),
        (member.status.clone(), status),
        (lag, Tone::Plain),
    ];
    cells.extend(reports.iter().map(|report| match report.sighting(&member.id) {
        Some(sighting) => {
            let tone = if is_old(report, now) {
                Tone::Quiet
            } else if sighting.outcome.healthy() {
                Tone::Good
            } else {
                Tone::Bad
            };
            (name(&sighting.outcome), tone)
        }
        None => ("-".to_owned(), Tone::Plain),
    }));
    cells
}

fn episode(seen: &Seen, now: Timestamp, width: usize, height: usize) -> Vec<Line> {
    let open = seen.episode().is_some_and(Episode::is_open);
    let mut lines = vec![if open { title("EPISODE OPEN", Tone::Bad) } else { title("Latest episode", Tone::Plain) }];
    match (&seen.state, seen.episode()) {
        (Err(error), _) => lines.extend(wrapped(error, Tone::Bad, width)),
        (Ok(_), None) => lines.push(Line::of("There has been none.", Tone::Quiet)),
        (Ok(_), Some(episode)) => lines.extend(told(episode, &seen.evidence, now, height.saturating_sub(3))),
    }
    lines
}

/// The episode with the latest `entries` of its evidence.
fn told(episode: &Episode, evidence: &[Entry], now: Timestamp, entries: usize) -> Vec<Line> {
    let what = match &episode.plan {
        Some(plan) => format!("switchover from {} to {} ordered", episode.old_writer, plan.target),
        None => format!("writer {} was {}", episode.old_writer, name(&episode.cause)),
    };
    let ended = episode.closed.as_ref().map(|closed| {
        format!("; {} writes, brought back by {}, {}", closed.writer, name(&closed.by), ago(closed.at, now))
    });
    let opened = ago(episode.opened_at, now);
    let mut lines = vec![
        Line::of(format!("{}: {what}, {opened}{}", episode.epoch, ended.unwrap_or_default()), Tone::Plain),
        Line::of("step: ", Tone::Quiet).with(step(episode), Tone::Plain),
    ];
    let skipped = evidence.len().saturating_sub(entries);
    lines.extend(evidence.iter().skip(skipped).map(|entry| {
        Line::of(format!("{:>3} {:>9} ", entry.seq, after(episode.opened_at, entry.at)), Tone::Quiet)
            .with(entry_says(entry), Tone::Plain)
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

fn practice(seen: &Seen, now: Timestamp) -> Vec<Line> {
    let weeks = seen.game_day.as_ref().map_or_else(|| "-".to_owned(), practice::trend);
    vec![
        title("Practice", Tone::Plain),
        practised("last game day", seen.game_day.as_ref().map(practice::of_game_day), now),
        Line::of("weeks: ", Tone::Quiet).with(weeks, Tone::Plain),
        application(seen.application.as_ref()),
        practised("last backup opened", seen.backup.as_ref().map(practice::of_backup), now),
    ]
}

fn application(felt: Option<&Felt>) -> Line {
    let line = Line::of("application, last minute: ", Tone::Quiet);
    match felt {
        Some(felt) => {
            let wrong = felt.audit.map(|audit| audit.wrong());
            let tone = if felt.errors == 0 && wrong == Some(0) { Tone::Good } else { Tone::Bad };
            line.with(practice::of_application(felt), tone)
        }
        None => line.with("no probe reports", Tone::Quiet),
    }
}

fn practised(what: &str, practised: Option<Practised>, now: Timestamp) -> Line {
    let line = Line::of(format!("{what}: "), Tone::Quiet);
    match practised {
        Some(practised) => {
            let tone = if practised.is_good { Tone::Good } else { Tone::Bad };
            line.with(practised.word, tone)
                .with(format!(" {}: {}", ago(practised.at, now), practised.says), Tone::Plain)
        }
        None => line.with("none is recorded", Tone::Warning),
    }
}

fn footer(screen: &Screen) -> Vec<Line> {
    let message = match &screen.ordered {
        Some(_) => Line::of("the order is on its way …", Tone::Warning),
        None => Line::of(screen.message.clone(), Tone::Strong),
    };
    vec![message, Line::of("a arm   p pause   s switch over   r look now   q leave", Tone::Quiet)]
}

/// What is asked; None when nothing is.
fn ask(screen: &Screen) -> Option<Vec<Line>> {
    match &screen.asking {
        Asking::Nothing => None,
        Asking::Target(chosen) => {
            let mut lines = vec![title("Which instance shall write?", Tone::Warning)];
            lines.extend(targets(screen, *chosen));
            Some(lines)
        }
        Asking::Sure(order, typed) => {
            let id = &screen.seen.as_ref()?.id;
            let mut lines = vec![title("Sure?", Tone::Warning), Line::of(order.says(id), Tone::Strong)];
            if order.is_grave() {
                let how = format!("Type the name {id} and press Enter; Esc leaves all as it is.");
                lines.push(Line::of(how, Tone::Plain));
                lines.push(Line::of(format!("> {typed}_"), Tone::Plain));
            } else {
                lines.push(Line::of("y does it; n or Esc leaves all as it is.", Tone::Plain));
            }
            Some(lines)
        }
    }
}

fn targets(screen: &Screen, chosen: usize) -> Vec<Line> {
    let targets = screen.targets();
    let names = std::iter::once("the best candidate".to_owned()).chain(targets.iter().map(ToString::to_string));
    let line = |(at, name): (usize, String)| {
        let (mark, tone) = if at == chosen { ("> ", Tone::Strong) } else { ("  ", Tone::Plain) };
        Line::of(format!("{mark}{name}"), tone)
    };
    let mut lines: Vec<Line> = names.enumerate().map(line).collect();
    lines.push(Line::of("Up and Down choose, Enter goes on, Esc leaves all as it is.", Tone::Quiet));
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
