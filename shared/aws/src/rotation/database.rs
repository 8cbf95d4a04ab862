//! Logins, roles and sessions, on the instances that the control plane names.

use std::time::Duration;

use futures_util::future::join_all;
use steadfast_core::rotation::alternate::base;
use steadfast_core::rotation::{Blocked, Database, Document, Login, Observed, Role, Seated, Server, alternate};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Deployment, Member, Topology};
use tokio::time::timeout;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::{Rotator, login_of, not_done, roles};
use crate::postgres::{ConnectError, ConnectLimits, Session, Target};
use crate::secret::{self, Credentials};

const LIMITS: ConnectLimits = ConnectLimits { tcp: Duration::from_secs(1), total: Duration::from_secs(3) };
/// One statement.
const STATEMENT: Duration = Duration::from_secs(3);

/// What the administrator sees on one instance.
struct Inspected {
    login: Login,
    base: Role,
    /// None where they could not be seen.
    sessions: Option<Vec<Seated>>,
}

impl Rotator {
    pub(super) async fn look_at_database(
        &self,
        seen: &Observed,
        topology: &Topology,
        (drained, changed): (bool, bool),
    ) -> Result<Database, Blocked> {
        let Some(writer) = topology.writer() else {
            let cause = "the control plane names no writer".to_owned();
            return Err(Blocked::Unreachable { instance: self.cluster.to_string(), cause });
        };
        let admin = self.admin().await?;
        let pending = seen.pending.as_ref().and_then(|pending| pending.as_ref().ok());
        let current = seen.current.as_ref().map_err(|error| Blocked::Document(error.clone()))?;
        let (owner, idle) = (base(current.username()).to_owned(), alternate(current.username()));
        let look = async |member: &Member| {
            tokio::join!(
                self.inspect(topology.port, member, &admin, &owner, &idle),
                self.try_login(topology.port, member, pending)
            )
        };
        let readers: Vec<&Member> = readers(topology, writer).collect();
        let others = join_all(readers.iter().map(|reader| look(reader)));
        let ((inspected, login), others) = tokio::join!(look(writer), others);
        let mut found = Database {
            admin: inspected.login,
            writer: Server { instance: writer.id.to_string(), login },
            readers: Vec::new(),
            base: inspected.base,
            sessions: inspected.sessions.unwrap_or_default(),
            unseen: Vec::new(),
            drained,
            changed,
        };
        for (reader, (inspected, login)) in readers.into_iter().zip(others) {
            let instance = reader.id.to_string();
            match inspected.sessions {
                Some(sessions) => found.sessions.extend(sessions),
                None => found.unseen.push(instance.clone()),
            }
            found.readers.push(Server { instance, login });
        }
        Ok(found)
    }

    async fn admin(&self) -> Result<Credentials, Blocked> {
        let read = secret::credentials(self.secrets.client(), &self.admin_secret).await;
        read.map_err(|error| Blocked::Failed { what: error.to_string(), passes: false })
    }

    async fn try_login(&self, port: u16, member: &Member, document: Option<&Document>) -> Login {
        let Some(document) = document else {
            return Login::Untried;
        };
        let database = document.dbname().unwrap_or(&self.database);
        match self.connect_to(database, &member.endpoint, port, &login_of(document)).await {
            Ok(session) => role_of(&session).await,
            Err(error) => refusal(&error),
        }
    }

    async fn inspect(&self, port: u16, member: &Member, admin: &Credentials, owner: &str, idle: &str) -> Inspected {
        let nothing = |login| Inspected { login, base: Role::Unknown, sessions: None };
        let session = match self.connect(&member.endpoint, port, admin).await {
            Ok(session) => session,
            Err(error) => return nothing(refusal(&error)),
        };
        let login = role_of(&session).await;
        let looked = async {
            let second = alternate(owner);
            let base = session.client.query_opt(roles::ROLE, &[&owner, &second]).await?;
            let base =
                base.map(|row| Ok::<_, Error>((row.try_get::<_, Vec<String>>(0)?, row.try_get(1)?))).transpose()?;
            let base = match base {
                None => Role::Missing,
                Some((attributes, _)) if !attributes.is_empty() => Role::Unfit(attributes),
                Some((_, true)) => Role::Unpaired,
                Some((_, false)) => Role::Fit,
            };
            Ok::<_, Error>((base, sessions(&session, member, idle).await?))
        };
        match timeout(STATEMENT, looked).await {
            Ok(Ok((base, sessions))) => Inspected { login, base, sessions: Some(sessions) },
            Ok(Err(error)) => nothing(Login::Unreachable(error.to_string())),
            Err(_) => nothing(Login::Unreachable(format!("no answer within {STATEMENT:?}"))),
        }
    }

