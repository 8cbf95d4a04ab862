//! The unplanned failover keeps its promises under every mix of faults within bounds.
//!
//! The numbers are printed: `cargo test --release -p steadfast-model -- --nocapture`.

#![expect(clippy::print_stdout, reason = "the bound that was reached is part of the result")]

use steadfast_model::check::{Until, check};
use steadfast_model::failover::cluster::Health;
use steadfast_model::failover::{Event, Failover, Faults, Guards};
use steadfast_model::scale::Scale;

const OURS: &str = "our failover ends an episode";
const ADOPTED: &str = "an adopted episode is closed by another";
const OUTLIVED: &str = "an intention outlives its author uncalled";
const LOST: &str = "a lease is lost while its call is unanswered";

/// What must be possible, so that a check is not about nothing.
struct Expected<'a> {
    /// There are no fewer states: a rule that cuts the model short would show.
    states: usize,
    shown: &'a [&'static str],
    happened: &'a [Event],
}

/// A build that is not optimised takes only a glance.
fn until() -> Until {
    if cfg!(debug_assertions) { Until::Glance(30_000) } else { Until::Everything }
}

fn holds(name: &str, model: Failover, expected: &Expected<'_>) {
    holds_with(1, name, model, expected);
}

fn holds_with(threads: usize, name: &str, model: Failover, expected: &Expected<'_>) {
    let seen = model.seen.clone();
    let found = check(model, threads, until());
    println!("{name}: {found}");
    assert!(found.broken.is_empty(), "{name}: {found}");
    if until() == Until::Everything {
        assert!(found.states >= expected.states, "{name}: only {} states", found.states);
        for example in expected.shown {
            assert!(found.shown.contains_key(example), "{name}: it is never shown that {example}");
        }
        for event in expected.happened {
            assert!(event.happened(&seen), "{name}: {event:?} never happens");
        }
    }
}

/// The executor as it is.
fn shipped(faults: Faults) -> Failover {
    Failover::small(Guards::SHIPPED, faults)
}

fn every_core() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

#[test]
fn a_coordinator_stands_still() {
    let model = shipped(Faults { stalls: 3, ..Faults::default() });
    let happened = [Event::CallAccepted, Event::LeaseRanShortBeforeCall, Event::StoppedByLease];
    holds("stalls", model, &Expected { states: 500_000, shown: &[OURS, ADOPTED, OUTLIVED], happened: &happened });
}

#[test]
fn two_clocks_agree() {
    let faults = Faults { stalls: 2, ..Faults::default() };
    let model = Failover { clocks: vec![vec![0, 0]], ..shipped(faults) };
    holds("clocks agree", model, &Expected { states: 80_000, shown: &[OURS, ADOPTED], happened: &[] });
}

#[test]
fn a_lease_is_lost_while_its_call_is_unanswered() {
    let model = shipped(Faults { stalls: 2, lost_calls: 1, ..Faults::default() });
    holds("stalls, lost call", model, &Expected { states: 500_000, shown: &[OURS, LOST], happened: &[] });
}

#[test]
fn a_coordinator_dies_and_answers_are_lost() {
    let model = shipped(Faults { crashes: 1, lost_answers: 1, lost_calls: 1, ..Faults::default() });
    let happened = [Event::StoppedByLease, Event::StoppedByVersion];
    let expected = Expected { states: 500_000, shown: &[OURS, ADOPTED, OUTLIVED], happened: &happened };
    holds("crash, lost answer, lost call", model, &expected);
}

#[test]
fn the_platform_fails_over_by_itself() {
    let faults = Faults { crashes: 1, platform_failovers: 1, ..Faults::default() };
    let model = Failover { failures: vec![Health::Dead(-1)], ..shipped(faults) };
    let expected = Expected { states: 200_000, shown: &[OURS, ADOPTED], happened: &[Event::CallRefused] };
    holds("platform, crash", model, &expected);
}

#[test]
fn a_write_takes_effect_late() {
    let model = shipped(Faults { late_writes: 1, time_ups: 1, ..Faults::default() });
    let happened = [Event::LateWriteTookEffect, Event::StoppedByLease, Event::StoppedByVersion];
    holds("late write, time up", model, &Expected { states: 500_000, shown: &[OURS, ADOPTED], happened: &happened });
}

