//! What holds for every input, however strange: nothing from outside makes the core panic, forge an
//! order or say more than fits.

#![expect(clippy::expect_used, reason = "a test ends where its ground is missing")]
#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

mod shapes;
#[path = "shapes/strategy.rs"]
mod strategy;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use steadfast_core::evidence::{self, ChainError, Entry, Head, Kind};
use steadfast_core::hint::{self, Hint, Order, RdsHint, Wake};
use steadfast_core::mode::Mode;
use steadfast_core::notice::{self, Notice, Severity};
use steadfast_core::rds_event::{self, Meaning};
use steadfast_core::rotation::Request;
use steadfast_core::rotation::step::STEPS;
use steadfast_core::route;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Az, ClusterId, Deployment, InstanceId, Owner};
use strategy::{change, changed, json, paths, word};

/// SNS takes 262,144 bytes; four bytes a character at most.
const BODY_CHARS_MAX: usize = 60_000;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Reads and routes a payload as the functions do, and checks what must hold for any of them.
fn judge(payload: &Value, now: Timestamp) -> Result<(), TestCaseError> {
    let cluster = ClusterId::new("orders");
    let events = hint::events(payload);
    prop_assert!(!events.is_empty());
    for event in &events {
        let stale = route::stale(&event.hint, &event.envelope, now);
        prop_assert!(event.envelope.replay.is_none() || stale.is_some());
        let route = route::choose(&event.hint, &cluster, Deployment::Cluster);
        prop_assert!(route.dropped.is_none() || !route.wakes && route.notice.is_none());
        if let Some(notice) = &route.notice {
            fits(notice)?;
        }
        if matches!(event.hint, Hint::Operator(_)) {
            prop_assert_eq!(payload.get("hint"), Some(&json!("operator")), "an order that nobody gave");
        }
        survives(&event.hint)?;
    }
    let chosen = hint::parse(payload);
    prop_assert!(events.iter().any(|event| event.hint == chosen && event.envelope == hint::envelope(payload)));
    Ok(())
}

fn fits(notice: &Notice) -> Result<(), TestCaseError> {
    let subject = notice.sns_subject();
    prop_assert!(subject.len() < 100 && subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{subject:?}");
    prop_assert!(notice.body.chars().count() <= BODY_CHARS_MAX);
    Ok(())
}

/// A hint that is handed on is read as the same hint.
fn survives(hint: &Hint) -> Result<(), TestCaseError> {
    let wake = Wake { cluster: ClusterId::new("orders"), hint: hint.clone() };
    let text = serde_json::to_string(&wake).expect("serialises");
    let read: Value = serde_json::from_str(&text).expect("parses");
    prop_assert_eq!(&serde_json::from_value::<Wake>(read.clone()).expect("a wake"), &wake);
    prop_assert_eq!(hint::parse(&read), wake.hint);
    prop_assert_eq!(hint::envelope(&read), hint::Envelope::default());
    Ok(())
}

fn any_hint() -> impl Strategy<Value = Hint> {
    let mode = select(Mode::ALL.to_vec());
    prop_oneof![
        Just(Hint::Tick),
        (word(), word()).prop_map(|(name, state)| Hint::Alarm { name, state }),
        (word(), word()).prop_map(|(id, status)| Hint::Experiment { id, status }),
        (word(), word()).prop_map(|(secret, what)| Hint::Rotation { secret, what }),
        (word(), word()).prop_map(|(az, i)| Hint::Suspicion { az: Az::new(az), instance: InstanceId::new(i) }),
        (mode, word()).prop_map(|(mode, reason)| Hint::Operator(Order::SetMode { mode, reason })),
        (word(), word()).prop_map(|(source, detail_type)| Hint::Unknown { source, detail_type }),
        rds_hint().prop_map(Hint::Rds),
    ]
}

fn rds_hint() -> impl Strategy<Value = RdsHint> {
    let id = prop_oneof![select(rds_event::TABLE).prop_map(|(id, _)| (*id).to_owned()), word()];
    let meaning = select(rds_event::TABLE).prop_map(|(_, reading)| reading.meaning);
    let target = proptest::option::of(word().prop_map(InstanceId::new));
    let texts = (word(), word(), word(), proptest::option::of(word()));
    (proptest::option::of(id), meaning, texts, target).prop_map(|(id, meaning, texts, target)| {
        let (source_type, identifier, message, date) = texts;
        RdsHint { id, meaning, source_type, identifier, message, date, target }
    })
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<u64>(), 1_772_000_000_000..1_773_000_000_000_u64].prop_map(Timestamp::from_millis)
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn any_json_is_read_and_routed(payload in json(), now in any_time()) {
        judge(&payload, now)?;
    }

    #[test]
    fn a_shape_with_one_field_changed_is_read_and_routed(
        (shape, field, how) in change(), now in any_time()
    ) {
        let shapes = shapes::all();
        let (name, payload) = shape.get(&shapes);
        let paths = paths(payload);
        let text = changed(payload, field.get::<Vec<String>>(&paths), &how);
        let payload: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
        judge(&payload, now)?;
    }

    #[test]
    fn a_step_with_one_field_changed_is_a_step_or_an_error((_, field, how) in change(), step in select(&STEPS[..])) {
        let sent = json!({ "Step": step, "SecretId": "arn", "ClientRequestToken": "v2", "RotationToken": "r" });
        let text = changed(&sent, field.get::<Vec<String>>(&paths(&sent)), &how);
        let payload: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        match Request::read(&payload) {
            None => prop_assert!(payload.get("Step").is_none(), "{}", text),
            Some(Err(error)) => prop_assert!(!error.to_string().is_empty()),
            Some(Ok(request)) => {
                prop_assert_eq!(&payload["Step"], &json!(request.step));
                prop_assert_eq!(&payload["SecretId"], &json!(request.secret_id));
                prop_assert_eq!(&payload["ClientRequestToken"], &json!(request.client_request_token));
            }
        }
    }

    #[test]
    fn a_hint_of_ours_survives_its_own_json(hint in any_hint()) {
        survives(&hint)?;
    }

    #[test]
    fn a_notice_about_any_event_fits_what_sns_takes(hint in rds_hint(), many in 1_000..90_000_usize) {
        let longer = |text: &str| text.repeat(many / (text.len() + 1));
        let long = RdsHint {
            source_type: "DB_INSTANCE".to_owned(),
            message: longer(&hint.message),
            identifier: longer(&hint.identifier),
            ..hint
        };
        if let Some(notice) = route::choose(&Hint::Rds(long), &ClusterId::new("orders"), Deployment::Cluster).notice {
            fits(&notice)?;
        }
    }

    #[test]
    fn any_subject_fits_what_sns_takes(subject in any::<String>(), error in "\\PC{0,300}") {
        for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
            fits(&Notice { severity, subject: subject.clone(), body: String::new() })?;
        }
        fits(&notice::state_lost(&ClusterId::new(subject), Deployment::Cluster, &error))?;
    }

    #[test]
    fn any_text_is_a_time_or_none(text in prop_oneof![any::<String>(), "[0-9TWZ:.,+ -]{0,40}", word()]) {
        if let Some(at) = Timestamp::parse(&text) {
            prop_assert!(at.as_millis() < 400_000_000_000_000, "{text}: {at:?}");
        }
    }

    #[test]
    fn every_millisecond_survives_the_forms_in_which_aws_writes_it(at in 0..253_402_300_800_000_u64) {
        let at = Timestamp::from_millis(at);
        let text = at.rfc3339();
        for zone in ["Z", "+0000", "+00:00"] {
            prop_assert_eq!(Timestamp::parse(&text.replace('Z', zone)), Some(at), "{} {}", text, zone);
        }
    }
}

