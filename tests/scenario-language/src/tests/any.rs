//! Any scenario that may be written.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use steadfast_core::rules::{TABLE, Verdict};
use steadfast_core::topology::Deployment;

use crate::scenario::*;
use crate::vocabulary::{Vocabulary, ZONES, actions};

/// Readers in every scenario made here, so that each of them may be named.
const READERS: u8 = 3;

fn word<T: Vocabulary + std::fmt::Debug>() -> impl Strategy<Value = T> {
    select(T::WORDS).prop_map(|(_, value)| value)
}

fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![(1..=90_000_u64), (1..=86_400_u64).prop_map(|seconds| seconds * 1_000)].prop_map(Duration::from_millis)
}

fn time_or_none() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), time()]
}

fn zone() -> impl Strategy<Value = Zone> {
    select(ZONES).prop_map(|(_, zone)| zone)
}

fn reader() -> impl Strategy<Value = u8> {
    1..=READERS
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![Just(Place::Writer), Just(Place::OldWriter), reader().prop_map(Place::Reader)]
}

fn view() -> impl Strategy<Value = View> {
    prop_oneof![zone().prop_map(View::Zone), Just(View::Everyone), Just(View::Clients)]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        select(vec![Trouble::Throttle, Trouble::Error, Trouble::Denied, Trouble::Silence]),
        select(vec![Trouble::LostAnswer, Trouble::ErrorAfterEffect]),
        time().prop_map(Trouble::Slow),
    ]
}

fn failing() -> impl Strategy<Value = Fault> {
    let any = (word::<Service>(), trouble(), any::<prop::sample::Index>(), any::<bool>());
    prop_oneof![
        any.prop_map(|(service, trouble, index, named)| {
            Fault::Fail(service, trouble, named.then(|| *index.get(actions(service))))
        }),
        Just(Fault::Fail(Service::Rds, Trouble::Stale, None)),
        Just(Fault::Fail(Service::Rds, Trouble::Stale, Some("DescribeDBClusters"))),
    ]
}

fn at_the_server() -> impl Strategy<Value = Fault> {
    prop_oneof![
        place().prop_map(Fault::KillHost),
        place().prop_map(Fault::KillPostgres),
        place().prop_map(Fault::Freeze),
        place().prop_map(Fault::Restart),
        place().prop_map(Fault::StallCommits),
        place().prop_map(Fault::FillDisk),
        place().prop_map(Fault::FailCommits),
        place().prop_map(Fault::RefuseWrites),
        place().prop_map(Fault::TakeConnections),
        place().prop_map(Fault::Linger),
        (reader().prop_map(Place::Reader), time()).prop_map(|(place, by)| Fault::Lag(place, by)),
    ]
}

fn around_it() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (place(), view()).prop_map(|(place, view)| Fault::Cut(place, view)),
        zone().prop_map(Fault::Blind),
        (zone(), time()).prop_map(|(zone, by)| Fault::Delay(zone, by)),
        zone().prop_map(Fault::Isolate),
        word().prop_map(Fault::RefusePassword),
        word().prop_map(Fault::RotatePassword),
        select(vec![Delivery::Dropped, Delivery::Doubled, Delivery::Reordered]).prop_map(Fault::Events),
        time().prop_map(|by| Fault::Events(Delivery::Late(by))),
        select(vec![Disturbance::Killed, Disturbance::Doubled]).prop_map(Fault::Coordinator),
        time().prop_map(|by| Fault::Coordinator(Disturbance::Delayed(by))),
        time().prop_map(|by| Fault::Coordinator(Disturbance::Ahead(by))),
        time().prop_map(|by| Fault::Coordinator(Disturbance::Behind(by))),
    ]
}

