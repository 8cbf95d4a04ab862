//! A report of evidence alone, as anybody can export it.

use std::path::Path;

use steadfast_core::time::Timestamp;
use steadfast_report::{Kind, Report, Subject};

use crate::explain::{self, ExplainError};

/// The report of all episodes in a text; `file` is where it was read.
///
/// # Errors
///
/// When there is no evidence in it, or an entry cannot be read.
pub fn of_evidence(text: &str, file: &Path, made_at: Timestamp) -> Result<Report, ExplainError> {
    let episodes = explain::evidence(text)?;
    let single = episodes.len() == 1;
    let place = episodes.iter().flatten().next().map(|entry| format!("Cluster {}", entry.cluster));
    let episodes: Vec<_> = episodes.into_iter().map(|entries| (entries, Some(file.to_owned()))).collect();
    let runs = steadfast_report::of_evidence(&episodes);
    let broken = |run: &steadfast_report::Run| {
        let chains = run.episodes.iter().filter_map(|episode| Some((episode.epoch, episode.chain.because.clone()?)));
        chains.map(|(epoch, why)| format!("the evidence of episode {epoch} does not verify: {why}")).collect::<Vec<_>>()
    };
    let failures = runs.iter().flat_map(broken).collect();
    let name = match runs.first().and_then(|run| run.episodes.first()).filter(|_| single) {
        Some(episode) => format!("episode {} of {}", episode.epoch, episode.cluster),
        None => format!("{} episodes", runs.len()),
    };
    let subject = Subject {
        kind: Kind::Episode,
        name,
        about:
            "From the evidence alone: what witnesses, rules and the control plane said. What applications saw is not \
                part of it."
                .to_owned(),
        place: place.unwrap_or_default(),
    };
    Ok(Report::new(subject, made_at, failures, runs))
}

#[cfg(test)]
mod tests {
    use steadfast_report::Verdict;

    use super::*;

    const EVIDENCE: &str = include_str!("explain/examples/evidence.json");

    fn report(text: &str) -> Result<Report, ExplainError> {
        of_evidence(text, Path::new("evidence.json"), Timestamp::default())
    }

    #[test]
    fn a_report_tells_every_episode_of_the_file_and_that_it_verifies() {
        let report = report(EVIDENCE).expect("there is evidence");
        assert_eq!((report.headline.verdict, report.runs.len()), (Verdict::Recorded, 2));
        let rules = |run: &steadfast_report::Run| -> Vec<u64> {
            run.episodes.iter().flat_map(|episode| &episode.decisions).map(|decided| decided.rule).collect()
        };
        assert_eq!(rules(&report.runs[1]), [410, 550, 430, 640, 420, 330]);
        let page = steadfast_report::render(&report).expect("renders");
        assert!(page.contains(report.headline.sentence.as_str()), "the headline");
        assert!(!page.contains("<script"), "no script");
    }

    #[test]
    fn the_page_of_one_episode_tells_why_and_what_was_asked_for() {
        let mut entries: Vec<serde_json::Value> = serde_json::from_str(EVIDENCE).expect("JSON");
        entries.retain(|entry| entry["epoch"] == 3);
        let report = report(&serde_json::to_string(&entries).expect("JSON")).expect("there is evidence");
        let page = steadfast_report::render(&report).expect("renders");
        for held in [
            "dead, the platform had its time, and a candidate is safe",
            "it is the writer to be replaced",
            "FailoverDBCluster",
            &report.runs[0].episodes[0].chain.hash,
        ] {
            assert!(page.contains(held), "{held}");
        }
    }

    #[test]
    fn evidence_that_was_changed_fails_and_says_which_entry() {
        let report = report(&EVIDENCE.replacen("orders-3", "orders-9", 1)).expect("it can be read");
        assert_eq!(report.headline.verdict, Verdict::Failed);
        assert!(report.failures[0].contains("entry 1 was changed"), "{:?}", report.failures);
    }

    #[test]
    fn a_text_without_evidence_or_with_a_hole_in_it_gives_no_report() {
        assert_eq!(report("{\"source\":\"aws.rds\"}"), Err(ExplainError::NoEvidence));
        assert!(matches!(
            report(&EVIDENCE.replacen("\"kind\":\"opened\"", "\"kind\":1", 1)),
            Err(ExplainError::Hole(_))
        ));
    }
}
