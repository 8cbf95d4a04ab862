//! A role whose password is refused.

use std::collections::BTreeMap;

use super::super::cluster::Cluster;
use super::super::error::ClusterError;

/// By role: what PostgreSQL stored before, and what it stores meanwhile.
pub(in super::super) type RefusedPasswords = BTreeMap<String, Verifiers>;

/// SCRAM verifiers of a role.
pub(in super::super) struct Verifiers {
    before: String,
    meanwhile: String,
}

impl std::fmt::Debug for Verifiers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Verifiers(..)")
    }
}

const STORED: &str = "SELECT rolpassword FROM pg_authid WHERE rolname = $1 AND rolpassword IS NOT NULL";
const CHANGE: &str = "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)";

impl Cluster {
    /// New connections of a role are refused with SQLSTATE 28P01: the writer gets another password
    /// for it, and every reader as soon as it has replayed that. Sessions that are open stay open.
    ///
    /// # Errors
    /// [`ClusterError`] when the role has no password, or the writer does not run or commit.
    pub async fn refuse_password(&self, role: &str) -> Result<(), ClusterError> {
        let mut refused = self.refused.lock().await;
        let unknown = || ClusterError::UnknownRole { role: role.to_owned() };
        let stored = self.stored(role).await?.ok_or_else(unknown)?;
        let meanwhile = match refused.get(role) {
            Some(verifiers) => verifiers.meanwhile.clone(),
            None => scram_of_nobody(),
        };
        if stored == meanwhile {
            return Ok(());
        }
        // Known before it is changed: a change that fails half way can still be taken back.
        refused.insert(role.to_owned(), Verifiers { before: stored, meanwhile: meanwhile.clone() });
        self.store(role, &meanwhile).await
    }

    /// Ends [`Self::refuse_password`]. A password that somebody else has changed meanwhile stays.
    ///
    /// # Errors
    /// [`ClusterError`] when the writer does not run or commit; try again then.
    pub async fn accept_password(&self, role: &str) -> Result<(), ClusterError> {
        let mut refused = self.refused.lock().await;
        let Some(verifiers) = refused.get(role) else {
            return Ok(());
        };
        if self.stored(role).await?.as_ref() == Some(&verifiers.meanwhile) {
            self.store(role, &verifiers.before).await?;
        }
        refused.remove(role);
        Ok(())
    }

    pub(in super::super) async fn accept_all_passwords(&self) -> Result<(), ClusterError> {
        let roles: Vec<String> = self.refused.lock().await.keys().cloned().collect();
        for role in roles {
            self.accept_password(&role).await?;
        }
        Ok(())
    }

    async fn stored(&self, role: &str) -> Result<Option<String>, ClusterError> {
        let writer = self.node_at(self.writer_index());
        writer.require_running()?;
        let failed = |source| writer.admin.error(source);
        let client = writer.admin.client().await?;
        let row = client.query_opt(STORED, &[&role]).await.map_err(failed)?;
        row.map(|row| row.try_get(0).map_err(failed)).transpose()
    }

    async fn store(&self, role: &str, verifier: &str) -> Result<(), ClusterError> {
        let writer = self.node_at(self.writer_index());
        let failed = |source| writer.admin.error(source);
        let client = writer.admin.client().await?;
        let row = client.query_one(CHANGE, &[&role, &verifier]).await.map_err(failed)?;
        let change: String = row.try_get(0).map_err(failed)?;
        writer.admin.execute(&change).await
    }
}

/// What PostgreSQL stores of a password that nobody knows.
fn scram_of_nobody() -> String {
    let password = uuid::Uuid::new_v4().simple().to_string();
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}