fn by_others() -> impl Strategy<Value = Fault> {
    prop_oneof![
        zone().prop_map(Fault::KillProber),
        word().prop_map(Fault::Platform),
        word().prop_map(|mode| Fault::Operator(OperatorDeed::Sets(mode))),
        select(vec![OperatorDeed::FailsOver, OperatorDeed::SwitchesOver, OperatorDeed::DeletesLease])
            .prop_map(Fault::Operator),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![at_the_server(), around_it(), by_others(), failing()]
}

fn event() -> impl Strategy<Value = Event> {
    let moment = prop_oneof![
        (0..120_000_u64).prop_map(|millis| Moment::At(Duration::from_millis(millis))),
        (word(), time_or_none()).prop_map(|(milestone, later)| Moment::After(milestone, later)),
    ];
    let end = prop_oneof![
        Just(End::Never),
        time().prop_map(End::For),
        (word(), time_or_none()).prop_map(|(milestone, later)| End::Until(milestone, later)),
    ];
    (moment, fault(), end).prop_map(|(at, fault, end)| {
        let end = match (at, end) {
            _ if fault.is_over_at_once() => End::Never,
            (Moment::After(begin, by), End::Until(milestone, later)) if (milestone, later) <= (begin, by) => End::Never,
            (_, end) => end,
        };
        Event { line: 0, at, fault, end }
    })
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![(1..9_u64).prop_map(Bound::Exactly), (1..9_u64).prop_map(Bound::AtMost)]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Who::Same), Just(Who::Other), reader().prop_map(Who::Reader)]
}

/// At most one of each kind, none of which contradicts another.
fn expectations() -> impl Strategy<Value = Vec<Expectation>> {
    let callers: Vec<u16> =
        TABLE.iter().filter(|rule| rule.verdict == Verdict::CallHuman).map(|rule| rule.id).collect();
    let rules: Vec<u16> = TABLE.iter().map(|rule| rule.id).collect();
    let numbers = (bound(), bound(), bound(), bound(), time(), time());
    let people = prop_oneof![Just(Expectation::NobodyCalled), select(callers).prop_map(Expectation::PersonCalled)];
    let words = (who(), word(), any::<bool>(), people);
    let rules = (subsequence(rules, 0..4), any::<bool>());
    (numbers, words, rules).prop_flat_map(
        |((calls, episodes, lost, errors, outage, detected), words, (rules, decided))| {
            let (who, by, open, people) = words;
            let rule = if decided { Expectation::Rule } else { Expectation::NoRule };
            let mut all: Vec<Expectation> = rules.into_iter().map(rule).collect();
            all.extend([
                Expectation::Calls(calls),
                Expectation::Episodes(episodes),
                Expectation::Lost(lost),
                Expectation::Errors(errors),
                Expectation::OutageAtMost(outage),
                Expectation::DetectedWithin(detected),
                Expectation::Writer(who),
                Expectation::RecoveredBy(by),
                Expectation::Open(open),
                Expectation::SessionsEvicted,
                people,
            ]);
            let count = all.len();
            subsequence(all, 1..=count).prop_shuffle()
        },
    )
}

fn policy() -> impl Strategy<Value = Vec<(Threshold, Duration)>> {
    let thresholds: Vec<Threshold> = Threshold::WORDS.iter().map(|(_, threshold)| *threshold).collect();
    let values = proptest::collection::vec(time_or_none(), thresholds.len());
    (subsequence(thresholds, 0..7), values)
        .prop_map(|(thresholds, values)| thresholds.into_iter().zip(values).collect())
}

fn only() -> impl Strategy<Value = Option<Only>> {
    let because = "[a-zé:'-]{1,8}( [a-z:,.]{1,8}){0,3}";
    proptest::option::of((word(), because).prop_map(|(place, because)| Only { place, because }))
}

/// Any scenario. Its lines are not numbered.
pub(super) fn scenario() -> impl Strategy<Value = Scenario> {
    let words =
        ("[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,4}", "[A-Za-zé#.,]{1,9}( [a-z#]{1,9}){0,5}(\n{1,2}[a-z#-]{1,9}){0,3}");
    let setup = (word(), proptest::option::of(time_or_none()), policy(), only(), time(), any::<bool>(), any::<bool>());
    let timeline = proptest::collection::vec(event(), 0..6);
    (words, setup, timeline, expectations()).prop_map(|((name, why), setup, mut timeline, expectations)| {
        let (mode, platform, policy, only, lasts, exactly, gated) = setup;
        if let Some(first) = timeline.first_mut() {
            first.at = Moment::At(Duration::ZERO);
        }
        let lasts = lasts.saturating_add(Duration::from_secs(120)).min(Duration::from_secs(86_400));
        Scenario {
            name,
            why,
            deployment: Deployment::Cluster,
            readers: READERS,
            gated,
            mode,
            platform,
            policy,
            only,
            lasts,
            exactly,
            timeline,
            expectations,
        }
    })
}
