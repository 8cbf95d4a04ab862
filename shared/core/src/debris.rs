//! What a failover leaves behind, for people to clear up: nothing of it mends itself.

use serde::{Deserialize, Serialize};

use crate::notice::{Notice, Severity};
use crate::topology::{ClusterId, InstanceId};

/// A session by what people know it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id on its server.
    pub pid: i32,
    /// Its role.
    pub role: String,
    /// Its `application_name`.
    pub application: String,
    /// Its address.
    pub address: Option<String>,
    /// For how long, in seconds.
    pub seconds: i64,
}

/// A prepared transaction: it holds its locks until somebody decides it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The name it was prepared under.
    pub gid: String,
    /// Who prepared it.
    pub owner: String,
    /// How long ago, in seconds.
    pub seconds: i64,
}

/// A logical replication slot that nobody reads: it keeps the log on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// How much log it keeps, in bytes, if that is known.
    pub behind: Option<i64>,
}

/// All of it, as seen on the new writer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debris {
    /// Prepared transactions.
    pub prepared: Vec<Prepared>,
    /// Sessions idle in a transaction from before.
    pub idle: Vec<Holder>,
    /// Sessions that hold an advisory lock from before. Locks that were held on the old writer are gone, and their
    /// holders may not know.
    pub advisory: Vec<Holder>,
    /// Logical slots without a reader.
    pub slots: Vec<Slot>,
    /// The class of the old writer and that of the new one, where they differ.
    pub class: Option<(String, String)>,
    /// How far the readers lag, in milliseconds, where it is more than a second.
    pub lagging: Vec<(InstanceId, u64)>,
}

impl Debris {
    /// Whether there is nothing to clear up.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The message about it; None when there is nothing to clear up.
    pub fn notice(&self, cluster: &ClusterId, epoch: u64, writer: &InstanceId) -> Option<Notice> {
        if self.is_empty() {
            return None;
        }
        let mut lines = Vec::new();
        lines.extend(self.prepared.iter().map(|found| {
            format!(
                "prepared transaction {:?} of {}, {} s old: COMMIT PREPARED or ROLLBACK PREPARED",
                found.gid, found.owner, found.seconds
            )
        }));
        lines.extend(
            self.idle.iter().map(|found| format!("idle in transaction: {}; end it: {}", who(found), ending(found))),
        );
        lines.extend(self.advisory.iter().map(|found| {
            format!("holds an advisory lock from before: {}; if nobody misses it: {}", who(found), ending(found))
        }));
        lines.extend(self.slots.iter().map(|found| {
            let behind = found.behind.map_or_else(String::new, |bytes| format!(", {bytes} bytes of log kept"));
            format!("logical slot {} without a reader{behind}: reconnect its consumer or drop it", found.name)
        }));
        lines.extend(self.class.iter().map(|(was, is)| {
            format!("the writer's class was {was} and is {is}: watch its load, or switch over to one of its size")
        }));
        lines.extend(
            self.lagging
                .iter()
                .map(|(reader, lag)| format!("reader {reader} lags by {lag} ms: reboot it if that does not shrink")),
        );
        Some(Notice {
            severity: Severity::Warning,
            subject: format!("{cluster}: {} things to clear up after the failover", lines.len()),
            body: format!(
                "Episode {epoch} of cluster {cluster} left this behind on {writer}. Writes flow; Steadfast ends none of \
                 it, since it may be somebody's work:\n{}",
                lines.join("\n")
            ),
        })
    }
}

/// The message about sessions that had stayed on the old writer; None if there were none.
pub fn stayed(cluster: &ClusterId, epoch: u64, old_writer: &InstanceId, ended: &[Holder]) -> Option<Notice> {
    if ended.is_empty() {
        return None;
    }
    let lines: Vec<String> = ended.iter().map(who).collect();
    Some(Notice {
        severity: Severity::Warning,
        subject: format!("{cluster}: {} read-write sessions had stayed on the old writer {old_writer}", ended.len()),
        body: format!(
            "After episode {epoch} of cluster {cluster} these sessions were still on {old_writer}, which reads only, \
             and were ended. Their applications do not follow the role; look at their connection pools and DNS \
             caches:\n{}",
            lines.join("\n")
        ),
    })
}

/// What ends the session.
fn ending(holder: &Holder) -> String {
    format!("SELECT pg_terminate_backend({})", holder.pid)
}

fn who(holder: &Holder) -> String {
    let address = holder.address.as_deref().unwrap_or("a local socket");
    format!(
        "{} as {} from {address}, process {}, for {} s",
        if holder.application.is_empty() { "an application without a name" } else { &holder.application },
        holder.role,
        holder.pid,
        holder.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(application: &str) -> Holder {
        Holder { pid: 7, role: "bank".into(), application: application.into(), address: None, seconds: 12 }
    }

    #[test]
    fn nothing_left_is_nothing_told() {
        let (cluster, writer) = (ClusterId::new("orders"), InstanceId::new("orders-2"));
        assert_eq!(Debris::default().notice(&cluster, 1, &writer), None);
        assert_eq!(stayed(&cluster, 1, &writer, &[]), None);
    }

    #[test]
    fn each_thing_has_a_line_that_says_whose_it_is() {
        let debris = Debris {
            prepared: vec![Prepared { gid: "pay-1".into(), owner: "bank".into(), seconds: 3 }],
            idle: vec![holder("ledger")],
            advisory: vec![holder("")],
            slots: vec![Slot { name: "cdc".into(), behind: Some(42) }],
            class: Some(("db.r6g.2xlarge".into(), "db.r6g.large".into())),
            lagging: vec![(InstanceId::new("orders-3"), 2_500)],
        };
        let notice = debris.notice(&ClusterId::new("orders"), 1, &InstanceId::new("orders-2")).expect("told");
        assert_eq!(notice.subject, "orders: 6 things to clear up after the failover");
        for part in ["\"pay-1\" of bank", "ledger as bank", "without a name", "cdc", "42 bytes", "2xlarge", "2500 ms"] {
            assert!(notice.body.contains(part), "{part}: {}", notice.body);
        }
    }
}
