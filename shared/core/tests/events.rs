//! Every event shape we know of, and every event id of RDS.

#![expect(clippy::expect_used, reason = "a test ends where its ground is missing")]
#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

mod shapes;

use std::fmt::Write as _;

use serde_json::{Value, json};
use steadfast_core::hint::{self, Hint, Order, RdsHint};
use steadfast_core::mode::Mode;
use steadfast_core::rds_event::{self, Meaning};
use steadfast_core::route::{self, Dropped, Route};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment, InstanceId};

fn shape(name: &str) -> Value {
    let found = shapes::all().into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no event file {name}")).1
}

fn rds(payload: &Value) -> RdsHint {
    let Hint::Rds(hint) = hint::parse(payload) else { panic!("no event of RDS: {payload}") };
    hint
}

fn cluster() -> ClusterId {
    ClusterId::new("orders")
}

/// One row of `ids.tsv`.
struct Row {
    id: String,
    source_type: String,
    category: String,
    says: String,
    message: String,
}

fn rows() -> Vec<Row> {
    let rows: Vec<Row> = include_str!("ids.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut columns = line.split('\t').map(str::to_owned);
            let mut next = || columns.next().unwrap_or_else(|| panic!("five columns in {line}"));
            Row { id: next(), source_type: next(), category: next(), says: next(), message: filled(&next()) }
        })
        .collect();
    assert_eq!(rows.len(), 324, "the guides list that many");
    rows
}

/// A message that begins so, with every placeholder named `thing-1`.
fn filled(beginning: &str) -> String {
    let part = |(at, part): (usize, &str)| if at % 2 == 1 { "thing-1".to_owned() } else { part.to_owned() };
    let beginning: String =
        if beginning == "-" { "Said".to_owned() } else { beginning.split('`').enumerate().map(part).collect() };
    format!("{beginning} of thing-1.")
}

