//! Makes the database ready for the functions, through the RDS Data API.

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::error::DisplayErrorContext;
use steadfast_aws::secret::Credentials;

use crate::script;

/// The schema that ships, in the order of its versions. Each may be run again.
pub const SCHEMA: [&str; 2] = [include_str!("../schema/0001_steadfast.sql"), include_str!("../schema/0002_ledger.sql")];

/// The database to make ready, and as whom.
#[derive(Clone, Debug)]
pub struct Database {
    /// ARN of the cluster.
    pub cluster_arn: String,
    /// ARN of the secret of a role that may create schemas and roles.
    pub admin_secret_arn: String,
    /// Name of the database.
    pub name: String,
}

/// A login role to create, and the group it joins.
#[derive(Clone, Debug)]
pub struct Login {
    /// Name and password.
    pub credentials: Credentials,
    /// A group of the schema: `steadfast_probe` or `steadfast_drain`.
    pub group: &'static str,
}

/// Why the database is not ready.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A statement failed. Its text is the schema's own and holds no secret.
    #[error("statement {statement:?} failed: {cause}; it is safe to run the whole again")]
    Statement {
        /// Its first line.
        statement: String,
        /// The Data API's words.
        cause: String,
    },
    /// A login role could not be made.
    #[error("role {role:?} could not be made: {cause}")]
    Role {
        /// The role.
        role: String,
        /// The Data API's words.
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
pub async fn bootstrap(client: &Client, database: &Database, logins: &[Login]) -> Result<(), BootstrapError> {
    for statement in SCHEMA.into_iter().flat_map(script::statements) {
        run(client, database, &statement).await.map_err(|cause| BootstrapError::Statement {
            statement: statement.lines().next().unwrap_or_default().to_owned(),
            cause,
        })?;
    }
    for login in logins {
        let role = checked(&login.credentials.username)?;
        for statement in login_statements(role, login) {
            let done = run(client, database, &statement).await;
            done.map_err(|cause| BootstrapError::Role { role: role.to_owned(), cause })?;
        }
    }
    Ok(())
}

async fn run(client: &Client, database: &Database, statement: &str) -> Result<(), String> {
    client
        .execute_statement()
        .resource_arn(&database.cluster_arn)
        .secret_arn(&database.admin_secret_arn)
        .database(&database.name)
        .sql(statement)
        .send()
        .await
        .map(|_| ())
        .map_err(|error| DisplayErrorContext(&error).to_string())
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
