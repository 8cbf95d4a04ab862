//! The three forms in which RDS tells of an event.
//!
//! EventBridge has the fields under `detail`, `DescribeEvents` has the same ones bare, and an event
//! subscription sends them through SNS under other names. Any field may be missing.

use serde_json::Value;

use super::{Hint, RdsHint, clipped};
use crate::rds_event::{self, Meaning};
use crate::time::Timestamp;
use crate::topology::InstanceId;

/// What the fields are called.
struct Names {
    id: &'static str,
    message: &'static str,
    source_type: &'static str,
    identifier: &'static str,
    arn: &'static str,
    date: &'static str,
}

const EVENT: Names = Names {
    id: "EventID",
    message: "Message",
    source_type: "SourceType",
    identifier: "SourceIdentifier",
    arn: "SourceArn",
    date: "Date",
};

const NOTIFICATION: Names = Names {
    id: "Event ID",
    message: "Event Message",
    source_type: "Event Source",
    identifier: "Source ID",
    arn: "Source ARN",
    date: "Event Time",
};

/// The longest identifier RDS allows.
const IDENTIFIER_MAX: usize = 63;

/// Reads an event of EventBridge.
pub(super) fn bridged(event: &Value, detail_type: &str) -> Option<Hint> {
    read(event.get("detail")?, &EVENT, detail_type)
}

/// Reads an event without an envelope: of `DescribeEvents`, or of an event subscription.
pub(super) fn bare(event: &Value) -> Option<Hint> {
    read(event, &EVENT, "").or_else(|| read(event, &NOTIFICATION, ""))
}

fn read(fields: &Value, names: &Names, detail_type: &str) -> Option<Hint> {
    let word = |name: &str| fields.get(name).and_then(Value::as_str).map(clipped).filter(|text| !text.is_empty());
    let arn = word(names.arn);
    let (kind_in_arn, identifier_in_arn) = arn.as_deref().and_then(resource).unzip();
    let id = word(names.id).as_deref().and_then(event_id);
    let identifier = word(names.identifier).or_else(|| identifier_in_arn.map(str::to_owned));
    let message = word(names.message).unwrap_or_default();
    let meaning = rds_event::read_event(id.as_deref(), &message).meaning;
    if id.is_none() && identifier.is_none() && meaning == Meaning::Other {
        return None;
    }
    let source_type = match word(names.source_type) {
        Some(named) => known_source(&named).map(str::to_owned).unwrap_or(named),
        None => known_source(detail_type).or_else(|| known_source(kind_in_arn?)).unwrap_or_default().to_owned(),
    };
    let target = matches!(meaning, Meaning::FailoverStarted | Meaning::FailoverCompleted | Meaning::FailoverReversed)
        .then(|| named_instance(&message))
        .flatten();
    Some(Hint::Rds(RdsHint {
        id,
        meaning,
        source_type,
        identifier: identifier.unwrap_or_default(),
        message,
        date: word(names.date).map(rfc3339),
        target,
    }))
}

/// The id itself, also where it is the fragment of an address, as in SNS.
fn event_id(text: &str) -> Option<String> {
    let id = text.rsplit_once('#').map_or(text, |(_, fragment)| fragment).trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// Kind and name of the resource in an ARN, such as `cluster` and `orders`.
fn resource(arn: &str) -> Option<(&str, &str)> {
    let (kind, name) = arn.splitn(6, ':').nth(5)?.split_once(':')?;
    (!name.is_empty()).then_some((kind, name))
}

/// EventBridge's word for a source, whatever the others call it: `db-cluster` in SNS and
/// `DescribeEvents`, `RDS DB Cluster Event` as a detail type, `cluster` in an ARN.
fn known_source(word: &str) -> Option<&'static str> {
    let bare = word.strip_prefix("RDS ").and_then(|word| word.strip_suffix(" Event")).unwrap_or(word);
    match bare.to_ascii_lowercase().replace([' ', '_'], "-").as_str() {
        "cluster" | "db-cluster" => Some("CLUSTER"),
        "db" | "db-instance" => Some("DB_INSTANCE"),
        "snapshot" | "db-snapshot" => Some("SNAPSHOT"),
        "cluster-snapshot" | "db-cluster-snapshot" => Some("CLUSTER_SNAPSHOT"),
        "pg" | "db-param" | "db-parameter-group" => Some("DB_PARAM"),
        "secgrp" | "security-group" | "db-security-group" => Some("SECURITY_GROUP"),
        "db-proxy" => Some("DB_PROXY"),
        "deployment" | "blue-green-deployment" => Some("BLUE_GREEN_DEPLOYMENT"),
        _ => None,
    }
}

/// SNS writes `2024-05-06 23:07:45.884` and means UTC.
fn rfc3339(date: String) -> String {
    let with_zone = date.split_once(' ').map(|(day, time)| format!("{day}T{time}Z"));
    with_zone.filter(|text| Timestamp::parse(text).is_some()).unwrap_or(date)
}

/// The instance after the last `": "` of a failover message, without a final period.
fn named_instance(message: &str) -> Option<InstanceId> {
    let (_, name) = message.rsplit_once(": ")?;
    let name = name.trim().trim_end_matches('.');
    let plausible = (1..=IDENTIFIER_MAX).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    plausible.then(|| InstanceId::new(name))
}
