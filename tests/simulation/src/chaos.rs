//! Plans by chance: what fails, when, and how unkind the world is meanwhile.

use std::time::Duration;

use steadfast_core::mode::Mode;
use steadfast_core::topology::Deployment;
use steadfast_scenario::{
    Delivery, Disturbance, End, Event, Fault, Milestone, Moment, OperatorDeed, Place, PlatformDeed, Role, Scenario,
    Service, Threshold, Trouble, View, Zone,
};

use crate::dice::Dice;
use crate::plan::{Noise, Plan};

/// Mixed into the seed, so that the plan and the run do not throw the same dice.
const PLANNING: u64 = 0x5eed_0f91_a77e_2027;

/// The plan that follows from this seed.
pub fn plan(seed: u64) -> Plan {
    let mut dice = Dice::new(seed ^ PLANNING);
    let scenario = scenario(seed, &mut dice);
    let noise = noise(&mut dice);
    // Now and then long enough for the retries of invocations that failed.
    let calm = Duration::from_secs(if dice.happens(50) { 190 } else { 3 });
    // What clusters that paused themselves need: about 15 s, and more after a day.
    let asleep = dice.happens(20).then(|| ms(&mut dice, 10_000, 40_000));
    let mut plan = Plan { noise, calm, asleep, ..Plan::of(scenario) };
    plan.seed = seed;
    if calm > Duration::from_secs(3) {
        plan.scenario.lasts = Duration::from_secs(400);
        // A drainer that fails now finds somebody when it is tried again.
        plan.noise.kills = plan.noise.kills.max(20);
        plan.noise.address_kept_max = plan.noise.address_kept_max.max(Duration::from_secs(150));
    }
    if dice.happens(250) {
        plan.unmended = true;
        if let Some(first) = plan.scenario.timeline.first_mut() {
            first.end = End::Never;
        }
    }
    plan.pins = dice.happens(500);
    if dice.happens(120) { of_an_instance(plan) } else { plan }
}

/// The same plan for a Multi-AZ DB instance: without what only clusters have.
fn of_an_instance(mut plan: Plan) -> Plan {
    plan.scenario.deployment = Deployment::Instance;
    plan.scenario.gated = false;
    // Aurora alone pauses.
    plan.asleep = None;
    // A standby that dies with the writer leaves nobody to take over.
    plan.unmended = false;
    plan.scenario.timeline.retain(|event| !is_of_clusters(&event.fault));
    for event in &mut plan.scenario.timeline {
        event.fault = renamed(event.fault);
    }
    plan
}

fn is_of_clusters(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Lag(..)
            | Fault::Cut(Place::Reader(_), View::Zone(_) | View::Everyone | View::Clients)
            | Fault::Operator(OperatorDeed::SwitchesOver)
            | Fault::Platform(PlatformDeed::PausesCluster | PlatformDeed::SwitchesBlueGreen)
    )
}

fn renamed(fault: Fault) -> Fault {
    let Fault::Fail(Service::Rds, trouble, Some(action)) = fault else {
        return fault;
    };
    let action = match action {
        "FailoverDBCluster" => "RebootDBInstance",
        "DescribeDBClusters" => "DescribeDBInstances",
        other => other,
    };
    Fault::Fail(Service::Rds, trouble, Some(action))
}

fn ms(dice: &mut Dice, low: u64, high: u64) -> Duration {
    Duration::from_millis(dice.between(low, high))
}

fn scenario(seed: u64, dice: &mut Dice) -> Scenario {
    let platform = dice.happens(700).then(|| ms(dice, 1_000, 40_000));
    let mut policy = Vec::new();
    if dice.happens(700) {
        policy.push((Threshold::PlatformGrace, ms(dice, 0, 8_000)));
    }
    for threshold in [Threshold::EpisodeDeadline, Threshold::PromotionDeadline, Threshold::PlatformDeadline] {
        if dice.happens(200) {
            policy.push((threshold, ms(dice, 2_000, 60_000)));
        }
    }
    for (threshold, most) in
        [(Threshold::SilentAfter, 5_000), (Threshold::StalledAfter, 8_000), (Threshold::LagMax, 60_000)]
    {
        if dice.happens(60) {
            policy.push((threshold, ms(dice, 500, most)));
        }
    }
    let mode = match dice.between(0, 99) {
        0..=89 => Mode::Armed,
        90..=97 => Mode::Shadow,
        _ => Mode::Paused,
    };
    let count = dice.between(1, 4);
    let mut timeline: Vec<Event> = (0..count).map(|nth| event(dice, nth == 0)).collect();
    if dice.happens(200) {
        timeline.push(call_in_trouble(dice));
    }
    if dice.happens(20) {
        timeline = spree(dice);
    }
    if dice.happens(100) {
        order(dice, &mut timeline);
    }
    if dice.happens(60) {
        timeline.push(rotation(dice));
    }
    if dice.happens(40) {
        timeline.extend(witnesses_lost(dice));
    }
    if dice.happens(60) {
        timeline.push(roles_move_back(dice));
    }
    Scenario {
        name: format!("seed-{seed}"),
        why: "By chance.".to_owned(),
        deployment: Deployment::Cluster,
        readers: match dice.between(0, 99) {
            0..=2 => 0,
            3..=12 => 1,
            13..=95 => 2,
            _ => 4,
        },
        gated: dice.happens(900),
        mode,
        platform,
        policy,
        only: None,
        lasts: Duration::from_secs(dice.between(30, 90)),
        exactly: false,
        timeline,
        expectations: Vec::new(),
    }
}

