//! Each invariant is cited once where the code keeps it and once where a test tries to break it.

#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use steadfast_simulation::invariant::Invariant;

const CODE: [&str; 6] = [
    "shared/core/src",
    "shared/aws/src",
    "functions/connection-drainer/src",
    "functions/event-router/src",
    "functions/health-prober/src",
    "functions/promotion-coordinator/src",
];
const TESTS: [&str; 3] = ["shared/core/tests", "tests/simulation/tests", "tests/lab/tests"];

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("citations.rs") {
            into.push(path);
        }
    }
}

/// Who cites each number, in comments alone.
fn citations(folders: &[&str]) -> BTreeMap<usize, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = Vec::new();
    for folder in folders {
        files(&root.join(folder), &mut paths);
    }
    let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let comments: Vec<&str> = text.lines().filter_map(|line| line.trim_start().strip_prefix("//")).collect();
        let comments = comments.join(" ").replace("/ ", " ");
        for number in cited(&comments) {
            found.entry(number).or_default().push(path.display().to_string());
        }
    }
    found
}

fn cited(comments: &str) -> Vec<usize> {
    let bare = |word: &str| word.trim_matches(|c: char| c.is_ascii_punctuation()).to_ascii_lowercase();
    let words: Vec<String> = comments.split_whitespace().map(bare).collect();
    words.windows(2).filter(|pair| pair[0] == "invariant").filter_map(|pair| pair[1].parse().ok()).collect()
}

#[test]
fn a_citation_counts_whatever_stands_around_it() {
    assert_eq!(cited("keeps invariant 3: all, (invariant 9), `Invariant 12`. No invariant holds 4"), [3, 9, 12]);
}

fn each_is_cited_once(folders: &[&str]) {
    let found = citations(folders);
    for invariant in Invariant::ALL {
        let cited = found.get(&invariant.number()).cloned().unwrap_or_default();
        assert_eq!(cited.len(), 1, "{invariant} is cited by {cited:?} in {folders:?}");
    }
    let unknown: Vec<_> = found.keys().filter(|number| !(1..=Invariant::ALL.len()).contains(*number)).collect();
    assert!(unknown.is_empty(), "there is no invariant {unknown:?}");
}

#[test]
fn the_code_says_once_where_it_keeps_each() {
    each_is_cited_once(&CODE);
}

#[test]
fn the_tests_say_once_where_they_try_each() {
    each_is_cited_once(&TESTS);
}
