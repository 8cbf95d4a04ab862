//! The state table: one DynamoDB table, read consistently, written conditionally.
//!
//! | partition key | sort key | holds |
//! | --- | --- | --- |
//! | `cluster#ID` | `lease` | owner, epoch, end |
//! | `cluster#ID` | `mode` | what the operator allows, since when and why; set only through the coordinator |
//! | `cluster#ID` | `episode` | the latest episode, with its version |
//! | `cluster#ID` | `pin` | what was done about the stable name, with its version |
//! | `cluster#ID` | `rotation#ARN` | the latest rotation of a secret, with its version; no secret |
//! | `cluster#ID` | `verification` | the latest verification of the backups, with its version |
//! | `cluster#ID` | `game-day` | the game day of the latest week, and what became of the weeks before, with its version |
//! | `cluster#ID` | `witness#AZ` | the latest report of one prober |
//! | `application#ID` | beginning and name of a run | the latest report of one run of the application probe; removed by TTL |
//! | `evidence#ID#EPOCH` | sequence, ten digits | one entry of the chain |
//! | `event#ID` | `seen` | an event that was handled; removed by TTL |

mod application;
mod game_day;
pub(crate) mod items;
mod rotation;
mod verification;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use serde::de::DeserializeOwned;
use steadfast_core::episode::Episode;
use steadfast_core::evidence::Entry;
use steadfast_core::lease::Lease;
use steadfast_core::mode::Mode;
use steadfast_core::pin::Pin;
use steadfast_core::ports::{State, StateError, Under};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::ClusterId;
use steadfast_core::witness::WitnessReport;

use crate::grant::{Call, Calls, On};

use items::{Item, cluster_key, event_key, evidence_key};

pub use game_day::ModeSet;
pub use items::{PARTITION_KEY, SORT_KEY, TTL};

