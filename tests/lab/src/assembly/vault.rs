//! Where the lab's backups are, and the servers that were restored from them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::error::AssemblyError;
use super::{call, names, resources};
use crate::postgres::{BaseBackup, Cluster, ClusterError, Damage, RestoredServer};
use crate::rds::{RestoreFrom, Snapshot, Vault};

/// Backups of the lab's cluster.
#[derive(Clone)]
pub struct PostgresVault(Arc<Shared>);

struct Shared {
    /// Weak: a lab ends when its own handle goes.
    cluster: std::sync::Weak<Cluster>,
    aws: SdkConfig,
    logs: PathBuf,
    /// By snapshot.
    backups: Mutex<BTreeMap<String, BaseBackup>>,
    /// By identifier of what was restored.
    servers: Mutex<BTreeMap<String, RestoredServer>>,
    /// Where they listen.
    addresses: std::sync::Mutex<BTreeMap<String, IpAddr>>,
    /// By identifier: secrets of their master users.
    secrets: Mutex<BTreeMap<String, String>>,
}

impl PostgresVault {
    pub(super) fn new(cluster: &Arc<Cluster>, aws: &SdkConfig, logs: PathBuf) -> Self {
        Self(Arc::new(Shared {
            cluster: Arc::downgrade(cluster),
            aws: aws.clone(),
            logs,
            backups: Mutex::default(),
            servers: Mutex::default(),
            addresses: std::sync::Mutex::default(),
            secrets: Mutex::default(),
        }))
    }

    /// Takes a base backup of the writer under this name.
    ///
    /// # Errors
    ///
    /// When the writer cannot be copied.
    pub async fn take(&self, id: &str) -> Result<Snapshot, ClusterError> {
        let backup = self.0.cluster()?.back_up().await?;
        let since = backup.complete.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.0.backups.lock().await.insert(id.to_owned(), backup);
        Ok(Snapshot {
            id: id.to_owned(),
            taken_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            engine_version: String::new(),
            key_usable: true,
        })
    }

    /// Forgets a backup: nothing is restored from it any more.
    pub async fn forget(&self, id: &str) {
        self.0.backups.lock().await.remove(id);
    }

    /// Damages a relation in a backup.
    ///
    /// # Errors
    ///
    /// When the relation or its file is not there.
    pub async fn damage(&self, id: &str, relation: &str, damage: Damage) -> Result<(), ClusterError> {
        let backups = self.0.backups.lock().await;
        match backups.get(id) {
            Some(backup) => self.0.cluster()?.damage(backup, names::DATABASE, relation, damage).await,
            None => Ok(()),
        }
    }

    /// Servers that run, and secrets that were made for them: none once everything was deleted.
    pub async fn left_behind(&self) -> Vec<String> {
        let servers: Vec<String> = self.0.servers.lock().await.keys().map(|id| format!("the server of {id}")).collect();
        let secrets = self.0.secrets.lock().await;
        servers.into_iter().chain(secrets.keys().map(|id| format!("the secret of {id}"))).collect()
    }

    /// Ends every server.
    pub(crate) async fn end(&self) {
        let servers = std::mem::take(&mut *self.0.servers.lock().await);
        for server in servers.into_values() {
            server.remove().await;
        }
    }
}

impl Shared {
    fn cluster(&self) -> Result<Arc<Cluster>, ClusterError> {
        let gone = || ClusterError::UnknownNode { id: "the writer".to_owned(), known: "none: the lab ends".to_owned() };
        self.cluster.upgrade().ok_or_else(gone)
    }

    async fn restore(&self, id: &str, host: &str, from: RestoreFrom) -> Result<(), String> {
        let cluster = self.cluster().map_err(words)?;
        let (backup, until) = self.chosen(from).await?;
        let log = self.logs.join(format!("{id}.log"));
        let server = cluster.restore(&backup, until, host, &log).await.map_err(words)?;
        self.addresses().insert(id.to_owned(), server.address().ip());
        self.servers.lock().await.insert(id.to_owned(), server);
        Ok(())
    }

