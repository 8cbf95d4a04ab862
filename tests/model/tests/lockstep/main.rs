//! The model takes the same steps as the real executor, compared request by request: a change of the
//! executor that the model does not follow fails here.

#![expect(clippy::expect_used, reason = "a test ends where its ground is missing")]
#![expect(clippy::print_stdout, reason = "what was compared is part of the result")]

mod pair;
mod port;
mod stage;

use std::collections::BTreeMap;

use pair::{Mismatch, Pair};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stateright::Model;
use steadfast_model::check::{Coverage, Until, check};
use steadfast_model::failover::cluster::Health;
use steadfast_model::failover::coordinator::{At, Purpose};
use steadfast_model::failover::{Action, Event, Failover, Faults, Guards};
use steadfast_model::scale::Scale;

/// How many random histories are compared, and how many steps each has at most.
const HISTORIES: u64 = if cfg!(debug_assertions) { 400 } else { 2_500 };
const STEPS: usize = 200;

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

/// Everything at once, in the executor's own seconds. Stalls are fewer than make a difference between
/// leases that ended long ago and those that the model holds for the same.
fn model(guards: Guards) -> Failover {
    Failover {
        scale: Scale::REAL,
        clocks: vec![vec![0, 0], vec![0, 1], vec![1, 0], vec![0, 1, 0]],
        failures: vec![Health::Stalled, Health::Dead(-1)],
        slow_looks: true,
        epochs: u8::MAX,
        seen: Coverage::default(),
        ..Failover::small(
            guards,
            Faults {
                stalls: 11,
                crashes: 1,
                time_ups: 1,
                lost_answers: 1,
                late_writes: 1,
                lost_calls: 1,
                silences: 1,
                throttles: 1,
                orders: 2,
                platform_failovers: 1,
                unfits: 2,
                returns: 1,
                relapses: 1,
            },
        )
    }
}

/// One random history of both; where they differ, if they do.
fn walk(model: &Failover, seed: u64, written: &mut BTreeMap<Purpose, u32>) -> Result<(), Mismatch> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let states = model.init_states();
    let first = states.get(dice.random_range(0..states.len())).expect("there is a first state").clone();
    let mut pair = Pair::new(model, first);
    let mut path: Vec<Action> = Vec::new();
    for _ in 0..STEPS {
        let actions = pair.actions();
        let later = actions.iter().find(|action| **action == Action::Tick).filter(|_| dice.random_ratio(1, 4));
        let any = || actions.get(dice.random_range(0..actions.len().max(1)));
        let Some(action) = later.or_else(any) else {
            break;
        };
        path.push(*action);
        pair.step(*action).map_err(|mismatch| format!("seed {seed}, after {path:?}: {mismatch}"))?;
        for coordinator in &pair.state.coordinators {
            if let At::Writing(write) = coordinator.at {
                *written.entry(write.purpose).or_default() += 1;
            }
        }
    }
    Ok(())
}

#[test]
fn the_model_takes_the_steps_of_the_executor() {
    let model = model(Guards::SHIPPED);
    let mut written = BTreeMap::new();
    for seed in 0..HISTORIES {
        let walked = walk(&model, seed, &mut written);
        assert_eq!(walked, Ok(()));
    }
    println!("{HISTORIES} histories, states with a write for each purpose: {written:?}");
    if !cfg!(debug_assertions) {
        for purpose in Purpose::ALL {
            assert!(written.contains_key(&purpose), "never compared: {purpose:?}");
        }
        for event in Event::ALL {
            assert!(event.happened(&model.seen), "never compared: {event:?}");
        }
    }
}

#[test]
fn a_protocol_that_differs_is_noticed() {
    let all = Guards::SHIPPED;
    for guards in [
        Guards { lease_condition: false, ..all },
        Guards { version_condition: false, ..all },
        Guards { mode_condition: false, ..all },
        Guards { look_again_under_the_lease: false, ..all },
        Guards { skew_margin: false, ..all },
        Guards { time_left_for_the_call: false, ..all },
        Guards { only_the_author_calls: false, ..all },
        Guards { late_intentions_are_renewed: false, ..all },
    ] {
        let model = model(guards);
        let noticed = (0..HISTORIES).find(|seed| walk(&model, *seed, &mut BTreeMap::new()).is_err());
        println!("noticed with seed {noticed:?}: {guards:?}");
        assert!(noticed.is_some(), "nobody notices {guards:?}");
    }
}

/// One coordinator in the executor's own seconds.
fn alone(guards: Guards, faults: Faults, health: Health) -> Failover {
    Failover {
        scale: Scale::REAL,
        clocks: vec![vec![0]],
        failures: vec![health],
        epochs: u8::MAX,
        ..Failover::small(guards, faults)
    }
}

/// So rare that chance does not come across it: the checker finds the way that a protocol without these
/// guards would take, and the executor does not go there.
fn does_not_go_there(promise: &'static str, guards: Guards, faults: Faults, health: Health) {
    let model = alone(guards, faults, health);
    let found = check(alone(guards, faults, health), 1, Until::Broken(promise));
    let steps = found.broken.get(promise).expect("the checker finds the way");
    println!("without the guard {promise} is broken by {steps:?}");
    let mut pair = Pair::new(&model, model.init_states().first().expect("there is a first state").clone());
    assert!(steps.iter().any(|step| pair.step(*step).is_err()), "the executor goes all of {steps:?}");
}

#[test]
fn the_executor_does_not_forget_an_earlier_call() {
    let faults = Faults { lost_calls: 1, lost_answers: 1, orders: 1, ..NONE };
    let guards = Guards { taking_back_keeps_earlier_calls: false, ..Guards::SHIPPED };
    does_not_go_there("P2 a call that was made is known", guards, faults, Health::Stalled);
}

#[test]
fn the_executor_does_not_call_an_old_intention_under_a_new_epoch() {
    let faults = Faults { stalls: 13, lost_calls: 1, ..NONE };
    let guards = Guards { late_intentions_are_renewed: false, ..Guards::SHIPPED };
    does_not_go_there("P2 one call per epoch", guards, faults, Health::Stalled);
}

#[test]
fn the_executor_does_not_close_an_episode_over_a_silent_call() {
    let faults = Faults { silences: 1, platform_failovers: 1, ..NONE };
    let guards = Guards { silence_is_waited_out: false, ..Guards::SHIPPED };
    does_not_go_there("P1 never two failovers in flight", guards, faults, Health::Dead(-1));
}
