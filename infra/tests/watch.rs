//! The console's screen, key by key, on a buffer in place of a terminal.

use std::time::Duration;

use serde_json::{Value, json};
use steadfast_aws::state::ModeSet;
use steadfast_core::application::{Audit, Felt};
use steadfast_core::evidence::Head;
use steadfast_core::game_day::plan::{Record, Stage};
use steadfast_core::game_day::slot::Slot;
use steadfast_core::game_day::week::{End, Week, Weeks};
use steadfast_core::hint::{self, Hint};
use steadfast_core::mode::Mode;
use steadfast_core::ports::State;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Az, ClusterId, ClusterStatus, Deployment, InstanceId, Member, Topology};
use steadfast_core::verification::finding::CHECKS;
use steadfast_core::verification::{Manifest, Run, Source};
use steadfast_core::witness::{Canary, EndpointSighting, Outcome, Sighting, WitnessReport};
use steadfast_infra::watch::{Action, Order, Screen, Seen, draw};
use termion::event::Key;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn member(number: usize, zone: &str) -> Member {
    Member {
        id: InstanceId::new(format!("orders-{number}")),
        az: Some(Az::new(format!("eu-central-1{zone}"))),
        tier: 1,
        status: "available".to_owned(),
        is_writer: number == 1,
        class: "db.r6g.large".to_owned(),
        endpoint: String::new(),
    }
}

fn report(zone: &str, writer: Outcome) -> WitnessReport {
    let sighting = |number: usize| Sighting {
        instance: InstanceId::new(format!("orders-{number}")),
        outcome: if number == 1 { writer } else { Outcome::Reading },
        since: NOW,
        committed_at: (number == 1 && writer == Outcome::Committing).then_some(NOW),
        latency_ms: Some(2),
        lag_ms: (number == 2).then_some(17),
        detail: None,
    };
    WitnessReport {
        az: Az::new(format!("eu-central-1{zone}")),
        run: NOW,
        at: NOW,
        sightings: [1, 2, 3].map(sighting).into(),
        endpoint: EndpointSighting::default(),
        canary: Canary { acknowledged: 9, lost: 0 },
    }
}

/// A backup that was opened three hours ago, with the writes of three minutes before.
fn verified() -> Run {
    let began = Timestamp::from_millis(1_799_989_000_000);
    let source = Source::PointInTime { to: began };
    let run = Run::begin(&ClusterId::new("orders"), Deployment::Cluster, Manifest::default(), source, None, began);
    let canary_at = Some(began.minus(Duration::from_secs(180)));
    Run { canary_at, done: CHECKS.into(), recorded: true, ..run }
}

fn week(number: u64, end: End) -> Week {
    let at = NOW.minus(Duration::from_secs((20 - number) * 7 * 24 * 3_600));
    let measured = end == End::Passed;
    Week {
        slot: Slot::of(at),
        experiment: "failover".to_owned(),
        end,
        at,
        says: "all 7 expectations held".to_owned(),
        detected_ms: measured.then_some(700),
        outage_ms: measured.then_some(1_000 + 100 * number),
        lost: measured.then_some(0),
        application: None,
    }
}

fn game_day() -> Record {
    let ends = [End::Passed, End::Skipped, End::Passed];
    let mut weeks = Weeks::default();
    for (number, end) in (17..).zip(ends) {
        weeks.put(week(number, end));
    }
    let last = week(19, End::Passed);
    Record {
        slot: last.slot,
        experiment: last.experiment.clone(),
        stage: Stage::Over,
        at: last.at,
        began: last.at,
        epoch_before: 3,
        writer_before: "orders-1".to_owned(),
        canary_lost_before: 0,
        verdict: "passed".to_owned(),
        says: last.says,
        attempt: 0,
        weeks,
        evidence: Head::default(),
        version: 9,
    }
}

