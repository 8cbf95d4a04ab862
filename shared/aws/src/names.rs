//! The stable name: a CNAME record in a hosted zone of Route 53.

use aws_sdk_route53::Client;
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::config::timeout::TimeoutConfig;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use steadfast_core::pin::{Aim, PinName, TTL};
use steadfast_core::ports::{CallError, POINT_LIMIT};

use crate::control_plane::call_error;
use crate::grant::{Call, Calls, On};
use crate::settings::table::{PIN_NAME, PIN_ZONE};
use crate::settings::{SettingError, Settings};

const ACTION: &str = "ChangeResourceRecordSets";

/// Reads which name is pinned: both settings, or neither.
///
/// # Errors
///
/// When one is set without the other, or when they cannot be a name and a zone's id.
pub fn stable_name(settings: &Settings<'_>) -> Result<Option<PinName>, SettingError> {
    if settings.optional(PIN_NAME)?.is_none() && settings.optional(PIN_ZONE)?.is_none() {
        return Ok(None);
    }
    let (name, zone) = (settings.text(PIN_NAME)?, settings.text(PIN_ZONE)?);
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if !is_name(&name) {
        return Err(PIN_NAME.malformed(name));
    }
    if !zone.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(PIN_ZONE.malformed(zone));
    }
    Ok(Some(PinName { zone, name }))
}

/// Whether it is a host name of two labels or more (RFC 1123), an underscore allowed.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

/// Route 53, for the one name that is pinned, if any is.
#[derive(Clone, Debug)]
pub struct Route53 {
    client: Client,
    name: Option<PinName>,
}

impl Route53 {
    /// What [`Self::point`] calls.
    pub const POINT: Calls = &[Call::new("route53:ChangeResourceRecordSets", On::Zone)];

    /// Takes a client of [`crate::clients`].
    pub fn new(client: Client, name: Option<PinName>) -> Self {
        Self { client, name }
    }

    /// The name that is pinned.
    pub fn name(&self) -> Option<&PinName> {
        self.name.as_ref()
    }

    /// Sets the record to the endpoint, whatever it was. One try: the sweep tries again.
    ///
    /// # Errors
    ///
    /// When Route 53 refused it or did not answer in time.
    pub async fn point(&self, aim: &Aim) -> Result<(), CallError> {
        let unbuilt = |error: BuildError| CallError::Unanswered { action: ACTION, cause: error.to_string() };
        let times =
            TimeoutConfig::builder().operation_attempt_timeout(POINT_LIMIT).operation_timeout(POINT_LIMIT).build();
        let once = aws_sdk_route53::Config::builder().retry_config(RetryConfig::disabled()).timeout_config(times);
        self.client
            .change_resource_record_sets()
            .hosted_zone_id(&aim.name.zone)
            .change_batch(upsert(aim).map_err(unbuilt)?)
            .customize()
            .config_override(once)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| call_error(ACTION, &error))
    }
}

fn upsert(aim: &Aim) -> Result<ChangeBatch, BuildError> {
    let record = ResourceRecordSet::builder()
        .name(&aim.name.name)
        .r#type(RrType::Cname)
        .ttl(i64::try_from(TTL.as_secs()).unwrap_or(i64::MAX))
        .resource_records(ResourceRecord::builder().value(&aim.endpoint).build()?)
        .build()?;
    let change = Change::builder().action(ChangeAction::Upsert).resource_record_set(record).build()?;
    ChangeBatch::builder().comment(format!("Steadfast, episode {}", aim.epoch)).changes(change).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: Option<&str>, zone: Option<&str>) -> Result<Option<PinName>, String> {
        let source = |asked: &str| match asked {
            "STEADFAST_PIN_NAME" => name.map(str::to_owned),
            "STEADFAST_PIN_ZONE" => zone.map(str::to_owned),
            _ => None,
        };
        stable_name(&Settings::from_source(&source)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_pin_is_off_unless_both_settings_are_there() {
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some(" "), Some("")), Ok(None));
        let both = PinName { zone: "Z1".to_owned(), name: "writer.orders.internal".to_owned() };
        assert_eq!(read(Some("Writer.orders.internal."), Some("Z1")), Ok(Some(both)));
    }

    #[test]
    fn one_without_the_other_and_what_is_none_is_named_with_its_remedy() {
        for (name, zone, says) in [
            (Some("writer.orders.internal"), None, "setting STEADFAST_PIN_ZONE is missing: set it to the id of"),
            (None, Some("Z1"), "setting STEADFAST_PIN_NAME is missing: set it to a name in the hosted zone"),
            (Some("writer"), Some("Z1"), "setting STEADFAST_PIN_NAME is malformed"),
            (Some("a..b"), Some("Z1"), "setting STEADFAST_PIN_NAME is malformed"),
            (Some("*.orders.internal"), Some("Z1"), "setting STEADFAST_PIN_NAME is malformed"),
            (Some("writer.orders.internal"), Some("/hostedzone/Z1"), "setting STEADFAST_PIN_ZONE is malformed"),
        ] {
            let error = read(name, zone).expect_err("refused");
            assert!(error.starts_with(says), "{name:?} {zone:?}: {error}");
        }
    }
}
