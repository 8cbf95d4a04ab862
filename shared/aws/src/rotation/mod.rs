//! The rotation's world: Secrets Manager, the state table, RDS and PostgreSQL.

mod database;
mod roles;
mod secrets;

use std::time::Duration;

use serde_json::Value;
use steadfast_core::policy::Policy;
use steadfast_core::ports::{CallError, Clock, StateError};
use steadfast_core::rotation::executor::{Depth, Which, World};
use steadfast_core::rotation::row::{Announced, Writing};
use steadfast_core::rotation::{Action, Blocked, Document, Observed, Rotation};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Owner, Topology};

use crate::control_plane::Rds;
use crate::postgres::Connector;
use crate::state::Table;
use crate::{clock, log};

pub use secrets::Secrets;

/// The function's name in audit lines.
pub const FUNCTION: &str = "secret-rotator";

/// Everything that a rotation reaches.
pub struct Rotator {
    /// The database whose passwords are rotated.
    pub cluster: ClusterId,
    /// State.
    pub table: Table,
    /// RDS.
    pub rds: Rds,
    /// Secrets Manager.
    pub secrets: Secrets,
    /// PostgreSQL.
    pub connector: Connector,
    /// Secret of a role that may change the passwords.
    pub admin_secret: String,
    /// Name of the database to log in to.
    pub database: String,
}

impl Clock for Rotator {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn pause(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

impl World for Rotator {
    async fn look(&self, which: Which<'_>, depth: Depth) -> Result<Observed, Blocked> {
        let (seen, state, topology) = tokio::join!(
            self.secrets.versions(which),
            async { self.table.load(&self.cluster).await.map_err(|error| lost(&error)) },
            async { self.rds.describe(&self.cluster).await.map_err(|error| not_done(&error)) },
        );
        let (seen, state, topology) = (seen?, state?, topology?);
        let mut observed = Observed {
            now: clock::now(),
            secret: which.secret.to_owned(),
            token: which.token.to_owned(),
            enabled: seen.enabled,
            stages: seen.stages,
            current: seen.current,
            pending: seen.pending,
            previous: None,
            hosts: hosts(&topology),
            state,
            skew: Policy::default().clock_skew_max,
            database: None,
        };
        if let Depth::Database { drained, changed } = depth {
            observed.previous = self.secrets.previous(which.secret).await?;
            observed.database = Some(self.look_at_database(&observed, &topology, (drained, changed)).await?);
            observed.now = clock::now();
        }
        Ok(observed)
    }

    async fn act(&self, which: Which<'_>, action: &Action, seen: &Observed) -> Result<(), Blocked> {
        match action {
            Action::LookAtDatabase => Ok(()),
            Action::CreatePending { role } => match &seen.current {
                Ok(current) => self.secrets.create_pending(which, current, role).await,
                Err(error) => Err(Blocked::Document(error.clone())),
            },
            Action::Announce { role, old_role, effect } => {
                let next = Announced { secret: which.secret, token: which.token, role, old_role, effect: *effect };
                let (row, entry) = self.writing(|writing| Rotation::announced(seen.row(), next, writing));
                let announced = self.table.announce_rotation(&self.cluster, &seen.state, &row, &entry).await;
                announced.map_err(|error| lost(&error))
            }
            Action::Drain { role, sessions } => self.drain(role, sessions).await,
            Action::SetPassword { role, base } => match &seen.pending {
                Some(Ok(pending)) => self.set_password(role, base, Some(pending)).await,
                Some(Err(_)) | None => Err(Blocked::NotCreated(which.token.to_owned())),
            },
            Action::MoveCurrent { from } => self.secrets.move_current(which, from).await,
            Action::Restore { role } => {
                let previous = seen.previous.as_ref().filter(|previous| previous.username() == role);
                self.set_password(role, role, previous).await
            }
            Action::ClearPending => self.secrets.clear_pending(which).await,
            Action::Record { phase } => match seen.row() {
                Some(row) => {
                    let (next, entry) = self.writing(|writing| row.at(*phase, writing));
                    let written = self.table.write_rotation(&self.cluster, Some(row.version), &next, &entry).await;
                    written.map_err(|error| lost(&error))
                }
                None => Ok(()),
            },
        }
    }

    fn audit(&self, what: &str, data: Value) {
        log::audit(FUNCTION, what, &data);
    }
}

impl Rotator {
    fn writing<T>(&self, write: impl FnOnce(Writing<'_>) -> T) -> T {
        write(Writing { cluster: &self.cluster, by: &Owner::new(FUNCTION), now: clock::now() })
    }
}

/// What a secret may name as its host.
fn hosts(topology: &Topology) -> Vec<String> {
    let members = topology.members.iter().map(|member| member.endpoint.clone());
    let mut hosts: Vec<String> = std::iter::once(topology.endpoint.clone()).chain(members).collect();
    hosts.retain(|host| !host.is_empty());
    hosts.dedup();
    hosts
}

fn lost(error: &StateError) -> Blocked {
    let passes = match error {
        StateError::Unavailable { .. } | StateError::Superseded { .. } => true,
        StateError::Malformed { .. } => false,
    };
    Blocked::Failed { what: error.to_string(), passes }
}

/// A call without an answer may have taken effect: the next look shows it.
fn not_done(error: &CallError) -> Blocked {
    let passes = match error {
        CallError::Unanswered { .. } => true,
        CallError::Refused { .. } => error.passes(),
    };
    Blocked::Failed { what: error.to_string(), passes }
}

/// A login of a secret.
fn login_of(document: &Document) -> crate::secret::Credentials {
    crate::secret::Credentials { username: document.username().to_owned(), password: document.password().to_owned() }
}