    /// Ends sessions where they were seen. Those that have begun a transaction since are left alone.
    pub(super) async fn drain(&self, role: &str, doomed: &[Seated]) -> Result<(), Blocked> {
        let topology = self.rds.describe(&self.cluster).await.map_err(|error| not_done(&error))?;
        let admin = self.admin().await?;
        for member in &topology.members {
            let here = doomed.iter().filter(|session| session.instance == member.id.as_str());
            let pids: Vec<i32> = here.map(|session| session.pid).collect();
            if pids.is_empty() {
                continue;
            }
            let session = self.connected(member, topology.port, &admin).await?;
            let ended = timeout(STATEMENT, session.client.query_one(roles::DRAIN, &[&role, &pids])).await;
            answered(member.id.as_str(), ended)?;
        }
        Ok(())
    }

    /// Gives `role` the password of the document (none without one), and has it stand in for `base`. All or nothing.
    pub(super) async fn set_password(
        &self,
        role: &str,
        base: &str,
        document: Option<&Document>,
    ) -> Result<(), Blocked> {
        let topology = self.rds.describe(&self.cluster).await.map_err(|error| not_done(&error))?;
        let Some(writer) = topology.writer() else {
            return Err(Blocked::NotWriter(self.cluster.to_string()));
        };
        let session = self.connected(writer, topology.port, &self.admin().await?).await?;
        // The session that is about to change a password says itself that it writes.
        match role_of(&session).await {
            Login::Works { writes: true } => {}
            Login::Works { writes: false } => return Err(Blocked::NotWriter(writer.id.to_string())),
            other @ (Login::Untried | Login::Refused(_) | Login::Unreachable(_)) => {
                return Err(Blocked::Unreachable { instance: writer.id.to_string(), cause: other.cause() });
            }
        }
        let verifier =
            document.map(|document| postgres_protocol::password::scram_sha_256(document.password().as_bytes()));
        let instance = writer.id.as_str();
        let asked = timeout(STATEMENT, session.client.query(roles::CHANGE, &[&role, &base, &verifier])).await;
        let rows = answered(instance, asked)?;
        let statements: Result<Vec<String>, Error> = rows.iter().map(|row| row.try_get(0)).collect();
        let statements = answered::<_, ()>(instance, Ok(statements))?;
        let change = format!("BEGIN; {}; COMMIT", statements.join("; "));
        match timeout(STATEMENT, session.client.batch_execute(&change)).await {
            Ok(Err(error)) => Err(not_changed(role, instance, &error)),
            done @ (Ok(Ok(())) | Err(_)) => answered(instance, done),
        }
    }

    async fn connected(&self, member: &Member, port: u16, admin: &Credentials) -> Result<Session, Blocked> {
        self.connect(&member.endpoint, port, admin).await.map_err(|error| {
            let instance = member.id.to_string();
            match refusal(&error) {
                Login::Refused(cause) => Blocked::Admin { instance, cause },
                other @ (Login::Untried | Login::Works { .. } | Login::Unreachable(_)) => {
                    Blocked::Unreachable { instance, cause: other.cause() }
                }
            }
        })
    }

    async fn connect(&self, host: &str, port: u16, as_whom: &Credentials) -> Result<Session, ConnectError> {
        self.connect_to(&self.database, host, port, as_whom).await
    }

    async fn connect_to(
        &self,
        database: &str,
        host: &str,
        port: u16,
        as_whom: &Credentials,
    ) -> Result<Session, ConnectError> {
        let (host, database) = (host.to_owned(), database.to_owned());
        let target = Target { host, port, database, application: "steadfast-rotator" };
        self.connector.connect(&target, as_whom, LIMITS).await
    }
}

/// The readers that can be asked. Of a Multi-AZ DB instance nobody reaches the standby.
fn readers<'t>(topology: &'t Topology, writer: &'t Member) -> impl Iterator<Item = &'t Member> {
    let asked = topology.deployment == Deployment::Cluster;
    topology.members.iter().filter(move |member| asked && member.id != writer.id && !member.endpoint.is_empty())
}