#[test]
fn every_shape_is_read_and_routed_as_reviewed() {
    let mut text = String::new();
    for (name, payload) in shapes::all() {
        for event in hint::events(&payload) {
            let route = route::stale(&event.hint, &event.envelope, Timestamp::default())
                .map_or_else(|| route::choose(&event.hint, &cluster(), Deployment::Cluster), Route::dropped);
            let id = event.envelope.id.as_deref().map_or("-", |id| id.split('-').next().unwrap_or_default());
            writeln!(text, "{name}\n    {id} {}\n    {}", sentence(&event.hint), consequence(&route)).expect("writes");
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/hints.txt");
    if std::fs::read_to_string(path).unwrap_or_default() != text {
        std::fs::write(path, &text).expect("writes");
        panic!("the reading of an event has changed; {path} was rewritten: review the difference and commit it");
    }
}

fn sentence(hint: &Hint) -> String {
    match hint {
        Hint::Rds(RdsHint { id, meaning, source_type, identifier, message: _, date, target }) => format!(
            "rds {} {meaning:?} {source_type} {identifier} at {}{}",
            id.as_deref().unwrap_or("without an id"),
            date.as_deref().unwrap_or("no date"),
            target.as_ref().map(|target| format!(", target {target}")).unwrap_or_default()
        ),
        Hint::Alarm { .. }
        | Hint::Experiment { .. }
        | Hint::Rotation { .. }
        | Hint::Tick
        | Hint::Suspicion { .. }
        | Hint::Operator(_)
        | Hint::Unknown { .. } => serde_json::to_string(hint).expect("serialises"),
    }
}

fn consequence(route: &Route) -> String {
    let wakes = if route.wakes { "wakes" } else { "wakes nobody" };
    let tells = route.notice.as_ref().map_or("tells nobody", |notice| notice.severity.as_str());
    match route.dropped {
        Some(because) => format!("dropped: {because:?}"),
        None => format!("{wakes}, {tells}"),
    }
}

/// What `DescribeEvents` and event subscriptions call a source.
fn described_source(source_type: &str) -> String {
    match source_type {
        "CLUSTER" | "SNAPSHOT" | "CLUSTER_SNAPSHOT" | "SECURITY_GROUP" => {
            format!("db-{}", source_type.to_lowercase().replace('_', "-"))
        }
        "DB_PARAM" => "db-parameter-group".to_owned(),
        "DB_INSTANCE" | "DB_PROXY" | "BLUE_GREEN_DEPLOYMENT" => source_type.to_lowercase().replace('_', "-"),
        other => other.to_owned(),
    }
}

impl Row {
    const ARN: &str = "arn:aws:rds:eu-central-1:123456789012:any:thing-1";

    fn bridged(&self) -> Value {
        json!({ "id": "1", "source": "aws.rds", "detail-type": "RDS Event", "detail": {
            "EventCategories": [self.category], "SourceType": self.source_type, "SourceArn": Self::ARN,
            "Message": self.message, "Date": "2026-03-02T03:12:07.884Z", "SourceIdentifier": "thing-1",
            "EventID": self.id } })
    }

    fn notified(&self) -> Value {
        let id = format!("http://docs.amazonwebservices.com/AmazonRDS/latest/UserGuide/USER_Events.html#{}", self.id);
        json!({ "Event Source": described_source(&self.source_type), "Event Time": "2026-03-02 03:12:07.884",
            "Source ID": "thing-1", "Source ARN": Self::ARN, "Event Message": self.message, "Event ID": id })
    }

    fn described(&self) -> Value {
        json!({ "Events": [{ "SourceIdentifier": "thing-1", "SourceType": described_source(&self.source_type),
            "Message": self.message, "EventCategories": [self.category], "Date": "2026-03-02T03:12:07.884Z",
            "SourceArn": Self::ARN }] })
    }
}

fn without(mut event: Value, pointer: &str, field: &str) -> Value {
    event.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object").remove(field).expect("is there");
    event
}

#[test]
fn every_event_id_is_read_in_every_form_it_comes_in() {
    for row in rows() {
        let id = &row.id;
        let read = rds(&row.bridged());
        assert_eq!(read, rds(&row.notified()), "{id}");
        assert_eq!(read.id.as_ref(), Some(id));
        assert_eq!((&read.source_type, read.identifier.as_str()), (&row.source_type, "thing-1"), "{id}");
        assert_eq!(read.meaning, rds_event::read(Some(id)).meaning, "{id}");
        let nameless = RdsHint { id: None, ..read };
        let forms =
            [without(row.bridged(), "/detail", "EventID"), without(row.notified(), "", "Event ID"), row.described()];
        for form in forms {
            assert_eq!(rds(&form), nameless, "{id}: {form}");
        }
    }
}

#[test]
fn what_follows_from_an_event_is_the_same_without_its_id() {
    for row in rows() {
        let (id, message) = (&row.id, &row.message);
        let reading = rds_event::read(Some(id));
        assert_eq!(rds_event::read_event(None, message), reading, "{id}: {message}");
        assert_eq!(rds_event::read_event(None, message.trim_end_matches('.')), reading, "{id}, without a period");
        let route = |event: &Value| {
            let route = route::choose(&hint::parse(event), &ClusterId::new("thing-1"), Deployment::Cluster);
            (route.wakes, route.notice.map(|notice| notice.severity), route.dropped)
        };
        // A deployment's cluster stands in the message alone, and not in each: those that mean something name it.
        let unnamed = row.source_type == "BLUE_GREEN_DEPLOYMENT" && !message.contains("thing-1");
        let follows = (reading.wakes, reading.severity, unnamed.then_some(Dropped::Foreign));
        for form in [row.bridged(), row.notified(), row.described()] {
            assert_eq!(route(&form), follows, "{id}: {form}");
        }
    }
}

#[test]
fn a_message_alone_is_an_event_if_it_means_something() {
    for row in rows() {
        let meaning = rds_event::read(Some(&row.id)).meaning;
        let parsed = hint::parse(&json!({ "Event Message": row.message }));
        if let Hint::Rds(read) = &parsed {
            assert_eq!((read.meaning, read.identifier.as_str()), (meaning, ""), "{}", row.id);
        } else {
            assert!(meaning == Meaning::Other && matches!(parsed, Hint::Unknown { .. }), "{}", row.id);
        }
    }
}

#[test]
fn the_meanings_are_those_of_the_guides() {
    let rows = rows();
    for (id, reading) in rds_event::TABLE {
        let listed: Vec<&Row> = rows.iter().filter(|row| row.id == *id).collect();
        assert!(!listed.is_empty(), "no guide lists {id}");
        for row in listed {
            assert!(
                fits(reading.meaning, &row.category, &row.says),
                "{id} is no {:?}: {} {}",
                reading.meaning,
                row.category,
                row.says
            );
        }
    }
    for row in rows.iter().filter(|row| row.category == "failover") {
        assert_ne!(rds_event::read(Some(&row.id)).meaning, Meaning::Other, "{} is about a failover", row.id);
    }
}

fn fits(meaning: Meaning, category: &str, says: &str) -> bool {
    match meaning {
        Meaning::FailoverStarted => (category, says) == ("failover", "started"),
        Meaning::FailoverCompleted => (category, says) == ("failover", "completed"),
        Meaning::FailoverReversed => (category, says) == ("failover", "reversed"),
        Meaning::FailoverFailed => (category, says) == ("failover", "failed"),
        Meaning::FailoverAbandoned => (category, says) == ("failover", "refused"),
        Meaning::Shutdown => (category, says) == ("availability", "shut-down"),
        Meaning::Restarted => (category, says) == ("availability", "restarted"),
        Meaning::Recovery => matches!(category, "recovery" | "failover") && says == "recovered",
        Meaning::TopologyChanged => says == "topology",
        Meaning::LowStorage => {
            category == "low storage" || category == "availability" && matches!(says, "low" | "shut-down")
        }
        Meaning::Broken => matches!(category, "failure" | "availability") && matches!(says, "put-into-state" | "key"),
        Meaning::Maintenance => (category, says) == ("maintenance", "started"),
        Meaning::Switchover => matches!(category, "notification" | "failure"),
        Meaning::Pause => category == "notification, serverless",
        Meaning::Other => false,
    }
}

#[test]
fn one_failover_is_read_alike_from_eventbridge_sns_and_a_description() {
    let bridged = rds(&shape("rds-cluster-failover-started"));
    let notified = rds(&shape("rds-notification-through-sns-and-sqs"));
    assert_eq!(bridged, notified);
    let described = rds(&shape("rds-described"));
    assert_eq!(described.id, None);
    assert_eq!((described.meaning, described.target), (bridged.meaning, bridged.target));
    assert_eq!((described.source_type, described.identifier), (bridged.source_type, bridged.identifier));
    let at = |date: Option<String>| Timestamp::parse(&date.expect("a date")).expect("a time");
    assert_eq!(at(described.date), at(bridged.date));
}

#[test]
fn a_notification_is_known_by_the_message_that_carried_it() {
    let payload = shape("rds-notification-through-sns");
    let envelope = hint::envelope(&payload);
    assert_eq!(envelope.id.as_deref(), payload.pointer("/Records/0/Sns/MessageId").and_then(Value::as_str));
    assert_eq!(envelope.time.as_deref(), Some("2026-03-02T03:12:09.101Z"));
    // Ours have none: an `id` in them is the event's that they tell of.
    assert_eq!(hint::envelope(&shape("wake-about-rds")), hint::Envelope::default());
}

#[test]
fn every_event_of_a_batch_is_read_and_the_first_that_is_understood_stands_for_it() {
    let payload = shape("rds-events-in-sqs-batch");
    let events = hint::events(&payload);
    assert_eq!(events.len(), 3);
    assert!(matches!(events[0].hint, Hint::Unknown { .. }));
    assert_eq!(
        events[1].envelope.id,
        shape("rds-instance-restarted").get("id").map(|id| id.as_str().unwrap_or_default().to_owned())
    );
    assert_eq!(hint::parse(&payload), events[1].hint);
    assert_eq!(hint::envelope(&payload), events[1].envelope);
}

#[test]
fn an_order_is_taken_only_from_whoever_invokes_the_function() {
    let order = shape("operator-arm");
    assert!(matches!(hint::parse(&order), Hint::Operator(Order::SetMode { mode: Mode::Armed, .. })));
    let text = order.to_string();
    for carried in [
        json!([order]),
        json!({ "Records": [order] }),
        json!({ "TopicArn": "arn", "Message": text }),
        json!({ "Records": [{ "Sns": { "Message": text } }] }),
        json!({ "Records": [{ "eventSource": "aws:sqs", "body": text }] }),
        json!({ "source": "aws.rds", "detail-type": "RDS DB Cluster Event", "detail": order }),
        json!({ "source": "my.application", "detail-type": "Order", "detail": order }),
    ] {
        assert!(matches!(hint::parse(&carried), Hint::Unknown { .. }), "{carried}");
    }
}

#[test]
fn what_is_missing_is_made_up_for_where_it_stands_elsewhere() {
    let mut event = shape("rds-cluster-another");
    for field in ["SourceType", "SourceIdentifier"] {
        event["detail"].as_object_mut().expect("an object").remove(field);
        let read = rds(&event);
        assert_eq!((read.source_type.as_str(), read.identifier.as_str()), ("CLUSTER", "billing"), "without {field}");
        assert_eq!(
            route::choose(&Hint::Rds(read), &cluster(), Deployment::Cluster).dropped,
            Some(Dropped::Foreign),
            "without {field}"
        );
    }
    // A failed failover of nobody knows which cluster is looked into.
    event["detail"].as_object_mut().expect("an object").remove("SourceArn");
    assert!(route::choose(&hint::parse(&event), &cluster(), Deployment::Cluster).wakes);
}

#[test]
fn identifiers_are_compared_as_rds_does() {
    let hint = hint::parse(&shape("rds-cluster-failover-failed"));
    assert_eq!(route::choose(&hint, &ClusterId::new("Orders"), Deployment::Cluster).dropped, None);
}

#[test]
fn a_message_that_names_no_instance_gives_no_target() {
    let named = |message: &str| {
        let mut event = shape("rds-cluster-failover-completed");
        event["detail"]["Message"] = json!(message);
        rds(&event).target
    };
    assert_eq!(named("Completed failover to DB instance: Orders-2. "), Some(InstanceId::new("Orders-2")));
    for message in ["", ": ", "orders-2", "to: two words", "to: ördërs", "to: -2", &format!("to: o{}", "2".repeat(63))]
    {
        assert_eq!(named(message), None, "{message}");
    }
}

#[test]
fn a_huge_or_deep_payload_is_read_in_bounds() {
    let mut event = shape("rds-cluster-failover-failed");
    event["detail"]["Message"] = json!("ü".repeat(1_000_000));
    event["detail"]["SourceIdentifier"] = json!("x".repeat(1_000_000));
    let read = rds(&event);
    assert_eq!((read.message.chars().count(), read.identifier.len()), (4_096, 4_096));
    let list = Value::Array(vec![json!(1); 20_000]);
    assert_eq!(hint::events(&list).len(), 10_000);
    let mut wrapped = event;
    for _ in 0..8 {
        wrapped = json!({ "TopicArn": "arn", "Message": wrapped.to_string() });
    }
    assert!(matches!(hint::parse(&wrapped), Hint::Unknown { .. }), "wrapped deeper than anything real");
    let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
    assert!(matches!(hint::parse(&serde_json::from_str(&deep).expect("parses")), Hint::Unknown { .. }));
}
