//! The instances of an Aurora cluster, learned by SQL.

use std::time::Duration;

use tokio_postgres::{Client, Error};

use crate::config::Endpoint;
use crate::error::words;

/// Every instance that reported to the cluster's storage (Aurora PostgreSQL guide, `aurora_replica_status`).
const INSTANCES: &str = "SELECT DISTINCT server_id FROM pg_catalog.aurora_replica_status() WHERE server_id IS NOT NULL";

/// Why the instances are not learned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unlearned {
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("{}", words(.0))]
    Database(#[from] Error),
}

/// The endpoints of all instances, as the one that is asked knows them; none if the cluster's endpoint does not show
/// how they are named. Takes no longer than `limit`.
pub(crate) async fn learn(client: &Client, cluster: &Endpoint, limit: Duration) -> Result<Vec<Endpoint>, Unlearned> {
    let asked = tokio::time::timeout(limit, client.query_typed(INSTANCES, &[])).await;
    let rows = asked.map_err(|_| Unlearned::Silent(limit))??;
    let mut found = Vec::new();
    for row in rows {
        let instance: String = row.try_get(0)?;
        found.extend(instance_endpoint(cluster, &instance));
    }
    found.sort_by(|one, other| one.host.cmp(&other.host));
    Ok(found)
}

/// `orders.cluster-c0ffee.eu-central-1.rds.amazonaws.com` has instances like
/// `orders-1.c0ffee.eu-central-1.rds.amazonaws.com` (Aurora guide, "Amazon Aurora endpoints").
pub(crate) fn instance_endpoint(cluster: &Endpoint, instance: &str) -> Option<Endpoint> {
    let (_, rest) = cluster.host.split_once('.')?;
    let domain = rest.strip_prefix("cluster-ro-").or_else(|| rest.strip_prefix("cluster-"))?;
    Some(Endpoint::new(format!("{instance}.{domain}"), cluster.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_named_after_their_cluster() {
        let cluster = Endpoint::new("orders.cluster-c0ffee.eu-central-1.rds.amazonaws.com", 5432);
        let instance = instance_endpoint(&cluster, "orders-2").unwrap();
        assert_eq!(instance.to_string(), "orders-2.c0ffee.eu-central-1.rds.amazonaws.com:5432");
        for host in ["localhost", "db.example.com", "10.0.0.1"] {
            assert_eq!(instance_endpoint(&Endpoint::new(host, 5432), "orders-2"), None, "{host}");
        }
    }
}
