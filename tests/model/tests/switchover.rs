//! The planned switchover keeps its promises, and every guard of the gate is needed.

#![expect(clippy::print_stdout, reason = "the bound that was reached is part of the result")]

use steadfast_core::gate;
use steadfast_model::check::{Coverage, Until, check};
use steadfast_model::switchover::{Event, Faults, Guards, Holder, Limits, Switchover};

const P4: &str = "P4 no call but under a lease that stands";
const P7: &str = "P7 every closed gate opens in time";
const P8: &str = "P8 nobody inside when it is called";

const FAULTS: Faults = Faults { drainer_crashes: 1, coordinator_crashes: 1, lost_calls: 1 };

/// Two clients, one of which never leaves by itself.
fn model(guards: Guards) -> Switchover {
    Switchover {
        limits: Limits::SMALL,
        guards,
        holder: Holder::DataApi,
        faults: FAULTS,
        clocks: vec![[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
        clients: vec![true, false],
        seen: Coverage::default(),
    }
}

fn holds(name: &str, model: Switchover, states: usize, happened: &[Event]) {
    let seen = model.seen.clone();
    let until = if cfg!(debug_assertions) { Until::Glance(30_000) } else { Until::Everything };
    let found = check(model, 1, until);
    println!("{name}: {found}");
    assert!(found.broken.is_empty(), "{name}: {found}");
    if until == Until::Everything {
        assert!(found.states >= states, "{name}: only {} states", found.states);
        assert!(found.shown.contains_key("the role moves and nobody is cut off"), "{name}: {found}");
        for event in happened {
            assert!(event.happened(&seen), "{name}: {event:?} never happens");
        }
    }
}

fn breaks(promise: &'static str, model: Switchover) {
    let found = check(model, 1, Until::Broken(promise));
    println!("{found}");
    assert!(found.broken.contains_key(promise), "{promise} holds: {found}");
}

#[test]
fn it_holds_with_a_transaction_that_outlives_the_drainer() {
    let happened = [
        Event::Called,
        Event::MovedCleanly,
        Event::BlockTooShort,
        Event::LeaseTooShort,
        Event::WaitExpired,
        Event::BlockExpired,
        Event::Terminated,
        Event::AdopterOpened,
    ];
    holds("Data API", model(Guards::ALL), 300_000, &happened);
}

#[test]
fn it_holds_with_a_session_while_the_drainer_lives() {
    let faults = Faults { drainer_crashes: 0, ..FAULTS };
    let model = Switchover { holder: Holder::Session, faults, ..model(Guards::ALL) };
    holds("session", model, 200_000, &[Event::Called, Event::MovedCleanly]);
}

/// Why the Data API is to hold the gate where it serves: the server notices the end of a session.
#[test]
fn a_drainer_that_dies_with_its_session_lets_transactions_in() {
    breaks(P8, Switchover { holder: Holder::Session, ..model(Guards::ALL) });
}

#[test]
fn without_an_end_of_the_block_a_dead_drainer_leaves_the_gate_closed() {
    breaks(P7, model(Guards { block_expires: false, ..Guards::ALL }));
}

#[test]
fn without_an_end_of_the_wait_who_does_not_leave_keeps_everybody_out() {
    breaks(P7, model(Guards { wait_expires: false, ..Guards::ALL }));
}

#[test]
fn without_time_left_of_the_block_it_is_called_over_somebody() {
    breaks(P8, model(Guards { block_covers_the_call: false, ..Guards::ALL }));
}

#[test]
fn a_block_counted_from_the_answer_ends_earlier_than_it_is_believed() {
    breaks(P8, model(Guards { counted_from_the_question: false, ..Guards::ALL }));
}

#[test]
fn without_the_skew_margin_a_slow_clock_calls_over_somebody() {
    let limits = Limits { lease_ttl: 14, ..Limits::SMALL };
    breaks(P8, Switchover { limits, ..model(Guards { skew_margin: false, ..Guards::ALL }) });
}

#[test]
fn without_time_left_of_the_lease_it_is_called_without_one() {
    breaks(P4, model(Guards { lease_covers_the_call: false, ..Guards::ALL }));
}

#[test]
fn the_small_limits_are_in_the_order_of_the_real_ones() {
    let (small, real) = (Limits::SMALL, gate::Limits::default());
    assert!(small.terminate_after < small.closing && small.closing < small.closed);
    assert!(real.terminate_after < Some(real.closing) && real.closing < real.closed);
    assert!(small.closed > small.closing + small.call_limit + small.skew_max);
}
