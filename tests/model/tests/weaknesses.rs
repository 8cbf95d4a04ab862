//! Promises that the executor does not keep, each with what would keep it.
//!
//! When the executor is mended, its guard in `Guards::SHIPPED` is to be set, and the test here becomes
//! one of `guards.rs`. That the executor itself goes these ways is shown in `lockstep`.

#![expect(clippy::print_stdout, reason = "how a promise is broken is part of the result")]

use steadfast_model::check::{Until, check};
use steadfast_model::failover::cluster::Health;
use steadfast_model::failover::{Failover, Faults, Guards};

/// The executor breaks these promises; with the guard they are kept, and so are all the others.
fn weak(promises: &[&'static str], guards: Guards, model: impl Fn(Guards) -> Failover) {
    for promise in promises {
        let found = check(model(Guards::SHIPPED), 1, Until::Broken(promise));
        println!("{found}");
        assert!(found.broken.contains_key(promise), "{promise} holds: {found}");
    }
    let until = if cfg!(debug_assertions) { Until::Glance(30_000) } else { Until::Everything };
    let found = check(model(guards), 1, until);
    println!("mended: {found}");
    assert!(found.broken.is_empty(), "{found}");
}

/// The write of an intention takes so long that its author has to take the lease anew. It then calls
/// under the new epoch, and when that call is lost, at once again under the same epoch.
#[test]
fn an_old_intention_is_called_under_a_new_epoch() {
    let faults = Faults { stalls: 5, lost_calls: 1, ..Faults::default() };
    let guards = Guards { late_intentions_are_renewed: true, ..Guards::SHIPPED };
    let alone = |guards| Failover { clocks: vec![vec![0]], ..Failover::small(guards, faults) };
    weak(&["P2 one call per epoch", "P2 repeated late enough"], guards, alone);
}

/// A call fails at once without an answer. The platform moves the role, the episode is closed, and the
/// call is still on its way.
#[test]
fn a_silent_call_outlives_its_episode() {
    let faults = Faults { silences: 1, platform_failovers: 1, ..Faults::default() };
    let guards = Guards { silence_is_waited_out: true, ..Guards::SHIPPED };
    weak(&["P1 never two failovers in flight"], guards, |guards| Failover {
        failures: vec![Health::Dead(-1)],
        ..Failover::small(guards, faults)
    });
}

/// All guards together keep all promises.
#[test]
fn the_mended_protocol_keeps_all_promises() {
    let faults = Faults { crashes: 1, lost_answers: 1, lost_calls: 1, silences: 1, ..Faults::default() };
    let until = if cfg!(debug_assertions) { Until::Glance(30_000) } else { Until::Everything };
    let found = check(Failover::small(Guards::MENDED, faults), 1, until);
    println!("mended: {found}");
    assert!(found.broken.is_empty(), "{found}");
}
