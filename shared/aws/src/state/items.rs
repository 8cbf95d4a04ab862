//! How state is laid out in items: what conditions look at as attributes, the rest as JSON.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::ports::{State, StateError};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Az, ClusterId, Owner};

/// Name of the partition key.
pub const PARTITION_KEY: &str = "pk";
/// Name of the sort key.
pub const SORT_KEY: &str = "sk";
/// Name of the attribute with the end of an item's life, in seconds since the Unix epoch.
pub const TTL: &str = "ttl";

pub(super) const LEASE: &str = "lease";
pub(super) const MODE: &str = "mode";
pub(super) const EPISODE: &str = "episode";
pub(super) const PIN: &str = "pin";
pub(super) const SEEN: &str = "seen";
pub(super) const GAME_DAY: &str = "game-day";
pub(super) const VERIFICATION: &str = "verification";
const WITNESS: &str = "witness#";
const ROTATION: &str = "rotation#";
const BODY: &str = "body";

pub(super) type Attributes = HashMap<String, AttributeValue>;

pub(super) fn cluster_key(cluster: &ClusterId) -> String {
    format!("cluster#{cluster}")
}

pub(crate) fn evidence_key(cluster: &ClusterId, epoch: u64) -> String {
    format!("evidence#{cluster}#{epoch}")
}

pub(super) fn event_key(event: &str) -> String {
    format!("event#{event}")
}

pub(super) fn witness_sort_key(az: &Az) -> String {
    format!("{WITNESS}{az}")
}

pub(super) fn rotation_sort_key(secret: &str) -> String {
    format!("{ROTATION}{secret}")
}

pub(super) struct Item(Attributes);

impl Item {
    pub(super) fn new(partition: &str, sort: &str) -> Self {
        Self(HashMap::from([
            (PARTITION_KEY.to_owned(), AttributeValue::S(partition.to_owned())),
            (SORT_KEY.to_owned(), AttributeValue::S(sort.to_owned())),
        ]))
    }

    pub(super) fn number(mut self, name: &str, value: u64) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::N(value.to_string()));
        self
    }

    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
        self
    }

    /// Our own types always serialise; null would be refused when read.
    pub(super) fn body<T: Serialize>(self, value: &T) -> Self {
        let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
        self.text(BODY, &json)
    }

    pub(super) fn build(self) -> Attributes {
        self.0
    }
}

pub(super) fn lease(cluster: &ClusterId, lease: &Lease) -> Attributes {
    Item::new(&cluster_key(cluster), LEASE)
        .text("owner", lease.owner.as_str())
        .number("epoch", lease.epoch)
        .number("expires_at", lease.expires_at.as_millis())
        .build()
}

/// Puts what the item holds into its place. Items of a kind that is not known are left alone.
pub(super) fn read_into(state: &mut State, item: &Attributes, table: &str) -> Result<(), StateError> {
    match sort_key(item) {
        LEASE => state.lease = Some(read_lease(item, table)?),
        MODE => state.mode = read_mode(item, table)?,
        EPISODE => state.episode = Some(read_body(item, table)?),
        // No failover waits for a name.
        PIN => match read_body(item, table) {
            Ok(pin) => state.pin = Some(pin),
            Err(error) => tracing::error!(%error, "the stable name stays as it is"),
        },
        // A witness that cannot be read is one witness less, not the end of all decisions.
        key if key.starts_with(WITNESS) => match read_body(item, table) {
            Ok(report) => state.reports.push(report),
            Err(error) => tracing::error!(%error, "a witness report is left out"),
        },
        // Its secret waits; a failover does not wait for a password.
        key if key.starts_with(ROTATION) => match read_body(item, table) {
            Ok(rotation) => state.rotations.push(rotation),
            Err(error) => tracing::error!(%error, "a rotation is left out"),
        },
        _ => {}
    }
    Ok(())
}

pub(super) fn read_body<T: DeserializeOwned>(item: &Attributes, table: &str) -> Result<T, StateError> {
    let text = item.get(BODY).and_then(|value| value.as_s().ok()).ok_or_else(|| malformed(item, table, "no body"))?;
    serde_json::from_str(text).map_err(|error| malformed(item, table, &error.to_string()))
}

fn read_mode(item: &Attributes, table: &str) -> Result<Mode, StateError> {
    #[derive(serde::Deserialize)]
    struct Body {
        mode: Mode,
    }
    read_body::<Body>(item, table).map(|body| body.mode)
}

fn read_lease(item: &Attributes, table: &str) -> Result<Lease, StateError> {
    let number = |name: &str| -> Result<u64, StateError> {
        item.get(name)
            .and_then(|value| value.as_n().ok())
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| malformed(item, table, &format!("attribute {name} is no number")))
    };
    let owner = item.get("owner").and_then(|value| value.as_s().ok());
    Ok(Lease {
        owner: Owner::new(owner.ok_or_else(|| malformed(item, table, "attribute owner is missing"))?),
        epoch: number("epoch")?,
        expires_at: Timestamp::from_millis(number("expires_at")?),
    })
}

fn sort_key(item: &Attributes) -> &str {
    item.get(SORT_KEY).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

fn malformed(item: &Attributes, table: &str, cause: &str) -> StateError {
    StateError::Malformed { table: table.to_owned(), item: sort_key(item).to_owned(), cause: cause.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_survives_its_item() {
        let lease = Lease { owner: Owner::new("a"), epoch: 7, expires_at: Timestamp::from_millis(9) };
        let mut state = State::default();
        read_into(&mut state, &super::lease(&ClusterId::new("orders"), &lease), "t").expect("reads");
        assert_eq!(state.lease, Some(lease));
    }

    #[test]
    fn a_broken_item_is_named() {
        let item = Item::new("cluster#orders", "episode").text("body", "{").build();
        let error = read_into(&mut State::default(), &item, "steadfast").expect_err("broken");
        let text = error.to_string();
        assert!(text.contains("steadfast") && text.contains("episode"), "{text}");
    }

    #[test]
    fn a_table_without_a_word_about_the_mode_means_shadow() {
        assert_eq!(State::default().mode, Mode::Shadow);
    }
}
