//! Every combination of the facts that the rules see.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use steadfast_core::decision::matching;
use steadfast_core::diagnosis::WriterState;
use steadfast_core::facts::{Facts, Platform, Progress};
use steadfast_core::lease::LeaseState;
use steadfast_core::mode::Mode;
use steadfast_core::rules::{OTHERWISE, TABLE, Verdict};
use steadfast_core::switchover::Planned;

fn all() -> Vec<Facts> {
    let mut facts = Vec::new();
    for mode in Mode::ALL {
        for lease in LeaseState::ALL {
            for platform in Platform::ALL {
                for writer in WriterState::ALL {
                    for progress in Progress::ALL {
                        for (planned, bits) in Planned::ALL.into_iter().flat_map(|p| (0..16_u8).map(move |b| (p, b))) {
                            facts.push(Facts {
                                mode,
                                lease,
                                platform,
                                writer,
                                progress,
                                planned,
                                overdue: bits & 8 != 0,
                                grace_running: bits & 1 != 0,
                                candidate: bits & 2 != 0,
                                budget_left: bits & 4 != 0,
                            });
                        }
                    }
                }
            }
        }
    }
    facts
}

#[test]
fn every_combination_meets_a_rule_and_every_rule_a_combination() {
    let mut met: BTreeMap<u16, u64> = TABLE.iter().map(|rule| (rule.id, 0)).collect();
    for facts in all() {
        let rule = matching(&facts);
        assert_ne!(rule.id, OTHERWISE.id, "no rule knows {facts:?}");
        *met.entry(rule.id).or_default() += 1;
    }
    let idle: Vec<_> = met.iter().filter(|(_, count)| **count == 0).collect();
    assert!(idle.is_empty(), "rules that never match: {idle:?}");
}

#[test]
fn the_table_is_as_reviewed() {
    let mut text = String::new();
    let mut met: BTreeMap<u16, u64> = BTreeMap::new();
    for facts in all() {
        *met.entry(matching(&facts).id).or_default() += 1;
    }
    for rule in TABLE {
        let count = met.get(&rule.id).copied().unwrap_or(0);
        writeln!(text, "{} {:<14} {count:>6}  {}", rule.id, format!("{:?}", rule.verdict), rule.says).expect("writes");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/rules.txt");
    if std::fs::read_to_string(path).unwrap_or_default() != text {
        std::fs::write(path, &text).expect("writes");
        panic!("the rule table has changed; {path} was rewritten: review the difference and commit it");
    }
}

/// Said once more, in other words than the table's: exactly then, and never otherwise.
#[test]
fn a_promotion_needs_everything_at_once_and_nothing_else() {
    for facts in all() {
        let mute = matches!(facts.writer, WriterState::Silent | WriterState::Stalled);
        let dead = matches!(facts.writer, WriterState::Dead | WriterState::Restarting) && !facts.grace_running;
        let due = (mute || dead)
            && facts.mode == Mode::Armed
            && facts.lease == LeaseState::Ours
            && facts.platform == Platform::Idle
            && matches!(facts.progress, Progress::Open | Progress::Repeatable)
            && facts.candidate
            && facts.budget_left;
        assert_eq!(matching(&facts).verdict == Verdict::FailOver, due, "{facts:?}");
    }
}

/// The same for a switchover, which needs a healthy cluster besides.
#[test]
fn a_switchover_needs_an_order_and_a_healthy_cluster() {
    for facts in all() {
        let due = facts.planned == Planned::Due
            && facts.writer == WriterState::Committing
            && facts.mode == Mode::Armed
            && facts.lease == LeaseState::Ours
            && facts.platform == Platform::Idle
            && facts.progress == Progress::Open
            && facts.candidate
            && !facts.overdue;
        assert_eq!(matching(&facts).verdict == Verdict::SwitchOver, due, "{facts:?}");
    }
}

/// A state of the writer that no rule names yet goes to a person: no promotion rests on what earlier rules leave over.
#[test]
fn a_rule_that_promotes_says_itself_what_has_failed() {
    for rule in TABLE.iter().filter(|rule| rule.verdict == Verdict::FailOver) {
        for facts in all().into_iter().filter(rule.matches) {
            let replaced = [WriterState::Dead, WriterState::Restarting, WriterState::Silent, WriterState::Stalled];
            assert!(replaced.contains(&facts.writer), "rule {} for {facts:?}", rule.id);
        }
    }
}

#[test]
fn an_episode_that_is_open_for_long_reaches_a_person_unless_somebody_acts_or_commits() {
    let owned = |facts: &Facts| {
        facts.overdue
            && facts.mode != Mode::Paused
            && facts.lease == LeaseState::Ours
            && matches!(facts.progress, Progress::Open | Progress::Traceless | Progress::Repeatable)
    };
    for facts in all().into_iter().filter(owned) {
        let verdict = matching(&facts).verdict;
        let told = if matches!(facts.writer, WriterState::Committing | WriterState::Moved) {
            verdict == Verdict::Recovered
        } else {
            matches!(verdict, Verdict::CallHuman | Verdict::FailOver | Verdict::AwaitPlatform | Verdict::TakeLease)
        };
        assert!(told, "{verdict:?} for {facts:?}");
        let blind = matches!(facts.writer, WriterState::Unknown | WriterState::Suspected);
        let stuck = matches!(facts.platform, Platform::Mute | Platform::Changing)
            && !matches!(facts.writer, WriterState::Committing | WriterState::Moved);
        if blind || stuck {
            assert_eq!(verdict, Verdict::CallHuman, "{facts:?}");
        }
    }
}

#[test]
fn shadow_and_paused_act_on_nothing() {
    for facts in all().into_iter().filter(|facts| facts.mode != Mode::Armed) {
        let verdict = matching(&facts).verdict;
        assert!(!matches!(verdict, Verdict::FailOver | Verdict::SwitchOver), "{facts:?}");
        if facts.mode == Mode::Paused {
            assert_eq!(verdict, Verdict::Hold, "{facts:?}");
        }
    }
}

#[test]
fn without_the_lease_nothing_is_done_but_to_take_it() {
    for facts in all().into_iter().filter(|facts| facts.lease != LeaseState::Ours) {
        let verdict = matching(&facts).verdict;
        let harmless = matches!(
            verdict,
            Verdict::Rest | Verdict::Hold | Verdict::StandBy | Verdict::LookAgain | Verdict::TakeLease
        );
        assert!(harmless || facts.progress == Progress::None, "{verdict:?} for {facts:?}");
        if facts.lease == LeaseState::Theirs {
            assert!(matches!(verdict, Verdict::StandBy | Verdict::Hold), "{verdict:?} for {facts:?}");
        }
    }
}

#[test]
fn recovery_is_only_said_of_a_committing_writer() {
    for facts in all().into_iter().filter(|facts| matching(facts).verdict == Verdict::Recovered) {
        assert!(matches!(facts.writer, WriterState::Committing | WriterState::Moved), "{facts:?}");
        assert_ne!(facts.progress, Progress::None, "{facts:?}");
    }
}
