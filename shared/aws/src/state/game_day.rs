//! The record of game days, and what a console shows beside it.

use aws_sdk_dynamodb::types::{AttributeValue, Put};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use steadfast_core::game_day::plan::Record;
use steadfast_core::ports::StateError;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::ClusterId;

use super::items::{self, Item, cluster_key};
use super::{PARTITION_KEY, SORT_KEY, Table};
use crate::grant::{Call, Calls, On};

/// Who set the mode, and when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ModeSet {
    /// Why, in the operator's words.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Table {
    /// What [`Self::game_day`] calls.
    pub const GAME_DAY: Calls = &[Call::new("dynamodb:GetItem", On::Table)];
    /// What [`Self::write_game_day`] calls.
    pub const WRITE_GAME_DAY: Calls = &[Call::new("dynamodb:PutItem", On::Table)];

    /// The game day of the latest week, with the weeks before it.
    ///
    /// # Errors
    ///
    /// When the table does not answer, or holds something unreadable.
    pub async fn game_day(&self, cluster: &ClusterId) -> Result<Option<Record>, StateError> {
        self.body_of(cluster, items::GAME_DAY).await
    }

    /// Who set the mode, and when; None when nobody ever has.
    ///
    /// # Errors
    ///
    /// When the table does not answer, or holds something unreadable.
    pub async fn mode_set(&self, cluster: &ClusterId) -> Result<Option<ModeSet>, StateError> {
        self.body_of(cluster, items::MODE).await
    }

    /// Writes the game day of the latest week over the version that was seen; None: over nothing.
    ///
    /// # Errors
    ///
    /// [`StateError::Superseded`] when another version stands there; then nothing was written.
    pub async fn write_game_day(
        &self,
        cluster: &ClusterId,
        record: &Record,
        seen: Option<u64>,
    ) -> Result<(), StateError> {
        let item = Item::new(&cluster_key(cluster), items::GAME_DAY).number("version", record.version).body(record);
        let put = self.versioned(Put::builder().table_name(&self.name).set_item(Some(item.build())), seen)?;
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
}
