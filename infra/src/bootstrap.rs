//! Makes the database ready for the functions: through the RDS Data API, or over a connection where none serves it.

use std::future::Future;
use std::time::Duration;

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::error::DisplayErrorContext;
use steadfast_aws::postgres::{ConnectLimits, Connector, Session, Target};
use steadfast_aws::secret::Credentials;

use crate::script;

/// The schema that ships, in the order of its versions. Each may be run again.
pub const SCHEMA: [&str; 5] = [
    include_str!("../schema/0001_steadfast.sql"),
    include_str!("../schema/0002_ledger.sql"),
    include_str!("../schema/0003_rotation.sql"),
    include_str!("../schema/0004_verification.sql"),
    include_str!("../schema/0005_application.sql"),
];

/// A person waits.
const LIMITS: ConnectLimits = ConnectLimits { tcp: Duration::from_secs(5), total: Duration::from_secs(10) };

/// The database to make ready, as a role that may create schemas and roles.
pub trait Database {
    /// Runs one statement, by itself.
    ///
    /// # Errors
    ///
    /// The words of whoever refused it.
    fn run(&self, statement: &str) -> impl Future<Output = Result<(), String>> + Send;
}

/// A database of a cluster whose Data API is enabled.
#[derive(Clone, Debug)]
pub struct DataApi {
    /// Without retries: a statement that is sent again would run twice.
    pub client: Client,
    /// ARN of the cluster.
    pub cluster_arn: String,
    /// ARN of the secret of the role.
    pub admin_secret_arn: String,
    /// Name of the database.
    pub name: String,
}

impl Database for DataApi {
    async fn run(&self, statement: &str) -> Result<(), String> {
        self.client
            .execute_statement()
            .resource_arn(&self.cluster_arn)
            .secret_arn(&self.admin_secret_arn)
            .database(&self.name)
            .sql(statement)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| DisplayErrorContext(&error).to_string())
    }
}

/// A database of an RDS instance, over an open connection.
pub struct Connection(Session);

impl Connection {
    /// Connects to the database `name` of the instance at `host`.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::Connection`] with the network's or the server's words.
    pub async fn open(
        connector: &Connector,
        host: String,
        port: u16,
        name: &str,
        admin: &Credentials,
    ) -> Result<Self, BootstrapError> {
        let target = Target { host, port, database: name.to_owned(), application: "steadfast-infra" };
        let session = connector.connect(&target, admin, LIMITS).await;
        session.map(Self).map_err(|error| BootstrapError::Connection(error.to_string()))
    }
}

impl Database for Connection {
    async fn run(&self, statement: &str) -> Result<(), String> {
        self.0.client.batch_execute(statement).await.map_err(|error| match error.as_db_error() {
            Some(answer) => answer.message().to_owned(),
            None => error.to_string(),
        })
    }
}

/// A login role to create, and the group it joins.
#[derive(Clone, Debug)]
pub struct Login {
    /// Name and password.
    pub credentials: Credentials,
    /// A group of the schema: `steadfast_probe`, `steadfast_drain` or `steadfast_transfer`.
    pub group: &'static str,
}

/// Why the database is not ready.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The instance cannot be reached from here.
    #[error("no connection to the instance: {0}; run this where the functions' subnets are reached")]
    Connection(String),
    /// A statement failed. Its text is the schema's own and holds no secret.
    #[error("statement {statement:?} failed: {cause}; it is safe to run the whole again")]
    Statement {
        /// Its first line.
        statement: String,
        /// The database's words.
        cause: String,
    },
    /// A login role could not be made.
    #[error("role {role:?} could not be made: {cause}")]
    Role {
        /// The role.
        role: String,
        /// The database's words.
        cause: String,
    },
    /// The name cannot be used as a role name.
    #[error("role name {role:?} may hold only a to z, 0 to 9 and _, and begins with a letter")]
    RoleName {
        /// The name.
        role: String,
    },
}

/// Creates or completes schema and login roles. Safe to run again, and to cancel between statements.
///
/// # Errors
///
/// The first statement that failed.
pub async fn bootstrap(database: &impl Database, logins: &[Login]) -> Result<(), BootstrapError> {
    for statement in SCHEMA.into_iter().flat_map(script::statements) {
        database.run(&statement).await.map_err(|cause| BootstrapError::Statement {
            statement: statement.lines().next().unwrap_or_default().to_owned(),
            cause,
        })?;
    }
    for login in logins {
        let role = checked(&login.credentials.username)?;
        for statement in login_statements(role, login) {
            let done = database.run(&statement).await;
            done.map_err(|cause| BootstrapError::Role { role: role.to_owned(), cause })?;
        }
    }
    Ok(())
}

/// Utility statements take no parameters: the name is checked, and instead of the password its SCRAM
/// verifier is sent, so that no server log ever holds the password.
fn login_statements(role: &str, login: &Login) -> [String; 3] {
    let verifier = postgres_protocol::password::scram_sha_256(login.credentials.password.as_bytes());
    [
        format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}') THEN \
             CREATE ROLE {role} LOGIN; END IF; END $$"
        ),
        format!("ALTER ROLE {role} LOGIN PASSWORD '{verifier}'"),
        format!("GRANT {} TO {role}", login.group),
    ]
}

fn checked(role: &str) -> Result<&str, BootstrapError> {
    let begins_well = role.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    let rest_well = role.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if begins_well && rest_well { Ok(role) } else { Err(BootstrapError::RoleName { role: role.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_name_cannot_smuggle_sql() {
        for role in ["", "1a", "a b", "a;DROP", "a'", "A", "ä"] {
            assert!(checked(role).is_err(), "{role}");
        }
        assert!(checked("steadfast_prober_2").is_ok());
    }

    #[test]
    fn no_statement_holds_the_password() {
        let credentials = Credentials { username: "a".to_owned(), password: "x'; DROP".to_owned() };
        let statements = login_statements("a", &Login { credentials, group: "steadfast_probe" });
        assert!(statements.iter().all(|statement| !statement.contains("DROP")));
        assert!(statements[1].contains("PASSWORD 'SCRAM-SHA-256$4096:"));
    }
}