    fn addresses(&self) -> MutexGuard<'_, BTreeMap<String, IpAddr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backup to start from: the newest that was complete in time.
    async fn chosen(&self, from: RestoreFrom) -> Result<(BaseBackup, Option<SystemTime>), String> {
        let backups = self.backups.lock().await;
        match from {
            RestoreFrom::Snapshot(id) => {
                let found = backups.get(&id).cloned().ok_or_else(|| format!("no backup {id}"))?;
                Ok((found, None))
            }
            RestoreFrom::PointInTime(at_ms) => {
                let at = UNIX_EPOCH + Duration::from_millis(at_ms);
                let fit = backups.values().filter(|backup| backup.complete <= at);
                let newest = fit.max_by_key(|backup| backup.complete).cloned();
                Ok((newest.ok_or("no backup is older than that")?, Some(at)))
            }
        }
    }

    /// What RDS does when it is to manage the master password.
    async fn renew_password(&self, id: &str) -> Result<String, AssemblyError> {
        let servers = self.servers.lock().await;
        let server = servers
            .get(id)
            .ok_or_else(|| AssemblyError::Call { action: "ModifyDBCluster", cause: format!("no server of {id}") })?;
        let admin = server.admin().await?;
        let made = resources::new_login(names::MASTER);
        let change = format!("ALTER ROLE {} PASSWORD '{}'", names::MASTER, resources::scram(&made));
        admin.batch_execute(&change).await?;
        let text = serde_json::json!({ "username": made.username, "password": made.password }).to_string();
        let client = aws_sdk_secretsmanager::Client::new(&self.aws);
        let created = client.create_secret().name(format!("rds!{id}")).secret_string(text).send().await;
        let arn = created.map_err(call("CreateSecret"))?.arn().unwrap_or_default().to_owned();
        self.secrets.lock().await.insert(id.to_owned(), arn.clone());
        Ok(arn)
    }

    async fn remove(&self, id: &str) {
        if let Some(server) = self.servers.lock().await.remove(id) {
            server.remove().await;
        }
        let Some(secret) = self.secrets.lock().await.remove(id) else {
            return;
        };
        let client = aws_sdk_secretsmanager::Client::new(&self.aws);
        let deleted = client.delete_secret().secret_id(&secret).force_delete_without_recovery(true).send().await;
        if let Err(error) = deleted {
            tracing::warn!(%error, secret, "the secret of a restored server is still there");
        }
    }
}

impl Vault for PostgresVault {
    fn restore(&self, id: &str, host: &str, from: RestoreFrom) -> BoxFuture<'static, Result<(), String>> {
        let (shared, id, host) = (Arc::clone(&self.0), id.to_owned(), host.to_owned());
        async move { shared.restore(&id, &host, from).await }.boxed()
    }

    fn publish(&self, id: &str, host: &str) -> Result<(), String> {
        let known = self.0.addresses().get(id).copied();
        let address = known.ok_or_else(|| format!("no server of {id}"))?;
        let IpAddr::V4(address) = address else {
            return Err(format!("{address} is no address of the lab"));
        };
        let cluster = self.0.cluster().map_err(words)?;
        cluster.dns().add_name(host, address).map_err(|error| error.to_string())
    }

    fn renew_password(&self, id: &str) -> BoxFuture<'static, Result<String, String>> {
        let (shared, id) = (Arc::clone(&self.0), id.to_owned());
        async move { shared.renew_password(&id).await.map_err(|error| error.to_string()) }.boxed()
    }

    fn remove(&self, id: &str) -> BoxFuture<'static, ()> {
        let (shared, id) = (Arc::clone(&self.0), id.to_owned());
        async move { shared.remove(&id).await }.boxed()
    }
}

fn words(error: ClusterError) -> String {
    error.to_string()
}
