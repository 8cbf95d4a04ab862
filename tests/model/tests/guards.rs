//! Every guard of the protocol is needed: without it, the checker finds a broken promise. And what the
//! protocol was not made for breaks it, so the limits that it states are its limits.

#![expect(clippy::print_stdout, reason = "how a promise is broken is part of the result")]

use steadfast_model::check::{Until, check};
use steadfast_model::failover::cluster::Health;
use steadfast_model::failover::{Beyond, Failover, Faults, Guards};

const P1: &str = "P1 never two failovers in flight";
const P2_ONCE: &str = "P2 one call per epoch";
const P2_LATE: &str = "P2 repeated late enough";
const P2_KNOWN: &str = "P2 a call that was made is known";
const P3: &str = "P3 no call without its intention";
const P4: &str = "P4 no call but under a lease that stands";
const P5: &str = "P5 no intention unless armed";
const P6: &str = "P6 one owner";

const NONE: Faults = Faults {
    stalls: 0,
    crashes: 0,
    time_ups: 0,
    lost_answers: 0,
    late_writes: 0,
    lost_calls: 0,
    silences: 0,
    throttles: 0,
    orders: 0,
    platform_failovers: 0,
    unfits: 0,
    returns: 0,
    relapses: 0,
};

/// The checker finds that `promise` is broken.
fn breaks(promise: &'static str, model: Failover) {
    let found = check(model, 1, Until::Broken(promise));
    println!("{found}");
    assert!(found.broken.contains_key(promise), "{promise} holds: {found}");
}

fn shipped(faults: Faults) -> Failover {
    Failover::small(Guards::SHIPPED, faults)
}

fn without(guards: Guards, faults: Faults) -> Failover {
    Failover::small(guards, faults)
}

#[test]
fn without_the_lease_condition_an_intention_outlasts_the_lease() {
    let guards = Guards { lease_condition: false, ..Guards::SHIPPED };
    breaks(P4, without(guards, Faults { late_writes: 1, time_ups: 1, ..NONE }));
}

#[test]
fn without_the_version_condition_a_late_write_erases_the_intention() {
    let guards = Guards { version_condition: false, ..Guards::SHIPPED };
    let faults = Faults { late_writes: 1, stalls: 1, ..NONE };
    breaks(P3, Failover { failures: vec![Health::Dead(-1)], ..without(guards, faults) });
}

#[test]
fn without_the_mode_condition_an_intention_is_written_after_the_pause() {
    let guards = Guards { mode_condition: false, ..Guards::SHIPPED };
    breaks(P5, without(guards, Faults { orders: 1, ..NONE }));
}

#[test]
fn without_another_look_under_the_lease_the_platforms_failover_is_overlooked() {
    let guards = Guards { look_again_under_the_lease: false, ..Guards::SHIPPED };
    let faults = Faults { platform_failovers: 1, ..NONE };
    breaks(P1, Failover { failures: vec![Health::Dead(-1)], ..without(guards, faults) });
}

#[test]
fn without_the_skew_margin_two_believe_in_the_lease() {
    let guards = Guards { skew_margin: false, ..Guards::SHIPPED };
    breaks(P6, without(guards, Faults { stalls: 4, ..NONE }));
}

#[test]
fn without_time_left_for_the_call_the_lease_ends_under_it() {
    let guards = Guards { time_left_for_the_call: false, ..Guards::SHIPPED };
    breaks(P4, without(guards, Faults { stalls: 5, ..NONE }));
}

#[test]
fn whoever_calls_the_intention_of_another_calls_again_at_once() {
    let guards = Guards { only_the_author_calls: false, late_intentions_are_renewed: false, ..Guards::SHIPPED };
    breaks(P2_LATE, without(guards, Faults { lost_calls: 1, ..NONE }));
}

#[test]
fn an_intention_that_is_taken_back_for_good_takes_earlier_calls_with_it() {
    let guards = Guards { taking_back_keeps_earlier_calls: false, ..Guards::SHIPPED };
    breaks(P2_KNOWN, without(guards, Faults { lost_calls: 1, lost_answers: 1, orders: 1, ..NONE }));
}

/// The write of an intention takes so long that its author has to take the lease anew. It then calls
/// under the new epoch, and when that call is lost, at once again under the same epoch.
#[test]
fn an_old_intention_would_be_called_under_a_new_epoch() {
    let guards = Guards { late_intentions_are_renewed: false, ..Guards::SHIPPED };
    let faults = Faults { stalls: 5, lost_calls: 1, ..NONE };
    for promise in [P2_ONCE, P2_LATE] {
        breaks(promise, Failover { clocks: vec![vec![0]], ..without(guards, faults) });
    }
}

/// A call fails at once without an answer. The platform moves the role, the episode is closed, and the
/// call is still on its way.
#[test]
fn a_silent_call_would_outlive_its_episode() {
    let guards = Guards { silence_is_waited_out: false, ..Guards::SHIPPED };
    let faults = Faults { silences: 1, platform_failovers: 1, ..NONE };
    breaks(P1, Failover { failures: vec![Health::Dead(-1)], ..without(guards, faults) });
}

#[test]
fn clocks_that_differ_by_more_than_the_bound_break_it() {
    let clocks = |apart| Failover { clocks: vec![vec![0, apart]], ..shipped(Faults { stalls: 2, ..NONE }) };
    breaks(P1, clocks(2));
    breaks(P6, clocks(3));
}

#[test]
fn a_stall_between_the_clock_and_the_call_outlasts_the_lease() {
    let beyond = Beyond { stall_before_the_call: true, ..Beyond::default() };
    breaks(P4, Failover { beyond, ..shipped(Faults { stalls: 5, ..NONE }) });
}

#[test]
fn a_call_that_is_on_its_way_for_longer_than_its_limit_outlives_its_episode() {
    let beyond = Beyond { slow_call: 4, ..Beyond::default() };
    let faults = Faults { platform_failovers: 1, ..NONE };
    breaks(P1, Failover { beyond, failures: vec![Health::Dead(-1)], ..shipped(faults) });
}