#[test]
fn an_operator_pauses_or_takes_the_arms_away() {
    let model = shipped(Faults { orders: 2, lost_answers: 1, ..Faults::default() });
    let happened = [Event::StoppedByMode, Event::CallWithheld];
    holds("orders, lost answer", model, &Expected { states: 100_000, shown: &[OURS], happened: &happened });
}

#[test]
fn the_writer_comes_back_and_fails_again() {
    let model = shipped(Faults { returns: 1, relapses: 1, ..Faults::default() });
    holds("return, relapse", model, &Expected { states: 60_000, shown: &[OURS, ADOPTED], happened: &[] });
}

#[test]
fn the_control_plane_is_asked_too_much() {
    let model = shipped(Faults { throttles: 2, crashes: 1, ..Faults::default() });
    let expected = Expected { states: 100_000, shown: &[OURS, ADOPTED], happened: &[Event::CallRefused] };
    holds("throttled, crash", model, &expected);
}

#[test]
fn the_target_of_a_lost_call_becomes_unfit() {
    let model = shipped(Faults { lost_calls: 1, throttles: 1, unfits: 1, ..Faults::default() });
    let expected = Expected { states: 50_000, shown: &[OURS, ADOPTED], happened: &[Event::CallRefused] };
    holds("lost call, throttled, unfit", model, &expected);
}

#[test]
fn three_coordinators_are_woken() {
    let model = Failover { clocks: vec![vec![0, 1, 0]], ..shipped(Faults::default()) };
    holds("three coordinators", model, &Expected { states: 100_000, shown: &[OURS, ADOPTED], happened: &[] });
}

#[test]
fn time_passes_between_look_and_decision() {
    let model = Failover { slow_looks: true, ..shipped(Faults { stalls: 1, ..Faults::default() }) };
    holds("slow look", model, &Expected { states: 80_000, shown: &[OURS, ADOPTED], happened: &[] });
}

#[test]
fn it_comes_to_its_end_once_faults_stop() {
    let faults = Faults { crashes: 1, lost_calls: 1, ..Faults::default() };
    let calm = u8::try_from(Scale::SMALL.settles_after()).ok();
    let model = Failover { calm, ..shipped(faults) };
    holds("calm", model, &Expected { states: 300_000, shown: &[OURS, ADOPTED], happened: &[] });
}

#[test]
fn and_not_within_half_the_time() {
    let faults = Faults { crashes: 1, ..Faults::default() };
    let calm = u8::try_from(Scale::SMALL.settles_after() / 2).ok();
    let promise = "P9 comes to its end";
    let found = check(Failover { calm, ..shipped(faults) }, 1, Until::Broken(promise));
    println!("half the time: {found}");
    assert!(found.broken.contains_key(promise), "the bound of P9 says nothing: {found}");
}

/// More of everything: ten minutes, and up to 700 MB.
#[test]
#[ignore = "takes minutes: cargo test --release -p steadfast-model -- --ignored --nocapture --test-threads 1"]
fn deeper() {
    let none = Faults::default();
    let dead = vec![Health::Dead(-1)];
    let mixes = [
        ("stalls", shipped(Faults { stalls: 5, ..none })),
        ("stalls, lost call", shipped(Faults { stalls: 4, lost_calls: 1, ..none })),
        ("stalls, crash, lost call", shipped(Faults { stalls: 2, crashes: 1, lost_calls: 1, ..none })),
        ("slow look", Failover { slow_looks: true, ..shipped(Faults { stalls: 3, ..none }) }),
        ("late write, time up, crash", shipped(Faults { late_writes: 1, time_ups: 1, crashes: 1, ..none })),
        ("late write, orders", shipped(Faults { late_writes: 1, orders: 2, ..none })),
        ("three coordinators, crash", {
            Failover { clocks: vec![vec![0, 1, 0]], ..shipped(Faults { crashes: 1, ..none }) }
        }),
        ("platform, crash, lost answer, lost call", {
            let faults = Faults { platform_failovers: 1, crashes: 1, lost_answers: 1, lost_calls: 1, ..none };
            Failover { failures: dead, ..shipped(faults) }
        }),
        ("return, relapse, lost answer, lost call", {
            shipped(Faults { returns: 1, relapses: 1, lost_answers: 1, lost_calls: 1, ..none })
        }),
        ("four epochs", Failover { epochs: 4, ..shipped(Faults { crashes: 2, lost_calls: 1, ..none }) }),
    ];
    for (name, model) in mixes {
        holds_with(every_core(), name, model, &Expected { states: 500_000, shown: &[OURS, ADOPTED], happened: &[] });
    }
}
