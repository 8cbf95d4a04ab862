//! The simulated year of game days: how each week ends, what is never done twice, and what people are told.

#![expect(clippy::expect_used, reason = "a test ends where its ground is missing")]

use std::collections::{BTreeMap, BTreeSet};

use steadfast_core::evidence::{self, Entry, Kind};
use steadfast_core::game_day::plan::{Record, Stage};
use steadfast_core::game_day::week::End;
use steadfast_core::notice::{Notice, Severity};
use steadfast_core::topology::ClusterId;
use steadfast_simulation::year::{Turn, Year, ordered, year};

fn ends(year: &Year) -> Vec<(Turn, End)> {
    let end = |slot| year.end(slot).expect("every week is remembered");
    year.told.iter().map(|told| (told.turn, end(told.slot))).collect()
}

#[test]
fn every_week_of_the_year_ends_as_it_should() {
    for (turn, end) in ends(&year()) {
        let expected: &[End] = match turn {
            Turn::Quiet | Turn::StartUnanswered | Turn::SkippedThenDone => &[End::Passed],
            Turn::Frozen
            | Turn::Paused
            | Turn::EpisodeOpen
            | Turn::Lagging
            | Turn::Maintenance
            | Turn::StaleBackup
            | Turn::Unwhole
            | Turn::WitnessSilent
            | Turn::AlarmFiring
            | Turn::Unguarded
            | Turn::LeverEngaged
            | Turn::ApplicationSilent
            | Turn::StartRefused => &[End::Skipped],
            Turn::StateUnreadable | Turn::ScheduleLost => &[End::Missed],
            Turn::ApplicationFails
            | Turn::TooSlow
            | Turn::Doubled
            | Turn::EvidenceMissing
            | Turn::NobodyCanMeasure
            | Turn::ExperimentFails => &[End::Failed],
            Turn::StopConditionFires | Turn::WritesLost => &[End::Stopped],
            // A template is started again under the same token; a statement is never sent again.
            Turn::DiesAfterIntention => &[End::Passed, End::Failed],
        };
        assert!(expected.contains(&end), "{turn:?} ended {end}");
    }
}

#[test]
fn no_slot_has_more_than_one_experiment_whatever_happens() {
    let year = year();
    for told in &year.told {
        let (slot, turn) = (told.slot, told.turn);
        assert!(year.sent.iter().filter(|known| **known == slot).count() <= 1, "{turn:?}: a statement was sent twice");
        let token = slot.token(&ClusterId::new("orders"), 0);
        let refused_before = matches!(turn, Turn::Frozen | Turn::Paused | Turn::StaleBackup | Turn::Unguarded);
        assert!(!(refused_before && year.started.contains_key(&token)), "{turn:?}: something was broken all the same");
        let more = year.started.contains_key(&slot.token(&ClusterId::new("orders"), 1));
        assert!(!more || turn == Turn::AlarmFiring, "{turn:?}: a second token for one slot");
    }
}

#[test]
fn whatever_is_not_a_success_is_told_and_the_second_barren_week_calls_a_person() {
    let year = year();
    let mut barren = 0;
    for (told, (_, end)) in year.told.iter().zip(&ends(&year)) {
        barren = if *end == End::Passed { 0 } else { barren + 1 };
        // What was missed is told in the week after.
        if *end == End::Missed {
            continue;
        }
        let about = format!("game day {} {end}", told.slot);
        let notices: Vec<&Notice> = told.notices.iter().filter(|notice| notice.subject.contains(&about)).collect();
        let expected = match end {
            End::Passed => Severity::Info,
            End::Failed | End::Stopped => Severity::Critical,
            End::Skipped | End::Missed if barren > 1 => Severity::Critical,
            End::Skipped | End::Missed => Severity::Warning,
        };
        assert!(notices.iter().any(|notice| notice.severity == expected), "{told:?}");
    }
    let missed: BTreeSet<&str> = year
        .told
        .iter()
        .flat_map(|told| &told.notices)
        .filter(|notice| notice.subject.ends_with("missed"))
        .map(|notice| notice.subject.as_str())
        .collect();
    assert_eq!(missed.len(), 4, "{missed:?}");
}

#[test]
fn every_experiment_stands_in_the_evidence_before_it_and_its_chain_comes_to_an_end() {
    let year = year();
    assert_eq!(year.unannounced, Vec::<String>::new());
    let mut chains: BTreeMap<u64, Vec<Entry>> = BTreeMap::new();
    for entry in &year.evidence {
        chains.entry(entry.epoch).or_default().push(entry.clone());
    }
    assert!(chains.len() >= year.started.len() && !chains.is_empty(), "{} chains", chains.len());
    for chain in chains.values() {
        evidence::verify(chain).expect("it verifies");
        let ends = (chain.first().map(|entry| entry.kind), chain.last().map(|entry| entry.kind));
        assert_eq!(ends, (Some(Kind::Intended), Some(Kind::Closed)), "{chain:#?}");
    }
}

#[test]
fn lost_writes_end_the_experiment_at_once() {
    let alone = ordered(Turn::WritesLost, Some("failover"));
    let week = alone.outcome.expect("conducted").week.expect("ended");
    assert_eq!(week.end, End::Stopped);
    assert!(alone.stop_requests > 0 && week.says.contains("lost"), "{week:?}");
}

#[test]
fn a_stop_condition_is_named_as_what_ended_it() {
    let week = ordered(Turn::StopConditionFires, Some("crash")).outcome.expect("conducted").week.expect("ended");
    assert!(week.end == End::Stopped && week.says.contains("stop condition"), "{week:?}");
}

#[test]
fn what_fis_ends_before_it_begins_costs_nothing_and_may_be_ordered_again() {
    let alone = ordered(Turn::AlarmFiring, Some("failover"));
    let week = alone.outcome.expect("conducted").week.expect("recorded");
    assert!(week.end == End::Skipped && week.says.starts_with("920 "), "{week:?}");
    let record = alone.record.expect("a record");
    assert_eq!((record.attempt, record.stage), (1, Stage::Over));
}

#[test]
fn an_experiment_that_does_not_exist_is_named_with_those_that_do() {
    let alone = ordered(Turn::Quiet, Some("earthquake"));
    let said = alone.outcome.expect_err("there is none");
    assert!(said.contains("earthquake") && said.contains("zone-unreachable"), "{said}");
    assert_eq!(alone.record, None);
}

#[test]
fn the_year_is_told_as_reviewed() {
    let text = year().table();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/year.txt");
    if std::fs::read_to_string(path).unwrap_or_default() != text {
        std::fs::write(path, &text).expect("writes");
        panic!("the year has changed; {path} was rewritten: review the difference and commit it");
    }
}

#[test]
fn a_record_survives_the_table() {
    let record = ordered(Turn::Quiet, None).record.expect("a record");
    assert_eq!(record.stage, Stage::Over);
    let text = serde_json::to_string(&record).expect("serialises");
    assert_eq!(serde_json::from_str::<Record>(&text).expect("parses"), record);
}
