//! All connections taken.

use std::sync::{Arc, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::super::cluster::Cluster;
use super::super::error::ClusterError;
use super::super::node::{Node, NodeState, POLL, START_LIMIT};

/// Free slots that are left. Fewer than `superuser_reserved_connections`, 5: nobody but the lab
/// gets one, also while the sessions of a [`ROUND`] end.
const LEFT_FREE: i64 = 3;
/// How many foreign sessions are ended at a time.
const ROUND: i64 = 2;
const APPLICATION: &str = "lab: takes a connection";

const USE: &str = "SELECT current_setting('max_connections')::bigint - count(*),
    count(*) FILTER (WHERE NOT coalesce(rolsuper, false)), count(*) FILTER (WHERE application_name = $1)
    FROM pg_stat_activity LEFT JOIN pg_roles ON pg_roles.oid = usesysid WHERE backend_type = 'client backend'";

const END_SOME: &str = "SELECT count(pg_terminate_backend(pid, 1000)) FROM (
    SELECT pid FROM pg_stat_activity LEFT JOIN pg_roles ON pg_roles.oid = usesysid
    WHERE backend_type = 'client backend' AND NOT coalesce(rolsuper, false) LIMIT $1) AS next";

/// How the slots of a server are used.
struct Use {
    free: i64,
    /// Sessions of ordinary roles.
    foreign: i64,
    ours: i64,
}

impl Cluster {
    /// Takes every connection of a node, as a storm of clients does: sessions of ordinary roles
    /// are ended, and whoever connects is refused with SQLSTATE 53300. Ends with the server.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown, does not run, or its connections are not taken
    /// within a minute.
    pub async fn take_connections(&self, id: &str) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        node.require_running()?;
        let taken = async {
            loop {
                let used = slots(node).await?;
                if used.free <= LEFT_FREE && used.foreign == 0 {
                    return Ok(());
                }
                crowd_in(node, used.free - LEFT_FREE).await?;
                let client = node.admin.client().await?;
                client.query_one(END_SOME, &[&ROUND]).await.map_err(|source| node.admin.error(source))?;
            }
        };
        let limit = tokio::time::timeout(START_LIMIT, taken);
        let result = limit.await.unwrap_or_else(|_| Err(node.timeout("a server without a free slot", START_LIMIT)));
        if result.is_err() {
            crowd(node).clear();
        }
        result
    }

    /// Ends [`Self::take_connections`].
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown or does not answer.
    pub async fn release_connections(&self, id: &str) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        crowd(node).clear();
        let released = async {
            while node.state() == NodeState::Running && slots(node).await?.ours > 0 {
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(START_LIMIT, released)
            .await
            .unwrap_or_else(|_| Err(node.timeout("a server with free slots", START_LIMIT)))
    }
}

async fn slots(node: &Node) -> Result<Use, ClusterError> {
    let failed = |source| node.admin.error(source);
    let client = node.admin.client().await?;
    let row = client.query_one(USE, &[&APPLICATION]).await.map_err(failed)?;
    Ok(Use {
        free: row.try_get(0).map_err(failed)?,
        foreign: row.try_get(1).map_err(failed)?,
        ours: row.try_get(2).map_err(failed)?,
    })
}

/// Connects so often, or as often as others leave slots.
async fn crowd_in(node: &Arc<Node>, count: i64) -> Result<(), ClusterError> {
    let connecting = (0..count).map(|_| node.admin.connect_as("postgres", APPLICATION));
    for connected in join_all(connecting).await {
        match connected {
            Ok(client) => crowd(node).push(client),
            Err(ClusterError::Query { source, .. }) if source.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn crowd(node: &Node) -> MutexGuard<'_, Vec<Client>> {
    node.crowd.lock().unwrap_or_else(PoisonError::into_inner)
}
