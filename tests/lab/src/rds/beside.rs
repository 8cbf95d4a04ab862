//! What stands beside production: snapshots, and what was restored from them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::nodes::Nodes;
use super::server::Platform;

/// A change shows for this long at least, so that nobody gets along without waiting. Minutes on AWS.
const CHANGE_SHOWS_FOR: Duration = Duration::from_millis(300);

/// Name of production's parameter groups and option group.
pub const OWN_GROUP: &str = "orders-production";

/// From what a server is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreFrom {
    /// A snapshot by its identifier.
    Snapshot(String),
    /// A point in time: Unix epoch milliseconds.
    PointInTime(u64),
}

/// Restores backups onto servers of their own.
pub trait Vault: Send + Sync + 'static {
    /// Restores onto a new server with a certificate for this host; returns when it takes writes.
    fn restore(&self, id: &str, host: &str, from: RestoreFrom) -> BoxFuture<'static, Result<(), String>>;

    /// Lets a name lead to the server.
    fn publish(&self, id: &str, host: &str) -> Result<(), String>;

    /// Gives the master user of the server a new password, in a secret of its own; returns the secret's ARN.
    fn renew_password(&self, id: &str) -> BoxFuture<'static, Result<String, String>>;

    /// Ends the server and removes its files and its secret.
    fn remove(&self, id: &str) -> BoxFuture<'static, ()>;
}

/// A snapshot as the control plane knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its identifier.
    pub id: String,
    /// Unix epoch milliseconds.
    pub taken_ms: u64,
    /// `EngineVersion`.
    pub engine_version: String,
    /// Whether the key that it is encrypted with can be used.
    pub key_usable: bool,
}

/// A cluster or an instance that was restored, or an instance of such a cluster.
#[derive(Debug, Clone)]
pub(super) struct Restored {
    pub(super) id: String,
    pub(super) is_cluster: bool,
    /// The cluster that it is an instance of.
    pub(super) member_of: Option<String>,
    pub(super) status: String,
    pub(super) host: String,
    pub(super) engine_version: String,
    pub(super) class: String,
    pub(super) tags: Vec<(String, String)>,
    pub(super) security_groups: Vec<String>,
    pub(super) subnet_group: String,
    pub(super) secret: Option<String>,
    pub(super) created_ms: u64,
}

/// All of it.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) vault: Option<Arc<dyn Vault>>,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) restored: BTreeMap<String, Restored>,
}

/// What is done about it after a request was accepted.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Restore(String, RestoreFrom),
    Start(String),
    RenewPassword(String),
    Delete(String),
}

impl<N: Nodes> Platform<N> {
    /// Carries a change out, and shows what has become of it.
    pub(super) async fn change_beside(self: Arc<Self>, change: Change) {
        let Some(vault) = self.core.beside().vault.clone() else {
            return;
        };
        let shown = tokio::time::sleep(CHANGE_SHOWS_FOR);
        match change {
            Change::Restore(id, from) => {
                let Some(made) = self.core.beside().restored.get(&id).cloned() else {
                    return;
                };
                let done = vault.restore(&id, &made.host, from).await;
                shown.await;
                // A cluster is reached when it has an instance.
                let published = if made.is_cluster { Ok(()) } else { vault.publish(&id, &made.host) };
                self.show(&id, done.and(published), "restore-error");
            }
            Change::Start(id) => {
                let of = self.core.beside().restored.get(&id).and_then(|made| made.member_of.clone());
                let cluster = of.and_then(|of| self.core.beside().restored.get(&of).cloned());
                shown.await;
                let published = match cluster {
                    Some(cluster) => vault.publish(&cluster.id, &cluster.host),
                    None => Err("the cluster is gone".to_owned()),
                };
                self.show(&id, published, "failed");
            }
            Change::RenewPassword(id) => {
                let renewed = vault.renew_password(&id).await;
                shown.await;
                if let (Ok(secret), Some(made)) = (&renewed, self.core.beside().restored.get_mut(&id)) {
                    made.secret = Some(secret.clone());
                }
                self.show(&id, renewed.map(drop), "failed");
            }
            Change::Delete(id) => {
                let has_server = self.core.beside().restored.get(&id).is_some_and(|made| made.member_of.is_none());
                if has_server {
                    vault.remove(&id).await;
                }
                shown.await;
                self.core.beside().restored.remove(&id);
            }
        }
    }

    fn show(&self, id: &str, done: Result<(), String>, otherwise: &str) {
        if let Some(made) = self.core.beside().restored.get_mut(id).filter(|made| made.status != "deleting") {
            made.status = match &done {
                Ok(()) => "available".to_owned(),
                Err(_) => otherwise.to_owned(),
            };
        }
        if let Err(error) = done {
            tracing::warn!(id, error, "a restore did not come to its end");
        }
    }
}