fn any_kind() -> impl Strategy<Value = Kind> {
    select(vec![Kind::Opened, Kind::Adopted, Kind::Decided, Kind::Intended, Kind::Answered, Kind::Proved, Kind::Closed])
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let chain = (prop_oneof![0..4_u64, any::<u64>()], word(), word());
    (word(), 0..3_u64, chain, any_time(), any_kind(), json()).prop_map(
        |(cluster, epoch, (seq, prev, hash), at, kind, data)| Entry {
            cluster: ClusterId::new(cluster),
            epoch,
            seq,
            at,
            by: Owner::new("me"),
            kind,
            data,
            prev,
            hash,
        },
    )
}

fn chain(parts: &[(Timestamp, Kind, Value)]) -> Vec<Entry> {
    let mut head = Head::default();
    parts
        .iter()
        .map(|(at, kind, data)| {
            let (entry, next) = head.append(&ClusterId::new("orders"), 7, *at, &Owner::new("me"), *kind, data.clone());
            head = next;
            entry
        })
        .collect()
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn entries_that_nobody_chained_do_not_verify(entries in prop::collection::vec(any_entry(), 0..5)) {
        let error = evidence::verify(&entries).expect_err("no chain");
        prop_assert!(!error.to_string().is_empty());
        prop_assert_eq!(error == ChainError::Empty, entries.is_empty());
    }

    #[test]
    fn a_chain_of_any_data_survives_a_file_and_shows_any_change(
        parts in prop::collection::vec((any_time(), any_kind(), json()), 1..5),
        at in any::<prop::sample::Index>(),
        other in json(),
    ) {
        let entries = chain(&parts);
        let text = serde_json::to_string(&entries).expect("serialises");
        let mut read: Vec<Entry> = serde_json::from_str(&text).expect("parses");
        let head = evidence::verify(&read).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        prop_assert_eq!(head.length, u64::try_from(parts.len()).expect("small"));
        let at = at.index(read.len());
        prop_assume!(read[at].data != other);
        read[at].data = other;
        prop_assert_eq!(evidence::verify(&read), Err(ChainError::Content { seq: read[at].seq }));
    }
}

#[test]
fn every_meaning_has_an_id() {
    // The strategies above draw meanings from the table: it must hold them all but `Other`.
    for meaning in [
        Meaning::FailoverStarted,
        Meaning::FailoverCompleted,
        Meaning::FailoverReversed,
        Meaning::FailoverFailed,
        Meaning::FailoverAbandoned,
        Meaning::Shutdown,
        Meaning::Restarted,
        Meaning::Recovery,
        Meaning::TopologyChanged,
        Meaning::LowStorage,
        Meaning::Broken,
        Meaning::Maintenance,
        Meaning::Switchover,
        Meaning::Pause,
    ] {
        assert!(rds_event::TABLE.iter().any(|(_, reading)| reading.meaning == meaning), "{meaning:?}");
    }
}