/// The state table of one installation.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// What [`Self::load`] calls.
    pub const LOAD: Calls = &[Call::new("dynamodb:Query", On::Table)];
    /// What [`Self::write_lease`] calls.
    pub const WRITE_LEASE: Calls = &[Call::new("dynamodb:PutItem", On::Table)];
    /// What [`Self::commit`] calls.
    pub const COMMIT: Calls =
        &[Call::new("dynamodb:ConditionCheckItem", On::Table), Call::new("dynamodb:PutItem", On::Table)];
    /// What [`Self::write_pin`] calls.
    pub const WRITE_PIN: Calls =
        &[Call::new("dynamodb:ConditionCheckItem", On::Table), Call::new("dynamodb:PutItem", On::Table)];
    /// What [`Self::report`] calls.
    pub const REPORT: Calls = &[Call::new("dynamodb:PutItem", On::Table)];
    /// What [`Self::set_mode`] calls.
    pub const SET_MODE: Calls = &[Call::new("dynamodb:PutItem", On::Table)];
    /// What [`Self::was_handled`] calls.
    pub const WAS_HANDLED: Calls = &[Call::new("dynamodb:GetItem", On::Table)];
    /// What [`Self::mark_handled`] calls.
    pub const MARK_HANDLED: Calls = &[Call::new("dynamodb:PutItem", On::Table)];
    /// What [`Self::evidence`] calls.
    pub const EVIDENCE: Calls = &[Call::new("dynamodb:Query", On::Table)];

    /// The table `name`.
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// All that stands there about the cluster, in one consistent query.
    ///
    /// # Errors
    ///
    /// When the table does not answer, or holds something unreadable.
    pub async fn load(&self, cluster: &ClusterId) -> Result<State, StateError> {
        let mut state = State::default();
        for item in self.query(cluster_key(cluster)).await? {
            items::read_into(&mut state, &item, &self.name)?;
        }
        Ok(state)
    }

    /// Writes the lease over exactly the one that was seen.
    ///
    /// # Errors
    ///
    /// [`StateError::Superseded`] when another one stands there.
    pub async fn write_lease(&self, cluster: &ClusterId, seen: Option<&Lease>, next: &Lease) -> Result<(), StateError> {
        let put = self.lease_put(cluster, seen, next)?;
        self.client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(put.item))
            .set_condition_expression(put.condition_expression)
            .set_expression_attribute_names(put.expression_attribute_names)
            .set_expression_attribute_values(put.expression_attribute_values)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| self.write_error(&error))
    }

    /// What stands in the one item of its kind, read consistently.
    async fn body_of<T: DeserializeOwned>(&self, cluster: &ClusterId, kind: &str) -> Result<Option<T>, StateError> {
        let read = self
            .client
            .get_item()
            .table_name(&self.name)
            .key(PARTITION_KEY, AttributeValue::S(cluster_key(cluster)))
            .key(SORT_KEY, AttributeValue::S(kind.to_owned()))
            .consistent_read(true)
            .send()
            .await;
        let item = read.map_err(|error| self.write_error(&error))?.item;
        item.map(|item| items::read_body(&item, &self.name)).transpose()
    }

    /// One row and its evidence in one transaction.
    async fn write_with<'e>(&self, put: Put, entries: impl IntoIterator<Item = &'e Entry>) -> Result<(), StateError> {
        let mut transaction = vec![TransactWriteItem::builder().put(put).build()];
        for entry in entries {
            transaction.push(self.evidence_put(entry)?);
        }
        let written = self.client.transact_write_items().set_transact_items(Some(transaction)).send().await;
        written.map(|_| ()).map_err(|error| self.write_error(&error))
    }

    /// Writes episode and evidence in one transaction, only under the lease and over the version seen.
    ///
    /// # Errors
    ///
    /// [`StateError::Superseded`] when lease, version or mode have moved on; then nothing was written.
    pub async fn commit(
        &self,
        under: Under<'_>,
        episode: &Episode,
        seen_version: Option<u64>,
        entries: &[Entry],
    ) -> Result<(), StateError> {
        let cluster = &episode.cluster;
        let checked = |check| TransactWriteItem::builder().condition_check(check).build();
        let mut transaction = match under {
            Under::Held(lease) => vec![checked(self.lease_check(cluster, lease)?)],
            Under::Armed(lease) => {
                vec![checked(self.lease_check(cluster, lease)?), checked(self.armed_check(cluster)?)]
            }
            Under::Changing { seen, next } => {
                vec![TransactWriteItem::builder().put(self.lease_put(cluster, seen, next)?).build()]
            }
        };
        transaction.push(self.episode_put(episode, seen_version)?);
        for entry in entries {
            transaction.push(self.evidence_put(entry)?);
        }
        self.client
            .transact_write_items()
            .set_transact_items(Some(transaction))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| self.write_error(&error))
    }

    /// Writes what is said about the stable name over the version seen; one that is not settled in armed mode alone.
    ///
    /// # Errors
    ///
    /// [`StateError::Superseded`] when another version stands there, or the mode is another; nothing was written.
    pub async fn write_pin(&self, cluster: &ClusterId, seen: Option<u64>, next: &Pin) -> Result<(), StateError> {
        let item = Item::new(&cluster_key(cluster), items::PIN).number("version", next.version).body(next);
        let put = self.versioned(Put::builder().table_name(&self.name).set_item(Some(item.build())), seen)?;
        let mut transaction = vec![TransactWriteItem::builder().put(put).build()];
        if !next.settled {
            transaction.push(TransactWriteItem::builder().condition_check(self.armed_check(cluster)?).build());
        }
        self.client
            .transact_write_items()
            .set_transact_items(Some(transaction))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| self.write_error(&error))
    }

    /// Writes a witness report, unless a newer run of the same prober has reported, or this run has since: a request
    /// that lay in a queue must not bring back what was seen before a failover.
    ///
    /// # Errors
    ///
    /// [`StateError::Superseded`] when something newer stands there. A run that writes one report after the other
    /// learns from it that a newer run has taken over.
    pub async fn report(&self, cluster: &ClusterId, report: &WitnessReport) -> Result<(), StateError> {
        let item = Item::new(&cluster_key(cluster), &items::witness_sort_key(&report.az))
            .number("run", report.run.as_millis())
            .number("at", report.at.as_millis())
            .body(report);
        self.client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item.build()))
            .condition_expression("attribute_not_exists(pk) OR #run < :run OR (#run = :run AND #at <= :at)")
            .expression_attribute_names("#run", "run")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":run", AttributeValue::N(report.run.as_millis().to_string()))
            .expression_attribute_values(":at", AttributeValue::N(report.at.as_millis().to_string()))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| self.write_error(&error))
    }

    /// Sets the mode.
    ///
    /// # Errors
    ///
    /// When the table does not answer.
    pub async fn set_mode(
        &self,
        cluster: &ClusterId,
        mode: Mode,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let item = Item::new(&cluster_key(cluster), items::MODE)
            .text(items::MODE, mode.as_str())
            .body(&serde_json::json!({ "mode": mode, "reason": reason, "at": now }));
        self.put(item).await
    }

    /// Whether an event was handled before.
    ///
    /// # Errors
    ///
    /// When the table does not answer.
    pub async fn was_handled(&self, event: &str) -> Result<bool, StateError> {
        self.client
            .get_item()
            .table_name(&self.name)
            .key(PARTITION_KEY, AttributeValue::S(event_key(event)))
            .key(SORT_KEY, AttributeValue::S(items::SEEN.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map(|answer| answer.item.is_some())
            .map_err(|error| self.write_error(&error))
    }

    /// Marks an event as handled, once everything that follows from it was done.
    ///
    /// # Errors
    ///
    /// When the table does not answer.
    pub async fn mark_handled(&self, event: &str, now: Timestamp, keep: Duration) -> Result<(), StateError> {
        let item = Item::new(&event_key(event), items::SEEN).number(TTL, now.plus(keep).as_millis() / 1_000);
        self.put(item).await
    }

    /// The evidence of one episode, in order.
    ///
    /// # Errors
    ///
    /// When the table does not answer, or holds something unreadable.
    pub async fn evidence(&self, cluster: &ClusterId, epoch: u64) -> Result<Vec<Entry>, StateError> {
        let found = self.query(evidence_key(cluster, epoch)).await?;
        found.iter().map(|item| items::read_body(item, &self.name)).collect()
    }

    /// Puts an item in the place of whatever stands there.
    async fn put(&self, item: Item) -> Result<(), StateError> {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item.build())).send().await;
        put.map(|_| ()).map_err(|error| self.write_error(&error))
    }

    async fn query(&self, partition: String) -> Result<Vec<items::Attributes>, StateError> {
        self.query_from(partition, None).await
    }

    /// Every item of a partition whose sort key is not less.
    async fn query_from(&self, partition: String, from: Option<String>) -> Result<Vec<items::Attributes>, StateError> {
        let condition = if from.is_some() { "pk = :pk AND sk >= :from" } else { "pk = :pk" };
        let mut values = HashMap::from([(":pk".to_owned(), AttributeValue::S(partition))]);
        values.extend(from.map(|from| (":from".to_owned(), AttributeValue::S(from))));
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression(condition)
            .set_expression_attribute_values(Some(values))
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while let Some(item) = pages.next().await {
            found.push(item.map_err(|error| self.write_error(&error))?);
        }
        Ok(found)
    }

    fn lease_put(&self, cluster: &ClusterId, seen: Option<&Lease>, next: &Lease) -> Result<Put, StateError> {
        let item = items::lease(cluster, next);
        let put = Put::builder().table_name(&self.name).set_item(Some(item));
        match seen {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => put
                .condition_expression("#owner = :owner AND #epoch = :epoch AND expires_at = :expires_at")
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_names("#epoch", "epoch")
                .expression_attribute_values(":owner", AttributeValue::S(seen.owner.to_string()))
                .expression_attribute_values(":epoch", AttributeValue::N(seen.epoch.to_string()))
                .expression_attribute_values(":expires_at", AttributeValue::N(seen.expires_at.as_millis().to_string())),
        }
        .build()
        .map_err(|error| self.unavailable(error.to_string()))
    }

    /// The end may have moved by a renewal of our own; owner and epoch may not.
    fn lease_check(&self, cluster: &ClusterId, lease: &Lease) -> Result<ConditionCheck, StateError> {
        self.lease_condition(cluster, lease, "#owner = :owner AND #epoch = :epoch AND expires_at >= :expires_at")
    }

    /// Not even renewed.
    fn exact_lease_check(&self, cluster: &ClusterId, lease: &Lease) -> Result<ConditionCheck, StateError> {
        self.lease_condition(cluster, lease, "#owner = :owner AND #epoch = :epoch AND expires_at = :expires_at")
    }

    fn lease_condition(
        &self,
        cluster: &ClusterId,
        lease: &Lease,
        condition: &str,
    ) -> Result<ConditionCheck, StateError> {
        ConditionCheck::builder()
            .table_name(&self.name)
            .key(PARTITION_KEY, AttributeValue::S(cluster_key(cluster)))
            .key(SORT_KEY, AttributeValue::S(items::LEASE.to_owned()))
            .condition_expression(condition)
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#epoch", "epoch")
            .expression_attribute_values(":owner", AttributeValue::S(lease.owner.to_string()))
            .expression_attribute_values(":epoch", AttributeValue::N(lease.epoch.to_string()))
            .expression_attribute_values(":expires_at", AttributeValue::N(lease.expires_at.as_millis().to_string()))
            .build()
            .map_err(|error| self.unavailable(error.to_string()))
    }

    fn armed_check(&self, cluster: &ClusterId) -> Result<ConditionCheck, StateError> {
        ConditionCheck::builder()
            .table_name(&self.name)
            .key(PARTITION_KEY, AttributeValue::S(cluster_key(cluster)))
            .key(SORT_KEY, AttributeValue::S(items::MODE.to_owned()))
            .condition_expression("#mode = :armed")
            .expression_attribute_names("#mode", items::MODE)
            .expression_attribute_values(":armed", AttributeValue::S(Mode::Armed.as_str().to_owned()))
            .build()
            .map_err(|error| self.unavailable(error.to_string()))
    }

    fn episode_put(&self, episode: &Episode, seen_version: Option<u64>) -> Result<TransactWriteItem, StateError> {
        let item = Item::new(&cluster_key(&episode.cluster), items::EPISODE)
            .number("version", episode.version)
            .number("epoch", episode.epoch)
            .body(episode);
        let put = self.versioned(Put::builder().table_name(&self.name).set_item(Some(item.build())), seen_version)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A write that is valid only over this version (None: nothing).
    fn versioned(&self, put: PutBuilder, seen: Option<u64>) -> Result<Put, StateError> {
        match seen {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(version) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
        }
        .build()
        .map_err(|error| self.unavailable(error.to_string()))
    }

    fn evidence_put(&self, entry: &Entry) -> Result<TransactWriteItem, StateError> {
        let item = Item::new(&evidence_key(&entry.cluster, entry.epoch), &format!("{:010}", entry.seq)).body(entry);
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(item.build()))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|error| self.unavailable(error.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn unavailable(&self, cause: String) -> StateError {
        StateError::Unavailable { table: self.name.clone(), cause }
    }

    fn write_error<E, R>(&self, error: &SdkError<E, R>) -> StateError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
        // A conflict with another transaction has written nothing either: look again, then decide again.
        let failed_condition = matches!(
            code,
            Some("ConditionalCheckFailedException" | "TransactionConflictException" | "TransactionInProgressException")
        ) || (code == Some("TransactionCanceledException")
            && (message.contains("ConditionalCheckFailed") || message.contains("TransactionConflict")));
        if failed_condition {
            StateError::Superseded { table: self.name.clone() }
        } else {
            self.unavailable(DisplayErrorContext(error).to_string())
        }
    }
}
