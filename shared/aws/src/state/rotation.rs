//! Rows of rotations.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use steadfast_core::evidence::Entry;
use steadfast_core::ports::{State, StateError};
use steadfast_core::rotation::Rotation;
use steadfast_core::topology::ClusterId;

use super::items::{self, Item, cluster_key};
use super::{PARTITION_KEY, SORT_KEY, Table};
use crate::grant::{Call, Calls, On};

impl Table {
    /// What [`Self::announce_rotation`] calls.
    pub const ANNOUNCE_ROTATION: Calls =
        &[Call::new("dynamodb:ConditionCheckItem", On::Table), Call::new("dynamodb:PutItem", On::Table)];
    /// What [`Self::write_rotation`] calls.
    pub const WRITE_ROTATION: Calls = &[Call::new("dynamodb:PutItem", On::Table)];

    /// Announces what a rotation is about to do, with its entry in the evidence: only over the row, the lease and the
    /// episode that were seen, so that none of them can have been taken or opened meanwhile.
    ///
    /// # Errors
    ///
    /// [`StateError::Superseded`] when something else stands there; then nothing was written.
    pub async fn announce_rotation(
        &self,
        cluster: &ClusterId,
        seen: &State,
        next: &Rotation,
        entry: &Entry,
    ) -> Result<(), StateError> {
        let before = seen.rotations.iter().find(|row| row.secret == next.secret).map(|row| row.version);
        let lease = match &seen.lease {
            None => self.absent_check(cluster, items::LEASE)?,
            Some(lease) => self.exact_lease_check(cluster, lease)?,
        };
        let episode = match &seen.episode {
            None => self.absent_check(cluster, items::EPISODE)?,
            Some(episode) => self.version_check(cluster, items::EPISODE, episode.version)?,
        };
        let transaction = vec![
            TransactWriteItem::builder().put(self.rotation_put(cluster, before, next)?).build(),
            TransactWriteItem::builder().condition_check(lease).build(),
            TransactWriteItem::builder().condition_check(episode).build(),
            self.evidence_put(entry)?,
        ];
        let written = self.client.transact_write_items().set_transact_items(Some(transaction)).send().await;
        written.map(|_| ()).map_err(|error| self.write_error(&error))
    }

    /// Writes a rotation over the version that was seen, with the entry that says so.
    ///
    /// # Errors
    ///
    /// [`StateError::Superseded`] when another version stands there.
    pub async fn write_rotation(
        &self,
        cluster: &ClusterId,
        seen: Option<u64>,
        next: &Rotation,
        entry: &Entry,
    ) -> Result<(), StateError> {
        let put = self.rotation_put(cluster, seen, next)?;
        self.write_with(put, [entry]).await
    }

    fn rotation_put(&self, cluster: &ClusterId, seen: Option<u64>, next: &Rotation) -> Result<Put, StateError> {
        let item = Item::new(&cluster_key(cluster), &items::rotation_sort_key(&next.secret));
        let item = item.number("version", next.version).body(next).build();
        self.versioned(Put::builder().table_name(&self.name).set_item(Some(item)), seen)
    }

    fn absent_check(&self, cluster: &ClusterId, sort: &str) -> Result<ConditionCheck, StateError> {
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .key(PARTITION_KEY, AttributeValue::S(cluster_key(cluster)))
            .key(SORT_KEY, AttributeValue::S(sort.to_owned()))
            .condition_expression("attribute_not_exists(pk)");
        check.build().map_err(|error| self.unavailable(error.to_string()))
    }

    fn version_check(&self, cluster: &ClusterId, sort: &str, version: u64) -> Result<ConditionCheck, StateError> {
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .key(PARTITION_KEY, AttributeValue::S(cluster_key(cluster)))
            .key(SORT_KEY, AttributeValue::S(sort.to_owned()))
            .condition_expression("#version = :version")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", AttributeValue::N(version.to_string()));
        check.build().map_err(|error| self.unavailable(error.to_string()))
    }
}
