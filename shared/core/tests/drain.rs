//! Orders for the drainer that come when the record asks for something else.

mod support;

use std::time::Duration;

use steadfast_core::diagnosis::diagnose;
use steadfast_core::drain::{Void, may_close_gate, may_evict};
use steadfast_core::episode::{Closed, Episode, RecoveredBy};
use steadfast_core::mode::Mode;
use steadfast_core::switchover::{Ordered, Plan};
use steadfast_core::topology::{ClusterId, InstanceId};
use steadfast_core::witness::Outcome;
use support::*;

const EPOCH: u64 = 7;

fn id(name: &str) -> InstanceId {
    InstanceId::new(name)
}

/// An episode about the writer `w`, whose eviction was ordered.
fn evicting() -> Episode {
    let diagnosis = diagnose(&unanimous(Outcome::Refused, ago(2_000)), &no_grace());
    let cluster = ClusterId::new("orders");
    let open = Episode::open(&cluster, EPOCH, &diagnosis, id(WRITER), None, ago(1_500), &no_grace());
    Episode { evicted: true, ..open }
}

/// A planned one that has asked for the gate.
fn quiescing() -> Episode {
    let order = Ordered { target: None, reason: "exercise".to_owned(), request: "request-1".to_owned() };
    let plan = Plan { asked: true, ..Plan::new(&order, id("r1"), ago(1_000)) };
    Episode { plan: Some(plan), evicted: false, ..evicting() }
}

fn closed(episode: Episode) -> Episode {
    let by = RecoveredBy::Steadfast;
    Episode { closed: Some(Closed { at: NOW.minus(Duration::from_millis(10)), writer: id("r1"), by }), ..episode }
}

#[test]
fn an_eviction_goes_on_after_its_episode_is_closed() {
    for episode in [evicting(), closed(evicting())] {
        assert_eq!(may_evict(Mode::Armed, Some(&episode), EPOCH, &id(WRITER)), Ok(()));
    }
}

#[test]
fn an_eviction_ends_with_a_newer_episode_another_mode_or_an_order_that_nobody_wrote_down() {
    let asked = |mode, latest: Option<&Episode>, demoted: &str| may_evict(mode, latest, EPOCH, &id(demoted));
    let episode = evicting();
    for mode in [Mode::Shadow, Mode::Paused] {
        assert_eq!(asked(mode, Some(&episode), WRITER), Err(Void::NotArmed(mode)));
    }
    for latest in [EPOCH - 1, EPOCH + 1] {
        let other = Episode { epoch: latest, ..episode.clone() };
        assert_eq!(asked(Mode::Armed, Some(&other), WRITER), Err(Void::NotLatest { ordered: EPOCH, latest }));
    }
    assert_eq!(asked(Mode::Armed, None, WRITER), Err(Void::NoEpisode(EPOCH)));
    assert_eq!(asked(Mode::Armed, Some(&episode), "r1"), Err(Void::NoEviction(EPOCH, id("r1"))));
    let withheld = Episode { evicted: false, ..episode };
    assert_eq!(asked(Mode::Armed, Some(&withheld), WRITER), Err(Void::NoEviction(EPOCH, id(WRITER))));
}

#[test]
fn the_gate_closes_only_for_the_open_episode_that_asks_for_it_on_its_writer() {
    let asked = |latest: Option<&Episode>, writer: &str| may_close_gate(Mode::Armed, latest, EPOCH, &id(writer));
    let episode = quiescing();
    for mode in [Mode::Shadow, Mode::Paused] {
        assert_eq!(may_close_gate(mode, Some(&episode), EPOCH, &id(WRITER)), Err(Void::NotArmed(mode)));
    }
    assert_eq!(asked(Some(&episode), WRITER), Ok(()));
    assert_eq!(asked(None, WRITER), Err(Void::NoEpisode(EPOCH)));
    let newer = Episode { epoch: EPOCH + 1, ..episode.clone() };
    assert_eq!(asked(Some(&newer), WRITER), Err(Void::NotLatest { ordered: EPOCH, latest: EPOCH + 1 }));
    assert_eq!(asked(Some(&episode), "r1"), Err(Void::NoGate(EPOCH, id("r1"))));
    let planned = |change: fn(&mut Plan)| {
        let mut other = episode.clone();
        other.plan.iter_mut().for_each(change);
        other
    };
    let called = Episode { promotion: Some(episode.next_promotion(id("r1"), EPOCH, ago(10))), ..episode.clone() };
    let others = [
        planned(|plan| plan.asked = false),
        planned(|plan| plan.resumed = true),
        planned(|plan| plan.called_off = Some("a session did not leave".to_owned())),
        called,
        evicting(),
        closed(episode),
    ];
    for other in others {
        assert_eq!(asked(Some(&other), WRITER), Err(Void::NoGate(EPOCH, id(WRITER))));
    }
}
