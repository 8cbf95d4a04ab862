//! Reports of the application probe: one item for each run.

use std::time::Duration;

use steadfast_core::application::Report;
use steadfast_core::ports::StateError;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::ClusterId;

use super::Table;
use super::items::{self, Item, TTL};
use crate::grant::{Call, Calls, On};

/// A game day is judged within the hour.
const KEEP: Duration = Duration::from_secs(24 * 3_600);

fn application_key(cluster: &ClusterId) -> String {
    format!("application#{cluster}")
}

/// In the order of time.
fn run_sort_key(began: Timestamp, run: &str) -> String {
    format!("{:015}#{run}", began.as_millis())
}

impl Table {
    /// What [`Self::application`] calls.
    pub const APPLICATION: Calls = &[Call::new("dynamodb:Query", On::Table)];
    /// What [`Self::report_application`] calls.
    pub const REPORT_APPLICATION: Calls = &[Call::new("dynamodb:PutItem", On::Table)];

    /// The reports of all runs that began at `from` or later, in the order of their beginnings.
    ///
    /// # Errors
    ///
    /// When the table does not answer, or holds something unreadable.
    pub async fn application(&self, cluster: &ClusterId, from: Timestamp) -> Result<Vec<Report>, StateError> {
        let found = self.query_from(application_key(cluster), Some(run_sort_key(from, ""))).await?;
        found.iter().map(|item| items::read_body(item, &self.name)).collect()
    }

    /// Replaces the report of a run.
    ///
    /// # Errors
    ///
    /// When the table does not answer.
    pub async fn report_application(&self, cluster: &ClusterId, report: &Report) -> Result<(), StateError> {
        let item = Item::new(&application_key(cluster), &run_sort_key(report.began, &report.run))
            .number(TTL, report.began.plus(KEEP).as_millis() / 1_000)
            .body(report);
        self.put(item).await
    }
}