fn seen(writer: Outcome) -> Seen {
    let members = vec![member(1, "a"), member(2, "b"), member(3, "c")];
    Seen {
        at: NOW,
        id: ClusterId::new("orders"),
        deployment: Deployment::Cluster,
        state: Ok(State {
            mode: Mode::Armed,
            reports: ["a", "b", "c"].map(|zone| report(zone, writer)).into(),
            ..State::default()
        }),
        topology: Ok(Topology {
            cluster: ClusterId::new("orders"),
            deployment: Deployment::Cluster,
            status: ClusterStatus::Available,
            endpoint: String::new(),
            port: 5_432,
            members,
        }),
        mode_set: Some(ModeSet { reason: "after the review".to_owned(), at: NOW }),
        evidence: Vec::new(),
        game_day: None,
        application: None,
        backup: Some(verified()),
    }
}

fn picture(screen: &Screen, width: u16, height: u16) -> String {
    let lines = draw(screen, NOW, width, height);
    assert!(lines.len() <= usize::from(height), "{lines:?}");
    let texts: Vec<String> = lines.iter().map(steadfast_infra::watch::Line::text).collect();
    assert!(texts.iter().all(|text| text.chars().count() <= usize::from(width)), "{texts:#?}");
    texts.join("\n")
}

fn screen(seen: Seen) -> Screen {
    let mut screen = Screen::default();
    screen.show(seen);
    screen
}

fn press(screen: &mut Screen, keys: &str) -> Action {
    keys.chars().fold(Action::Draw, |_, letter| {
        let code = match letter {
            '\u{1b}' => Key::Esc,
            'v' => Key::Down,
            other => Key::Char(other),
        };
        screen.press(code)
    })
}

#[test]
fn a_healthy_cluster_shows_roles_zones_lag_mode_and_practice() {
    let text = picture(&screen(seen(Outcome::Committing)), 110, 30);
    for held in [
        "Steadfast  orders  ARMED since just now (after the review)",
        "writer orders-1 is committing",
        "17 ms",
        "eu-central-1b",
        "There has been none.",
        "last game day: none is recorded",
        "last backup opened: verified 3 h ago: achieved RPO 180 s",
        "a arm",
    ] {
        assert!(text.contains(held), "{held}\n{text}");
    }
}

#[test]
fn the_weeks_of_game_days_are_a_trend() {
    let text = picture(&screen(Seen { game_day: Some(game_day()), ..seen(Outcome::Committing) }), 110, 30);
    assert!(text.contains("last game day: passed 7 days ago: failover, all 7 expectations held"), "{text}");
    assert!(text.contains("weeks: 0.7/2.7  skipped  0.7/2.9 (detected/without a commit, s)"), "{text}");
}

#[test]
fn what_the_application_probe_felt_is_told_with_its_books() {
    let felt = Felt { acknowledged: 118, errors: 0, longest_ms: 1_240, silent_ms: 900, audit: Some(Audit::default()) };
    let shown = |felt: &Felt| {
        let mut game_day = game_day();
        game_day.weeks.put(Week { application: Some(felt.clone()), ..game_day.weeks.all()[2].clone() });
        let application = Some(felt.clone());
        picture(&screen(Seen { application, game_day: Some(game_day), ..seen(Outcome::Committing) }), 110, 30)
    };
    let text = shown(&felt);
    assert!(text.contains("last minute: 118 transfers, 0 failed, longest wait 1240 ms, books right"), "{text}");
    assert!(text.contains("0.7/2.9/1.2 (detected/without a commit/longest transfer, s)"), "{text}");
    let lost = Felt { audit: Some(Audit { lost: 2, ..Audit::default() }), ..felt };
    assert!(shown(&lost).contains("2 WRONG IN ITS BOOKS"));
}

#[test]
fn a_dead_writer_and_an_unreadable_part_are_told_and_hide_nothing_else() {
    let text = picture(&screen(seen(Outcome::Unreachable)), 110, 30);
    assert!(text.contains("writer orders-1 is dead") && text.contains("unreachable"), "{text}");
    let mute = Seen { topology: Err("DescribeDBClusters: denied".to_owned()), ..seen(Outcome::Committing) };
    let text = picture(&screen(mute), 110, 30);
    assert!(text.contains("DescribeDBClusters: denied") && text.contains("ARMED"), "{text}");
    let dark = Seen { state: Err("state table t: no answer".to_owned()), ..seen(Outcome::Committing) };
    let text = picture(&screen(dark), 110, 30);
    assert!(text.contains("MODE UNKNOWN") && text.contains("state table t: no answer"), "{text}");
}

