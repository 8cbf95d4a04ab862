//! The scenarios that ship.

use std::path::{Path, PathBuf};

use crate::{LoadError, find, load, parse};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

#[test]
fn every_scenario_that_ships_can_be_read_and_says_what_it_expects() {
    let scenarios = load(&shipped()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!scenarios.is_empty());
    assert!(scenarios.is_sorted_by(|left, right| left.name < right.name));
    for scenario in scenarios {
        assert!(!scenario.expectations.is_empty(), "{} expects nothing", scenario.name);
        let again = parse(&scenario.name, &scenario.to_string()).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(again.to_string(), scenario.to_string());
    }
}

/// A folder of its own that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("steadfast-scenarios-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        for (file, text) in files {
            std::fs::write(path.join(file), text).expect("a file");
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn the_errors_of_all_files_are_told_together() {
    let files = [
        ("b.txt", "# b\nat 0s freze writer\n"),
        ("a-.txt", "at 0s freeze writer\n"),
        ("README.md", ""),
        (".b.swp", ""),
    ];
    let folder = Folder::with("wrong", &files);
    let told = load(&folder.0).expect_err("wrong").to_string();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].starts_with("a-.txt:1: `a-`: is no name of a scenario"), "{told}");
    assert!(lines[1].starts_with("a-.txt:1: `#`: the reason for the scenario is missing"), "{told}");
    assert_eq!(lines[2], "b.txt:2: `freze`: is not a fault; did you mean `freeze`?");
}

#[test]
fn a_file_that_would_be_passed_over_is_refused() {
    let folder = Folder::with("stranger", &[("kill-host.text", "# why\nat 0s kill-host writer\n")]);
    let error = load(&folder.0).expect_err("a stranger");
    assert!(matches!(&error, LoadError::Stranger { path } if path.ends_with("kill-host.text")), "{error}");
    let error = load(&folder.0.join("missing")).expect_err("no folder");
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn one_scenario_is_found_by_its_name_whatever_lies_beside_it() {
    let files =
        [("kill-host.txt", "# why\nat 0s kill-host writer\nexpect lost 0\n"), ("broken.txt", "at 0s explode\n")];
    let folder = Folder::with("found", &files);
    assert_eq!(find(&folder.0, "kill-host").expect("found").name, "kill-host");
    assert!(matches!(find(&folder.0, "broken"), Err(LoadError::Wrong(_))));
    for (name, remedy) in
        [("kil-host", "did you mean `kill-host`?"), ("../kill-host", "kill-host"), ("fire", "broken, kill-host")]
    {
        let error = find(&folder.0, name).expect_err("unknown").to_string();
        assert!(error.contains(remedy), "{error}");
    }
}
