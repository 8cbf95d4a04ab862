//! `DescribeEvents`: the log that is there even when an event was never delivered.

use std::ops::RangeInclusive;

use super::super::core::Core;
use super::super::error::ApiError;
use super::super::event::RdsEvent;
use super::super::form::Form;
use super::super::xml::{epoch_ms, now_ms};
use super::{Done, list};

/// `SourceType` of the service model, 2014-10-31.
const SOURCE_TYPES: [&str; 11] = [
    "db-instance",
    "db-parameter-group",
    "db-security-group",
    "db-snapshot",
    "db-cluster",
    "db-cluster-snapshot",
    "custom-engine-version",
    "db-proxy",
    "blue-green-deployment",
    "db-shard-group",
    "zero-etl",
];

const MINUTE_MS: u64 = 60_000;

/// Events older than 14 days are gone (RDS API reference, `DescribeEvents`).
const RETENTION_MS: u64 = 14 * 24 * 60 * MINUTE_MS;

/// Minutes looked back without `StartTime` and `Duration`.
const DEFAULT_DURATION: u64 = 60;

pub(super) fn describe(core: &Core, form: &Form) -> Result<Done, ApiError> {
    let source_type = form.get("SourceType");
    if let Some(other) = source_type.filter(|given| !SOURCE_TYPES.contains(given)) {
        return Err(ApiError::invalid_value(format!(
            "Invalid value {other} for SourceType. Must be one of {}",
            SOURCE_TYPES.join(", ")
        )));
    }
    let identifier = form.get("SourceIdentifier");
    if identifier.is_some() && source_type.is_none() {
        return Err(ApiError::combination("SourceIdentifier cannot be specified without SourceType."));
    }
    let window = window(form)?;
    let categories = form.list("EventCategories.EventCategory");
    let passes = |event: &RdsEvent| {
        window.contains(&event.at_ms)
            && source_type.is_none_or(|wanted| wanted == event.source_type.api())
            && identifier.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&event.identifier))
            && (categories.is_empty() || categories.iter().any(|known| known == event.category))
    };
    let events = core.state().events.clone();
    let shown = (1..).zip(events).filter(|(_, event)| passes(event));
    list(form, ("Events", "Event"), shown.collect(), |xml, event| {
        xml.text("SourceIdentifier", &event.identifier);
        xml.text("SourceType", event.source_type.api());
        xml.text("Message", &event.message);
        xml.texts("EventCategories", "EventCategory", [event.category]);
        xml.time("Date", event.at_ms);
        xml.text("SourceArn", &event.arn);
    })
}

fn window(form: &Form) -> Result<RangeInclusive<u64>, ApiError> {
    let now = now_ms();
    let start = time(form, "StartTime")?;
    let end = time(form, "EndTime")?;
    let duration = duration_ms(form)?;
    let (start, end) = match (start, end) {
        (Some(start), Some(end)) => (start, end),
        (Some(start), None) => (start, duration.map_or(now, |given| start.saturating_add(given))),
        (None, end) => {
            let end = end.unwrap_or(now);
            let length = duration.unwrap_or(DEFAULT_DURATION * MINUTE_MS);
            (end.saturating_sub(length), end)
        }
    };
    if end < start {
        return Err(ApiError::combination("The value for EndTime must be later than the value for StartTime."));
    }
    Ok(start.max(now.saturating_sub(RETENTION_MS))..=end)
}

fn duration_ms(form: &Form) -> Result<Option<u64>, ApiError> {
    let Some(minutes) = form.number("Duration")? else {
        return Ok(None);
    };
    let length = u64::try_from(minutes).ok();
    let length = length.filter(|minutes| *minutes > 0);
    let length = length.map(|minutes| minutes.saturating_mul(MINUTE_MS));
    length.map(Some).ok_or_else(|| {
        let message = format!("Invalid value {minutes} for Duration. Must be greater than 0");
        ApiError::invalid_value(message)
    })
}

fn time(form: &Form, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(text) = form.get(name) else {
        return Ok(None);
    };
    let parsed = humantime::parse_rfc3339_weak(text)
        .map_err(|_| ApiError::invalid_value(format!("Invalid value {text} for {name}. Must follow ISO8601")))?;
    Ok(Some(epoch_ms(parsed)))
}