fn event(dice: &mut Dice, first: bool) -> Event {
    let fault = if first { writer_fault(dice) } else { any_fault(dice) };
    let milestones = [
        Milestone::Opened,
        Milestone::Intended,
        Milestone::Called,
        Milestone::Promoted,
        Milestone::Proved,
        Milestone::Closed,
    ];
    let milestone = dice.one_of(&milestones).copied().unwrap_or(Milestone::Opened);
    let at = if first || dice.happens(500) {
        let latest = if first { 1_500 } else { 20_000 };
        Moment::At(ms(dice, 0, latest))
    } else {
        Moment::After(milestone, ms(dice, 0, 400))
    };
    let end = match dice.between(0, 9) {
        _ if fault.is_over_at_once() => End::Never,
        0..=1 => End::Until(milestone, ms(dice, 0, 3_000)),
        2..=7 => End::For(ms(dice, 100, 15_000)),
        _ => End::Never,
    };
    Event { line: 0, at, fault, end }
}

/// Our own call fails, or takes effect and nobody says so, for as long as it is made again.
fn call_in_trouble(dice: &mut Dice) -> Event {
    let all = [
        Trouble::Throttle,
        Trouble::Error,
        Trouble::Silence,
        Trouble::LostAnswer,
        Trouble::ErrorAfterEffect,
        Trouble::Denied,
    ];
    let trouble = dice.one_of(&all).copied().unwrap_or(Trouble::LostAnswer);
    let fault = Fault::Fail(Service::Rds, trouble, Some("FailoverDBCluster"));
    Event { line: 0, at: Moment::At(Duration::ZERO), fault, end: End::For(ms(dice, 5_000, 90_000)) }
}

/// A password is rotated while an episode is open. Runs of probers that begin meanwhile are refused.
fn rotation(dice: &mut Dice) -> Event {
    let fault = Fault::RotatePassword(if dice.happens(800) { Role::Prober } else { Role::Application });
    let at = Moment::After(Milestone::Opened, ms(dice, 0, 3_000));
    Event { line: 0, at, fault, end: End::For(ms(dice, 500, 40_000)) }
}

/// An operator orders a switchover of a healthy cluster; what fails, fails while it is carried out, or later.
fn order(dice: &mut Dice, timeline: &mut Vec<Event>) {
    let fault = Fault::Operator(OperatorDeed::SwitchesOver);
    let at = Moment::At(ms(dice, 0, 3_000));
    for event in timeline.iter_mut() {
        if dice.happens(700) {
            let milestone = [Milestone::Opened, Milestone::Intended, Milestone::Called, Milestone::Promoted];
            let milestone = dice.one_of(&milestone).copied().unwrap_or(Milestone::Opened);
            event.at = Moment::After(milestone, ms(dice, 0, 150));
            event.end = match event.end {
                End::Until(until, time) if until <= milestone => End::Until(Milestone::Closed, time),
                end @ (End::Never | End::For(_) | End::Until(..)) => end,
            };
        }
    }
    timeline.insert(0, Event { line: 0, at, fault, end: End::Never });
}

/// Somebody fails over by hand while the drainer watches, mostly back to the writer of the start.
fn roles_move_back(dice: &mut Dice) -> Event {
    let at = Moment::After(Milestone::Closed, ms(dice, 0, 8_000));
    Event { line: 0, at, fault: Fault::Operator(OperatorDeed::FailsOver), end: End::Never }
}

