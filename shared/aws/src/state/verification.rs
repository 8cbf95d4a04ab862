//! The latest verification of a database's backups.

use aws_sdk_dynamodb::types::Put;
use steadfast_core::evidence::Entry;
use steadfast_core::ports::StateError;
use steadfast_core::topology::ClusterId;
use steadfast_core::verification::Run;

use super::Table;
use super::items::{self, Item, cluster_key};
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
        self.body_of(database, items::VERIFICATION).await
    }

    /// Writes a run and its new evidence in one transaction, over the version that was seen.
    ///
    /// # Errors
    ///
    /// [`StateError::Superseded`] when another version stands there; then nothing was written.
    pub async fn write_verification(&self, run: &Run, seen: Option<u64>, entries: &[Entry]) -> Result<(), StateError> {
        let item = Item::new(&cluster_key(&run.database), items::VERIFICATION).number("version", run.version).body(run);
        let put = self.versioned(Put::builder().table_name(&self.name).set_item(Some(item.build())), seen)?;
        self.write_with(put, entries).await
    }
}
