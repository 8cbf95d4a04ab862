//! How far a node has got in the write-ahead log.

use std::fmt;

use super::error::ClusterError;
use super::node::Node;

/// A position in the write-ahead log, in bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Beyond every position: no standby is known to hold all acknowledged commits.
    pub(super) const UNKNOWN: Self = Self(u64::MAX);

    /// Reads `16/B374D848`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (high, low) = text.split_once('/')?;
        let part = |hex| u32::from_str_radix(hex, 16).ok().map(u64::from);
        Some(Self((part(high)? << 32) | part(low)?))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNKNOWN {
            return formatter.write_str("an unknown position");
        }
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// A standby's progress.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// Durably received.
    pub(super) received: Lsn,
    /// Replayed.
    pub(super) replayed: Lsn,
    /// The address its receiver is attached to.
    pub(super) upstream: Option<String>,
}

const PROGRESS: &str = "SELECT
    (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0')::bigint,
    (pg_last_wal_replay_lsn() - '0/0')::bigint,
    (SELECT sender_host FROM pg_stat_wal_receiver WHERE status = 'streaming')";

const FLUSHED: &str = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint";

impl Node {
    /// Asks a standby how far it is.
    pub(super) async fn progress(&self) -> Result<Progress, ClusterError> {
        let row = self.admin.query_one(PROGRESS).await?;
        let failed = |source| self.admin.error(source);
        Ok(Progress {
            received: lsn(row.try_get(0).map_err(failed)?),
            replayed: lsn(row.try_get(1).map_err(failed)?),
            upstream: row.try_get(2).map_err(failed)?,
        })
    }

    /// Asks a writer how far it is.
    pub(super) async fn flushed(&self) -> Result<Lsn, ClusterError> {
        let row = self.admin.query_one(FLUSHED).await?;
        Ok(lsn(row.try_get(0).map_err(|source| self.admin.error(source))?))
    }
}

fn lsn(bytes: Option<i64>) -> Lsn {
    Lsn(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}
