//! The latest verification of a database's backups.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use steadfast_core::evidence::Entry;
use steadfast_core::ports::StateError;
use steadfast_core::topology::ClusterId;
use steadfast_core::verification::Run;

use super::items::{self, Item, cluster_key};
use super::{PARTITION_KEY, SORT_KEY, Table};
use crate::grant::{Call, Calls, On};

impl Table {
    /// What [`Self::verification`] calls.
    pub const VERIFICATION: Calls = &[Call::new("dynamodb:GetItem", On::Table)];
    /// What [`Self::write_verification`] calls.
    pub const WRITE_VERIFICATION: Calls = &[Call::new("dynamodb:PutItem", On::Table)];

    /// The latest run.
    ///
    /// # Errors
    ///
    /// When the table does not answer, or holds something unreadable.
    pub async fn verification(&self, database: &ClusterId) -> Result<Option<Run>, StateError> {
        let read = self
            .client
            .get_item()
            .table_name(&self.name)
            .key(PARTITION_KEY, AttributeValue::S(cluster_key(database)))
            .key(SORT_KEY, AttributeValue::S(items::VERIFICATION.to_owned()))
            .consistent_read(true)
            .send()
            .await;
        let item = read.map_err(|error| self.write_error(&error))?.item;
        item.map(|item| items::read_body(&item, &self.name)).transpose()
    }

    /// Writes a run and its new evidence in one transaction, over the version that was seen.
    ///
    /// # Errors
    ///
    /// [`StateError::Superseded`] when another version stands there; then nothing was written.
    pub async fn write_verification(&self, run: &Run, seen: Option<u64>, entries: &[Entry]) -> Result<(), StateError> {
        let item = Item::new(&cluster_key(&run.database), items::VERIFICATION).number("version", run.version).body(run);
        let put = self.versioned(Put::builder().table_name(&self.name).set_item(Some(item.build())), seen)?;
        let mut transaction = vec![TransactWriteItem::builder().put(put).build()];
        for entry in entries {
            transaction.push(self.evidence_put(entry)?);
        }
        let written = self.client.transact_write_items().set_transact_items(Some(transaction)).send().await;
        written.map(|_| ()).map_err(|error| self.write_error(&error))
    }
}
