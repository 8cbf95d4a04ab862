//! Configuration files of a node.
//!
//! They lie beside the data directory, so that pg_rewind and pg_basebackup never copy one
//! node's settings to another.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::node::Injected;
use crate::network::POSTGRES_PORT;

/// The lab's own superuser; only the unix socket lets it in.
pub(super) const ADMIN: &str = "lab";
/// Size of a file of the write-ahead log.
pub(super) const WAL_SEGMENT_BYTES: u64 = 1 << 20;
/// The longest `recovery_min_apply_delay` that PostgreSQL takes: 24 days.
const LONGEST_DELAY_MS: u128 = i32::MAX as u128;
/// The role that standbys replicate with.
pub(super) const REPLICATOR: &str = "replicator";

/// Where the files of one node are.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) directory: PathBuf,
}

impl Layout {
    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(super) fn wal(&self) -> PathBuf {
        self.data().join("pg_wal")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    pub(super) fn main(&self) -> PathBuf {
        self.directory.join("postgresql.conf")
    }

    pub(super) fn upstream(&self) -> PathBuf {
        self.directory.join("upstream.conf")
    }

    pub(super) fn quorum(&self) -> PathBuf {
        self.directory.join("quorum.conf")
    }

    pub(super) fn faults(&self) -> PathBuf {
        self.directory.join("faults.conf")
    }

    pub(super) fn retry(&self) -> PathBuf {
        self.directory.join("retry.conf")
    }

    pub(super) fn password(&self) -> PathBuf {
        self.directory.join("replication.pgpass")
    }

    pub(super) fn access(&self) -> PathBuf {
        self.directory.join("pg_hba.conf")
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.directory.join("server.crt")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.directory.join("server.key")
    }

    pub(super) fn standby_signal(&self) -> PathBuf {
        self.data().join("standby.signal")
    }
}

/// The main file: what never changes while the lab lives.
pub(super) fn main(layout: &Layout, address: SocketAddr, id: &str) -> String {
    format!(
        "data_directory = '{data}'
hba_file = '{access}'
ident_file = '/dev/null'
external_pid_file = ''
listen_addresses = '{ip}'
port = {port}
unix_socket_directories = '{socket}'
max_connections = 100
superuser_reserved_connections = 5
password_encryption = 'scram-sha-256'
ssl = on
ssl_cert_file = '{certificate}'
ssl_key_file = '{key}'
ssl_min_protocol_version = 'TLSv1.2'
shared_buffers = '32MB'
min_wal_size = '64MB'
max_wal_size = '512MB'
wal_keep_size = '512MB'
jit = off
fsync = on
synchronous_commit = on
hot_standby = on
hot_standby_feedback = on
wal_level = replica
wal_log_hints = on
max_wal_senders = 10
wal_receiver_status_interval = '1s'
restart_after_crash = off
cluster_name = '{id}'
lab.instance_id = '{id}'
log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%n [%p] '
log_replication_commands = on
include = 'upstream.conf'
include = 'quorum.conf'
include = 'retry.conf'
include = 'faults.conf'
",
        data = layout.data().display(),
        access = layout.access().display(),
        ip = address.ip(),
        port = address.port(),
        socket = layout.socket().display(),
        certificate = layout.certificate().display(),
        key = layout.key().display(),
    )
}

/// Who may connect: everybody over TLS with a password, the lab over the unix socket.
pub(super) fn access() -> String {
    format!(
        "local all {ADMIN} trust
local replication {ADMIN} trust
hostssl replication {REPLICATOR} 127.0.0.0/8 scram-sha-256
host all {ADMIN} 0.0.0.0/0 reject
hostssl all all 127.0.0.0/8 scram-sha-256
"
    )
}

/// How soon a standby without an upstream tries again. PostgreSQL's default of 5 s makes a
/// promotion cost seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// 100 ms: costs little while there is no writer.
    Calm,
    /// 5 ms: for the moment of a promotion.
    Eager,
}

impl Retry {
    /// The file that says so.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Calm => "wal_retrieve_retry_interval = '100ms'\n",
            Self::Eager => "wal_retrieve_retry_interval = '5ms'\n",
        }
    }
}

/// Whom a standby follows, and who is the writer as far as it knows.
pub(super) fn upstream(upstream: SocketAddr, password: &Path, authority: &Path, id: &str, writer: &str) -> String {
    format!(
        "primary_conninfo = 'host={host} port={port} user={REPLICATOR} passfile=''{password}'' \
         sslmode=verify-full sslrootcert=''{authority}'' application_name={id} connect_timeout=2'
lab.writer_id = '{writer}'
",
        host = upstream.ip(),
        port = upstream.port(),
        password = password.display(),
        authority = authority.display(),
    )
}

/// A standby that follows nobody.
pub(super) fn alone(writer: &str) -> String {
    format!("primary_conninfo = ''\nlab.writer_id = '{writer}'\n")
}

/// A standby that takes the write-ahead log from another node's disk.
pub(super) fn salvage(log: &Path) -> String {
    format!("primary_conninfo = ''\nrestore_command = 'cp \"{}/%f\" \"%p\"'\n", log.display())
}

/// A server that starts from a base backup: it takes the write-ahead log from the writer's disk up to a point in time,
/// then serves by itself. Without a point in time it needs no more than the backup holds.
pub(super) fn restored(log: &Path, until: Option<SystemTime>) -> String {
    let Some(until) = until else {
        return alone("restored");
    };
    format!(
        "{}restore_command = 'cp \"{}/%f\" \"%p\"'
recovery_target_time = '{}'
recovery_target_action = 'promote'
",
        alone("restored"),
        log.display(),
        // Time zones by name are not known yet when the server reads this.
        humantime::format_rfc3339_micros(until).to_string().replace('T', " ").replace('Z', "+00")
    )
}

/// The password file that [`upstream`] points at, so that no log ever shows the password.
pub(super) fn password(password: &str) -> String {
    format!("*:*:*:{REPLICATOR}:{password}\n")
}

/// Who must acknowledge a commit, as [`quorum_value`] or [`NOBODY`] names them.
pub(super) fn quorum(value: &str) -> String {
    format!("synchronous_standby_names = '{value}'\n")
}

/// A quorum that is never reached: no instance id may hold a space.
pub(super) const NOBODY: &str = "ANY 1 (\"no standby\")";

/// Faults that lie in the settings. `lab.faults` is what tells whether they are in force.
pub(super) fn faults(injected: Injected) -> String {
    format!(
        "lab.faults = '{mark}'
lab.disk_full = '{disk}'
lab.commits_fail = '{commits}'
default_transaction_read_only = '{read_only}'
recovery_min_apply_delay = '{delay}ms'
",
        mark = injected.mark(),
        disk = switch(injected.disk_full),
        commits = switch(injected.commits_failing),
        read_only = switch(injected.read_only),
        delay = injected.replay_delay.as_millis().min(LONGEST_DELAY_MS),
    )
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// The standbys of which any one must acknowledge a commit, as `synchronous_standby_names`
/// reports them; none means the writer alone.
pub(super) fn quorum_value(ids: &[&str]) -> String {
    if ids.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    format!("ANY 1 ({})", quoted.join(", "))
}

/// libpq parameters of the lab's own superuser.
pub(super) fn admin_conninfo(layout: &Layout) -> String {
    format!("host={} port={POSTGRES_PORT} user={ADMIN} dbname=postgres", layout.socket().display())
}
