//! What runs have left behind.

use serde::Serialize;

use super::run::{PREFIX, Run};
use crate::time::Timestamp;

/// The tag that says whose something is.
pub const OWNER_TAG: &str = "steadfast:owner";
/// The tag with the number of the run.
pub const RUN_TAG: &str = "steadfast:run";
/// The tag that says when it is nobody's any more, in milliseconds since the Unix epoch.
pub const EXPIRES_TAG: &str = "steadfast:expires";

/// The owner tag's value for the backups of a database.
pub fn owner(database: &str) -> String {
    format!("backup-verifier/{database}")
}

/// A cluster or an instance that RDS shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its identifier.
    pub id: String,
    /// Whether it is a cluster.
    pub is_cluster: bool,
    /// The identifier of the cluster that it is an instance of.
    pub member_of: Option<String>,
    /// Its status.
    pub status: String,
    /// Its owner tag.
    pub owner: Option<String>,
    /// Its run tag.
    pub run: Option<u64>,
    /// Its expiry tag.
    pub expires_at: Option<Timestamp>,
}

/// What is to be deleted, instances before clusters. Only what carries our name and our tag, and belongs to no open
/// run: its run is over, or its time is.
pub fn leaks<'f>(found: &'f [Found], database: &str, latest: Option<&Run>, now: Timestamp) -> Vec<&'f Found> {
    let owner = owner(database);
    let is_leak = |thing: &&Found| {
        let ours = thing.id.starts_with(PREFIX) && thing.owner.as_ref() == Some(&owner);
        let of_latest = latest.filter(|run| Some(run.id) == thing.run);
        let over = match of_latest {
            Some(run) => !run.is_open(),
            None => thing.expires_at.is_some_and(|expires| expires <= now),
        };
        ours && over && thing.status != "deleting"
    };
    let mut leaks: Vec<&Found> = found.iter().filter(is_leak).collect();
    leaks.sort_by_key(|thing| thing.is_cluster);
    leaks
}