/// Each new writer dies as well.
fn spree(dice: &mut Dice) -> Vec<Event> {
    let nth = |nth: u64| Event {
        line: 0,
        at: Moment::At(Duration::from_secs(nth * 20)),
        fault: Fault::KillPostgres(Place::Writer),
        end: End::Never,
    };
    (0..dice.between(3, 4)).map(nth).collect()
}

/// Too few witnesses are left to bring an open episode to its end.
fn witnesses_lost(dice: &mut Dice) -> [Event; 2] {
    let first = u8::try_from(dice.between(0, 1)).unwrap_or(0);
    let end = End::For(ms(dice, 10_000, 60_000));
    let at = Moment::After(Milestone::Opened, ms(dice, 0, 200));
    [first, first + 1].map(|zone| Event { line: 0, at, fault: Fault::Blind(Zone(zone)), end })
}

fn writer_fault(dice: &mut Dice) -> Fault {
    let place = Place::Writer;
    match dice.between(0, 10) {
        0..=2 => Fault::KillHost(place),
        3..=4 => Fault::KillPostgres(place),
        5..=6 => Fault::Freeze(place),
        7 => Fault::StallCommits(place),
        8 => Fault::Cut(place, View::Everyone),
        9 if dice.happens(100) => Fault::FailCommits(place),
        9 if dice.happens(100) => Fault::RefuseWrites(place),
        _ => any_fault(dice),
    }
}

fn any_place(dice: &mut Dice) -> Place {
    let places = [Place::Writer, Place::OldWriter, Place::Target, Place::Reader(1), Place::Reader(2)];
    dice.one_of(&places).copied().unwrap_or(Place::Writer)
}

fn any_fault(dice: &mut Dice) -> Fault {
    let place = any_place(dice);
    let zone = Zone(u8::try_from(dice.between(0, 2)).unwrap_or(0));
    match dice.between(0, 28) {
        0 => Fault::KillHost(place),
        1 => Fault::KillPostgres(place),
        2 => Fault::Freeze(place),
        3 => Fault::Restart(place),
        4 => Fault::StallCommits(place),
        5 => Fault::FillDisk(place),
        6 => Fault::TakeConnections(place),
        7 => Fault::Lag(place, ms(dice, 0, 90_000)),
        8 => Fault::Cut(place, View::Zone(zone)),
        9 => Fault::Cut(place, if dice.happens(500) { View::Everyone } else { View::Clients }),
        10 => Fault::Blind(zone),
        11 => Fault::Isolate(zone),
        12 => Fault::RefusePassword(if dice.happens(700) { Role::Prober } else { Role::Application }),
        13..=15 => service_fault(dice),
        16 => Fault::Events(delivery(dice)),
        17..=18 => Fault::Coordinator(disturbance(dice)),
        19 => Fault::KillProber(zone),
        24 => Fault::FailCommits(place),
        26 => Fault::RefuseWrites(place),
        25 => Fault::RotatePassword(if dice.happens(700) { Role::Prober } else { Role::Application }),
        20..=21 => Fault::Platform(platform_deed(dice)),
        27 => Fault::Delay(zone, ms(dice, 1, 3_000)),
        28 => Fault::Linger(place),
        _ => Fault::Operator(operator_deed(dice)),
    }
}

fn service_fault(dice: &mut Dice) -> Fault {
    let services = [Service::Rds, Service::StateTable, Service::Notifier, Service::Invocations];
    let service = dice.one_of(&services).copied().unwrap_or(Service::Rds);
    let slow = Trouble::Slow(ms(dice, 50, 4_500));
    let all = [
        Trouble::Throttle,
        Trouble::Error,
        Trouble::Denied,
        Trouble::Silence,
        Trouble::LostAnswer,
        Trouble::ErrorAfterEffect,
        slow,
        Trouble::Stale,
    ];
    let trouble = dice.one_of(&all).copied().unwrap_or(Trouble::Error);
    if trouble == Trouble::Stale {
        return Fault::Fail(Service::Rds, trouble, None);
    }
    let action = if dice.happens(500) { one_action(dice, service) } else { None };
    Fault::Fail(service, trouble, action)
}

fn one_action(dice: &mut Dice, service: Service) -> Option<&'static str> {
    let actions: &[&'static str] = match service {
        Service::Rds => &["FailoverDBCluster", "FailoverDBCluster", "DescribeDBClusters", "DescribeDBInstances"],
        Service::StateTable => &["GetItem", "PutItem", "Query", "TransactWriteItems"],
        Service::Notifier | Service::Invocations => &[],
    };
    dice.one_of(actions).copied()
}

