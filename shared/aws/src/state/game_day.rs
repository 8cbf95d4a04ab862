//! The record of game days, and what a console shows beside it.

use aws_sdk_dynamodb::types::Put;
use serde::Deserialize;
use steadfast_core::evidence::Entry;
use steadfast_core::game_day::plan::Record;
use steadfast_core::ports::StateError;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::ClusterId;

use super::Table;
use super::items::{self, Item, cluster_key};
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

    /// Writes the game day of the latest week and its entry of the evidence, if there is one, in one transaction over the
    /// version that was seen; None: over nothing.
    ///
    /// # Errors
    ///
    /// [`StateError::Superseded`] when another version stands there; then nothing was written.
    pub async fn write_game_day(
        &self,
        cluster: &ClusterId,
        record: &Record,
        seen: Option<u64>,
        entry: Option<&Entry>,
    ) -> Result<(), StateError> {
        let item = Item::new(&cluster_key(cluster), items::GAME_DAY).number("version", record.version).body(record);
        let put = self.versioned(Put::builder().table_name(&self.name).set_item(Some(item.build())), seen)?;
        self.write_with(put, entry).await
    }
}
