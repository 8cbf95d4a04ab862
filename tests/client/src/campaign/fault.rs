//! What is done to the writer.

use std::time::Duration;

use serde::Serialize;
use steadfast_lab::postgres::ClusterError;
use tokio::time::timeout;

use super::CampaignError;
use crate::cluster::{INSTANCES, Payments};

/// What happens to the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// All its processes get SIGKILL, and it starts again on the same storage.
    KillAndRestart,
    /// All its processes get SIGKILL, and another instance is promoted.
    KillPostgres,
    /// Its host vanishes without a goodbye, and another instance is promoted.
    KillHost,
    /// It is frozen, and killed when another instance is promoted.
    Freeze,
    /// It is frozen, another instance is promoted, and it wakes up in its old belief.
    FreezeAndWake,
    /// It is shut down in order, and another instance is promoted; nobody closed the gate.
    Switchover,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::KillAndRestart, Self::KillPostgres, Self::KillHost, Self::Freeze, Self::FreezeAndWake, Self::Switchover];

    /// One of them by chance.
    pub fn draw() -> Self {
        fastrand::choice(Self::ALL).unwrap_or(Self::KillPostgres)
    }
}

/// Brings faults about, and asks old writers what they still do.
pub(super) struct Injector<'a> {
    payments: &'a Payments,
    zombie: Option<Zombie>,
    /// Writes that an old writer acknowledged after another one was promoted.
    pub(super) zombie_writes: u64,
    /// Reads that an old writer answered then, to a connection without the client.
    pub(super) zombie_reads: u64,
    /// How often an old writer was asked.
    pub(super) zombies: u64,
}

/// An ordinary connection to a writer that was frozen.
struct Zombie {
    id: String,
    connection: tokio_postgres::Client,
}

/// How long an old writer is waited for. Nothing is concluded from its silence.
const ZOMBIE_PATIENCE: Duration = Duration::from_millis(250);

impl<'a> Injector<'a> {
    pub(super) fn new(payments: &'a Payments) -> Self {
        Self { payments, zombie: None, zombie_writes: 0, zombie_reads: 0, zombies: 0 }
    }

    pub(super) async fn inject(&mut self, fault: Fault) -> Result<(), CampaignError> {
        let cluster = &self.payments.cluster;
        let writer = cluster.writer().to_owned();
        let others: Vec<&str> = INSTANCES.into_iter().filter(|id| *id != writer).collect();
        let target = fastrand::choice(others).unwrap_or("orders-1");
        match fault {
            Fault::KillAndRestart => drop(cluster.restart_in_place(&writer).await?),
            Fault::KillPostgres => {
                cluster.kill_postgres(&writer).await?;
                cluster.promote(target).await?;
            }
            Fault::KillHost => {
                cluster.kill_host(&writer).await?;
                cluster.promote(target).await?;
            }
            Fault::Freeze => {
                cluster.freeze(&writer).await?;
                cluster.promote(target).await?;
            }
            Fault::FreezeAndWake => {
                let connection = self.payments.plain(&writer).await?;
                cluster.freeze(&writer).await?;
                match cluster.promote_beside(target).await {
                    Ok(_) => self.zombie = Some(Zombie { id: writer, connection }),
                    // A standby that may have acknowledged commits could not be asked.
                    Err(ClusterError::CommitsMissing { .. }) => drop(cluster.promote(target).await?),
                    Err(error) => return Err(error.into()),
                }
            }
            Fault::Switchover => drop(cluster.switch(target).await?),
        }
        Ok(())
    }

    /// The new writer has acknowledged commits: what the old one still answers is stale.
    pub(super) async fn afterwards(&mut self, fault: Fault) {
        let Some(zombie) = self.zombie.take().filter(|_| fault == Fault::FreezeAndWake) else {
            return;
        };
        if self.payments.cluster.wake(&zombie.id).is_err() {
            return;
        }
        self.zombies += 1;
        let read = zombie.connection.query_one("SELECT n FROM mark", &[]);
        if matches!(timeout(ZOMBIE_PATIENCE, read).await, Ok(Ok(_))) {
            self.zombie_reads += 1;
        }
        let write = zombie.connection.batch_execute("UPDATE mark SET n = n");
        if matches!(timeout(ZOMBIE_PATIENCE, write).await, Ok(Ok(()))) {
            self.zombie_writes += 1;
        }
    }
}
