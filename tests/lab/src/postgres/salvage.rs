//! What no survivor has, from the fenced writer's disk.
//!
//! Aurora's storage outlives its instances, so any reader can be promoted whatever else died. Here
//! the writer's own log is that storage: it holds every commit that was ever acknowledged.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use super::cluster::Cluster;
use super::error::ClusterError;
use super::node::{Node, POLL, START_LIMIT};
use super::settings::{self, WAL_SEGMENT_BYTES};
use super::standby::Lsn;

impl Cluster {
    /// Lets a target replay all that the old writer, which is fenced, had written; `from` is what
    /// the target has replayed. Returns what it has replayed then.
    pub(super) async fn salvage(&self, target: &Arc<Node>, old: &Node, from: Lsn) -> Result<Lsn, ClusterError> {
        if let Some(last) = last_record(old, from).await? {
            let text = settings::salvage(&old.layout.wal());
            self.write_file(&target.layout.upstream(), &text)?;
            target.reload();
            self.replay_beyond(target, last).await?;
        }
        Ok(target.progress().await?.replayed)
    }

    async fn replay_beyond(&self, target: &Node, last: Lsn) -> Result<(), ClusterError> {
        let replayed = async {
            while target.progress().await?.replayed <= last {
                target.require_running()?;
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        let what = "the end of the old writer's log";
        tokio::time::timeout(START_LIMIT, replayed).await.unwrap_or_else(|_| Err(target.timeout(what, START_LIMIT)))
    }
}

/// A file of the write-ahead log, by timeline and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Segment {
    timeline: u64,
    number: u64,
}

/// Where the last valid record behind `from` begins on the disk of a node that does not run; None
/// when there is none.
async fn last_record(node: &Node, from: Lsn) -> Result<Option<Lsn>, ClusterError> {
    let directory = node.layout.wal();
    let Some(first) = first_segment(&directory, from)? else {
        return Ok(None);
    };
    let mut dump = node.account.command(node.binaries.path("pg_waldump"));
    dump.arg("--path").arg(&directory);
    if first.number == from.0 / WAL_SEGMENT_BYTES {
        dump.arg("--start").arg(from.to_string());
    }
    dump.arg(first.name());
    let output = tokio::process::Command::from(dump)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(ClusterError::io("run pg_waldump"))?;
    // It always fails, where the log ends.
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let found = last_position(&String::from_utf8_lossy(&output.stdout));
    let at_the_end = ["error in WAL record at", "could not find a valid record", "could not find file"];
    if found.is_none() && !at_the_end.iter().any(|end| said.contains(end)) {
        return Err(ClusterError::Program { program: "pg_waldump".to_owned(), status: output.status, stderr: said });
    }
    Ok(found)
}

/// The first file of the newest timeline that can hold a record behind `from`.
fn first_segment(directory: &Path, from: Lsn) -> Result<Option<Segment>, ClusterError> {
    let failed = || ClusterError::io(format!("read {}", directory.display()));
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name();
        segments.extend(name.to_str().and_then(Segment::parse));
    }
    let newest = segments.iter().map(|segment| segment.timeline).max();
    let fitting = segments
        .into_iter()
        .filter(|segment| Some(segment.timeline) == newest && segment.number >= from.0 / WAL_SEGMENT_BYTES);
    let Some(first) = fitting.min() else {
        return Ok(None);
    };
    // A file that was only laid out begins with zeros.
    let content = std::fs::read(directory.join(first.name())).map_err(failed())?;
    Ok(content.iter().take(2).any(|byte| *byte != 0).then_some(first))
}

impl Segment {
    /// Segments in the upper half of a file's name.
    const PER_LOG: u64 = 0x1_0000_0000 / WAL_SEGMENT_BYTES;

    /// Reads `XLogFileName` of PostgreSQL's `xlog_internal.h`.
    fn parse(name: &str) -> Option<Self> {
        if name.len() != 24 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let part = |from: usize| u64::from_str_radix(name.get(from..from + 8)?, 16).ok();
        Some(Self { timeline: part(0)?, number: part(8)? * Self::PER_LOG + part(16)? })
    }

    fn name(self) -> String {
        let (log, segment) = (self.number / Self::PER_LOG, self.number % Self::PER_LOG);
        format!("{:08X}{log:08X}{segment:08X}", self.timeline)
    }
}

/// The position in the last line that has one: `…, lsn: 0/0188D9D0, prev …`.
fn last_position(records: &str) -> Option<Lsn> {
    records.lines().rev().find_map(|line| {
        let (_, rest) = line.split_once(", lsn: ")?;
        Lsn::parse(rest.split([',', ' ']).next()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_named_as_postgresql_names_them() {
        let segment = Segment::parse("00000002000000010000000A").unwrap();
        assert_eq!(segment, Segment { timeline: 2, number: 4096 + 10 });
        assert_eq!(segment.name(), "00000002000000010000000A");
        for other in ["00000002.history", "archive_status", "00000002000000010000000A.partial", "é"] {
            assert_eq!(Segment::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_last_position_is_that_of_the_last_record() {
        let records = "rmgr: Heap        len (rec/tot):     54/  54, tx: 7, lsn: 0/0188D9D0, prev 0/0188D998, desc: INSERT\n\
            rmgr: Transaction len (rec/tot):     34/    34, tx: 7, lsn: 1/0188DA08, prev 0/0188D9D0, desc: COMMIT\n\n";
        assert_eq!(last_position(records), Some(Lsn(0x1_0188_DA08)));
        assert_eq!(last_position("pg_waldump: first record is after 0/1000000\n"), None);
    }
}