fn delivery(dice: &mut Dice) -> Delivery {
    match dice.between(0, 3) {
        0 => Delivery::Late(ms(dice, 1_000, 300_000)),
        1 => Delivery::Dropped,
        2 => Delivery::Doubled,
        _ => Delivery::Reordered,
    }
}

fn disturbance(dice: &mut Dice) -> Disturbance {
    match dice.between(0, 7) {
        0..=2 => Disturbance::Killed,
        // Half the bound at most, as for all other clocks.
        6 => Disturbance::Ahead(ms(dice, 1, 500)),
        7 => Disturbance::Behind(ms(dice, 1, 500)),
        3 => Disturbance::Delayed(ms(dice, 100, 10_000)),
        _ => Disturbance::Doubled,
    }
}

fn platform_deed(dice: &mut Dice) -> PlatformDeed {
    let all = [
        PlatformDeed::FailsOver,
        PlatformDeed::FailsOver,
        PlatformDeed::FailoversFail,
        PlatformDeed::FailoversReverse,
        PlatformDeed::ChangesCluster,
        PlatformDeed::KeepsEndpoint,
        PlatformDeed::StopsCluster,
        PlatformDeed::LosesKey,
        PlatformDeed::PausesCluster,
        PlatformDeed::SwitchesBlueGreen,
    ];
    dice.one_of(&all).copied().unwrap_or(PlatformDeed::FailsOver)
}

fn operator_deed(dice: &mut Dice) -> OperatorDeed {
    let all = [
        OperatorDeed::Sets(Mode::Paused),
        OperatorDeed::Sets(Mode::Armed),
        OperatorDeed::Sets(Mode::Shadow),
        OperatorDeed::FailsOver,
        OperatorDeed::DeletesLease,
        OperatorDeed::SwitchesOver,
    ];
    dice.one_of(&all).copied().unwrap_or(OperatorDeed::FailsOver)
}

fn noise(dice: &mut Dice) -> Noise {
    let some = |dice: &mut Dice, chance: u32, most: u64| {
        if dice.happens(chance) { u32::try_from(dice.between(1, most)).unwrap_or(0) } else { 0 }
    };
    Noise {
        state_table: some(dice, 300, 60),
        rds: some(dice, 300, 100),
        others: some(dice, 300, 200),
        kills: some(dice, 300, 40),
        doubles: some(dice, 300, 300),
        events_lost: some(dice, 300, 500),
        events_doubled: some(dice, 300, 300),
        events_late_max: if dice.happens(300) { ms(dice, 0, 300_000) } else { ms(dice, 500, 10_000) },
        start_late_max: if dice.happens(300) { ms(dice, 0, 5_000) } else { ms(dice, 30, 200) },
        view_lag_max: if dice.happens(300) { ms(dice, 0, 3_000) } else { Duration::ZERO },
        promotion_max: if dice.happens(300) { ms(dice, 0, 30_000) } else { ms(dice, 100, 3_000) },
        stall_max: if dice.happens(200) { ms(dice, 0, 20_000) } else { Duration::ZERO },
        drainer_stalls: some(dice, 300, 400),
        // Two clocks of which each is half the bound away from the truth differ by the bound.
        skew_max: match dice.between(0, 3) {
            0..=1 => Duration::ZERO,
            2 => ms(dice, 0, 500),
            _ => Duration::from_millis(500),
        },
        restart_in_place: dice.happens(300).then(|| ms(dice, 500, 20_000)),
        shown_late_max: if dice.happens(300) { ms(dice, 0, 5_000) } else { Duration::ZERO },
        nameless_max: if dice.happens(300) { ms(dice, 0, 3_000) } else { Duration::ZERO },
        endpoint_late_max: if dice.happens(300) { ms(dice, 0, 30_000) } else { Duration::ZERO },
        endpoint_flaps_max: if dice.happens(300) { ms(dice, 0, 30_000) } else { Duration::ZERO },
        address_kept_max: if dice.happens(300) { ms(dice, 0, 120_000) } else { Duration::ZERO },
        client_waits_max: if dice.happens(300) { ms(dice, 0, 120_000) } else { Duration::ZERO },
        demoted_in_place: if dice.happens(300) { 500 } else { 0 },
        new_writer_restarts_max: if dice.happens(300) { ms(dice, 0, 12_000) } else { Duration::ZERO },
        reports_again: some(dice, 300, 100),
        any_order: dice.happens(300),
        fencer: dice.happens(300),
    }
}
