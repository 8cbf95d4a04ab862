//! The reference names every word of the language, and what it shows can be read.

use crate::expectation::EXPECTATIONS;
use crate::fault::FAULTS;
use crate::parse::{STATEMENTS, parse};
use crate::scenario::{Interpreter, Milestone, PlatformDeed, Role, Service, Threshold};
use crate::vocabulary::{Vocabulary, ZONES, actions};
use steadfast_core::episode::RecoveredBy;
use steadfast_core::mode::Mode;
use steadfast_core::topology::Deployment;

const REFERENCE: &str = include_str!("../../../scenarios/README.md");

fn words<T: Vocabulary>() -> impl Iterator<Item = String> {
    T::WORDS.iter().map(|(word, _)| (*word).to_owned())
}

#[test]
fn the_reference_names_every_word() {
    let spelled: Vec<&str> = REFERENCE.split(['`', '\n']).flat_map(str::split_whitespace).collect();
    let mut known: Vec<String> = words::<Mode>()
        .chain(words::<Deployment>())
        .chain(words::<Threshold>())
        .chain(words::<Interpreter>())
        .collect();
    known.extend(words::<Milestone>().chain(words::<Role>()).chain(words::<RecoveredBy>()));
    known.extend(words::<PlatformDeed>().chain(words::<Service>()));
    known.extend(Service::WORDS.iter().flat_map(|(_, service)| actions(*service)).map(|action| (*action).to_owned()));
    known.extend(FAULTS.iter().map(|(word, _)| (*word).to_owned()));
    known.extend(EXPECTATIONS.iter().map(|(word, _)| (*word).to_owned()));
    known.extend(STATEMENTS.iter().map(|(word, _)| (*word).to_owned()));
    known.extend(ZONES.iter().map(|(word, _)| (*word).to_owned()));
    for word in known {
        assert!(
            spelled.contains(&word.as_str()) || spelled.contains(&format!("{word}:").as_str()),
            "{word} is not explained"
        );
    }
}

#[test]
fn every_line_of_the_tables_can_be_read() {
    let meanings = [
        ("INSTANCE", "reader-1"),
        ("TIME", "12s"),
        ("ZONE", "az-b"),
        ("MILESTONE", "called"),
        ("MODE", "shadow"),
        ("SERVICE", "rds"),
        ("TROUBLE", "slow 3s"),
        ("ACTION", "FailoverDBCluster"),
        ("BOUND", "at most 1"),
        ("RULE", "510"),
        ("REASON", "the lab cannot"),
    ];
    let codes =
        REFERENCE.lines().filter(|line| line.starts_with("| `")).flat_map(|line| line.split('`').skip(1).step_by(2));
    let mut read = 0;
    for code in codes {
        let line = meanings.iter().fold(code.to_owned(), |line, (name, meaning)| line.replace(name, meaning));
        let first = line.split(' ').next().unwrap_or_default();
        let statement =
            if FAULTS.iter().any(|(word, _)| *word == first) && line.contains(' ') && !line.contains("fails over") {
                format!("at 0s {line}")
            } else if STATEMENTS.iter().any(|(word, _)| *word == first) && line.contains(' ') {
                line
            } else {
                continue;
            };
        let text = format!("# why\n{statement}\nat 1s freeze writer\nexpect no rule 110\n");
        parse("reference", &text).unwrap_or_else(|errors| panic!("{statement}: {errors}"));
        read += 1;
    }
    assert!(read >= FAULTS.len() + EXPECTATIONS.len(), "only {read} lines were found");
}

#[test]
fn the_example_can_be_read() {
    let example = REFERENCE.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let scenario = parse("example", example).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((scenario.timeline.len(), scenario.expectations.len()), (1, 4));
}
