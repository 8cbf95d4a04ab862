//! What `sim` says and how it ends where a wrong success would deceive somebody.

#![expect(clippy::expect_used, reason = "a test ends where its ground is missing")]

use std::path::{Path, PathBuf};
use std::process::Command;

const EVIDENCE: &str = include_str!("../src/explain/examples/evidence.json");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of this text, for one test alone.
fn file(name: &str, text: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("writes");
    path.to_string_lossy().into_owned()
}

/// How it ended, and all that it said.
fn sim(arguments: &[&str]) -> (Option<i32>, String) {
    sim_in(&root(), arguments)
}

fn sim_in(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).current_dir(folder).output().expect("runs");
    let said = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn evidence_that_was_changed_fails_whoever_explains_it() {
    assert_eq!(sim(&["explain", &file("whole.json", EVIDENCE)]).0, Some(0));
    let (code, said) = sim(&["explain", &file("changed.json", &EVIDENCE.replacen("orders-3", "orders-9", 1))]);
    assert!(code == Some(1) && said.contains("THE CHAIN DOES NOT VERIFY"), "{code:?} {said}");
    // What is left verifies, but an entry at the end of a chain is none any more.
    for (from, to) in [("\"kind\":\"closed\"", "\"kind\":\"clossed\""), ("\"seq\":13", "\"seq\":\"13\"")] {
        let changed = EVIDENCE.replace(from, to);
        assert_ne!(changed, EVIDENCE);
        let (code, said) = sim(&["explain", &file("damaged.json", &changed)]);
        assert!(code == Some(1) && said.contains("an evidence entry that is damaged"), "{code:?} {said}");
    }
}

#[test]
fn a_text_of_which_nothing_can_be_explained_is_no_success() {
    for (name, text) in [("blank.json", ""), ("words.json", "hello"), ("none.json", "{\"Items\":[]}")] {
        let (code, said) = sim(&["explain", &file(name, text)]);
        assert_eq!(code, Some(2), "{said}");
    }
}

#[test]
fn a_campaign_that_would_try_nothing_is_refused_and_leaves_the_last_summary() {
    let summary = file("summary.json", "kept");
    for option in ["--seeds", "--seconds"] {
        let (code, said) = sim(&["run", option, "0", "--output", &summary]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&format!("'0' for '{option}")) && said.contains("write 1 or more"), "{said}");
    }
    assert_eq!(std::fs::read_to_string(&summary).expect("there"), "kept");
}

#[test]
fn a_scenario_that_is_not_there_is_told_with_the_nearest_or_all() {
    for (name, remedy) in [("kill-hots", "did you mean `kill-host`?"), ("fire", "write one of: all-connections")] {
        let (code, said) = sim(&["scenario", &format!("tests/scenarios/{name}.txt")]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&format!("{name:?} is no scenario")) && said.contains(remedy), "{said}");
    }
    let (_, said_within) = sim_in(&root().join("tests/scenarios"), &["scenario", "kill-hots.txt"]);
    assert!(said_within.contains("did you mean `kill-host`?"), "{said_within}");
    let (code, said) = sim(&["scenario", "nowhere/kill-host.txt"]);
    assert!(code == Some(2) && said.contains("name a file that can be read"), "{said}");
}

#[test]
fn a_disturbance_is_repeated_by_its_word_and_a_wrong_one_is_refused() {
    let disturbed = |text: &str| sim(&["scenario", "tests/scenarios/kill-host.txt", "--disturb", text]);
    let (code, said) = disturbed("17:lost-and-stalled");
    assert!(code == Some(0) && !said.contains("FAILED"), "{code:?} {said}");
    assert!(said.contains("port call 17 is disturbed: lost-and-stalled"), "{said}");
    let (code, said) = disturbed("9999:lost");
    assert!(code == Some(1) && said.contains("there is no port call 9999 to disturb"), "{code:?} {said}");
    for wrong in ["17", "0:lost", "x:lost", "17:sometimes"] {
        let (code, said) = disturbed(wrong);
        assert!(code == Some(2) && said.contains("write a port call from 1"), "{code:?} {said}");
    }
}