#[test]
fn it_fits_a_small_terminal_and_survives_a_tiny_one() {
    let text = picture(&screen(seen(Outcome::Committing)), 80, 24);
    assert!(text.contains("orders-3") && text.contains("q leave"), "{text}");
    for (width, height) in [(1, 1), (20, 3), (300, 5)] {
        picture(&screen(seen(Outcome::Committing)), width, height);
    }
}

#[test]
fn nothing_that_moves_a_writer_is_ordered_by_one_key() {
    let mut console = screen(seen(Outcome::Committing));
    assert_eq!(press(&mut console, "a"), Action::Draw);
    assert!(picture(&console, 100, 30).contains("Type the name orders and press Enter"));
    assert_eq!(press(&mut console, "y\n"), Action::Draw, "the wrong name");
    assert_eq!(press(&mut console, "\u{1b}"), Action::Draw);
    assert_eq!(press(&mut console, "aorders\n"), Action::Give(Order::Mode(Mode::Armed)));
    assert_eq!(press(&mut console, "p"), Action::Draw, "one order at a time");
    console.answered("the mode is armed".to_owned());
    assert!(picture(&console, 100, 30).contains("the mode is armed"));
    assert_eq!(press(&mut console, "py"), Action::Give(Order::Mode(Mode::Paused)));
}

#[test]
fn a_switchover_names_its_target_only_when_one_was_chosen() {
    let mut console = screen(seen(Outcome::Committing));
    assert_eq!(press(&mut console, "s\norders\n"), Action::Give(Order::Switchover(None)));
    console.answered(String::new());
    press(&mut console, "svv");
    assert!(picture(&console, 100, 30).contains("> orders-3"));
    let target = Some(InstanceId::new("orders-3"));
    assert_eq!(press(&mut console, "\norders\n"), Action::Give(Order::Switchover(target)));
    console.answered(String::new());
    console.show(Seen { deployment: Deployment::Instance, ..seen(Outcome::Committing) });
    press(&mut console, "s");
    assert!(picture(&console, 110, 30).contains("is not switched over"));
}

#[test]
fn the_operator_can_always_leave() {
    let mut console = Screen::default();
    let control_c = Key::Ctrl('c');
    assert_eq!(console.press(control_c), Action::Leave);
    assert_eq!(press(&mut console, "q"), Action::Leave);
    press(&mut console, "a");
    assert_eq!(console.press(control_c), Action::Leave);
}

#[test]
fn every_order_is_one_that_the_coordinator_takes() {
    let id = ClusterId::new("orders");
    let modes = Mode::ALL.map(Order::Mode);
    let moves = [Order::Switchover(None), Order::Switchover(Some(InstanceId::new("orders-2")))];
    for order in modes.into_iter().chain(moves) {
        let expected = match order.clone() {
            Order::Mode(mode) => hint::Order::SetMode { mode, reason: "tried".to_owned() },
            Order::Switchover(target) => hint::Order::Switchover { target, reason: "tried".to_owned() },
        };
        assert_eq!(hint::parse(&order.payload(&id, "tried")), Hint::Operator(expected), "{order:?}");
    }
}

#[test]
fn answers_are_told_in_words() {
    let told = |answer: Value| Order::Switchover(None).answered(&answer);
    assert_eq!(told(json!({ "switched_over": true, "writer": "orders-2" })), "orders-2 writes now");
    assert_eq!(told(json!({ "switched_over": false, "because": "it is paused" })), "the writer stays: it is paused");
    assert_eq!(told(json!({ "ignored": "another cluster" })), "the order was not taken: another cluster");
    let mode = Order::Mode(Mode::Paused).answered(&json!({ "mode": "paused", "before": "armed" }));
    assert_eq!(mode, "the mode is paused; it was armed");
}