async fn role_of(session: &Session) -> Login {
    match timeout(STATEMENT, session.client.query_one(roles::IN_RECOVERY, &[])).await {
        Ok(Ok(row)) => match row.try_get::<_, bool>(0) {
            Ok(recovering) => Login::Works { writes: !recovering },
            Err(error) => Login::Unreachable(error.to_string()),
        },
        Ok(Err(error)) => Login::Unreachable(error.to_string()),
        Err(_) => Login::Unreachable(format!("no answer within {STATEMENT:?}")),
    }
}

async fn sessions(session: &Session, member: &Member, role: &str) -> Result<Vec<Seated>, Error> {
    let rows = session.client.query(roles::SESSIONS, &[&role]).await?;
    rows.iter()
        .map(|row| {
            let began: Option<i64> = row.try_get(4)?;
            Ok(Seated {
                instance: member.id.to_string(),
                pid: row.try_get(0)?,
                application: row.try_get::<_, Option<String>>(1)?.unwrap_or_default(),
                address: row.try_get(2)?,
                idle: row.try_get(3)?,
                began: Timestamp::from_millis(began.and_then(|began| u64::try_from(began).ok()).unwrap_or(0)),
            })
        })
        .collect()
}

/// Class 28 is about the login, and so are a database that it may not enter or that is not there; everything else
/// would happen to any login.
fn refusal(error: &ConnectError) -> Login {
    if let ConnectError::Answered { cause, .. } = error
        && let Some(answer) = cause.as_db_error()
        && (answer.code().code().starts_with("28")
            || [SqlState::INSUFFICIENT_PRIVILEGE, SqlState::INVALID_CATALOG_NAME].contains(answer.code()))
    {
        return Login::Refused(answer.message().to_owned());
    }
    Login::Unreachable(error.to_string())
}

/// What a statement answered; no answer passes.
fn answered<T, E>(instance: &str, answer: Result<Result<T, Error>, E>) -> Result<T, Blocked> {
    let cause = match answer {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.as_db_error().map_or_else(|| error.to_string(), |answer| answer.message().to_owned()),
        Err(_) => format!("no answer within {STATEMENT:?}"),
    };
    Err(Blocked::Unreachable { instance: instance.to_owned(), cause })
}

/// The server's reason, in its own words, which quote no password.
fn not_changed(role: &str, instance: &str, error: &Error) -> Blocked {
    let Some(answer) = error.as_db_error() else {
        return Blocked::Unreachable { instance: instance.to_owned(), cause: error.to_string() };
    };
    refused(role, instance, answer.code(), answer.message())
}

fn refused(role: &str, instance: &str, code: &SqlState, words: &str) -> Blocked {
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return Blocked::NotWriter(instance.to_owned());
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        let what = format!(
            "the administrator may not change role {role:?} on {instance}: {words}; give STEADFAST_ADMIN_SECRET_ARN a \
             role with CREATEROLE, and membership in rds_password where passwords are restricted"
        );
        return Blocked::Failed { what, passes: false };
    }
    // A hook that checks passwords answers with either: `passwordcheck` with class 22, one in pg_tle by RAISE.
    if code.code().starts_with("22") || *code == SqlState::RAISE_EXCEPTION {
        let what = format!(
            "{instance} refuses the password of role {role:?} by its policy: {words}; the server gets a SCRAM verifier in \
             place of the password, which no policy can measure: let it pass for this role"
        );
        return Blocked::Failed { what, passes: false };
    }
    Blocked::Failed { what: format!("role {role:?} on {instance}: {words}"), passes: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_change_is_told_in_the_servers_words_and_repeated_only_where_that_helps() {
        let refused = |code| refused("app_clone", "orders-1", &code, "the server's words");
        for policy in [SqlState::INVALID_PARAMETER_VALUE, SqlState::RAISE_EXCEPTION] {
            let blocked = refused(policy);
            assert!(
                !blocked.passes() && blocked.to_string().contains("by its policy: the server's words"),
                "{blocked}"
            );
        }
        let unprivileged = refused(SqlState::INSUFFICIENT_PRIVILEGE);
        assert!(!unprivileged.passes() && unprivileged.to_string().contains("CREATEROLE"), "{unprivileged}");
        assert_eq!(refused(SqlState::READ_ONLY_SQL_TRANSACTION), Blocked::NotWriter("orders-1".to_owned()));
        assert!(refused(SqlState::T_R_DEADLOCK_DETECTED).passes());
    }
}
