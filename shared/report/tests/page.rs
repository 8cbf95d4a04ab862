//! The page holds the facts, and nothing that could be taken for markup or needs a network.

#![expect(clippy::expect_used, reason = "a test ends where its ground is missing")]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use steadfast_report::{Counts, Report, ReportError, Verdict, render};
use support::{HOSTILE, entries, failed, passed, recorded, run};

fn page(report: &Report) -> String {
    render(report).expect("renders")
}

#[test]
fn the_headline_says_how_long_and_what_was_lost() {
    assert_eq!(passed().headline.sentence, "Writes stood still for 1.07 s; nothing was lost.");
    assert_eq!(passed().headline.verdict, Verdict::Passed);
    let sentence = failed().headline.sentence;
    assert_eq!(
        sentence,
        "Writes had not all come back when it ended; they stood still for 61.2 s; 2 acknowledged writes were lost."
    );
    assert_eq!(failed().headline.verdict, Verdict::Failed);
    let sentence = recorded().headline.sentence;
    assert!(sentence.starts_with("A commit proved writes again "), "{sentence}");
}

#[test]
fn what_is_not_known_is_not_claimed() {
    let mut uncounted = passed();
    uncounted.runs.iter_mut().for_each(|run| run.counts = None);
    let report = Report::new(uncounted.subject, uncounted.made_at, Vec::new(), uncounted.runs);
    assert!(report.headline.sentence.ends_with("losses were not counted."), "{}", report.headline.sentence);
    let mut unbalanced = run(1, 12);
    unbalanced.counts = Some(Counts { money_conserved: false, ..Counts::default() });
    let report = Report::new(report.subject, report.made_at, Vec::new(), vec![unbalanced]);
    assert!(report.headline.sentence.contains("balances do not add up"), "{}", report.headline.sentence);
}

#[test]
fn a_chain_that_does_not_verify_fails_the_report() {
    let mut run = run(1, 12);
    run.episodes.iter_mut().for_each(|episode| episode.chain.verified = false);
    let passed = passed();
    assert_eq!(Report::new(passed.subject, passed.made_at, Vec::new(), vec![run]).headline.verdict, Verdict::Failed);
}

#[test]
fn the_page_tells_steps_votes_rules_calls_candidates_counts_and_the_hash() {
    let page = page(&passed());
    let hash = entries().last().map(|entry| entry.hash.clone()).expect("there are entries");
    for held in [
        "Writes stood still for 1.07 s; nothing was lost.",
        "+0.693",
        "az-a saw",
        "refused",
        "dead, the platform had its time, and a candidate is safe",
        "it is the writer to be replaced",
        "TargetDBInstanceIdentifier=orders-1",
        "2\u{202f}431",
        "evidence-kill-host-1.json",
        &hash,
    ] {
        assert!(page.contains(held), "{held}");
    }
}

#[test]
fn foreign_text_stays_text_and_nothing_is_loaded() {
    for report in [passed(), failed(), recorded()] {
        let page = page(&report);
        assert!(!page.contains("<script"), "a script");
        assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("url("), "something is loaded");
    }
    let page = page(&failed());
    assert!(page.contains("&lt;script&gt;") && !page.contains(HOSTILE));
}

#[test]
fn without_a_run_or_a_failure_there_is_nothing_to_report() {
    let report = passed();
    let nothing = Report::new(report.subject.clone(), report.made_at, Vec::new(), Vec::new());
    assert!(matches!(render(&nothing), Err(ReportError::Empty)));
    let broke_off = Report::new(report.subject, report.made_at, vec!["run 1: broke off".to_owned()], Vec::new());
    assert!(page(&broke_off).contains("It could not be carried out."));
}

#[test]
fn the_facts_are_the_same_as_json() {
    let report = passed();
    let facts = serde_json::to_value(&report).expect("serialises");
    assert_eq!(facts.pointer("/headline/verdict").and_then(|v| v.as_str()), Some("passed"));
    assert_eq!(facts.pointer("/runs/0/counts/acknowledged").and_then(serde_json::Value::as_u64), Some(2_431));
    assert_eq!(facts.pointer("/runs/0/episodes/0/decisions/0/rule").and_then(serde_json::Value::as_u64), Some(410));
}

/// What the page prints for auditors is itself tried, on evidence as it is and as it was changed.
#[test]
fn the_script_on_the_page_verifies_evidence_and_notices_a_change() {
    let verify = |entries: &[steadfast_core::evidence::Entry]| {
        let text = serde_json::to_string_pretty(entries).expect("serialises");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/page/verify.py");
        let mut python = Command::new("python3")
            .args([script, "/dev/stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3 is one of the programs that setup asks for");
        python.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("takes the evidence");
        python.wait_with_output().expect("ends")
    };
    let mut entries = entries();
    let said = verify(&entries);
    let hash = entries.last().map(|entry| entry.hash.clone()).expect("there are entries");
    assert!(said.status.success() && String::from_utf8_lossy(&said.stdout).contains(&hash), "{said:?}");
    if let Some(entry) = entries.get_mut(2) {
        entry.data = serde_json::json!({ "rule": 640 });
    }
    let said = verify(&entries);
    assert!(
        !said.status.success() && String::from_utf8_lossy(&said.stderr).contains("entry 3 was changed"),
        "{said:?}"
    );
}
