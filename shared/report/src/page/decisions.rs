//! What the witnesses said, which rule decided, and who could take over.

use maud::{Markup, html};

use super::table::{cell, section, table};
use crate::decided::{Candidate, Decided};
use crate::episode::Episode;
use crate::facts::Run;
use crate::words::{duration, moment};

/// The decisions of one episode.
pub(super) fn decisions(run: &Run, episode: &Episode) -> Markup {
    let several = run.episodes.len() > 1;
    let heading = if several {
        format!("Why: episode {}, votes and rules", episode.epoch)
    } else {
        "Why: votes and rules".to_owned()
    };
    let id = format!("why-{}", episode.epoch);
    let inner = html! {
        p { (told(episode)) }
        (votes(episode))
        (candidates(episode))
    };
    section(&id, &heading, &inner)
}

fn told(episode: &Episode) -> String {
    let opened = match &episode.order {
        Some(reason) => format!("An operator ordered a switchover away from {} ({reason})", episode.old_writer),
        None => format!("Writer {} was found {}", episode.old_writer, episode.cause),
    };
    let ended = match (&episode.new_writer, &episode.recovered_by) {
        (Some(writer), Some(by)) => {
            let by = match by.as_str() {
                "steadfast" => "Steadfast's own call brought the writes back",
                "platform" => "the platform brought the writes back",
                "itself" => "the writer came back by itself",
                _ => "somebody brought the writes back",
            };
            format!("{by}, and {writer} writes")
        }
        _ => "no commit has proved its end".to_owned(),
    };
    format!("{opened}; Steadfast was {}. In the end {ended}. First matching rule wins.", episode.mode)
}

fn votes(episode: &Episode) -> Markup {
    let mut zones: Vec<&str> = Vec::new();
    for said in episode.decisions.iter().flat_map(|decided| &decided.votes) {
        if !zones.contains(&said.az.as_str()) {
            zones.push(&said.az);
        }
    }
    zones.sort_unstable();
    let heads: Vec<String> = zones.iter().map(|az| format!("{az} saw")).collect();
    let mut columns =
        vec![("at, s", true), ("rule", true), ("orders", false), ("because", false), ("writer is", false)];
    columns.extend(heads.iter().map(|head| (head.as_str(), false)));
    let rows: Vec<Vec<Markup>> = episode.decisions.iter().map(|decided| row(decided, &zones)).collect();
    table("Decisions and votes", &columns, &rows)
}

fn row(decided: &Decided, zones: &[&str]) -> Vec<Markup> {
    let differs = decided.same_today == Some(false);
    let mut cells = vec![
        cell(moment(decided.at_s)),
        html! { strong { (decided.rule) } },
        cell(&decided.verdict),
        html! {
            span.says { (decided.says) }
            @if differs { " " span.mark.bad { "the rules of this build decide otherwise" } }
        },
        cell(&decided.state),
    ];
    cells.extend(zones.iter().map(|az| match decided.votes.iter().find(|said| said.az == *az) {
        Some(said) => html! {
            (said.outcome)
            small { "for " (duration(said.lasted_s)) }
            @if let Some(why) = &said.ignored { small { "not counted: " (why) } }
        },
        None => cell("–"),
    }));
    cells
}

/// Who was in question at the decision that moved the role, or at the last one that weighed anybody.
fn candidates(episode: &Episode) -> Markup {
    let moves =
        |decided: &&Decided| matches!(decided.verdict.as_str(), "fail over" | "switch over" | "would fail over");
    let weighed = |decided: &&Decided| !decided.candidates.is_empty();
    let found = episode.decisions.iter().find(moves).or_else(|| episode.decisions.iter().rfind(weighed));
    let Some(decided) = found.filter(|decided| !decided.candidates.is_empty()) else { return html! {} };
    let chosen = if moves(&decided) { "chosen" } else { "would be chosen" };
    let rows: Vec<Vec<Markup>> = decided.candidates.iter().map(|it| candidate(it, chosen)).collect();
    let columns = [("instance", false), ("verdict", false), ("reason", false)];
    html! {
        h3 { "Who could take over, by rule " (decided.rule) " at " (moment(decided.at_s)) " s" }
        (table("Candidates", &columns, &rows))
    }
}

fn candidate(candidate: &Candidate, chosen: &'static str) -> Vec<Markup> {
    let (word, class, reason) = match (&candidate.refused, candidate.chosen) {
        (Some(why), _) => ("refused", "bad", why.as_str()),
        (None, true) => (chosen, "good", "available, seen by a quorum, not lagging, and first in order of preference"),
        (None, false) => ("fit as well", "none", "next in order of preference"),
    };
    vec![cell(&candidate.instance), html! { span.mark.(class) { (word) } }, cell(reason)]
}
